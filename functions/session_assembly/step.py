"""Session assembly: when every named chunk of both channels is here, the session is complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from functions.session_assembly.assess import Assessment, assess, awaited
from shared.bootstrap import Services
from shared.domain.deadlines import t0
from shared.domain.events import TIMER_DUE, Event
from shared.domain.names import SessionFile
from shared.domain.strategy import Decision, Subject, WorkClass
from shared.dsib import MAX_SIZE, Dsib, parse_dsib
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.records import Complete, OpenMarker, Receipt, Refusal, Reopened, Seen, SessionChunk, timer_due
from shared.ledger.standing import account_in_force, marker_of, reopenings, write_account
from shared.workflow.accounting import parked_account

TIMER = "session-incomplete"
_RECEIPT = ".receipt.json"


def assemble(event: Event, services: Services) -> None:
    """A receipt was written, or the wait for a session is over."""
    if event.type == TIMER_DUE:
        _wait_over(event, services)
        return
    place = keys.parse_session(event.subject)
    if place is None or not place[1].endswith(_RECEIPT):
        raise BadInputError("event, subject", "the key of a receipt", event.subject)
    session = place[0]
    if services.ledger.exists(keys.complete(session)):
        return
    if _released(session, reopenings(services.ledger, session), services) is not None:
        _decide(session, services, _policy(session, services))
        return
    if account_in_force(services.ledger, session) is not None:
        return
    received = _received(session, services)
    dsibs = _dsibs(session, received, services)
    if awaited(dsibs, set(received)):
        return
    receipts, seen = _records(session, received, services)
    found = assess(dsibs, receipts, seen)
    _refuse_all(session, found, receipts, services)
    if found.whole:
        _write_complete(session, dsibs, receipts, seen, services)


def _released(session: str, reopened: int, services: Services) -> Reopened | None:
    """An operator's word that the session goes on with the files that are there; None where there is none."""
    record = services.ledger.find(keys.reopened(session, reopened), Reopened) if reopened else None
    return record if record is not None and record.incomplete else None


def _received(session: str, services: Services) -> dict[str, str]:
    """File name to receipt key, of everything received."""
    prefix = f"{keys.session(session)}received/"
    return {i.key[len(prefix) : -len(_RECEIPT)]: i.key for i in services.ledger.list(prefix)}


def _records(session: str, received: dict[str, str], services: Services) -> tuple[dict[str, Receipt], dict[str, Seen]]:
    receipts = services.ledger.read_many(received.values(), Receipt)
    seen = services.ledger.read_many([keys.seen(session, name) for name in received], Seen)
    return {r.file: r for r in receipts}, {s.file: s for s in seen}


def _dsibs(session: str, received: dict[str, str], services: Services) -> dict[int, Dsib]:
    """The readable DSIBs by channel; one that is not readable is refused in the ledger, and awaited anew."""
    found: dict[int, Dsib] = {}
    for name, key in received.items():
        file = SessionFile.parse(name)
        if file.kind != "DSIB":
            continue
        receipt = services.ledger.read(key, Receipt)
        try:
            if receipt.size > MAX_SIZE:
                raise BadInputError(name, f"at most {MAX_SIZE} bytes", receipt.size)
            found[file.channel] = parse_dsib(
                services.store.get(services.settings.bucket_sessions, receipt.key)[0], file
            )
        except BadInputError as error:
            _refuse(session, name, str(error), receipt.sha256, services)
    return found


def _refuse(session: str, file: str, reason: str, sha256: str, services: Services) -> None:
    """``sha256``: of the content that was refused; empty where the file was never received."""
    record = Refusal(
        created=services.clock.now(),
        traceparent=services.trace(session),
        session=session,
        file=file,
        reason=reason,
        sha256=sha256,
    )
    services.ledger.create(keys.refusal(session, file, reason), record)


def _refuse_all(session: str, found: Assessment, receipts: Mapping[str, Receipt], services: Services) -> None:
    for file, reason in found.refused:
        _refuse(session, file, reason, receipts[file].sha256 if file in receipts else "", services)


def _write_complete(
    session: str,
    dsibs: dict[int, Dsib],
    receipts: dict[str, Receipt],
    seen: Mapping[str, Seen],
    services: Services,
    *,
    missing: tuple[str, ...] = (),
    reason: str = "",
) -> None:
    marker = services.ledger.read(keys.open_marker(session), OpenMarker)
    named = {name for dsib in dsibs.values() for name in dsib.names}
    files = {name: SessionFile.parse(name) for name in sorted(receipts)}
    wanted = [name for name, file in files.items() if file.kind == "DSIB" or missing or name in named]
    record = Complete(
        created=services.clock.now(),
        traceparent=services.trace(session),
        session=session,
        station=marker.station,
        satellite=marker.satellite,
        t0=t0(receipts[name].modified for name in wanted),
        pass_stop=max((dsib.time_stop for dsib in dsibs.values()), default=None),
        files=tuple(
            SessionChunk(
                name=name,
                key=receipts[name].key,
                channel=files[name].channel,
                size=receipts[name].size,
                sha256=receipts[name].sha256,
            )
            for name in wanted
        ),
        missing=missing,
        reason=reason,
        strategy=services.active_strategy(),
        work_class=_class([seen[name] for name in wanted if name in seen], session, marker.satellite, services),
    )
    services.ledger.create(keys.complete(session), record)
    # Whoever waited in vain may have closed the session meanwhile. (One that is closed for good: the sweep removes it.)
    services.ledger.create(keys.open_marker(session), marker)


def _class(seen: Iterable[Seen], session: str, satellite: str, services: Services) -> WorkClass:
    """No station tells what is wanted in near real time: that is known of a pass where its plan was loaded."""
    if any(each.tree == "RETRANSFER" for each in seen):
        return "retransfer"
    from shared.sla.planned import planned_for

    planned = planned_for(services.ledger, session, satellite)
    return "nrt" if planned is not None and planned.near_real_time else "nominal"


def _policy(session: str, services: Services) -> Decision:
    """What the strategy that is active now decides of a session that is not complete."""
    version = services.active_strategy()
    if not version:
        return services.active_ruling(Subject(unit=session)).whole.decision
    listed = [info.key for info in services.ledger.list(f"{keys.session(session)}seen/")]
    seen = services.ledger.read_many(listed, Seen)
    subject = Subject(
        unit=session,
        satellite=seen[0].satellite if seen else "",
        station=seen[0].station if seen else "",
        work_class=_class(seen, session, seen[0].satellite if seen else "", services),
        when=services.clock.now(),
    )
    return services.active_ruling(subject).whole.decision


def _wait_over(event: Event, services: Services) -> None:
    """The configured decision about a session that is still not complete: go on with what is there, or park it."""
    timer_key, session = str(event.data["key"]), str(event.data["session"])
    settled = services.ledger.exists(keys.complete(session)) or account_in_force(services.ledger, session) is not None
    if not settled:
        policy = _policy(session, services)
        wait = timedelta(seconds=policy.session_wait_s or services.settings.session_wait_s)
        last = _last_activity(session, services)
        now = services.clock.now()
        if last is not None and last + wait > now:
            due = last + wait
            renewed = timer_due(now, due, TIMER, session, traceparent=services.trace(session))
            services.ledger.create(keys.timer(due, TIMER, session), renewed)
            if keys.timer(due, TIMER, session) == timer_key:
                return
        else:
            _decide(session, services, policy)
    else:
        _stay_open(session, services)
    services.ledger.delete(timer_key)


def _last_activity(session: str, services: Services) -> datetime | None:
    return max((info.modified for info in services.ledger.list(f"{keys.session(session)}seen/")), default=None)


def _decide(session: str, services: Services, policy: Decision) -> None:
    reopened = reopenings(services.ledger, session)
    released = _released(session, reopened, services)
    received = _received(session, services)
    dsibs = _dsibs(session, received, services)
    receipts, seen = _records(session, received, services)
    found = assess(dsibs, receipts, seen)
    _refuse_all(session, found, receipts, services)
    missing = (*found.missing, *(f"{file}: {reason}" for file, reason in found.refused))
    chunks = [name for name in receipts if SessionFile.parse(name).kind == "DSDB"]
    reason = f"the wait of {policy.session_wait_s or services.settings.session_wait_s:.0f} s is over"
    if released is not None:
        reason = f"released by {released.who}: {released.reason}"
    partial = policy.session_partial or services.settings.session_partial
    if (partial == "proceed" or released is not None) and chunks:
        _write_complete(session, dsibs, receipts, seen, services, missing=missing, reason=reason)
        return
    why = f"{reason}, missing: {'; '.join(missing[:5]) or 'every DSDB'}"
    refused = [info.key for info in services.ledger.list(f"{keys.session(session)}refused/")]
    account = parked_account(
        services.workflow,
        session,
        why,
        services.ledger.read_many(refused, Refusal),
        services.clock.now(),
        services.trace(session),
        reopened=reopened,
    )
    write_account(services.ledger, account)
    services.ledger.delete(keys.open_marker(session))
    _stay_open(session, services)


def _stay_open(session: str, services: Services) -> None:
    """The last file may have come while its session was parked: ``complete.json`` supersedes that account."""
    complete = services.ledger.find(keys.complete(session), Complete)
    if complete is None or account_in_force(services.ledger, session) is not None:
        return
    services.ledger.create(keys.open_marker(session), marker_of(complete, services.clock.now()))
