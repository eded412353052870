"""Failure modes by which time was lost: docs/failure-modes.md has the list."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from eventing.cron import Schedule
from eventing.knative import PingSource
from eventing.manifests import load_manifests
from functions.rehearse.durations import Duration
from functions.rehearse.passes import largest
from functions.rehearse.report import Line, timeliness
from functions.rehearse.scenario import START as PLAYED
from functions.rehearse.scenario import Result, Scenario, rehearse
from shared.domain.deadlines import BUDGETS, deadline
from shared.domain.expected import SCENE
from shared.ledger.keys import parse_work
from shared.ledger.records import Account, Attempt, Order
from shared.workflow.graph import load_workflow
from shared.workflow.parts import parts
from tests.support.house import BASE, START, Delivery, House
from tests.support.played import build
from tests.support.standin import SESSION, Outputs, StandInLauncher, script

CALIBRATED = {
    "l0u": Duration(60, 1.0),
    "l0c": Duration(90, 1.2),
    "l1b": Duration(120, 13.0),
    "l1c": Duration(360, p95=1.6),
    "l2a": Duration(600, p95=1.7),
}
"""Seconds of the stand-ins: a datastrip of 212 scenes takes 48 minutes in one L1B."""


@pytest.fixture(scope="module")
def longest() -> Iterator[Result]:
    """The longest datastrip that there is, alone on a cluster with room."""
    logging.disable(logging.ERROR)
    yield rehearse(Scenario(passes=(largest("S2A", PLAYED),), hours=2, nodes=400, durations=CALIBRATED))
    logging.disable(logging.NOTSET)


def line_of(result: Result, level: str) -> Line:
    (found,) = [line for line in timeliness(result) if line.level == level]
    return found


def test_failure_mode_01_the_longest_datastrip_is_in_time(longest: Result) -> None:
    """Longer: ``s2ps rehearse --largest``, and tests/unit/functions/rehearse."""
    assert longest.broken == []
    line = line_of(longest, "L1C")
    assert line.produced == line.expected > 200
    assert line.p95 <= line.budget == 75
    # The open set cuts it, so that no step runs alone on all of it; each scene is in one part at least.
    split = longest.scenario.cut
    assert split is not None
    cut = parts(212, split)
    assert {each.job.unit for each in longest.ran if each.job.step == "l1b"} == {f"DT01-P{p.number:02d}" for p in cut}
    assert len(cut) == 3
    assert {scene for part in cut for scene in range(part.first, part.last)} == set(range(212))


@pytest.mark.parametrize("copies", [1, 0], ids=["told", "every notification lost"])
def test_failure_mode_02_the_first_job_starts_within_three_minutes_of_the_last_file(copies: int) -> None:
    """Longer: tests/integration/test_ingestion.py, with a real station; ``s2ps trace --overhead`` measures a run."""
    made = build(delivery=Delivery(copies=lambda _event: copies))
    first = START + timedelta(minutes=10)
    made.station.held = {path: (body, first) for path, (body, _) in made.station.held.items()}
    made.clock.instant = first
    made.run()
    started = min(
        made.services.ledger.read(info.key, Attempt).created
        for info in made.memory.list(made.settings.bucket_ledger, f"sessions/{SESSION}/work/l0u/")
        if info.key.endswith("/attempts/1.json")
    )
    assert started - first <= timedelta(minutes=3)


def test_failure_mode_02_ticks_are_no_further_apart_than_two_minutes() -> None:
    """On a quiet cluster; one that comes in is polled each ``poll_interval_s`` (tests/unit/shared/test_vigil.py)."""
    ticks = {each.metadata.name: each for each in load_manifests(BASE) if isinstance(each, PingSource)}
    for name in ("station-poll", "aux-poll"):
        begin = datetime(2026, 11, 22, tzinfo=UTC)
        schedule = Schedule.parse(ticks[name].spec.schedule)
        first = schedule.next(begin)
        assert schedule.next(first) - first <= timedelta(minutes=2)


def without_channel_2(made: House) -> None:
    made.station.held = {path: held for path, held in made.station.held.items() if "_ch2_" not in path}


@pytest.mark.parametrize("decision", ["proceed", "park"])
def test_failure_mode_03_nothing_is_waited_for_for_ever(decision: str) -> None:
    """Longer: tests/faults/test_auxiliary_waits.py for auxiliary files, tests/unit/functions/job_settlement."""
    made = build()
    made.settings = made.settings.model_copy(update={"session_partial": decision})
    vars(made.services)["settings"] = made.settings
    without_channel_2(made)
    account = made.run()
    assert {entry.ended for entry in account.entries} == ({"produced"} if decision == "proceed" else {"parked"})
    for name in ("open", "esa"):
        assert all(processor.time_limit_s > 0 for processor in load_workflow(name).processors.values())


def test_failure_mode_10_a_late_tile_keeps_no_other() -> None:
    """Longer: tests/faults/test_joins.py, with datastrip products that a tile waits for as well."""
    made = build()

    class Late(StandInLauncher):
        """One tile's Level 1C never comes to its turn."""

        def run_one(self) -> None:
            for name, job in sorted(self.pending.items()):
                if not (job.step == "l1c" and job.unit.endswith("32TQL")):
                    self.pending, rest = {name: job}, {n: j for n, j in self.pending.items() if n != name}
                    super().run_one()
                    self.pending |= rest
                    return
            raise Waiting

    launcher = Late(made.store, made.services.ledger, made.settings.bucket_work, made.clock)
    made.launcher = vars(made.services)["launcher"] = launcher
    for _ in range(8):
        try:
            made.tick()
        except Waiting:
            made.clock.advance(10)
    tiles = {name.rsplit("_T", 1)[1][:5] for name in made.shelf() if "MSIL2A" in name}
    assert tiles == {"32TQM"}


class Waiting(BaseException):
    """Nothing else is left to run."""


def test_failure_mode_12_every_level_that_is_made_has_its_budget_and_every_product_its_slack() -> None:
    """Longer: the timeliness table of each rehearsal."""
    for name in ("open", "esa"):
        workflow = load_workflow(name)
        levels = {str(output.publish) for step in workflow.steps for output in workflow.publishes(step.name)}
        assert levels <= BUDGETS.keys()
    expected = {"HKTM": 30, "SAD": 30, "L0": 75, "L1A": 75, "L1B": 75, "L1C": 75, "L2A": 120}
    at = datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert {level: (deadline(at, level) - at).total_seconds() / 60 for level in BUDGETS} == expected
    account: Account = build().run()
    assert account.last_sensed == START - timedelta(minutes=30) + SCENE
    for entry in account.entries:
        assert entry.deadline is not None
        assert entry.at is not None
        assert entry.slack_s == (entry.deadline - entry.at).total_seconds()


def test_failure_mode_15_all_tiles_start_at_once(longest: Result) -> None:
    """No scaler stands between a tile list and its Jobs. How soon nodes come is the cluster's: its queue sees them."""
    waits = [seconds for step, seconds in longest.waits if step == "l1c"]
    assert len(waits) > 100
    assert max(waits) <= 120
    # And the service asks for all of them while it handles the one event.
    many = tuple(f"32T{a}{b}" for a in "QRSTUVWX" for b in "ABCDEFGHJKLMN")

    def wide(order: Order) -> Outputs:
        made = script(order)
        return Outputs(made.artifacts, {"tile": many}) if order.step == "l1b" else made

    made = build()
    made.launcher.script = wide
    while not any(job.step == "l1c" for job in made.launcher.pending.values()):
        made.tick(jobs=False)
        if made.launcher.pending and not any(job.step == "l1c" for job in made.launcher.pending.values()):
            job = made.launcher.run_one()
            assert job is not None
            made.deliver()
    before = made.clock.now()
    asked = [place for info in made.memory.list(made.settings.bucket_ledger) if (place := parse_work(info.key))]
    assert sum(key.step == "l1c" and rest == "attempts/1.json" for key, rest in asked) == len(many) == 104
    assert sum(job.step == "l1c" for job in made.launcher.pending.values()) == len(many)
    assert made.clock.now() == before
