"""Virtual datastrips: which scenes of a long datastrip are processed as one, side by side with the others.

A part is a run of scenes with some more at either end, as context: it is processed as if it were a datastrip. Its tiles
are products of their own, whole away from the ends of the part; a tile on a seam has one from either side.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.strategy import Split

TILE: Final = "-T"
"""Stands before the tile in the name of a unit."""
_PART: Final = re.compile(r"-P(\d{2,3})(?=$|-T)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its number from 1, of how many, and its scenes, from ``first`` up to but without ``last``, from 0."""

    number: int
    count: int
    first: int
    last: int

    @property
    def facts(self) -> dict[str, str]:
        """What all work on it knows."""
        return {"part": f"{self.number:02d}", "parts": f"{self.count:02d}", "scenes": str(self.last - self.first)}


def parts(scenes: int, split: Split | None) -> tuple[Part, ...]:
    """The parts of so many scenes; none where they are not cut. Parts are as long as each other, to one scene."""
    if split is None or scenes <= split.scenes:
        return ()
    count = math.ceil(scenes / split.scenes)
    edges = [number * scenes // count for number in range(count + 1)]
    return tuple(
        Part(n + 1, count, max(0, edges[n] - split.overlap), min(scenes, edges[n + 1] + split.overlap))
        for n in range(count)
    )


def part_units(unit: str, scenes: int, split: Split | None) -> tuple[str, ...]:
    """The units into which a datastrip is cut: itself alone where it is not."""
    return tuple(f"{unit}-P{part.number:02d}" for part in parts(scenes, split)) or (unit,)


def part_of(unit: str, scenes: int, split: Split | None) -> Part | None:
    """The part that a unit is; None where it is a whole datastrip."""
    match = _PART.search(unit)
    return None if match is None else parts(scenes, split)[int(match[1]) - 1]


def without_part(unit: str) -> str:
    """The datastrip that a unit (without a tile) is a part of, or is."""
    return _PART.sub("", unit)


def unit_above(unit: str, kind: str, session: str) -> str:
    """The unit of ``kind`` that ``unit`` belongs to: itself, the (virtual) datastrip of a tile, the session."""
    if kind == "session":
        return session
    if kind == "tile":
        return unit
    strip = unit.rsplit(TILE, 1)[0]
    return strip if kind == "part" else without_part(strip)


@dataclass(frozen=True, slots=True)
class Granule:
    """What the name of a granule tells: its detector, and when its sensing started."""

    name: str
    detector: str
    start: datetime


def scene_numbers(granules: Iterable[Granule]) -> dict[str, int]:
    """The scene of each granule, from 0, by its name.

    Scenes are counted by the detectors that have most of them, in the order of their starts: detectors see a scene at
    the same time, or one after the other. A granule of a detector that lacks some is of the scene that the nearest of
    those detectors saw at most half a scene before or after.
    """
    by_detector: defaultdict[str, list[Granule]] = defaultdict(list)
    for granule in sorted(granules, key=lambda each: (each.start, each.name)):
        by_detector[granule.detector].append(granule)
    most = max(map(len, by_detector.values()), default=0)
    whole = [found for found in by_detector.values() if len(found) == most]
    numbers = {granule.name: number for found in whole for number, granule in enumerate(found)}
    for found in by_detector.values():
        if len(found) < most:
            for granule in found:
                numbers[granule.name] = min(
                    range(most), key=lambda n: min(abs(granule.start - other[n].start) for other in whole)
                )
    return numbers


def apart(created: datetime, facts: dict[str, str]) -> datetime:
    """The creation date of work on a part: no two parts of a datastrip have the same, to the second.

    Products are told apart by it. The second is rounded up to a multiple of the parts, and the part's number added.
    """
    if "parts" not in facts:
        return created
    count, number = int(facts["parts"]), int(facts["part"])
    second = math.ceil(created.timestamp() / count) * count + number - 1
    return created + timedelta(seconds=second - created.timestamp())
