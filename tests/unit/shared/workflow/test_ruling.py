"""What a strategy decides of the units of a session."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.bootstrap import Services
from shared.domain.strategy import Strategy, Subject, WorkClass
from shared.errors import BadInputError
from shared.ledger.records import Artifact, Complete, Order, Outcome
from shared.ports import STAGING_S, JobSpec
from shared.settings import Settings
from shared.strategy.document import parse_strategy
from shared.workflow.binding import attempts_allowed, bound, first_pause_s
from shared.workflow.graph import load_workflow
from shared.workflow.ruling import Known, Ruling, footprint_of, ruling_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ESA = load_workflow("esa")
ALPS = {"type": "Polygon", "coordinates": [[[5, 44], [16, 44], [16, 48], [5, 48], [5, 44]]]}
OVER_THE_ALPS = "46.0 10.0 46.0 11.0 47.0 11.0 46.0 10.0"


def ruling(*rules: dict[str, Any], work_class: WorkClass = "nominal") -> Ruling:
    strategy = Strategy.model_validate(
        {"name": "tried", "rules": [{"name": f"r{n}", **rule} for n, rule in enumerate(rules)]}
    )
    complete = Complete(
        created=NOON, session="S", station="SGS_", satellite="S2A", t0=NOON, files=(), work_class=work_class
    )
    return ruling_of(strategy, complete)


@pytest.mark.parametrize(
    ("when", "facts", "scenes", "holds"),
    [
        ({"relative_orbits": [22]}, {"relative_orbit": "22"}, None, True),
        ({"relative_orbits": [22]}, {"relative_orbit": "23"}, None, False),
        ({"relative_orbits": [22]}, {"relative_orbit": "many"}, None, False),
        ({"datatake_types": ["VIC"]}, {"datatake_type": "VIC"}, None, True),
        ({"datatake_types": ["VIC"]}, {}, None, False),
        ({"area": ALPS}, {"footprint": OVER_THE_ALPS}, None, True),
        ({"area": ALPS}, {"footprint": "0 0 0 1 1 1 0 0"}, None, False),
        ({"area": ALPS}, {"footprint": "no numbers"}, None, False),
        ({"scenes_from": 60}, {}, 60, True),
        ({"scenes_from": 60}, {}, 59, False),
        ({"scenes_from": 60}, {}, None, False),
        ({"steps": ["l1b"]}, {}, None, True),
        ({"levels": ["L1C"]}, {}, None, True),
        ({"since": "2026-11-22T12:00:00Z", "until": "2026-11-22T12:00:01Z"}, {}, None, True),
        ({"until": "2026-11-22T12:00:00Z"}, {}, None, False),
    ],
)
def test_what_is_known_of_a_unit_decides(
    when: dict[str, Any], facts: dict[str, str], scenes: int | None, holds: bool
) -> None:
    found = ruling({"when": when, "then": {"priority": 1}}).of(ESA.step("l1b"), "DT01", Known(facts, scenes))
    assert bool(found.by) is holds


@pytest.mark.parametrize(
    ("work_class", "expected"), [("nrt", 107), ("nominal", 7), ("retransfer", -43), ("reprocessing", -93)]
)
def test_the_class_adds_to_the_priority(work_class: WorkClass, expected: int) -> None:
    made = ruling({"then": {"priority": 7}}, work_class=work_class)
    assert made.priority(made.whole) == expected


def test_tiles_of_a_sampled_session_are_drawn_together_and_those_of_a_rule_on_tiles_apart() -> None:
    units = [f"DT0{strip}-T32T{letter}M" for strip in (1, 2) for letter in "KLMNPQRS"]
    step = ESA.step("l1c")

    def drawn(when: dict[str, Any], facts: dict[str, str]) -> list[set[bool]]:
        made = ruling({"when": when, "then": {"sample": {"percent": 50}}})
        known = Known(facts)
        left = {unit: bool(made.left_out(step, unit, known, made.of(step, unit, known))) for unit in units}
        return [{left[unit] for unit in units if unit.startswith(strip)} for strip in ("DT01", "DT02")]

    assert drawn({"satellites": ["S2A"]}, {}) in ([{True}, {True}], [{False}, {False}])
    assert all(len(each) == 1 for each in drawn({"datatake_types": ["NOBS"]}, {"datatake_type": "NOBS"}))
    assert drawn({"tiles": ["32T*"]}, {}) == [{True, False}, {True, False}]


def test_level_0_is_made_of_everything() -> None:
    made = ruling({"then": {"levels": [], "sample": {"percent": 0}}})
    for name in ("l0u", "l0c"):
        assert not made.left_out(ESA.step(name), "DT01", Known(), made.of(ESA.step(name), "DT01", Known()))


def test_a_split_is_that_of_the_session_and_leaves_the_set_as_it_was() -> None:
    under = ESA.under(ruling({"when": {"satellites": ["S2A"]}, "then": {"split": {"scenes": 24, "overlap": 2}}}))
    (first,) = [step.split for step in under.steps if step.over == "part"]
    assert first is not None
    assert (first.scenes, first.overlap) == (24, 2)
    assert ESA.step("l1a").split is None
    assert ESA.ruling.strategy.rules == ()


def test_a_processor_is_as_decided() -> None:
    rules = {"then": {"resources": {"cpus": 9}, "waits": {"default": {"wait_s": 5, "then": "park"}}}}
    made = ruling(rules)
    changed = bound(ESA, "l1b", made.whole.decision).processors["l1b"]
    before = ESA.processors["l1b"]
    assert (changed.cpus, changed.memory_mb, changed.time_limit_s) == (9, before.memory_mb, before.time_limit_s)
    assert changed.auxiliary is None or changed.auxiliary.waits.default.wait_s == 5
    l0c = bound(ESA, "l0c", made.whole.decision).processors["l0c"].auxiliary
    assert l0c is not None
    assert l0c.waits.default.wait_s == 5
    assert bound(ESA, "l0c", None) is ESA


def test_retries_are_those_decided_or_those_of_the_settings() -> None:
    settings = Settings(max_attempts=3, retry_delay_s=30)
    assert (attempts_allowed(None, settings), first_pause_s(None, settings)) == (3, 30)
    decision = ruling({"then": {"retries": {"attempts": 7, "delay_s": 2}}}).whole.decision
    order = Order(
        created=NOON,
        session="S",
        step="l1b",
        unit="DT01",
        digest="a" * 64,
        processor="P",
        version="1",
        inputs=(),
        parameters={},
        t0=NOON,
        deadline=NOON,
        decision=decision,
    )
    assert (attempts_allowed(order, settings), first_pause_s(order, settings)) == (7, 2)
    assert Order.model_validate_json(order.to_json()) == order


def test_the_footprint_is_that_of_the_datastrip_and_not_of_a_granule() -> None:
    artifact = Artifact(
        file_type="PDI_DS",
        name="DS",
        bucket="b",
        prefix="p",
        digest="0" * 64,
        size=1,
        attributes={"footprint": OVER_THE_ALPS},
    )
    granule = artifact.model_copy(update={"file_type": "PDI_DS_GR_LIST"})
    outcome = Outcome(
        created=NOON,
        step="l0c",
        unit="DT01",
        attempt=1,
        status="succeeded",
        started=NOON,
        finished=NOON,
        outputs=(granule,),
    )
    assert footprint_of([outcome]) == {}
    whole = outcome.model_copy(update={"outputs": (granule, artifact)})
    assert footprint_of([whole]) == {"footprint": OVER_THE_ALPS}


@pytest.mark.parametrize("then", ["split: {scenes: 9}", "session_wait_s: 5", "session_partial: park"])
def test_what_is_decided_of_a_session_asks_for_nothing_of_its_parts(then: str) -> None:
    document = f"name: x\nrules:\n  - {{name: r, when: {{tiles: [32T*]}}, then: {{{then}}}}}\n"
    with pytest.raises(BadInputError, match=r"rules\.r: .*when: tiles"):
        parse_strategy(document.encode(), "x.yaml")


def test_nothing_is_decided_without_rules() -> None:
    assert Ruling(session=Subject("S")).of(ESA.step("l1b"), "DT01", Known()).by == {}


def test_a_job_runs_the_processor_of_its_set_with_its_own_limit() -> None:
    job = JobSpec(
        name="j",
        work="",
        attempt=1,
        session="S",
        step="l1c",
        unit="DT01-T32TVK",
        cpus=1,
        memory_mb=1,
        time_limit_s=STAGING_S + 77,
        deadline=NOON,
        priority=0,
        traceparent="",
        processor_set="esa",
    )
    found = Services(Settings(processor_set="open")).processor_of(job)
    assert (found.name, found.time_limit_s) == (ESA.processors["l1c"].name, 77)
