"""Faulted deliveries, by the hundred thousand: rehearsals with one seed after the other, and what became of them.

A delivery is faulted where its notification is lost, comes twice or minutes late, or where the function that has it
dies; what is told of records that no function waits for is no delivery, and does not count. Beside these, the function
dies once before and once after each kind of write that there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from functions.rehearse.faults import PROFILES
from functions.rehearse.passes import drawn
from functions.rehearse.points import Points
from functions.rehearse.scenario import START, Scenario, rehearse

FAULTS: Final = ("lost", "doubled", "late", "crashes")
"""What counts as a faulted delivery. Those that are overtaken by later ones are told beside them: most were late."""

_JOBS: Final = ("hung", "killed", "oom", "stumbles", "wrong")


@dataclass
class Tally:
    """What some rehearsals came to. ``broken``: invariants, with the seed that broke them."""

    points: Points = field(default_factory=Points)
    counts: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    seeds: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def faulted(self) -> int:
        """Deliveries that went wrong."""
        return sum(self.went_wrong(kind) for kind in FAULTS)

    def went_wrong(self, kind: str) -> int:
        """How often, where a function waited for it."""
        return self.counts[kind] - self.counts[f"{kind} idle"]

    def add(self, scenario: Scenario) -> None:
        """Play one more."""
        result = rehearse(scenario, self.points)
        self.counts.update(result.counts)
        self.sessions += len(result.ended)
        self.ends.update(entry.ended for each in result.ended for entry in each.entries)
        self.seeds.append(scenario.seed)
        self.broken += [f"seed {scenario.seed}: {text}" for text in result.broken]

    def lines(self) -> Iterator[str]:
        """For people."""
        counts, points = self.counts, self.points
        yield f"{self.faulted} faulted deliveries of {counts['deliveries']}, in {len(self.seeds)} rehearsals:"
        yield from (f"  {kind:<8} {self.went_wrong(kind):>8}" for kind in FAULTS)
        yield f"  (overtaken by later ones: {counts['overtaken']}; dead letters: {counts['dead letters']})"
        yield f"Jobs: {counts['jobs']}; {', '.join(f'{counts[kind]} {kind}' for kind in _JOBS)}."
        yield f"Sessions: {self.sessions}; products {', '.join(f'{n} {end}' for end, n in sorted(self.ends.items()))}."
        yield f"Crash points: {2 * len(points.seen)}, a process died at {2 * len(points.seen) - len(points.missed())}."
        yield from (f"  not {when} {write}" for write, when in points.missed())
        yield f"{len(self.broken)} invariants broken."
        yield from (f"  {text}" for text in self.broken)


def storm(seed: int, hours: float = 4.0, satellites: tuple[str, ...] = ("S2A", "S2B", "S2C")) -> Scenario:
    """Some hours of passes in which half of all deliveries go wrong."""
    return Scenario(
        passes=drawn(satellites, START, hours, seed),
        hours=hours,
        nodes=60,
        seed=seed,
        profile=PROFILES["storm"],
        large=True,
    )


def play(seeds: Iterable[int], least: int, hours: float = 4.0) -> Iterator[Tally]:
    """The tally after each seed, until so many deliveries went wrong; then for each write that was not died at."""
    tally = Tally()
    for seed in seeds:
        tally.add(storm(seed, hours))
        yield tally
        if tally.faulted >= least:
            break
    for write in dict.fromkeys(write for write, _ in tally.points.missed()):
        tally.points.left_to = write
        tally.add(storm(0, 1.0))
        yield tally
    tally.points.left_to = None
