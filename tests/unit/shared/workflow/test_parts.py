"""Long datastrips are cut into parts that overlap, and nothing of them is lost or told twice."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.names import format_stamp
from shared.domain.strategy import Split, Strategy
from shared.ledger.records import Artifact, Complete, Outcome
from shared.workflow.graph import load_workflow
from shared.workflow.orders import make_order
from shared.workflow.parts import Granule, apart, part_of, part_units, parts, scene_numbers, unit_above, without_part
from shared.workflow.plan import Ready, Source, plan_item
from shared.workflow.ruling import ruling_of
from shared.workflow.walk import next_work

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SCENE = timedelta(seconds=3.608)


@given(st.integers(1, 400), st.integers(4, 60), st.integers(1, 5))
def test_every_scene_is_in_a_part_and_neighbours_overlap(scenes: int, size: int, overlap: int) -> None:
    found = parts(scenes, Split(scenes=size, overlap=overlap))
    if scenes <= size:
        assert found == ()
        return
    assert {n for part in found for n in range(part.first, part.last)} == set(range(scenes))
    assert [part.number for part in found] == list(range(1, len(found) + 1))
    assert all(part.last - part.first <= size + 2 * overlap for part in found)
    for one, other in pairwise(found):
        if one.last < scenes and other.first > 0:
            assert one.last - other.first == 2 * overlap


def test_the_longest_datastrip_in_parts_of_twenty_four_scenes() -> None:
    found = parts(212, Split(scenes=24, overlap=2))
    assert len(found) == 9
    assert (found[0].first, found[0].last, found[-1].last) == (0, 25, 212)
    assert part_units("DT01", 212, Split(scenes=24)) == tuple(f"DT01-P{n:02d}" for n in range(1, 10))
    assert part_units("DT01", 20, Split(scenes=24)) == ("DT01",)
    assert part_units("DT01", 212, None) == ("DT01",)


def test_units_and_what_they_are_of() -> None:
    assert unit_above("DT01-P03-T32TQM", "part", "S") == "DT01-P03"
    assert unit_above("DT01-P03-T32TQM", "datastrip", "S") == "DT01"
    assert unit_above("DT01-P03", "datastrip", "S") == without_part("DT01-P03") == "DT01"
    assert unit_above("DT01-T32TQM", "part", "S") == unit_above("DT01-T32TQM", "datastrip", "S") == "DT01"
    assert unit_above("DT01-P03", "session", "S") == "S"
    found = part_of("DT01-P03", 212, Split(scenes=24))
    assert found is not None
    assert found.facts == {"part": "03", "parts": "09", "scenes": "25"}
    assert part_of("DT01", 212, Split(scenes=24)) is None


@pytest.mark.parametrize("stagger_s", [0.0, 0.3])
def test_scenes_are_counted_detector_by_detector(stagger_s: float) -> None:
    """Detectors see a scene together or one after the other; one of them lacks two granules."""
    granules = [
        Granule(
            f"{scene}-{detector}", f"{detector:02d}", START + scene * SCENE + timedelta(seconds=stagger_s * detector)
        )
        for scene in range(20)
        for detector in range(1, 13)
        if (scene, detector) not in {(0, 5), (7, 5)}
    ]
    random.Random(4).shuffle(granules)
    numbers = scene_numbers(granules)
    assert all(numbers[granule.name] == int(granule.name.split("-")[0]) for granule in granules)


def test_parts_of_a_datastrip_never_have_the_same_creation_date() -> None:
    for count in (2, 9):
        stamps = set()
        for number in range(1, count + 1):
            for offset in range(5):  # whatever order and second their causes came in
                when = START + timedelta(seconds=offset - number, microseconds=17)
                found = apart(when, {"part": f"{number:02d}", "parts": f"{count:02d}"})
                assert timedelta(0) <= found - when < timedelta(seconds=2 * count)
                stamps.add((number, found))
        assert len({when for _, when in stamps}) == len(stamps)
    assert apart(START, {}) == START


def outcome(scenes: int) -> tuple[Source, Complete]:
    """Level 0 of a datastrip of so many scenes and twelve detectors."""
    made = [("PDI_DS", "S2A_TEST_MSI_L0__DS_S2PS_20261122T100000_S20261122T095000_N00.01")]
    made += [
        (
            "PDI_DS_GR_LIST",
            f"S2A_TEST_MSI_L0__GR_S2PS_20261122T100000_S{format_stamp(START + n * SCENE)}_D{detector:02d}_N00.01",
        )
        for n in range(scenes)
        for detector in range(1, 13)
    ]
    artifacts = tuple(
        Artifact(file_type=kind, name=name, bucket="b", prefix="p/", digest="a" * 64, size=1) for kind, name in made
    )
    record = Outcome(
        created=START,
        step="l0c",
        unit="DT01",
        attempt=1,
        status="succeeded",
        started=START,
        finished=START,
        outputs=artifacts,
    )
    complete = Complete(created=START, session="S", station="SGS_", satellite="S2A", t0=START, files=())
    return Source("sessions/S/work/l0c/DT01/x/outcome.json", record, "S"), complete


def test_each_part_gets_its_granules_and_the_whole_metadata() -> None:
    workflow = load_workflow("open").with_split(Split(scenes=24, overlap=2))
    source, complete = outcome(60)
    ready = list(next_work(workflow, source))
    assert [item.unit for item in ready] == ["DT01-P01", "DT01-P02", "DT01-P03"]
    counts, dates = [], set()
    for item in ready:
        assert isinstance(item, Ready)
        counts.append(sum(ref.file_type == "PDI_DS_GR_LIST" for ref in item.inputs))
        assert sum(ref.file_type == "PDI_DS" for ref in item.inputs) == 1
        order = make_order(workflow, item, complete, "")
        assert order.facts["part"] == item.unit[-2:]
        dates.add(order.parameters["CREATION_DATE"])
    assert counts == [22 * 12, 24 * 12, 22 * 12]
    assert len(dates) == 3
    assert [(i.parameters["FIRST_SCENE"], i.parameters["LAST_SCENE"]) for i in ready if isinstance(i, Ready)] == [
        ("1", "22"), ("19", "42"), ("39", "60"),
    ]  # fmt: skip


def test_without_a_split_nothing_changes() -> None:
    source, _ = outcome(60)
    plain = list(next_work(load_workflow("open"), source))
    uncut = list(next_work(load_workflow("open").with_split(Split(scenes=60)), source))
    assert [item.unit for item in plain] == ["DT01"]
    (item,), (other,) = plain, uncut
    assert isinstance(item, Ready)
    assert isinstance(other, Ready)
    assert (item.unit, item.digest, item.inputs) == (other.unit, other.digest, other.inputs)
    assert "FIRST_SCENE" not in item.parameters


def test_a_part_with_too_few_granules_tells_of_itself_alone() -> None:
    workflow = load_workflow("open").with_split(Split(scenes=24, overlap=1))
    source, _ = outcome(50)
    assert isinstance(source.record, Outcome)
    kept = [
        a
        for a in source.record.outputs
        if not (a.file_type == "PDI_DS_GR_LIST" and "_D03_" in a.name and "100003" in a.name)
    ]
    thin = Source(source.key, source.record.model_copy(update={"outputs": tuple(kept)}), "S")
    first, *others = list(next_work(workflow, thin))
    assert isinstance(first, Ready)
    assert "1 granules are missing, of detectors 03" in first.warnings[0]
    assert all(isinstance(item, Ready) and not item.warnings for item in others)
    step = workflow.step("l1b")
    assert plan_item(workflow, step, "DT01-P02", {"l0c": thin}) == others[0]


CUTS = (
    ({"datatake_types": ["VIC"]}, {"scenes": 10}),
    ({"datatake_types": ["NOBS"], "scenes_from": 50}, {"scenes": 24}),
    ({"area": {"type": "Polygon", "coordinates": [[[5, 44], [16, 44], [16, 48], [5, 44]]]}}, {"scenes": 30}),
)


@pytest.mark.parametrize(
    ("scenes", "facts", "count"),
    [
        (60, {"datatake_type": "VIC"}, 6),
        (60, {"datatake_type": "NOBS"}, 3),
        (48, {"datatake_type": "NOBS"}, 1),
        (48, {"datatake_type": "NOBS", "footprint": "45 9 45 10 46 10 46 9 45 9"}, 2),
        (48, {"datatake_type": "NOBS", "footprint": "5 9 5 10 6 10 6 9 5 9"}, 1),
    ],
)
def test_how_a_datastrip_is_cut_is_decided_by_what_is_known_of_it(
    scenes: int, facts: dict[str, str], count: int
) -> None:
    """Not of its parts, which have fewer scenes; and the session may have other datastrips."""
    source, complete = outcome(scenes)
    assert isinstance(source.record, Outcome)
    found = Source(source.key, source.record.model_copy(update={"facts": facts}), "S")
    rules = [{"name": f"cut-{n}", "when": when, "then": {"split": split}} for n, (when, split) in enumerate(CUTS)]
    strategy = Strategy.model_validate({"name": "cuts", "rules": rules})
    workflow = load_workflow("open").under(ruling_of(strategy, complete))
    ready = list(next_work(workflow, found))
    assert [item.unit for item in ready] == (
        ["DT01"] if count == 1 else [f"DT01-P{n:02d}" for n in range(1, count + 1)]
    )
    for item in ready:
        assert isinstance(item, Ready)
        assert ("LAST_SCENE" in item.parameters) == (count > 1)
        order = make_order(workflow, item, complete, "")
        assert ("split" in order.rules) == (count > 1)
        assert plan_item(workflow, workflow.step("l1b"), item.unit, {"l0c": found}) == item
