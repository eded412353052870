"""Whether the data blocks of one channel of a session are all there: pure arithmetic over their numbers.

A channel is whole when its blocks are 1, 2, 3 ... up to the final one, in whatever order and at whatever times they
were published. Counting blocks, or blocks marked as final, says nothing of what is missing between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MOST_BLOCKS: Final = 99_999
"""The number in a DSDB's name has five digits."""
NO_FINAL: Final = "the final block: none is marked so"
_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class Block:
    """One data block of a channel as listed: its file's name, its number from 1, size in bytes."""

    name: str
    number: int
    size: int
    final: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """What a station says of a whole channel: number of blocks and their bytes; None where it says nothing."""

    chunks: int | None = None
    volume: int | None = None


def lacks(blocks: Iterable[Block], totals: Totals | None = None) -> tuple[str, ...]:
    """Why the blocks of a channel are not the whole channel, in words; empty where they are.

    Of several blocks marked as final the highest counts: one that was marked before more data came is none. Where none
    is marked, the station's own number of blocks says which is the final one.
    """
    given, said = list(blocks), totals or Totals()
    if not given:
        return ("every block",)
    last = max((block.number for block in given if block.final), default=said.chunks)
    if last is None:
        return (NO_FINAL,)
    if not 1 <= last <= MOST_BLOCKS:
        return (f"a final block within 1 to {MOST_BLOCKS}, found {last}",)
    return (*_gaps(given, last), *_doubles(given), *_beyond(given, last), *_against(given, said))


def _gaps(blocks: list[Block], last: int) -> tuple[str, ...]:
    here = {block.number for block in blocks}
    absent = [number for number in range(1, last + 1) if number not in here]
    more = f" and {len(absent) - _TOLD} more" if len(absent) > _TOLD else ""
    word = "block" if len(absent) == 1 else "blocks"
    return (f"{word} {', '.join(map(str, absent[:_TOLD]))}{more} of {last}",) if absent else ()


def _doubles(blocks: list[Block]) -> tuple[str, ...]:
    names: defaultdict[int, set[str]] = defaultdict(set)
    for block in blocks:
        names[block.number].add(block.name)
    return tuple(
        f"certainty of block {number}: {' and '.join(sorted(names[number]))}"
        for number in sorted(names)
        if len(names[number]) > 1
    )


def _beyond(blocks: list[Block], last: int) -> tuple[str, ...]:
    highest = max(block.number for block in blocks)
    return (f"a final block beyond {last}: block {highest} is there",) if highest > last else ()


def _against(blocks: list[Block], totals: Totals) -> tuple[str, ...]:
    """What contradicts the station's own totals."""
    count, volume = len({block.number for block in blocks}), sum(block.size for block in blocks)
    told = []
    if totals.chunks is not None and totals.chunks != count:
        told.append(f"{totals.chunks} blocks by the station's own count, {count} are listed")
    if totals.volume is not None and totals.volume != volume:
        told.append(f"{totals.volume} bytes by the station's own count, {volume} are listed")
    return tuple(told)
