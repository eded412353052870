"""Session account: when nothing of a session is under way, say of each promised product how it ended, and close it."""

from __future__ import annotations

from collections.abc import Mapping

from shared.bootstrap import Services
from shared.domain.events import Event
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords, sort_work
from shared.ledger.records import Account, Complete, OpenMarker, Outcome, Published, Refusal
from shared.ledger.standing import active_hold, held_by, in_force, reopenings, write_account
from shared.telemetry import emit_session_root
from shared.workflow.accounting import make_account
from shared.workflow.unfolding import Holds, Pending, Unfolding


def account(event: Event, services: Services) -> Account | None:
    """Close the session that ``event.subject`` belongs to, where it can be closed."""
    session = _session(event.subject, services)
    ledger = services.ledger
    standing = ledger.find(keys.account(session), Account)
    # One that parks held work is looked at anew: a Job that ran on may have ended since.
    if standing is not None and not standing.held and in_force(ledger, standing):
        ledger.delete(keys.open_marker(session))
        return None
    record = _make(session, services)
    if record is None:
        return None
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


def _make(session: str, services: Services) -> Account | None:
    """The account; None while something is under way.

    The names alone say that something is: no record is read for that. Then the reopenings are counted, before the work
    is looked at: an account that does not know of the newest one is superseded by it.
    """
    ledger = services.ledger
    complete = ledger.find(keys.complete(session), Complete)
    if complete is None or any(work.under_way for work in _work(session, services).values()):
        return None
    reopened = reopenings(ledger, session)
    found = _work(session, services)
    lacking = [work for work in found.values() if work.outcome is None]
    holds = _holds(session, lacking, services) if lacking else {}
    if any(work.under_way or not holds.get(work.place.prefix, holds.get("")) for work in lacking):
        return None
    outcome_keys = [work.place.outcome for work in found.values() if work.outcome is not None]
    outcomes = dict(zip(outcome_keys, ledger.read_many(outcome_keys, Outcome), strict=True))
    unfolding = Unfolding(
        services.workflow, session, complete.t0, outcomes, lambda key: ledger.find(key, Published), _reasons(holds)
    )
    try:
        entries = unfolding.of(complete)
    except Pending:
        return None
    refused = [info.key for info in ledger.list(f"{keys.session(session)}refused/")]
    return make_account(
        complete,
        session,
        entries,
        ledger.read_many(refused, Refusal),
        services.clock.now(),
        services.trace(session),
        not_owed=unfolding.not_owed,
        reopened=reopened,
        held=bool(holds),
    )


def _work(session: str, services: Services) -> dict[str, WorkRecords]:
    return sort_work(services.ledger.list(f"{keys.session(session)}work/"))


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
