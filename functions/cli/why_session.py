"""Why a session or a product is as it is: records in, a sentence out, as in ``functions.cli.why``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from functions.cli.output import instant, minutes, since
from functions.cli.why import ENDED, Cause, Rules, Say, counted, listed, time_told
from shared.domain.deadlines import slack
from shared.ledger.records import Account, AccountEntry, Complete, Hold, Order, Published


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What the ledger has of one session; ``awaited``: its files that are known to be missing."""

    session: str
    stands: str
    seen: int = 0
    received: int = 0
    awaited: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    last_seen: datetime | None = None
    complete: Complete | None = None
    account: Account | None = None
    hold: Hold | None = None
    work: Mapping[str, int] = field(default_factory=dict)
    slack_s: float | None = None
    failed: tuple[str, ...] = ()
    reruns: tuple[str, ...] = ()


def why_session(facts: SessionFacts, rules: Rules, now: datetime) -> Cause:
    """Why a session stands as it does."""
    name = f"Session {facts.session}"

    def cause(stands: str, told: str, *fix: str, log: str = "") -> Cause:
        late = "" if stands == "closed" else time_told(facts.slack_s, ended=False, of="the work nearest its deadline")
        return Cause("session", facts.session, stands, f"{name} {told}{late}.", facts.slack_s, fix, log)

    if facts.stands == "closed" and facts.account is not None:
        return _closed(facts, facts.account, cause)
    if facts.hold is not None:
        held = f"is held by {facts.hold.who} since {instant(facts.hold.created)}: {facts.hold.reason}"
        running = f"; {counted(facts.work['running'], 'Job')} of it runs on" if facts.work.get("running") else ""
        return cause("held", f"{held}{running}", "release", facts.session)
    if facts.complete is None:
        return _arriving(facts, cause, rules, now)
    return _processing(facts, cause)


def _arriving(facts: SessionFacts, cause: Say, rules: Rules, now: datetime) -> Cause:
    told = f"is arriving: {facts.received} of {facts.seen} files that the station showed are here"
    if facts.awaited:
        told += f"; it waits for {listed(facts.awaited)}"
    elif facts.received < facts.seen:
        told += "; the others are being fetched"
    elif facts.seen:
        told += "; all that is known of is here, and it is about to be assembled"
    if facts.refused:
        told += f"; refused: {listed(facts.refused)}"
    if facts.last_seen is not None:
        end = facts.last_seen + timedelta(seconds=rules.session_wait_s)
        then = "goes on with what is there" if rules.session_partial == "proceed" else "is parked"
        told += f"; without them it {then} at {instant(end)}" if end > now else f"; its wait is over, and it {then} now"
    return cause("arriving", told)


def _processing(facts: SessionFacts, cause: Say) -> Cause:
    work, total = facts.work, sum(facts.work.values())
    partial = ""
    if facts.complete is not None and facts.complete.missing:
        partial = f" without {counted(len(facts.complete.missing), 'file')} ({facts.complete.reason})"
    done = sum(work.get(each, 0) for each in ENDED)
    told = f"is processing{partial}: {done} of {counted(total, 'work item')} done{_anew(facts)}"
    open_ = [f"{work[each]} {verb}" for each, verb in _VERBS.items() if work.get(each)]
    if open_:
        told += f", {', '.join(open_)}"
    if not total:
        return cause("processing", f"is complete{partial}, and its first order is being written")
    if facts.failed:
        told += f"; failed for good: {listed(facts.failed)}"
        return cause("processing", told, "retry", facts.session)
    if not open_:
        told += "; products are being published, then follow their next steps and the account"
    return cause("processing", told)


def _anew(facts: SessionFacts) -> str:
    """The newest rerun, in brackets; nothing where there was none."""
    return f" ({facts.reruns[-1]})" if facts.reruns else ""


_VERBS: Final = {"running": "run", "waiting": "wait for a Job", "retry": "wait for another attempt", "held": "are held"}


def _closed(facts: SessionFacts, account: Account, cause: Say) -> Cause:
    total = len(account.entries)
    told = f"is closed: {account.produced} of {counted(total, 'product')} produced{_anew(facts)}"
    slacks = [entry.slack_s for entry in account.entries if entry.slack_s is not None]
    if slacks:
        told += f", the tightest {minutes(abs(min(slacks)))} {'before' if min(slacks) >= 0 else 'AFTER'} its deadline"
    absent = _reasons(account, "absent")
    parked = _reasons(account, "parked")
    if absent:
        told += f"; {account.absent} absent: {listed(absent)}"
    if not parked:
        return cause("closed", told)
    told += f"; {account.parked} parked: {listed(parked)}"
    # Without T0 it never became complete, or was held by an operator: to go on is to release it. Else work has failed.
    return cause("closed", told, "release" if account.t0 is None or account.held else "retry", facts.session)


def why_produced(product: Published, order: Order | None = None, later: Published | None = None) -> Cause:
    """Why a product is on the shelf, since when, and from what; ``later``: what was made anew in its place."""
    left = slack(product.deadline, product.created).total_seconds()
    by = f" by {order.processor} {order.version}" if order is not None else ""
    told = (
        f"Product {product.product} is on the shelf since {instant(product.created)} "
        f"({since(product.t0, product.created)}), made from session {product.session} by step {product.step} "
        f"of {product.unit}{by}{time_told(left, ended=True)}."
    )
    if later is not None:
        told += f" It is superseded by {later.product}, of rerun {later.rerun}."
    warned = " Its processor warned." if product.status == "succeeded-with-warnings" else ""
    return Cause("product", product.product, "produced", told + warned, left)


def why_lost(session: str, entry: AccountEntry, *, released: bool = False) -> Cause:
    """Why a product of a closed session is absent or parked; ``released``: to go on is to release the session."""
    reason = entry.reason or "no reason was told"
    told = f"{entry.level} product {entry.product} of session {session} is {entry.ended}: {reason}."
    fix = ("release" if released else "retry", session) if entry.ended == "parked" else ()
    return Cause("product", entry.product, entry.ended, told, entry.slack_s, fix)


def _reasons(account: Account, ended: str) -> list[str]:
    found: dict[str, int] = {}
    for entry in account.entries:
        if entry.ended == ended:
            reason = entry.reason or f"{entry.step} of {entry.unit}"
            found[reason] = found.get(reason, 0) + 1
    return [reason if count == 1 else f"{reason} ({count} times)" for reason, count in found.items()]
