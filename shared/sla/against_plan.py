"""What came of a planned pass, beside what the plan owed: for the account, when it closes.

Nothing is computed here: the tiles that a datatake would meet were foreseen when the plan was loaded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from shared.domain.expected import Acquired, Comparison, against_plan, compare
from shared.ledger.ledger import Ledger
from shared.ledger.records import AccountEntry, Complete, Outcome
from shared.sla.planned import planned_for
from shared.workflow.granules import acquired
from shared.workflow.parts import TILE, without_part

_LEVELS = ("L1C", "L2A")


@dataclass(frozen=True, slots=True)
class AgainstPlan:
    """Sentences of an account: where what came is not what was owed, and how many tiles were owed and came."""

    unlike: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()


def held_against_plan(
    ledger: Ledger, complete: Complete, outcomes: Iterable[Outcome], entries: Collection[AccountEntry]
) -> AgainstPlan:
    """How a session agrees with its planned pass; nothing where no such pass is planned."""
    planned = planned_for(ledger, complete.session, complete.satellite)
    if planned is None:
        return AgainstPlan()
    strips = strips_of(outcomes)
    compared, _ = compare(planned.segments, strips)
    unlike = tuple(against_plan(planned.segments, strips))
    return AgainstPlan(unlike, tuple(line for each in compared for line in _tiles(each, entries)))


def strips_of(outcomes: Iterable[Outcome]) -> list[Acquired]:
    """The datastrips that Level 0 found, with the tiles that Level 1 found their footprints to meet."""
    strips: list[Acquired] = []
    met: defaultdict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    cut: dict[str, int] = {}
    for outcome in outcomes:
        strip = acquired(outcome)
        if strip is not None:
            strips.append(strip)
        if "tile" in outcome.units:
            of = without_part(outcome.unit)
            met[of][outcome.unit] = outcome.units["tile"]
            cut[of] = int(outcome.facts.get("parts", 1))
    return sorted((_met(strip, met[strip.unit], cut.get(strip.unit, 1)) for strip in strips), key=lambda s: s.unit)


def _met(strip: Acquired, tiles: Mapping[str, Collection[str]], parts: int) -> Acquired:
    """The datastrip with the tiles of those of its ``parts`` for which they were found."""
    if not tiles:
        return strip
    return replace(strip, tiles=frozenset().union(*tiles.values()), all_tiles=len(tiles) >= parts)


def _tiles(each: Comparison, entries: Collection[AccountEntry]) -> Iterator[str]:
    """The tiles of a datatake, owed and in the account: each once, however many parts made it."""
    if each.tiles is None:
        return
    units = {strip.unit for strip in each.strips}
    found: dict[str, set[str]] = {}
    for entry in entries:
        strip, _, tile = entry.unit.rpartition(TILE)
        if entry.level in _LEVELS and without_part(strip) in units:
            found.setdefault(entry.level, set()).add(tile)
    told = ", ".join(f"{len(tiles)} at {level}" for level, tiles in sorted(found.items())) or "none"
    yield f"datatake {each.planned.datatake}: plan {each.planned.tiles} tiles, account {told}"
