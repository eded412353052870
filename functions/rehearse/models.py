"""What is rehearsed, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from functions.rehearse.durations import NOMINAL, Duration
from functions.rehearse.faults import PROFILES, Profile, Strike
from functions.rehearse.sizing import Ran
from shared.domain.mission_plan import Pass
from shared.domain.strategy import Split
from shared.ledger.records import AccountEntry
from shared.workflow.graph import Workflow, load_workflow

START: Final = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is rehearsed.

    ``chunks`` a channel and ``granules`` a datastrip stand for many more: they are what a rehearsal can be light by.
    ``split``: how long datastrips are cut in place of what the processor set says; ``uncut``: not at all. ``large``:
    the first chunk of each session is of several parts.
    """

    passes: tuple[Pass, ...]
    hours: float
    processor_set: str = "open"
    nodes: int = 40
    node_cpus: float = 32.0
    node_memory_mb: int = 131072
    seed: int = 7
    profile: Profile = PROFILES["none"]
    only: frozenset[int] | None = None
    chunks: int = 4
    granules: int = 4
    split: Split | None = None
    uncut: bool = False
    large: bool = False
    sweep_s: float = 60.0
    durations: Mapping[str, Duration] = field(default_factory=lambda: NOMINAL)
    settings: Mapping[str, object] = field(default_factory=dict)

    def workflow(self) -> Workflow:
        """The graph with the processor set, and its datastrips cut as the scenario says."""
        found = load_workflow(self.processor_set)
        return found.with_split(self.split) if self.uncut or self.split is not None else found

    @property
    def cut(self) -> Split | None:
        """How long datastrips are cut; None where they are not."""
        return next((step.split for step in self.workflow().steps if step.split is not None), None)


@dataclass(frozen=True, slots=True)
class Ended:
    """How one session ended: its account without what a report does not need.

    ``warned``: when a level was first said to be at risk.
    """

    session: str
    t0: datetime | None
    closed: datetime
    scenes: int
    entries: tuple[AccountEntry, ...]
    warned: Mapping[str, datetime]


@dataclass
class Result:
    """What came of a rehearsal."""

    scenario: Scenario
    ended: list[Ended]
    broken: list[str]
    strikes: list[Strike]
    counts: dict[str, int]
    waits: list[tuple[str, float]]
    load: list[tuple[datetime, float]]
    busy_core_s: float
    seconds: dict[str, float]
    ran: list[Ran]
    finished: datetime
