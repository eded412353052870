"""Why a work item is as it is: records in, a sentence out. Pure: ``functions.cli.asking`` reads the records.

Each cause says how a thing stands, why, how much time is left, and the command that mends it, where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from functions.cli.output import age, instant, minutes
from shared.domain.deadlines import slack
from shared.ledger.attempts import RETRYABLE, WorkRecords
from shared.ledger.keys import WorkKey
from shared.ledger.provision import Waiting
from shared.ledger.records import (
    FINISHED,
    Attempt,
    AttemptEnded,
    Hold,
    Order,
    Outcome,
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


class Say(Protocol):
    """Makes a cause of how a thing stands, a part of a sentence, and the command that mends it."""

    def __call__(self, stands: str, told: str, *fix: str, log: str = "") -> Cause: ...


@dataclass(frozen=True, slots=True)
class WorkFacts:
    """What the ledger has of one work item; ``later``: the work that stands in for it since."""

    work: WorkRecords
    order: Order | None = None
    attempt: Attempt | None = None
    ended: AttemptEnded | None = None
    outcome: Outcome | None = None
    hold: Hold | None = None
    deadline: datetime | None = None
    log: str = ""
    waiting: Waiting | None = None
    later: WorkKey | None = None


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
    if facts.order is not None and facts.order.rerun:
        name += f", made anew by rerun {facts.order.rerun},"
    at = facts.work.outcome.modified if facts.work.outcome is not None else now
    left = None if due is None else slack(due, at).total_seconds()

    def cause(stands: str, told: str, *fix: str, log: str = "") -> Cause:
        return Cause(
            "work", place.prefix, stands, f"{name} {told}{time_told(left, ended=stands in ENDED)}.", left, fix, log
        )

    if facts.work.outcome is not None and facts.later is not None:
        return cause(
            "superseded", "has ended, and later work stands in for it", "why", facts.later.prefix, log=facts.log
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
        return cause("waiting", _files_awaited(facts.waiting, now) or "has no order yet; the sweep claims it anew")
    waited = now - facts.work.order.modified
    again = " after an operator allowed new attempts" if facts.work.granted else ""
    told = f"waits for its Job{again}, ordered {age(waited.total_seconds())} ago"
    if waited > _PATIENCE:
        told += ": longer than a launch takes; the sweep announces it again, and dead-letters may tell of a refusal"
        return cause("waiting", told, "replay", place.order)
    return cause("waiting", told)


ENDED: Final = frozenset({"succeeded", "no-product", "failed", "superseded"})


def _outcome(outcome: Outcome, cause: Say, target: str, log: str) -> Cause:
    when = f"at {instant(outcome.finished)}"
    if outcome.status in FINISHED:
        warned = f", with warnings ({'; '.join(outcome.warnings[:_NAMED])})" if outcome.warnings else ""
        return cause("succeeded", f"succeeded {when}{_attempt(outcome)}{warned}", log=log)
    if outcome.status == "no-product":
        return cause("no-product", f"ended without a product {when}, by rule: {outcome.reason}", log=log)
    reason = outcome.reason or "no reason was told"
    if outcome.exit_code is not None and "exit code" not in reason:
        reason = f"exit code {outcome.exit_code}, {reason}"
    told = f"failed {when}{_attempt(outcome)}: {reason}"
    return cause("failed", told, "retry", target, log=log)


def _attempt(outcome: Outcome) -> str:
    """In which attempt; nothing where none was made."""
    return f" in attempt {outcome.attempt}" if outcome.attempt else ""


def _files_awaited(waiting: Waiting | None, now: datetime) -> str:
    """For which auxiliary files work waits, until when, and what is done then; nothing where it waits for none."""
    if waiting is None or not waiting.awaited:
        return ""
    files = counted(len(waiting.awaited), "auxiliary file")
    since_ = age((now - waiting.created).total_seconds())
    return f"has waited {since_} for {files}: {listed([str(each) for each in waiting.awaited])}"


def _running(facts: WorkFacts, cause: Say, rules: Rules, now: datetime) -> Cause:
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


def _between(facts: WorkFacts, ended: AttemptEnded, cause: Say, rules: Rules, now: datetime) -> Cause:
    allowed = facts.work.granted + rules.max_attempts
    told = f"had attempt {ended.number} of {allowed} end ({ended.status}: {ended.reason or 'no reason was told'})"
    if ended.status not in RETRYABLE or facts.work.newest >= allowed:
        return cause("retry", f"{told}; there is none left, and its outcome is being written", log=facts.log)
    if ended.retry_at is None or ended.retry_at <= now:
        return cause("retry", f"{told}; the next is due now", log=facts.log)
    told += f"; the next is due in {age((ended.retry_at - now).total_seconds())}"
    return cause("retry", told, log=facts.log)


def time_told(left: float | None, *, ended: bool, of: str = "") -> str:
    """The end of a sentence that tells the slack."""
    if left is None:
        return ""
    whose = f" of {of}" if of else ""
    if ended:
        return f", {minutes(abs(left))} {'before' if left >= 0 else 'AFTER'} its deadline"
    return f"; {minutes(left)} left{whose}" if left >= 0 else f"; LATE by {minutes(-left)}{whose}"


def listed(texts: Sequence[str]) -> str:
    """The first few of these, and how many more there are."""
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return "; ".join(texts[:_NAMED]) + more


def counted(number: int, what: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
