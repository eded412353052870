"""A rehearsal from its first pass to its last account."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Final

from eventing.manifests import Trigger, load_manifests
from functions.rehearse import invariants
from functions.rehearse.auxiliary import Archive
from functions.rehearse.cluster import VirtualCluster
from functions.rehearse.faults import Dice
from functions.rehearse.jobs import VirtualJobs
from functions.rehearse.models import START, Ended, Result, Scenario
from functions.rehearse.outputs import Maker
from functions.rehearse.passes import chunks, session_name
from functions.rehearse.points import Points
from functions.rehearse.sizing import Ran
from functions.rehearse.station import VirtualStation
from functions.rehearse.steps import steps
from functions.rehearse.world import World
from shared.domain.deadlines import BUDGETS
from shared.domain.mission_plan import Pass
from shared.dsib import Dsib, make_dsib
from shared.ledger import keys
from shared.ledger.records import Account
from shared.parallel import one_after_the_other
from shared.ports import JobSpec
from shared.settings import Settings

__all__ = ["START", "Ended", "Rehearsal", "Result", "Scenario", "rehearse", "story"]

_SETTLES: Final = timedelta(hours=8)
_STRAGGLERS: Final = timedelta(minutes=20)
"""What comes late has come by then."""

_POLL_S: Final = 15.0
_JOB_TTL_S: Final = 300.0
"""The least that setting ``job_ttl_s`` may be: what asks late for a Job that is over starts it a second time."""

_LARGE: Final = 6 << 20
"""Bytes: of two parts, where a part has 5 MiB."""

_BASE: Final = Path(__file__).resolve().parents[2] / "knative" / "base"


class Rehearsal:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, points: Points | None = None) -> None:
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
        self.world.store.points = points
        self.sessions = {session_name(one): one for one in scenario.passes}
        self.stations = {one.station: VirtualStation(one.station) for one in scenario.passes}
        self.ended: list[Ended] = []
        self.broken: list[str] = []
        self._once = invariants.Once(settings.bucket_ledger)
        self._waiting = set(self.sessions)
        self._last = self.world.clock.now()
        workflow = scenario.workflow()
        vars(self.world.services).update(workflow=workflow)
        maker = Maker(workflow, self.world.store, settings.bucket_work, scenario.granules, scenario.cut)
        self.jobs = VirtualJobs(self.world, scenario.durations, self.sessions, maker)
        self.cluster = VirtualCluster(
            clock=self.world.clock.now,
            at=self.world.at,
            begin=self.jobs.begin,
            end=self.jobs.ended,
            nodes=scenario.nodes,
            cpus=scenario.node_cpus,
            memory_mb=scenario.node_memory_mb,
            asked=self._asked,
            ttl_s=_JOB_TTL_S,
        )
        self.world.settle_in(dict(self.stations), self.cluster)

    def run(self) -> Result:
        """Everything comes down; the clock goes on until the last account is closed, or nothing more can be hoped."""
        world, scenario = self.world, self.scenario
        for session, one in self.sessions.items():
            self._comes_down(session, one)
        world.outage("store_outages", self._store_away, scenario.hours)
        world.outage("station_outages", self._stations_away, scenario.hours)
        world.memory.watchers += [self._watch, self._once.written]
        if any(processor.auxiliary is not None for processor in world.services.workflow.processors.values()):
            satellites = sorted({one.satellite for one in scenario.passes})
            Archive(world).fill(satellites, world.clock.now(), scenario.hours)
        world.tick("station-poll", _POLL_S)
        world.tick("sweep", scenario.sweep_s)
        last = max((one.stop for one in scenario.passes), default=world.clock.now())
        world.run(last + _SETTLES, self._quiet)
        closed = {each.session for each in self.ended}
        with world.store.there():
            self.broken += invariants.of_world(world, {session: session in closed for session in self.sessions})
        self.broken += self._once.broken
        counts = world.counts
        return Result(
            scenario=scenario,
            ended=self.ended,
            broken=self.broken,
            strikes=self.dice.strikes,
            counts={
                "events": counts.events,
                "calls": counts.calls,
                "deliveries": counts.deliveries,
                "overtaken": counts.overtaken,
                "crashes": counts.crashes,
                "dead letters": len(counts.dead),
                "jobs": len(self.cluster.waits),
                **self.dice.counts,
                **{f"{kind} idle": number for kind, number in counts.idle.items()},
            },
            waits=self.cluster.waits,
            load=self.cluster.used.steps,
            busy_core_s=self.cluster.used.busy,
            seconds=_seconds(self.jobs.ran.values()),
            ran=list(self.jobs.ran.values()),
            finished=world.clock.now(),
        )

    def _quiet(self) -> bool:
        """All accounts are closed, and what was still under way has come, and been swept."""
        return not self._waiting and self.world.clock.now() >= self._last + timedelta(seconds=2 * self.scenario.sweep_s)

    def _comes_down(self, session: str, one: Pass) -> None:
        """Its files appear at the station, each at its time; some late, cut or not at all, a DSIB that is none."""
        dice = self.dice
        files = chunks(one, self.scenario.chunks, dice.of("delivery"))
        names = {channel: [f.name for f in files if f.channel == channel and "DSDB" in f.name] for channel in (1, 2)}
        for file in files:
            when, content = file.when, file.name.encode()
            if self.scenario.large and file.channel == 1 and file.name.endswith("00001.raw"):
                content = content.ljust(_LARGE)
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
            elif dice.strikes_now("bad_chunk", file.name):
                self._appears(one, session, file.name, content[: len(content) // 2], when)
                whole = dice.of("whole_chunk").uniform(-1500, 1500)
                if whole < 0:
                    continue
                when += timedelta(seconds=60 + whole)
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

    def _asked(self, job: JobSpec) -> None:
        """The cluster is asked for a Job that it does not know."""
        ends = (f"{job.work}outcome.json", f"{job.work}attempts/{job.attempt}.ended.json")
        bucket, memory = self.world.settings.bucket_ledger, self.world.memory
        self._once.started(job.name, over=any(memory.head(bucket, key) is not None for key in ends))
        self.jobs.launched[job.name] = self.world.clock.now()

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
        with world.store.there():
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
        self._last = world.clock.now() + _STRAGGLERS
        # An hour later: what speaks late must find the ledger as it is.
        world.after(3600, partial(self._forget, session, account))

    def _forget(self, session: str, account: Account) -> None:
        one = self.sessions[session]
        self.stations[one.station].remove(one.satellite, session)  # else a poll that remembers nothing opens it anew
        self.world.forget(session)
        self.world.forget_products(account)


def _seconds(ran: Iterable[Ran]) -> dict[str, float]:
    """The mean of each step."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for each in ran:
        found[each.job.step].append(each.seconds)
    return {step: fmean(seconds) for step, seconds in found.items()}


def rehearse(scenario: Scenario, points: Points | None = None) -> Result:
    """Run a scenario: the same ends the same. ``points``: where processes die beside what the profile lets loose."""
    with one_after_the_other(), _seldom_collected():
        return Rehearsal(scenario, points).run()


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """The store is a million objects that live on: to walk them again and again takes a tenth of a rehearsal."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def story(scenario: Scenario, numbers: Collection[int]) -> Scenario:
    """The same with only these faults."""
    return replace(scenario, only=frozenset(numbers))
