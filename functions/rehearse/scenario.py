"""A rehearsal from its first pass to its last account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Final

from eventing.manifests import Trigger, load_manifests
from functions.rehearse import invariants
from functions.rehearse.auxiliary import Archive
from functions.rehearse.cluster import VirtualCluster
from functions.rehearse.durations import NOMINAL, Duration
from functions.rehearse.faults import PROFILES, Dice, Profile, Strike
from functions.rehearse.jobs import VirtualJobs
from functions.rehearse.outputs import Maker
from functions.rehearse.passes import MOST_SCENES, chunks, session_name
from functions.rehearse.sizing import Ran
from functions.rehearse.station import VirtualStation
from functions.rehearse.steps import steps
from functions.rehearse.world import World
from shared.domain.deadlines import BUDGETS
from shared.domain.mission_plan import Pass
from shared.domain.strategy import Split
from shared.dsib import Dsib, make_dsib
from shared.ledger import keys
from shared.ledger.records import Account, AccountEntry
from shared.parallel import one_after_the_other
from shared.settings import Settings

START: Final = datetime(2026, 6, 1, tzinfo=UTC)
_SETTLES: Final = timedelta(hours=8)
_POLL_S: Final = 15.0
_BASE: Final = Path(__file__).resolve().parents[2] / "knative" / "base"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is rehearsed.

    ``chunks`` a channel and ``granules`` a datastrip stand for many more: they are what a rehearsal can be light by.
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
    sweep_s: float = 300.0
    durations: Mapping[str, Duration] = field(default_factory=lambda: NOMINAL)
    settings: Mapping[str, object] = field(default_factory=dict)


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


class Rehearsal:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        triggers = tuple(each for each in load_manifests(_BASE) if isinstance(each, Trigger))
        settings = Settings(
            processor_set=scenario.processor_set,
            sweep_grace_s=60,
            transfer_part_mb=5,
            **dict(scenario.settings),  # type: ignore[arg-type]
        )
        start = scenario.passes[0].start - timedelta(minutes=1) if scenario.passes else START
        self.dice = Dice(scenario.profile, scenario.seed, scenario.only)
        self.world = World(start, settings, triggers, steps, self.dice)
        self.sessions = {session_name(one): one for one in scenario.passes}
        self.stations = {one.station: VirtualStation(one.station) for one in scenario.passes}
        self.ended: list[Ended] = []
        self.broken: list[str] = []
        self._waiting = set(self.sessions)
        workflow, granules = self.world.services.workflow, scenario.granules
        if scenario.split is not None:
            workflow = workflow.with_split(scenario.split)
            vars(self.world.services).update(workflow=workflow)
            granules = MOST_SCENES  # a part is cut out by its scenes: each must be told apart
        maker = Maker(workflow, self.world.store, settings.bucket_work, granules, scenario.split)
        self.jobs = VirtualJobs(self.world, scenario.durations, self.sessions, maker)
        self.cluster = VirtualCluster(
            clock=self.world.clock.now,
            at=self.world.at,
            begin=self.jobs.begin,
            end=self.jobs.ended,
            nodes=scenario.nodes,
            cpus=scenario.node_cpus,
            memory_mb=scenario.node_memory_mb,
            asked=lambda job: self.jobs.launched.update({job.name: self.world.clock.now()}),
        )
        self.world.settle_in(dict(self.stations), self.cluster)

    def run(self) -> Result:
        """Everything comes down; the clock goes on until the last account is closed, or nothing more can be hoped."""
        world, scenario = self.world, self.scenario
        for session, one in self.sessions.items():
            self._comes_down(session, one)
        world.outage("store_outages", self._store_away, scenario.hours)
        world.outage("station_outages", self._stations_away, scenario.hours)
        world.memory.watchers.append(self._watch)
        if any(processor.auxiliary is not None for processor in world.services.workflow.processors.values()):
            satellites = sorted({one.satellite for one in scenario.passes})
            Archive(world).fill(satellites, world.clock.now(), scenario.hours)
        world.tick("station-poll", _POLL_S)
        world.tick("sweep", scenario.sweep_s)
        last = max((one.stop for one in scenario.passes), default=world.clock.now())
        world.run(last + _SETTLES, lambda: not self._waiting)
        closed = {each.session for each in self.ended}
        self.broken += invariants.of_world(world, {session: session in closed for session in self.sessions})
        counts = world.counts
        return Result(
            scenario=scenario,
            ended=self.ended,
            broken=self.broken,
            strikes=self.dice.strikes,
            counts={
                "events": counts.events,
                "calls": counts.calls,
                "crashes": counts.crashes,
                "dead letters": len(counts.dead),
                "jobs": len(self.cluster.waits),
                **self.dice.counts,
            },
            waits=self.cluster.waits,
            load=self.cluster.used.steps,
            busy_core_s=self.cluster.used.busy,
            seconds=_seconds(self.jobs.ran.values()),
            ran=list(self.jobs.ran.values()),
            finished=world.clock.now(),
        )

    def _comes_down(self, session: str, one: Pass) -> None:
        """Its files appear at the station, each at its time; some late, some not at all, a DSIB that is none."""
        dice = self.dice
        files = chunks(one, self.scenario.chunks, dice.of("delivery"))
        names = {channel: [f.name for f in files if f.channel == channel and "DSDB" in f.name] for channel in (1, 2)}
        for file in files:
            when, content = file.when, file.name.encode()
            if "DSIB" in file.name:
                size = sum(len(name) for name in names[file.channel])
                content = make_dsib(
                    Dsib(session, file.channel, one.start, one.stop, size, tuple(sorted(names[file.channel]))),
                    "rehearsed",
                )
                if dice.strikes_now("bad_dsib", file.name):
                    self._appears(one, session, file.name, b"<not xml", when)
                    when += timedelta(minutes=5)
            elif dice.strikes_now("missing_chunk", file.name):
                continue
            elif dice.strikes_now("late_chunk", file.name):
                when += timedelta(seconds=dice.of("late_chunk").uniform(60, 1500))
            self._appears(one, session, file.name, content, when)
        gone = one.stop + timedelta(hours=3)
        self.world.at(gone, partial(self.stations[one.station].remove, one.satellite, session))

    def _appears(self, one: Pass, session: str, name: str, content: bytes, when: datetime) -> None:
        station = self.stations[one.station]
        self.world.at(when, partial(station.put, one.satellite, session, name, content, when))

    def _store_away(self, away: bool) -> None:
        self.world.store.away = away

    def _stations_away(self, away: bool) -> None:
        for station in self.stations.values():
            station.away = away

    def _watch(self, bucket: str, info: object) -> None:
        """An account is written: look at it when the dust has settled."""
        key = str(getattr(info, "key", ""))
        if bucket == self.world.settings.bucket_ledger and key.endswith("/account.json"):
            session = key.split("/")[1]
            self.world.after(120, partial(self._look, session))

    def _look(self, session: str) -> None:
        """Check a session that is closed, remember what a report needs, and forget the rest."""
        world = self.world
        if session not in self._waiting or world.memory.head(world.settings.bucket_ledger, keys.open_marker(session)):
            if session in self._waiting:
                world.after(60, partial(self._look, session))
            return
        self.broken += invariants.of_session(world, session)
        body, _ = world.memory.get(world.settings.bucket_ledger, keys.account(session))
        account = Account.model_validate_json(body)
        one = self.sessions[session]
        warned = {}
        for level in BUDGETS:
            told = world.memory.head(world.settings.bucket_ledger, keys.notice(session, level, "at-risk"))
            if told is not None:
                warned[level] = told.modified
        self.ended.append(Ended(session, account.t0, account.created, one.scenes, account.entries, warned))
        self._waiting.discard(session)
        # An hour later: what speaks late must find the ledger as it is.
        world.after(3600, partial(self._forget, session, account))

    def _forget(self, session: str, account: Account) -> None:
        self.world.forget(session)
        self.world.forget_products(account)


def _seconds(ran: Iterable[Ran]) -> dict[str, float]:
    """The mean of each step."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for each in ran:
        found[each.job.step].append(each.seconds)
    return {step: fmean(seconds) for step, seconds in found.items()}


def rehearse(scenario: Scenario) -> Result:
    """Run a scenario: the same ends the same."""
    with one_after_the_other():
        return Rehearsal(scenario).run()


def story(scenario: Scenario, numbers: Collection[int]) -> Scenario:
    """The same with only these faults."""
    return replace(scenario, only=frozenset(numbers))
