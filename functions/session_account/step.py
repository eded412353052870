"""Session account: when nothing of a session is under way, say of each promised product how it ended, and close it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.bootstrap import Services
from shared.domain.events import Event
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.attempts import Sorting, WorkRecords
from shared.ledger.records import FINISHED, Account, Complete, OpenMarker, Outcome, Published, Refusal
from shared.ledger.standing import active_hold, held_by, in_force, reopenings, write_account
from shared.sla.against_plan import held_against_plan
from shared.telemetry import emit_session_root
from shared.workflow.accounting import make_account
from shared.workflow.clearing import arm
from shared.workflow.granules import last_sensed
from shared.workflow.graph import Workflow
from shared.workflow.products import product_key, product_name, published_artifacts
from shared.workflow.superseding import begun
from shared.workflow.unfolding import Holds, Pending, Unfolding

_AT_ONCE: Final = 256
_SESSIONS: Final = 8
REMEMBERED: Final = timedelta(seconds=60)
"""What was lacking is believed to be lacking for so long, while it is not there."""


@dataclass
class Accountant:
    """Accounts with the memory of one instance: of each session, one thing without which it cannot be closed.

    While that is lacking, another outcome or product costs two requests, however much the session holds. Of all that is
    lacking it is the work item of the highest digest, which is as good as drawn: on its way to the end a session of n
    items is looked at as a whole log n times. An instance that remembers nothing looks.
    """

    services: Services
    _lacking: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _sortings: dict[str, Sorting] = field(default_factory=dict)

    def account(self, event: Event) -> Account | None:
        """Close the session that ``event.subject`` belongs to, where it can be closed."""
        session = _session(event.subject, self.services)
        # A hold may end what is lacking in another way.
        if not event.subject.endswith("/hold.json") and self._still_lacking(session):
            return None
        try:
            made = _account(session, self.services, self._sorting(session))
        except Lacking as lacking:
            if lacking.key:
                self._lacking[session] = (lacking.key, self.services.clock.now())
            return None
        self._lacking.pop(session, None)
        self._sortings.pop(session, None)
        return made

    def _sorting(self, session: str) -> Sorting:
        """What sorted the work of a session before; kept of a few sessions, since another instance may close one."""
        found = self._sortings.pop(session, None) or Sorting()
        self._sortings[session] = found
        for old in list(self._sortings)[:-_SESSIONS]:
            self._sortings.pop(old, None)
        return found

    def _still_lacking(self, session: str) -> bool:
        key, since = self._lacking.get(session, ("", None))
        if since is None or since + REMEMBERED < self.services.clock.now():
            return False
        return not self.services.ledger.exists(key)


class Lacking(Exception):
    """Something is under way, so that the session cannot be closed. ``key``: a record that would be there first."""

    def __init__(self, key: str = "") -> None:
        super().__init__(key)
        self.key = key


def account(event: Event, services: Services) -> Account | None:
    """Close the session that ``event.subject`` belongs to, where it can be closed."""
    return Accountant(services).account(event)


def _account(session: str, services: Services, sorting: Sorting) -> Account | None:
    ledger = services.ledger
    standing = ledger.find(keys.account(session), Account)
    # One that parks held work is looked at anew: a Job that ran on may have ended since.
    if standing is not None and not standing.held and in_force(ledger, standing):
        ledger.delete(keys.open_marker(session))
        return None
    record = _make(session, services, sorting)
    workflow = services.workflow_of(ledger.find(keys.complete(session), Complete))
    arm(ledger, workflow, record, services.settings.shared_keep_s)
    if write_account(ledger, record):
        _close_trace(session, record, services)
    if record.reopened >= reopenings(ledger, session):
        ledger.delete(keys.open_marker(session))
    return record


def _session(subject: str, services: Services) -> str:
    place = keys.parse_session(subject)
    if place is not None:
        return place[0]
    if subject.startswith("products/"):
        return services.ledger.read(subject, Published).session
    raise BadInputError("event, subject", "a key below sessions/ or products/", subject)


def _lacking(work: Iterable[WorkRecords]) -> Lacking:
    return Lacking(max(work, key=lambda each: each.place.digest).place.outcome)


def _make(session: str, services: Services, sorting: Sorting) -> Account:
    """The account. Lacking while something is under way. ``sorting``: what sorted the session's work before.

    The names alone say that something is: no record is read for that. Then the reopenings are counted, before the work
    is looked at: an account that does not know of the newest one is superseded by it.
    """
    ledger = services.ledger
    complete = ledger.find(keys.complete(session), Complete)
    if complete is None:
        raise Lacking
    if under_way := [work for work in _work(session, services, sorting).values() if work.under_way]:
        raise _lacking(under_way)
    reopened = reopenings(ledger, session)
    found = _work(session, services, sorting)
    lacking = [work for work in found.values() if work.outcome is None]
    holds = _holds(session, lacking, services) if lacking else {}
    if open_work := [w for w in lacking if w.under_way or not holds.get(w.place.prefix, holds.get(""))]:
        raise _lacking(open_work)
    outcome_keys = [work.place.outcome for work in found.values() if work.outcome is not None]
    outcomes = dict(zip(outcome_keys, ledger.read_many(outcome_keys, Outcome), strict=True))
    workflow = services.workflow_of(complete)
    shelf = _shelf(outcomes.values(), workflow, services)
    unfolding = Unfolding(workflow, session, complete.t0, outcomes, shelf.get, _reasons(holds))
    try:
        entries = unfolding.of(complete)
    except Pending as pending:
        raise Lacking(str(pending)) from None
    refused = [info.key for info in ledger.list(f"{keys.session(session)}refused/")]
    beside = held_against_plan(ledger, complete, unfolding.counted, entries)
    sensed = () if complete.work_class == "reprocessing" else outcomes.values()
    return make_account(
        complete,
        session,
        entries,
        ledger.read_many(refused, Refusal),
        services.clock.now(),
        services.trace(session),
        not_owed=unfolding.not_owed,
        unlike_plan=beside.unlike,
        planned_tiles=beside.tiles,
        # What is processed again may be years old: that is not how long anybody waited for it.
        last_sensed=max(filter(None, map(last_sensed, sensed)), default=None),
        reopened=reopened,
        held=unfolding.held,  # a hold on what was made anew since keeps nothing open
    )


def _shelf(outcomes: Iterable[Outcome], workflow: Workflow, services: Services) -> dict[str, Published]:
    """The product records of these outcomes, by their keys. Lacking where one is not there.

    Where something was made anew, one that is lacking may be of work that is superseded, which is not brought to the
    shelf any more: only if that has begun it is waited for. Of what is in force the unfolding finds it lacking.

    The youngest outcome's first, and of them the last: products are published in their order, so that the one that is
    found lacking is lacking as long as any.
    """
    found: dict[str, Published] = {}
    wanted = [
        product_key(str(output.publish), product_name(artifact), outcome.finished)
        for outcome in sorted(outcomes, key=lambda each: each.finished, reverse=True)
        if outcome.status in FINISHED
        for output, artifact in reversed(list(published_artifacts(workflow, outcome)))
    ]
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        records = dict(zip(some, services.ledger.find_many(some, Published), strict=True))
        lacking = [key for key, record in records.items() if record is None]
        if workflow.reruns.by_step:
            lacking = begun(services.ledger, lacking)
        if lacking:
            raise Lacking(lacking[0])
        found.update({key: record for key, record in records.items() if record is not None})
    return found


def _work(session: str, services: Services, sorting: Sorting) -> dict[str, WorkRecords]:
    return sorting.sort(list(services.ledger.list(f"{keys.session(session)}work/")))


def _holds(session: str, lacking: list[WorkRecords], services: Services) -> dict[str, str]:
    """By whom and why work is held, by its prefix; under the empty prefix, all of the session."""
    found = {work.place.prefix: active_hold(services.ledger, work.place.hold) for work in lacking if work.hold}
    found[""] = active_hold(services.ledger, keys.hold(session))
    return {prefix: held_by(hold) for prefix, hold in found.items() if hold is not None}


def _reasons(holds: Mapping[str, str]) -> Holds:
    return lambda prefix: holds.get(prefix) or holds.get("", "")


def _close_trace(session: str, record: Account, services: Services) -> None:
    marker = services.ledger.find(keys.open_marker(session), OpenMarker)
    start = marker.created if marker is not None else record.created
    counts = {"s2ps.produced": record.produced, "s2ps.absent": record.absent, "s2ps.parked": record.parked}
    emit_session_root(session, start, record.created, counts)
