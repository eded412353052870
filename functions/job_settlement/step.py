"""Job settlement: an attempt that ended without an outcome is tried again, or ends the work."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from shared.bootstrap import Services
from shared.domain.events import JOB_CHANGED, Event
from shared.errors import BadInputError, PermanentError
from shared.ledger.attempts import RETRYABLE, attempts_of, conclude, pause, read_work
from shared.ledger.keys import WorkKey, parse_work, timer
from shared.ledger.records import Attempt, AttemptEnded, Order, Outcome, timer_due
from shared.workflow.binding import attempts_allowed, first_pause_s

WORK_LABEL = "s2ps.org/work"
ATTEMPT_LABEL = "s2ps.org/attempt"
RETRY = "retry"
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobEnd:
    """What a Job object says of its end. ``failed``: the Job failed; else it completed."""

    place: WorkKey
    attempt: int
    failed: bool
    reason: str
    exit_code: int | None = None

    @property
    def job(self) -> str:
        """The Job's name: from the ledger, whatever the event calls it."""
        return self.place.job_name(self.attempt)


def settle(event: Event, services: Services) -> None:
    """``attempts/<n>.ended.json`` was written, or a Job changed."""
    if event.type.startswith(JOB_CHANGED.rsplit(".", 1)[0]):
        end = job_end(event.data)
        if end is not None:
            _witness(end, services)
        return
    place = parse_work(event.subject)
    if place is None or not place[1].endswith(".ended.json"):
        raise BadInputError("event, subject", "the key of an attempt's end", event.subject)
    _settle(place[0], services)


def job_end(job: Any) -> JobEnd | None:
    """The end that a Kubernetes Job object tells of; None while it is not over, or where it is none of ours."""
    if not isinstance(job, Mapping):
        raise BadInputError("event, data", "a Job object", type(job).__name__)
    metadata, status = job.get("metadata") or {}, job.get("status") or {}
    notes = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    if WORK_LABEL not in notes:
        return None
    place = parse_work(f"{notes[WORK_LABEL]}order.json")
    number = str(notes.get(ATTEMPT_LABEL, ""))
    if place is None or not number.isdigit():
        raise BadInputError("Job, annotations", f"{WORK_LABEL} and {ATTEMPT_LABEL}", dict(notes))
    for condition in status.get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in {"Failed", "Complete"}:
            failed = condition["type"] == "Failed"
            reason = str(condition.get("reason") or "unknown") if failed else "ended without an outcome"
            return JobEnd(place[0], int(number), failed, reason)
    return None


def _witness(told: JobEnd, services: Services) -> None:
    """The Job is over: where its attempt wrote no end of its own, write one for it."""
    ledger = services.ledger
    work = read_work(ledger, told.place)
    if work.outcome is not None or told.attempt <= work.granted:
        return
    if told.attempt not in work.ended:
        end = _asked(told, services)
        if end is None:
            return
        now = services.clock.now()
        ended = AttemptEnded(
            created=now,
            traceparent=services.trace(end.place.session),
            number=end.attempt,
            status="retry" if end.reason == "DeadlineExceeded" else "infrastructure",
            exit_code=end.exit_code,
            reason=end.reason,
            retry_at=now + _delay(end.attempt - work.granted, _order(end.place, services), services),
        )
        ledger.create(end.place.ended(end.attempt), ended)
    _settle(told.place, services)


def _asked(told: JobEnd, services: Services) -> JobEnd | None:
    """The end with the reason that the Job's pods give: ``BackoffLimitExceeded`` may have been a want of memory.

    None where the Job is not over after all. Where nobody knows more (the Job is gone, or may not be asked for), what
    was told stands. A Job that cannot get on by itself is stopped before its end is written: a crash between the two
    leaves an attempt without a Job, and the sweep launches it again.
    """
    if not told.failed:
        return told
    try:
        state = services.launcher.state(told.job)
        if state is not None and state.stuck:
            services.launcher.stop(told.job)
    except PermanentError as error:
        _log.error("job %s: settled as it was told (%s): %s", told.job, told.reason, error)
        return told
    if state is None:
        return told
    if state.phase in {"waiting", "running"}:
        return None
    return replace(told, reason=state.reason or told.reason, exit_code=state.exit_code)


def _order(place: WorkKey, services: Services) -> Order | None:
    return services.ledger.find(place.order, Order)


def _delay(number: int, order: Order | None, services: Services) -> timedelta:
    """The pause after attempt ``number`` (from 1, counted from the newest grant)."""
    return pause(first_pause_s(order, services.settings), number)


def _settle(place: WorkKey, services: Services) -> None:
    ledger, now = services.ledger, services.clock.now()
    work = read_work(ledger, place)
    attempts = attempts_of(ledger, work)
    end = attempts.last_end
    # Up to a grant it is the operator's word that counts: the next attempt is due already.
    if end is None or work.outcome is not None or attempts.started <= attempts.granted:
        return
    trace = services.trace(place.session)
    order = _order(place, services) if end.status in RETRYABLE else None
    if end.status in RETRYABLE and attempts.left(attempts_allowed(order, services.settings)):
        due = end.retry_at or end.created + _delay(attempts.started - attempts.granted, order, services)
        record = timer_due(now, due, RETRY, place.session, place.order, trace)
        ledger.create(timer(due, RETRY, place.job_name(attempts.started)), record)
        return
    tried = f" after {attempts.started} attempts" if attempts.started > 1 else ""
    outcome = Outcome(
        created=now,
        traceparent=trace,
        step=place.step,
        unit=place.unit,
        attempt=attempts.started,
        status="failed",
        exit_code=end.exit_code,
        reason=f"{end.reason}{tried}",
        started=ledger.read(place.attempt(attempts.started), Attempt).created,
        finished=end.created,
    )
    conclude(ledger, place, outcome)
