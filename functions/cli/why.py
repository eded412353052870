"""Why something is as it is: records in, a sentence out. Pure: ``functions.cli.asking`` reads the records.

Each cause says how a thing stands, why, how much time is left, and the command that mends it, where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from functions.cli.output import age, instant, minutes, since
from shared.domain.deadlines import slack
from shared.ledger.attempts import RETRYABLE, WorkRecords
from shared.ledger.records import (
    FINISHED,
    Account,
    AccountEntry,
    Attempt,
    AttemptEnded,
    Complete,
    Hold,
    Order,
    Outcome,
    Published,
)

_NAMED: Final = 3
_PATIENCE: Final = timedelta(seconds=60)
"""An answer of a function that takes longer than this is late: its event was lost, and the sweep sends it again."""


@dataclass(frozen=True, slots=True)
class Cause:
    """``fix``: a command of this program, as its arguments; empty where nothing is to be done, or by nobody here."""

    kind: Literal["session", "product", "work"]
    target: str
    stands: str
    sentence: str
    slack_s: float | None = None
    fix: tuple[str, ...] = ()
    log: str = ""


class _Say(Protocol):
    """Makes a cause of how a thing stands, a part of a sentence, and the command that mends it."""

    def __call__(self, stands: str, told: str, *fix: str, log: str = "") -> Cause: ...


@dataclass(frozen=True, slots=True)
class WorkFacts:
    """What the ledger has of one work item."""

    work: WorkRecords
    order: Order | None = None
    attempt: Attempt | None = None
    ended: AttemptEnded | None = None
    outcome: Outcome | None = None
    hold: Hold | None = None
    deadline: datetime | None = None
    log: str = ""


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


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that decide."""

    max_attempts: int = 3
    session_wait_s: float = 1800.0
    session_partial: Literal["proceed", "park"] = "proceed"


def why_work(facts: WorkFacts, rules: Rules, now: datetime) -> Cause:
    """Why a work item stands as it does."""
    place, due = facts.work.place, facts.deadline
    name = f"{place.step} of {place.unit}"
    at = facts.work.outcome.modified if facts.work.outcome is not None else now
    left = None if due is None else slack(due, at).total_seconds()

    def cause(stands: str, told: str, *fix: str, log: str = "") -> Cause:
        return Cause(
            "work", place.prefix, stands, f"{name} {told}{_time(left, ended=stands in _ENDED)}.", left, fix, log
        )

    if facts.work.outcome is not None:
        if facts.outcome is None:
            return cause("failed", "has an outcome.json that cannot be read")
        return _outcome(facts.outcome, cause, place.prefix, facts.log)
    if facts.work.under_way:
        return _running(facts, cause, rules, now)
    if facts.hold is not None:
        told = (
            f"is held by {facts.hold.who} since {instant(facts.hold.created)}: {facts.hold.reason}; no attempt starts"
        )
        target = place.session if facts.hold.target.strip("/") in {place.session, ""} else place.prefix
        return cause("held", told, "release", target)
    if facts.work.newest > facts.work.granted and facts.ended is not None:
        return _between(facts, facts.ended, cause, rules, now)
    if facts.work.order is None:
        return cause("waiting", "has no order yet; the sweep claims it anew")
    waited = now - facts.work.order.modified
    again = " after an operator allowed new attempts" if facts.work.granted else ""
    told = f"waits for its Job{again}, ordered {age(waited.total_seconds())} ago"
    if waited > _PATIENCE:
        told += ": longer than a launch takes; the sweep announces it again, and dead-letters may tell of a refusal"
        return cause("waiting", told, "replay", place.order)
    return cause("waiting", told)


_ENDED: Final = frozenset({"succeeded", "no-product", "failed"})


def _outcome(outcome: Outcome, cause: _Say, target: str, log: str) -> Cause:
    when = f"at {instant(outcome.finished)}"
    if outcome.status in FINISHED:
        warned = f", with warnings ({'; '.join(outcome.warnings[:_NAMED])})" if outcome.warnings else ""
        return cause("succeeded", f"succeeded {when} in attempt {outcome.attempt}{warned}", log=log)
    if outcome.status == "no-product":
        return cause("no-product", f"ended without a product {when}, by rule: {outcome.reason}", log=log)
    code = f", exit code {outcome.exit_code}" if outcome.exit_code is not None else ""
    told = f"failed {when} in attempt {outcome.attempt}{code}: {outcome.reason or 'no reason was told'}"
    return cause("failed", told, "retry", target, log=log)


def _running(facts: WorkFacts, cause: _Say, rules: Rules, now: datetime) -> Cause:
    number, work = facts.work.newest, facts.work
    began = work.attempts[number].modified
    told = f"runs: attempt {number} of {work.granted + rules.max_attempts}, for {age((now - began).total_seconds())}"
    if facts.attempt is not None:
        limit = facts.attempt.time_limit_s
        told += f", Job {facts.attempt.job}"
        if now - began > timedelta(seconds=limit):
            told += f": longer than its limit of {limit} s, unless it waited for a place; the sweep asks its Job"
    if facts.hold is not None:
        told += f"; held by {facts.hold.who}, so no other attempt follows"
    return cause("running", told)


def _between(facts: WorkFacts, ended: AttemptEnded, cause: _Say, rules: Rules, now: datetime) -> Cause:
    allowed = facts.work.granted + rules.max_attempts
    told = f"had attempt {ended.number} of {allowed} end ({ended.status}: {ended.reason or 'no reason was told'})"
    if ended.status not in RETRYABLE or facts.work.newest >= allowed:
        return cause("retry", f"{told}; there is none left, and its outcome is being written", log=facts.log)
    if ended.retry_at is None or ended.retry_at <= now:
        return cause("retry", f"{told}; the next is due now", log=facts.log)
    told += f"; the next is due in {age((ended.retry_at - now).total_seconds())}"
    return cause("retry", told, log=facts.log)


def why_session(facts: SessionFacts, rules: Rules, now: datetime) -> Cause:
    """Why a session stands as it does."""
    name = f"Session {facts.session}"

    def cause(stands: str, told: str, *fix: str, log: str = "") -> Cause:
        late = "" if stands == "closed" else _time(facts.slack_s, ended=False, of="the work nearest its deadline")
        return Cause("session", facts.session, stands, f"{name} {told}{late}.", facts.slack_s, fix, log)

    if facts.stands == "closed" and facts.account is not None:
        return _closed(facts, facts.account, cause)
    if facts.hold is not None:
        held = f"is held by {facts.hold.who} since {instant(facts.hold.created)}: {facts.hold.reason}"
        running = f"; {_count(facts.work['running'], 'Job')} of it runs on" if facts.work.get("running") else ""
        return cause("held", f"{held}{running}", "release", facts.session)
    if facts.complete is None:
        return _arriving(facts, cause, rules, now)
    return _processing(facts, cause)


def _arriving(facts: SessionFacts, cause: _Say, rules: Rules, now: datetime) -> Cause:
    told = f"is arriving: {facts.received} of {facts.seen} files that the station showed are here"
    if facts.awaited:
        told += f"; it waits for {_list(facts.awaited)}"
    elif facts.received < facts.seen:
        told += "; the others are being fetched"
    elif facts.seen:
        told += "; all that is known of is here, and it is about to be assembled"
    if facts.refused:
        told += f"; refused: {_list(facts.refused)}"
    if facts.last_seen is not None:
        end = facts.last_seen + timedelta(seconds=rules.session_wait_s)
        then = "goes on with what is there" if rules.session_partial == "proceed" else "is parked"
        told += f"; without them it {then} at {instant(end)}" if end > now else f"; its wait is over, and it {then} now"
    return cause("arriving", told)


def _processing(facts: SessionFacts, cause: _Say) -> Cause:
    work, total = facts.work, sum(facts.work.values())
    partial = ""
    if facts.complete is not None and facts.complete.missing:
        partial = f" without {_count(len(facts.complete.missing), 'file')} ({facts.complete.reason})"
    done = sum(work.get(each, 0) for each in _ENDED)
    told = f"is processing{partial}: {done} of {_count(total, 'work item')} done"
    open_ = [f"{work[each]} {verb}" for each, verb in _VERBS.items() if work.get(each)]
    if open_:
        told += f", {', '.join(open_)}"
    if not total:
        return cause("processing", f"is complete{partial}, and its first order is being written")
    if facts.failed:
        told += f"; failed for good: {_list(facts.failed)}"
        return cause("processing", told, "retry", facts.session)
    if not open_:
        told += "; products are being published, then follow their next steps and the account"
    return cause("processing", told)


_VERBS: Final = {"running": "run", "waiting": "wait for a Job", "retry": "wait for another attempt", "held": "are held"}


def _closed(facts: SessionFacts, account: Account, cause: _Say) -> Cause:
    total = len(account.entries)
    told = f"is closed: {account.produced} of {_count(total, 'product')} produced"
    slacks = [entry.slack_s for entry in account.entries if entry.slack_s is not None]
    if slacks:
        told += f", the tightest {minutes(abs(min(slacks)))} {'before' if min(slacks) >= 0 else 'AFTER'} its deadline"
    absent = _reasons(account, "absent")
    parked = _reasons(account, "parked")
    if absent:
        told += f"; {account.absent} absent: {_list(absent)}"
    if not parked:
        return cause("closed", told)
    told += f"; {account.parked} parked: {_list(parked)}"
    # Without T0 it never became complete, or was held by an operator: to go on is to release it. Else work has failed.
    return cause("closed", told, "release" if account.t0 is None or account.held else "retry", facts.session)


def why_produced(product: Published, order: Order | None = None) -> Cause:
    """Why a product is on the shelf, since when, and from what."""
    left = slack(product.deadline, product.created).total_seconds()
    by = f" by {order.processor} {order.version}" if order is not None else ""
    told = (
        f"Product {product.product} is on the shelf since {instant(product.created)} "
        f"({since(product.t0, product.created)}), made from session {product.session} by step {product.step} "
        f"of {product.unit}{by}{_time(left, ended=True)}."
    )
    warned = " Its processor warned." if product.status == "succeeded-with-warnings" else ""
    return Cause("product", product.product, "produced", told + warned, left)


def why_lost(session: str, entry: AccountEntry, *, released: bool = False) -> Cause:
    """Why a product of a closed session is absent or parked; ``released``: to go on is to release the session."""
    reason = entry.reason or "no reason was told"
    told = f"{entry.level} product {entry.product} of session {session} is {entry.ended}: {reason}."
    fix = ("release" if released else "retry", session) if entry.ended == "parked" else ()
    return Cause("product", entry.product, entry.ended, told, entry.slack_s, fix)


def _time(left: float | None, *, ended: bool, of: str = "") -> str:
    """The end of a sentence that tells the slack."""
    if left is None:
        return ""
    whose = f" of {of}" if of else ""
    if ended:
        return f", {minutes(abs(left))} {'before' if left >= 0 else 'AFTER'} its deadline"
    return f"; {minutes(left)} left{whose}" if left >= 0 else f"; LATE by {minutes(-left)}{whose}"


def _reasons(account: Account, ended: str) -> list[str]:
    found: dict[str, int] = {}
    for entry in account.entries:
        if entry.ended == ended:
            reason = entry.reason or f"{entry.step} of {entry.unit}"
            found[reason] = found.get(reason, 0) + 1
    return [reason if count == 1 else f"{reason} ({count} times)" for reason, count in found.items()]


def _list(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return "; ".join(texts[:_NAMED]) + more


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
