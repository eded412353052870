"""Session account: when nothing of a session is under way, say of each promised product how it ended, and close it."""

from __future__ import annotations

from shared.bootstrap import Services
from shared.domain.events import Event
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.records import Account, Complete, OpenMarker, Outcome, Published, Refusal
from shared.telemetry import emit_session_root
from shared.workflow.accounting import Pending, close, make_account


def account(event: Event, services: Services) -> Account | None:
    """Close the session that ``event.subject`` belongs to, where it can be closed."""
    session = _session(event.subject, services)
    ledger = services.ledger
    if ledger.exists(keys.account(session)):
        ledger.delete(keys.open_marker(session))
        return None
    record = _make(session, services)
    if record is None:
        return None
    if ledger.create(keys.account(session), record):
        _close_trace(session, record, services)
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
    ledger = services.ledger
    complete = ledger.find(keys.complete(session), Complete)
    if complete is None:
        return None
    found = [info.key for info in ledger.list(f"{keys.session(session)}work/")]
    outcome_keys = [key for key in found if key.endswith("/outcome.json")]
    # The names alone say that something is still under way: no record is read for that.
    if len(outcome_keys) < sum(key.endswith("/order.json") for key in found):
        return None
    outcomes = dict(zip(outcome_keys, ledger.read_many(outcome_keys, Outcome), strict=True))
    try:
        entries = close(services.workflow, complete, outcomes, lambda key: ledger.find(key, Published))
    except Pending:
        return None
    refused = [info.key for info in ledger.list(f"{keys.session(session)}refused/")]
    reasons = tuple(
        r.reason if r.reason.startswith(r.file) else f"{r.file}: {r.reason}" for r in ledger.read_many(refused, Refusal)
    )
    return make_account(complete, session, entries, reasons, services.clock.now(), services.trace(session))


def _close_trace(session: str, record: Account, services: Services) -> None:
    marker = services.ledger.find(keys.open_marker(session), OpenMarker)
    start = marker.created if marker is not None else record.created
    counts = {"s2ps.produced": record.produced, "s2ps.absent": record.absent, "s2ps.parked": record.parked}
    emit_session_root(session, start, record.created, counts)
