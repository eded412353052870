"""Job launch: an order that has no attempt under way gets one, unless a rerun has superseded it."""

from __future__ import annotations

from datetime import timedelta

from shared.bootstrap import Services
from shared.domain.events import TIMER_DUE, Event
from shared.errors import BadInputError, PermanentError
from shared.ledger import keys
from shared.ledger.attempts import Attempts, WorkRecords, attempts_of, pause, read_work
from shared.ledger.keys import WorkKey, parse_work
from shared.ledger.provision import place_of
from shared.ledger.records import Attempt, AttemptEnded, Order
from shared.ledger.standing import active_hold
from shared.ports import STAGING_S, JobSpec
from shared.workflow.binding import attempts_allowed, first_pause_s
from shared.workflow.shared_folders import datastrip_folder
from shared.workflow.superseding import end_superseded, superseded_by

OUT_OF_MEMORY = "OOMKilled"
# For so long the platform may refuse a Job (rights, a policy, no image set) before the attempt counts as failed; as
# long as one that it took and cannot start.
REFUSED_LIMIT = timedelta(minutes=5)


def launch(event: Event, services: Services) -> JobSpec | None:
    """Start the attempt that is due, if any; launching it twice is a no-op."""
    subject = str(event.data["subject"]) if event.type == TIMER_DUE else event.subject
    place = parse_work(subject)
    if place is None or place[1] != "order.json":
        raise BadInputError("event, subject", "the key of an order.json", subject)
    job = _launch(place[0], services)
    if event.type == TIMER_DUE:
        services.ledger.delete(str(event.data["key"]))
    return job


def _launch(place: WorkKey, services: Services) -> JobSpec | None:
    ledger = services.ledger
    work = read_work(ledger, place)
    if work.outcome is not None:
        return None
    order = ledger.read(place.order, Order)
    attempts = attempts_of(ledger, work)
    number = attempts.due(services.clock.now(), attempts_allowed(order, services.settings))
    # An attempt that is written down already goes on: neither a rerun nor a hold stops but new ones.
    if number is None or (
        number > attempts.started and (_superseded(order, attempts, services) or _held(work, services))
    ):
        return None
    job = _job(place, order, attempts, number, services)
    attempt = Attempt(
        created=services.clock.now(),
        traceparent=job.traceparent,
        number=number,
        job=job.name,
        cpus=job.cpus,
        memory_mb=job.memory_mb,
        time_limit_s=job.time_limit_s - STAGING_S,
    )
    ledger.create(place.attempt(number), attempt)
    try:
        services.launcher.launch(job)
    except PermanentError as error:
        if not _give_up(order, number, work.granted, error, services):
            raise
        return None
    return job


def _give_up(order: Order, number: int, granted: int, error: PermanentError, services: Services) -> bool:
    """Where an attempt has been refused for long, it ends with that reason: no session waits for ever.

    Until then the event is refused, and the sweep sends it again: who mends a setting at once loses no attempt.
    """
    now, place = services.clock.now(), place_of(order)
    if services.ledger.read(place.attempt(number), Attempt).created + REFUSED_LIMIT > now:
        return False
    ended = AttemptEnded(
        created=now,
        traceparent=services.trace(place.session),
        number=number,
        status="infrastructure",
        reason=f"Refused: {error}"[:1000],
        retry_at=now + pause(first_pause_s(order, services.settings), number - granted),
    )
    services.ledger.create(place.ended(number), ended)
    return True


def _superseded(order: Order, attempts: Attempts, services: Services) -> bool:
    """Whether the work is made anew by a rerun since it was ordered; then it ends here."""
    ledger = services.ledger
    rerun = superseded_by(ledger, services.workflow_named, order)
    if rerun is not None:
        trace = services.trace(order.session)
        end_superseded(ledger, order, attempts.started, rerun, services.clock.now(), trace)
    return rerun is not None


def _held(work: WorkRecords, services: Services) -> bool:
    """Whether an operator holds the work item or its session: one request, more only where there is such a record."""
    ledger = services.ledger
    if work.hold is not None and active_hold(ledger, work.place.hold) is not None:
        return True
    return active_hold(ledger, keys.hold(work.place.session)) is not None


def _job(place: WorkKey, order: Order, attempts: Attempts, number: int, services: Services) -> JobSpec:
    workflow = services.workflow_for(order)
    processor = workflow.processors[order.step]
    most = max(processor.memory_mb, services.settings.job_memory_limit_mb)
    shared = datastrip_folder(workflow, order.step, place.session, place.unit) if processor.shared else ""
    escalations = sum(ended.reason.partition(":")[0] == OUT_OF_MEMORY for ended in attempts.ended.values())
    return JobSpec(
        name=place.job_name(number),
        work=place.prefix,
        attempt=number,
        session=place.session,
        step=place.step,
        unit=place.unit,
        cpus=processor.cpus,
        memory_mb=min(processor.memory_mb * 2**escalations, most),
        time_limit_s=processor.time_limit_s + STAGING_S,
        deadline=order.deadline,
        priority=order.priority,
        traceparent=services.trace(place.session),
        shared=shared,
        processor_set=order.processor_set,
    )
