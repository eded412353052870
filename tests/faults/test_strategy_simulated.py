"""Recorded sessions under another strategy: what changes is what the strategy changes, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.rehearse.recorded import Session, read_session
from functions.rehearse.simulation import Comparison, compare
from shared.domain.strategy import DEFAULT, Strategy
from shared.ledger.records import Artifact
from shared.workflow.granules import GRANULES
from tests.faults.test_strategies import house, rule, strategy
from tests.support.house import House
from tests.support.standin import SESSION


@pytest.fixture(scope="module")
def made() -> House:
    found = house()
    found.run()
    return found


@pytest.fixture(scope="module")
def session(made: House) -> Session:
    """The record, each Job an hour long, one after the other."""
    found = read_session(made.services, SESSION)
    assert found is not None
    items = []
    for item in found.items:
        began = item.outcome.started
        ended = began + timedelta(hours=1)
        items.append(replace(item, outcome=item.outcome.model_copy(update={"finished": ended})))
    return Session(found.complete, tuple(items))


def compared(made: House, session: Session, other: Strategy, nodes: int = 10) -> Comparison:
    return compare(made.services, [session], other, nodes=nodes, node_cpus=4, node_memory_mb=64000)


def test_under_the_same_strategy_it_is_the_same(made: House, session: Session) -> None:
    found = compared(made, session, DEFAULT)
    assert replace(found.other, name="replayed") == found.replayed
    assert found.replayed.jobs == found.recorded.jobs == 7
    assert found.replayed.core_hours == pytest.approx(found.recorded.core_hours)
    assert found.other.left_out == found.other.held == 0


def test_levels_that_are_left_out_cost_nothing(made: House, session: Session) -> None:
    found = compared(made, session, strategy(rule(levels=["L1C"]))).other
    assert (found.jobs, found.left_out) == (5, 2)
    assert {level.level for level in found.levels} == {"L0", "L1C"}
    everything = compared(made, session, strategy(rule(levels=[]))).other
    assert (everything.jobs, everything.left_out) == (2, 5), "what comes after it is not made either"


def test_resources_are_counted_and_crowd_the_cluster(made: House, session: Session) -> None:
    found = compared(made, session, strategy(rule(when={"steps": ["l1c"]}, resources={"cpus": 4})), nodes=1)
    assert found.other.core_hours == pytest.approx(found.replayed.core_hours + 2 * (4 - 2))
    assert found.other.peak_cores == 4
    (l1c,) = [level for level in found.other.levels if level.level == "L1C"]
    (before,) = [level for level in found.replayed.levels if level.level == "L1C"]
    assert l1c.p95_min > before.p95_min + 50, "one tile waits for the other"


def test_budgets_decide_what_is_in_time(made: House, session: Session) -> None:
    found = compared(made, session, strategy(rule(budgets={"L1C": 600, "L2A": 10, "L0": 600, "SAD": 600}))).other
    assert {level.level: level.in_time for level in found.levels} == {"L0": 1.0, "L1C": 1.0, "L2A": 0.0}


def test_a_split_runs_side_by_side(made: House, session: Session) -> None:
    """Twelve scenes in parts of six: each takes a bit more than half, and they run at the same time."""
    long = []
    for item in session.items:
        if item.order.step == "l0c":
            (one, *_) = [a for a in item.outcome.outputs if a.file_type == GRANULES]
            granules = tuple(_granule(one, n) for n in range(12))
            outcome = item.outcome.model_copy(update={"outputs": granules})
            long.append(replace(item, outcome=outcome))
        else:
            long.append(item)
    found = compared(made, Session(session.complete, tuple(long)), strategy(rule(split={"scenes": 6})))
    assert found.other.jobs == found.replayed.jobs + 1
    cut = tuple(
        replace(item, order=item.order.model_copy(update={"unit": item.order.unit.replace("DT01", "DT01-P01")}))
        if item.order.step not in {"l0u", "l0c"}
        else item
        for item in long
    )
    again = compared(made, Session(session.complete, cut), strategy(rule(split={"scenes": 6})))
    assert again.other.jobs == again.replayed.jobs, "what was cut stays cut so, and that is told"
    assert any("cut in the record" in each for each in again.assumed)
    (l1c,) = [level for level in found.other.levels if level.level == "L1C"]
    (before,) = [level for level in found.replayed.levels if level.level == "L1C"]
    assert before.p95_min - l1c.p95_min == pytest.approx(60 * (1 - 7 / 12), abs=0.1)


def test_without_a_number_the_cluster_is_as_large_as_it_was(made: House, session: Session) -> None:
    found = compare(made.services, [session], DEFAULT, node_cpus=2, node_memory_mb=64000)
    assert found.nodes * 2 >= found.recorded.peak_cores > (found.nodes - 1) * 2


def _granule(one: Artifact, n: int) -> Artifact:
    stem = one.name.rsplit("_S", 1)[0]
    return one.model_copy(update={"name": f"{stem}_S20261122T0930{n * 4:02d}_D06_N00.01"})
