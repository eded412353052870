"""What an acquisition owes before anything of it is there: counts from its scenes, and from its datatake type.

Rules of the ground segment's own completeness figures: a granule is one detector and scene; Level 1 loses the first and
the last scene; fewer than three scenes stay at Level 0; about ten granules make a tile, until the footprint tells how
many tiles it meets.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
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
