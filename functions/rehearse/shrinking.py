"""The shortest story of a broken invariant: the fewest passes and faults with which it still breaks.

Passes first, one by one; then faults by delta debugging (Zeller and Hildebrandt, 2002): halves, quarters and so on are
left out as long as it still breaks. A rehearsal is the same for the same seed, passes and faults, so the story can be
told again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from functions.rehearse.passes import session_name
from functions.rehearse.scenario import Result, Scenario, rehearse, story


@dataclass(frozen=True, slots=True)
class Story:
    """A scenario that breaks an invariant, what it breaks, and the faults that it takes."""

    scenario: Scenario
    broken: tuple[str, ...]
    strikes: tuple[str, ...]
    runs: int


def shrink(result: Result, most_runs: int = 60) -> Story | None:
    """The shortest story found in so many runs; None where the rehearsal broke nothing."""
    if not result.broken:
        return None
    runs, best = 0, result

    def breaks(scenario: Scenario) -> Result | None:
        nonlocal runs
        runs += 1
        found = rehearse(scenario)
        return found if found.broken else None

    named = [one for one in result.scenario.passes if any(session_name(one) in text for text in result.broken)]
    for one in named:
        alone = breaks(replace(result.scenario, passes=(one,)))
        if alone is not None:
            best = alone
            break
    numbers = [strike.number for strike in best.strikes]
    fewer = minimal(numbers, lambda only: runs < most_runs and breaks(story(best.scenario, only)) is not None)
    last = rehearse(story(best.scenario, fewer))
    shown = last if last.broken else best
    return Story(shown.scenario, tuple(shown.broken), tuple(map(str, shown.strikes)), runs)


def minimal(items: Sequence[int], fails: Callable[[Sequence[int]], bool]) -> list[int]:
    """A smallest part of ``items`` for which ``fails`` still holds: no single one can be left out."""
    found, parts = list(items), 2
    if not found or fails([]):
        return []
    while len(found) >= 2:
        size = -(-len(found) // parts)
        for at in range(0, len(found), size):
            rest = found[:at] + found[at + size :]
            if fails(rest):
                found, parts = rest, max(parts - 1, 2)
                break
        else:
            if parts >= len(found):
                break
            parts = min(parts * 2, len(found))
    return found
