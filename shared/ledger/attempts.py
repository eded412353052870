"""The attempts at one work item, as the ledger tells of them.

A failed outcome is final until an operator grants more attempts: the grant's key names the outcome's etag, so that a
listing alone says whether an outcome stands. Nothing is removed: the outcome of a later attempt replaces it under its
etag (``conclude``), and a late word of an attempt before the grant finds the place taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.errors import ObjectAbsentError
from shared.ledger.keys import WorkKey, etag_mark, parse_work
from shared.ledger.ledger import Ledger
from shared.ledger.records import FINISHED, AttemptEnded, Outcome
from shared.ports import ObjectInfo

RETRYABLE = frozenset({"retry", "infrastructure"})
NOT_FAILED = FINISHED | {"no-product"}
"""The status classes of an outcome that no grant supersedes."""


_SINGLE: Final = {"order.json": "order", "outcome.json": "written", "hold.json": "hold", "waiting.json": "waiting"}
"""The records of a work item of which there is one, and the fields that hold them."""

_LONGEST_PAUSE_S: Final = 3600.0


def pause(first_s: float, tried: int) -> timedelta:
    """The pause after so many attempts since the newest grant: ``first_s``, doubled with each, an hour at most."""
    return timedelta(seconds=max(first_s, min(first_s * 2 ** max(0, tried - 1), _LONGEST_PAUSE_S)))


@dataclass(slots=True)
class WorkRecords:
    """The records of one work item, as a listing shows them. ``grants``: (after, mark of the superseded etag)."""

    place: WorkKey
    order: ObjectInfo | None = None
    written: ObjectInfo | None = None
    hold: ObjectInfo | None = None
    waiting: ObjectInfo | None = None
    attempts: dict[int, ObjectInfo] = field(default_factory=dict)
    ended: dict[int, ObjectInfo] = field(default_factory=dict)
    grants: set[tuple[int, str]] = field(default_factory=set)

    @property
    def outcome(self) -> ObjectInfo | None:
        """``outcome.json`` where it stands: no grant supersedes it."""
        return None if self.grants and self.superseded else self.written

    @property
    def superseded(self) -> bool:
        """A failed outcome is there, and more attempts were granted since."""
        return self.written is not None and etag_mark(self.written.etag) in {mark for _, mark in self.grants}

    @property
    def newest(self) -> int:
        """The newest attempt's number, 0 before the first."""
        return max(self.attempts, default=0)

    @property
    def granted(self) -> int:
        """Attempts up to this number are over, whatever they say: an operator granted more after it."""
        return max((after for after, _ in self.grants), default=0)

    @property
    def asks(self) -> bool:
        """It waits for auxiliary files, as far as the ledger knows: it was never ordered, and has not ended."""
        return self.waiting is not None and self.order is None and self.outcome is None

    @property
    def under_way(self) -> bool:
        """The newest attempt has not ended, as far as the ledger knows."""
        return self.outcome is None and self.newest > self.granted and self.newest not in self.ended

    def add(self, rest: str, info: ObjectInfo) -> None:
        """Take in the record at ``rest`` below the work item; a key that is none of ours is left out."""
        single = _SINGLE.get(rest)
        if single is not None:
            setattr(self, single, info)
            return
        folder, _, name = rest.rpartition("/")
        if folder == "attempts":
            number, _, tail = name.removesuffix(".json").partition(".")
            if number.isascii() and number.isdigit():
                (self.ended if tail == "ended" else self.attempts)[int(number)] = info
        elif folder == "grants":
            number, _, tail = name.removesuffix(".json").partition("-")
            if number.isascii() and number.isdigit():
                self.grants.add((int(number), tail))


def sort_work(listing: Iterable[ObjectInfo]) -> dict[str, WorkRecords]:
    """The work items among some records, by their prefix."""
    found: dict[str, WorkRecords] = {}
    prefix, work = " ", WorkRecords(WorkKey("", "", "", ""))
    for info in listing:
        # In a listing the records of a work item stand together: its name is read once.
        if not info.key.startswith(prefix):
            place = parse_work(info.key)
            if place is None:
                continue
            prefix = place[0].prefix
            work = found.setdefault(prefix, WorkRecords(place[0]))
        rest = info.key[len(prefix) :]
        if rest:
            work.add(rest, info)
    return found


def read_work(ledger: Ledger, place: WorkKey) -> WorkRecords:
    """What stands below ``place``: one listing."""
    return sort_work(ledger.list(place.prefix)).get(place.prefix) or WorkRecords(place)


@dataclass(frozen=True, slots=True)
class Attempts:
    """``started``: the newest attempt's number, 0 before the first; ``ended`` by number: those that failed.

    ``granted``: an operator allowed more attempts after this number.
    """

    started: int
    ended: Mapping[int, AttemptEnded]
    granted: int = 0

    @property
    def last_end(self) -> AttemptEnded | None:
        """How the newest attempt ended, or None while it is under way (or before the first)."""
        return self.ended.get(self.started)

    def left(self, limit: int) -> bool:
        """Whether another attempt is allowed: ``limit`` of them, counted from the newest grant."""
        return self.started < self.granted + limit

    def due(self, now: datetime, limit: int) -> int | None:
        """The number of the attempt that should be running now, or None where none should."""
        if self.started <= self.granted:
            return self.started + 1
        end = self.last_end
        if end is None:
            return self.started
        if end.status not in RETRYABLE or not self.left(limit) or end.retry_at is None or end.retry_at > now:
            return None
        return self.started + 1


def attempts_of(ledger: Ledger, work: WorkRecords) -> Attempts:
    """The attempts among ``work``: one read per attempt that ended."""
    ended = {number: ledger.read(info.key, AttemptEnded) for number, info in work.ended.items()}
    return Attempts(max(work.newest, *ended, 0), ended, work.granted)


def read_attempts(ledger: Ledger, place: WorkKey) -> Attempts:
    """The attempts at ``place``: one listing, and one read per attempt that ended."""
    return attempts_of(ledger, read_work(ledger, place))


def conclude(ledger: Ledger, place: WorkKey, outcome: Outcome) -> bool:
    """Write the work's outcome: the first one stands, and one that a grant superseded gives way under its etag.

    False where another stands, or where an attempt from before the grant comes late to say that it failed. Attempt 0 is
    none: the work ended before it was ordered.
    """
    if ledger.create(place.outcome, outcome):
        return True
    work = read_work(ledger, place)
    if not work.superseded or work.written is None:
        return False
    if 0 < outcome.attempt <= work.granted and outcome.status not in NOT_FAILED:
        return False
    return ledger.replace(place.outcome, outcome, work.written.etag)


def over(ledger: Ledger, place: WorkKey, number: int) -> bool:
    """Whether attempt ``number`` has nothing left to do: the work has its outcome, or the attempt was given up."""
    work = read_work(ledger, place)
    return work.outcome is not None or number in work.ended or number <= work.granted


def failed_outcome(ledger: Ledger, work: WorkRecords) -> tuple[Outcome, str] | None:
    """The outcome (and its etag) by which ``work`` has failed for good; None where it has not."""
    if work.outcome is None:
        return None
    try:
        outcome, etag = ledger.read_with_etag(work.place.outcome, Outcome)
    except ObjectAbsentError:
        return None
    return None if outcome.status in NOT_FAILED else (outcome, etag)
