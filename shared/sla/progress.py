"""How far a session is, step by step, and which steps each level has still before it. Pure.

The granularity is the level of a session: of many units of one step the slowest counts, and the way to a level is the
slowest one through the graph. So the cost grows with the steps, and not with tiles times steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shared.domain.forecast import Leg, left_s
from shared.ledger.attempts import WorkRecords
from shared.workflow.graph import Workflow

ARRIVAL: Final = "arrival"
"""The leg from the last file seen to the session's being complete."""

PUBLICATION: Final = "publication"
"""The leg from a step's last outcome to its products' being on the shelf."""

Expected = Callable[[str, int], float]
"""Seconds within which a step ends, for the slowest of so many units."""

_TILES: Final = 20
"""Tiles of a datastrip, before it is known how many."""


@dataclass(slots=True)
class StepProgress:
    """A step over all its units: how many began, how many ended, since when the oldest of the others is under way.

    ``unpublished``: outcomes from which not everything has followed. ``stopped``: units after which nothing comes,
    since their work failed. ``left_out``: units on which the step does not run.
    """

    begun: int = 0
    ended: int = 0
    since: datetime | None = None
    last: datetime | None = None
    unpublished: int = 0
    stopped: int = 0
    left_out: int = 0

    @property
    def over(self) -> bool:
        """Whether all that began has ended."""
        return self.begun > 0 and self.begun == self.ended


def begun(work: WorkRecords) -> datetime | None:
    """When work began: it was ordered, or before that began to wait for auxiliary files."""
    if work.order is None:
        return None if work.waiting is None else work.waiting.modified
    return work.order.modified if work.waiting is None else min(work.order.modified, work.waiting.modified)


@dataclass(frozen=True, slots=True)
class Followed:
    """What is known of one outcome from which all has followed: ``left_out`` are the steps that do not run after it."""

    left_out: tuple[str, ...] = ()
    stopped: bool = False


def progress(work: Iterable[WorkRecords], followed: Mapping[str, Followed]) -> dict[str, StepProgress]:
    """By step; ``followed`` by the keys of outcomes."""
    found: dict[str, StepProgress] = {}
    for each in work:
        since = begun(each)
        if since is None:
            continue
        step = found.get(each.place.step)
        if step is None:
            step = found[each.place.step] = StepProgress()
        step.begun += 1
        outcome = each.outcome
        if outcome is None:
            step.since = since if step.since is None else min(step.since, since)
            continue
        step.ended += 1
        step.last = outcome.modified if step.last is None else max(step.last, outcome.modified)
        known = followed.get(outcome.key)
        step.unpublished += known is None
        step.stopped += known is not None and known.stopped
        for name in known.left_out if known is not None else ():
            found.setdefault(name, StepProgress()).left_out += 1
    return found


@dataclass
class Ways:
    """The legs that are left to each step of a session, and to each level.

    ``arrival``: the leg that stands before all others while the session is not complete.
    """

    workflow: Workflow
    steps: Mapping[str, StepProgress]
    expected: Expected
    now: datetime
    arrival: Leg | None = None
    _legs: dict[str, tuple[Leg, ...] | None] = field(default_factory=dict)

    def levels(self) -> dict[str, tuple[Leg, ...]]:
        """The slowest way to each level that is still to come; what is on the shelf, or will never be, has none."""
        found: dict[str, tuple[Leg, ...]] = {}
        for step in self.workflow.steps:
            legs = self.to(step.name)
            if legs is None:
                continue
            if legs or self.steps.get(step.name, _NONE).unpublished:
                since = None if legs else self.steps[step.name].last
                legs = (*legs, Leg(step=PUBLICATION, expected_s=self.expected(PUBLICATION, 1), since=since))
            for level in self.workflow.levels(step.name):
                if legs:
                    found[level] = self._slower(found.get(level, ()), legs)
        return found

    def to(self, name: str) -> tuple[Leg, ...] | None:
        """The legs until all of a step has ended: none where it has; None where it will not run."""
        if name == "session":
            return () if self.arrival is None else (self.arrival,)
        if name not in self._legs:
            self._legs[name] = self._to(name)
        return self._legs[name]

    def _to(self, name: str) -> tuple[Leg, ...] | None:
        own, after = self.steps.get(name, _NONE), self.workflow.step(name).after
        legs = tuple(way for before in after if (way := self.to(before)) is not None)
        under_way: tuple[Leg, ...] = ()
        if own.begun and not own.over:
            expected = self.expected(name, own.begun - own.ended)
            under_way = (Leg(step=name, expected_s=expected, since=own.since),)
        if len(legs) < len(after):  # something before it will not be
            return under_way or (() if own.begun else None)
        before_it = max(legs, key=self._left)
        if before_it:
            return self._slower(under_way, (*before_it, self._to_come(name)))
        if own.begun:
            return under_way
        if own.left_out or any(self.steps.get(before, _NONE).stopped for before in after):
            return None
        return (self._to_come(name),)

    def _to_come(self, name: str) -> Leg:
        units = _TILES if self.workflow.unit(name) == "tile" else 1
        return Leg(step=name, expected_s=self.expected(name, units))

    def _slower(self, one: tuple[Leg, ...], other: tuple[Leg, ...]) -> tuple[Leg, ...]:
        return max(one, other, key=self._left)

    def _left(self, legs: tuple[Leg, ...]) -> float:
        return sum(left_s(leg, self.now) for leg in legs)


_NONE: Final = StepProgress()
