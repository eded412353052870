"""A virtual datastrip: the run of a datastrip's scenes that one job order asks for, with geometry of the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from functions.ipf.l1b.inputs import scenes_in
from shared.errors import BadInputError
from shared.msi.instrument import LINES_PER_SCENE_10M, band_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shared.geometry.datastrip import Datastrip
    from shared.joborder import JobOrder

FIRST: Final = "FIRST_SCENE"
LAST: Final = "LAST_SCENE"


def scenes_of(order: JobOrder, scenes: int, granules: Mapping[int, Sequence[Path]]) -> range:
    """The scenes to process, counted from 1, of a datastrip of so many: all where the order has no FIRST_SCENE.

    The order counts scenes by the granules that there are. Where the datastrip lacks all granules of a scene, its
    numbers fall behind those of the packets; the packets' then hold, from the first scene that came to the last.
    """
    if FIRST not in order.parameters and LAST not in order.parameters:
        return range(1, scenes + 1)
    first, last = (_number(order, name, scenes) for name in (FIRST, LAST))
    if first > last:
        raise BadInputError(f"job order, {LAST}", f"a scene not before {FIRST} ({first})", last)
    told, found = range(first, last + 1), scenes_in(granules)
    return told if all(scene in told for scene in found) else range(min(found), max(found) + 1)


def _number(order: JobOrder, name: str, scenes: int) -> int:
    text = order.parameter(name)
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= scenes):
        raise BadInputError(f"job order, {name}", f"a scene of the datastrip, 1 to {scenes}", text)
    return int(text)


def narrowed(strip: Datastrip, scenes: range) -> Datastrip:
    """A datastrip of some scenes (counted from 1), its lines counted from the first of them.

    Orbit, attitude and sensing times stay the whole one's: a place is seen where the whole datastrip sees it, within
    the 0.5 ns to which lines are dated.
    """
    skipped = (scenes.start - 1) * LINES_PER_SCENE_10M
    stop = (scenes.stop - 1) * LINES_PER_SCENE_10M
    return replace(
        strip,
        first_line_ns={
            (band, detector): time + round(skipped * 10 // band_named(band).resolution * _period_ns(strip, band))
            for (band, detector), time in strip.first_line_ns.items()
        },
        granules={
            name: (detector, line - skipped)
            for name, (detector, line) in strip.granules.items()
            if skipped <= line < stop
        },
    )


def _period_ns(strip: Datastrip, band: str) -> float:
    return strip.line_period_ns * (band_named(band).resolution // 10)
