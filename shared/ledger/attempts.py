"""The attempts at one work item, as the ledger tells of them.

A failed outcome is final until an operator grants more attempts: the grant's key names the outcome's etag, so that a
listing alone says whether an outcome stands. Nothing is removed: the outcome of a later attempt replaces it under its
etag (``conclude``), and a late word of an attempt before the grant finds the place taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter
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
        return max(self.attempts) if self.attempts else 0

    @property
    def granted(self) -> int:
        """Attempts up to this number are over, whatever they say: an operator granted more after it."""
        return max([after for after, _ in self.grants]) if self.grants else 0

    @property
    def asks(self) -> bool:
        """It waits for auxiliary files, as far as the ledger knows: it was never ordered, and has not ended."""
        return self.waiting is not None and self.order is None and self.outcome is None

    @property
    def under_way(self) -> bool:
        """The newest attempt has not ended, as far as the ledger knows."""
        if self.outcome is not None:
            return False
        newest = self.newest
        return newest > self.granted and newest not in self.ended

    def add(self, rest: str, info: ObjectInfo) -> None:
        """Take in the record at ``rest`` below the work item; a key that is none of ours is left out."""
        single = _SINGLE.get(rest)
        if single is not None:
            setattr(self, single, info)
            return
        numbered = _numbered(rest)
        if numbered is None:
            return
        folder, number, tail = numbered
        if folder == "grants":
            self.grants.add((number, tail))
        else:
            (self.ended if tail == "ended" else self.attempts)[number] = info


_NUMBERED: Final = {"attempts": ".", "grants": "-"}
"""The folders of numbered records, and what stands in their names between the number and the rest."""


@lru_cache(maxsize=1024)
def _numbered(rest: str) -> tuple[str, int, str] | None:
    """(folder, number, what follows in the name) of a numbered record; None for others. Most of them are alike."""
    folder, _, name = rest.rpartition("/")
    mark = _NUMBERED.get(folder)
    if mark is None:
        return None
    number, _, tail = name.removesuffix(".json").partition(mark)
    return (folder, int(number), tail) if number.isascii() and number.isdigit() else None


def sort_work(listing: Iterable[ObjectInfo]) -> dict[str, WorkRecords]:
    """The work items among some records, by their prefix."""
    return Sorting().sort(sorted(listing, key=attrgetter("key")))


@dataclass(frozen=True, slots=True)
class _Sorted:
    """What some records of a listing came to."""

    records: Sequence[ObjectInfo]
    work: WorkRecords
    prefix: str

    def stands(self, listing: Sequence[ObjectInfo], at: int) -> bool:
        """Whether the same records, and no more of that work, are listed there."""
        end = at + len(self.records)
        return listing[at:end] == self.records and not (end < len(listing) and listing[end].key.startswith(self.prefix))


@dataclass(slots=True)
class Sorting:
    """Sorts the listings of a session, one after the other: of work that is listed as before, what was found stands.

    Nothing is believed but what is listed: a record that is new, another (by its etag, time or size) or gone is seen.
    """

    _known: dict[str, _Sorted] = field(default_factory=dict)

    def sort(self, listing: Sequence[ObjectInfo]) -> dict[str, WorkRecords]:
        """The work items among some records in the order of their keys, by their prefix."""
        found, at, end = dict[str, _Sorted](), 0, len(listing)
        while at < end:
            first = listing[at].key
            known = self._known.get(first)
            if known is None or not known.stands(listing, at):
                place = parse_work(first)
                if place is None:
                    at += 1
                    continue
                known = _sorted(place[0], listing, at)
            found[first] = known
            at += len(known.records)
        self._known = found
        return {each.prefix: each.work for each in found.values()}


def _sorted(place: WorkKey, listing: Sequence[ObjectInfo], at: int) -> _Sorted:
    """The work at ``place``, whose records begin there: they stand together, and its name is read once."""
    work, prefix, begin, end = WorkRecords(place), place.prefix, at, len(listing)
    while at < end and listing[at].key.startswith(prefix):
        work.add(listing[at].key[len(prefix) :], listing[at])
        at += 1
    return _Sorted(listing[begin:at], work, prefix)


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
