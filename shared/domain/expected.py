"""What an acquisition owes before anything of it is there: counts from its scenes, and from its datatake type.

Rules of the ground segment's own completeness figures: a granule is one detector and scene; Level 1 loses the first and
the last scene; fewer than three scenes stay at Level 0; about ten granules make a tile, until the footprint tells how
many tiles it meets. Where the plan's orbit foretells the footprint, some tiles are owed and others may be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

DETECTORS: Final = 12
RAW_DETECTORS: Final = 4
"""Detectors of a datatake in RAW mode."""

LEAST_SCENES: Final = 3
GRANULES_A_TILE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Owed:
    """So many products of each kind; ``tiles`` is an estimate until the footprint is known, ``exact`` says which."""

    l0_granules: int
    l1a_granules: int
    l1b_granules: int
    l1c_tiles: int
    l2a_tiles: int
    exact: bool

    def __add__(self, other: Owed) -> Owed:
        return Owed(
            self.l0_granules + other.l0_granules,
            self.l1a_granules + other.l1a_granules,
            self.l1b_granules + other.l1b_granules,
            self.l1c_tiles + other.l1c_tiles,
            self.l2a_tiles + other.l2a_tiles,
            self.exact and other.exact,
        )


NOTHING: Final = Owed(0, 0, 0, 0, 0, exact=True)


def owed(scenes: int, levels: Collection[str], *, raw: bool = False, tiles: int | None = None) -> Owed:
    """What a datastrip of ``scenes`` owes, where its datatake type asks for ``levels`` beside Level 0.

    ``tiles``: how many its footprint meets, where that is known.
    """
    each = RAW_DETECTORS if raw else DETECTORS
    inner = scenes - 2 if scenes >= LEAST_SCENES else 0
    granules = inner * each
    about = round(inner * DETECTORS / GRANULES_A_TILE) if tiles is None else tiles
    met = max(1, about) if inner else 0
    if tiles == 0:
        met = 0
    return Owed(
        l0_granules=scenes * each,
        l1a_granules=granules if "L1A" in levels else 0,
        l1b_granules=granules if "L1B" in levels else 0,
        l1c_tiles=met if "L1C" in levels else 0,
        l2a_tiles=met if "L2A" in levels else 0,
        exact=tiles is not None or not inner or not {"L1C", "L2A"} & set(levels),
    )


@dataclass(frozen=True, slots=True)
class TilesOwed:
    """The tiles of a datatake as the plan foresees them, names without the leading T.

    ``must``: those that the footprint meets however the prediction errs; ``may``: those that it meets if it errs so.
    """

    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()

    @property
    def least(self) -> int:
        return len(self.must)

    @property
    def most(self) -> int:
        return len(self.must) + len(self.may)

    @property
    def middle(self) -> int:
        """So many, in the middle of what may be."""
        return (self.least + self.most) // 2

    def __str__(self) -> str:
        return from_to(self.least, self.most)


def from_to(least: int, most: int) -> str:
    """A number that is known, or the range that it is in."""
    return str(least) if least == most else f"{least} to {most}"


SCENE: Final = timedelta(seconds=3.608)
_NAMED: Final = 5
_AROUND: Final = timedelta(minutes=2)
"""A datastrip is of a planned datatake where it begins no further outside of what the plan says."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A datatake, or the segment of one that a pass brings, as the plan has it.

    ``start``: of its sensing. ``tiles``: None where they were not foreseen.
    """

    datatake: str
    scenes: int
    start: datetime | None = None
    tiles: TilesOwed | None = None

    def holds(self, start: datetime | None) -> bool:
        """Whether a datastrip that begins then is of it."""
        if start is None or self.start is None:
            return False
        return self.start - _AROUND <= start <= self.start + self.scenes * SCENE + _AROUND


@dataclass(frozen=True, slots=True)
class Acquired:
    """A datastrip as Level 0 found it: granules by detector. ``start``: of the first granule's sensing.

    ``tiles``: those that its footprint meets; None where no Level 1 found them. ``all_tiles``: it found those of every
    part that the datastrip was cut into.
    """

    unit: str
    granules: Mapping[str, int] = field(default_factory=dict)
    start: datetime | None = None
    raw: bool = False
    tiles: frozenset[str] | None = None
    all_tiles: bool = True


@dataclass(frozen=True, slots=True)
class Comparison:
    """A planned datatake and the datastrips that came of it."""

    planned: Planned
    strips: tuple[Acquired, ...] = ()

    @property
    def tiles(self) -> frozenset[str] | None:
        """Those that came; None where they or the plan's are not known."""
        met = [strip.tiles for strip in self.strips if strip.tiles is not None]
        return frozenset().union(*met) if met and self.planned.tiles is not None else None

    def granules_unlike(self) -> Iterator[str]:
        """Where granules at Level 0, of which the plan tells the exact number, are not what was owed."""
        planned, strips = self.planned, self.strips
        due = owed(planned.scenes, (), raw=bool(strips) and all(strip.raw for strip in strips)).l0_granules
        count = sum(sum(strip.granules.values()) for strip in strips)
        if count != due:
            came = f"{', '.join(strip.unit for strip in strips)} has {count}" if strips else "none of them was made"
            change = f", {due - count} fewer" if count < due else f", {count - due} more"
            head = f"datatake {planned.datatake}: the plan owes {due} granules at Level 0 ({planned.scenes} scenes)"
            yield f"{head}, {came}" + (change if strips else "")

    def tiles_unlike(self) -> Iterator[str]:
        """Where the tiles are none that the plan allows. None is missed of a strip, or part, without a Level 1."""
        came, foreseen = self.tiles, self.planned.tiles
        if came is None or foreseen is None:
            return
        whole = all(strip.tiles is not None and strip.all_tiles for strip in self.strips)
        missed = {*foreseen.must} - came if whole else set[str]()
        beyond = came - {*foreseen.must, *foreseen.may}
        differ = [f"{_some(missed)} not among them"] if missed else []
        differ += [f"{_some(beyond)} beyond the planned footprint"] if beyond else []
        if differ:
            strips = ", ".join(strip.unit for strip in self.strips)
            head = f"datatake {self.planned.datatake}: the plan owes {foreseen} tiles, {strips} meets {len(came)}"
            yield f"{head}, {' and '.join(differ)}"


def _some(tiles: Collection[str]) -> str:
    """How many tiles, and some of them by name."""
    named = ", ".join(sorted(tiles)[:_NAMED])
    return f"{len(tiles)} ({named}{', ...' if len(tiles) > _NAMED else ''})"


def compare(planned: Sequence[Planned], acquired: Sequence[Acquired]) -> tuple[list[Comparison], list[Acquired]]:
    """Each planned datatake with its datastrips, and the datastrips that are of none.

    Datastrips are of the datatake in whose time they begin; where times are not known, of the one that stands at the
    same place in an equally long list.
    """
    of: defaultdict[int, list[Acquired]] = defaultdict(list)
    strays: list[Acquired] = []
    for place, strip in enumerate(acquired):
        found = next((n for n, each in enumerate(planned) if each.holds(strip.start)), None)
        untimed = strip.start is None or all(each.start is None for each in planned)
        if found is None and untimed and len(planned) == len(acquired):
            found = place
        if found is None:
            strays.append(strip)
        else:
            of[found].append(strip)
    return [Comparison(each, tuple(of[place])) for place, each in enumerate(planned)], strays


def against_plan(planned: Sequence[Planned], acquired: Sequence[Acquired]) -> Iterator[str]:
    """Where the datastrips of a session are not what the plan owed: a sentence for each datatake, and for its tiles."""
    compared, strays = compare(planned, acquired)
    for each in compared:
        yield from each.granules_unlike()
        yield from each.tiles_unlike()
    for strip in strays:
        count = sum(strip.granules.values())
        yield f"{strip.unit}: its {count} granules at Level 0 are of no datatake of the plan"
