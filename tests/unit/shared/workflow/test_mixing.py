"""Work that a rule gives to another processor set than that of its session: what it then is, and when it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.domain.strategy import Strategy, Subject
from shared.errors import ConfigurationError
from shared.ledger import keys
from shared.ledger.records import Artifact, Complete, Outcome
from shared.workflow import graph
from shared.workflow.clearing import claims
from shared.workflow.graph import Workflow, load_workflow
from shared.workflow.mixing import clash
from shared.workflow.orders import make_order
from shared.workflow.plan import Item, Ready, Skipped, Source, plan_item
from shared.workflow.products import published_artifacts, shelf_of
from shared.workflow.ruling import Ruling, subject_of

OPEN = load_workflow("open")
FOLDER = Path(graph.__file__).parent
FILES = ("graph.yaml", "datatakes.yaml", "processors/open.yaml")
SESSION = "S2A_20261122100000000123"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
Change = Callable[[dict[str, Any]], None]


def other_set(change: Change = lambda _document: None) -> Workflow:
    """The open set at another baseline, with all its processors in version 7.7.7, and what else is changed of it."""
    steps, datatakes, bound = (yaml.safe_load((FOLDER / each).read_text()) for each in FILES)
    document = {**steps, "datatakes": datatakes, **bound, "baseline": "07.77", "site": "OTHR"}
    for processor in document["processors"].values():
        processor["version"] = "7.7.7"
    change(document)
    return Workflow.model_validate(document)


def complete(satellite: str = "S2A") -> Complete:
    return Complete(created=NOON, session=SESSION, station="SGS_", satellite=satellite, t0=NOON, files=())


def under(when: dict[str, Any], other: Workflow | None, own: Workflow = OPEN, **then: Any) -> Workflow:
    """The workflow of a session where the rule ``vic`` gives what ``when`` holds for to the set ``new``."""
    rule = {"name": "vic", "when": when, "then": {"processor_set": "new", **then}}
    ruling = Ruling(Strategy.model_validate({"name": "tried", "rules": [rule]}), subject_of(complete()))
    return own.under(ruling, {} if other is None else {"new": other})


def artifact(file_type: str, name: str = "", **changes: Any) -> Artifact:
    made = {"bucket": "s2-work", "prefix": f"p/{name}/", "digest": "a" * 64, "size": 1, **changes}
    return Artifact(file_type=file_type, name=name or file_type, **made)


def source(step: str, unit: str, *outputs: Artifact, **changes: Any) -> Source:
    record = Outcome(
        created=NOON,
        step=step,
        unit=unit,
        attempt=1,
        status="succeeded",
        started=NOON,
        finished=NOON,
        outputs=outputs,
        **changes,
    )
    return Source(keys.WorkKey(SESSION, step, unit, "b" * 64).outcome, record, SESSION)


def l2a(workflow: Workflow, tile: str = "32TQM", *outputs: Artifact) -> Item:
    unit = f"DT01-T{tile}"
    given = outputs or (artifact("MSI_L1C_TL", f"S2A_MSIL1C_{tile}.SAFE"),)
    return plan_item(workflow, workflow.step("l2a"), unit, {"l1c": source("l1c", unit, *given)})


def l1b(workflow: Workflow, kind: str = "VIC", scenes: int = 5) -> Item:
    stamps = [f"20261122T0930{4 * number:02d}" for number in range(scenes)]
    granules = [artifact("PDI_DS_GR_LIST", f"S2A_TEST_MSI_L0__GR_OTHR_{s}_S{s}_D01_N07.77") for s in stamps]
    strip = artifact("PDI_DS", "S2A_TEST_MSI_L0__DS")
    found = source("l0c", "DT01", strip, *granules, facts={"datatake_type": kind})
    return plan_item(workflow, workflow.step("l1b"), "DT01", {"l0c": found})


def ready(item: Item) -> Ready:
    assert isinstance(item, Ready), item
    return item


def test_the_work_that_a_rule_holds_for_has_processor_version_and_baseline_of_the_other_set() -> None:
    workflow = under({"tiles": ["32TQL"]}, other_set())
    ours, theirs = ready(l2a(workflow)), ready(l2a(workflow, "32TQL"))
    assert ours == ready(l2a(OPEN)), "what no rule holds for is what it ever was"
    assert theirs.digest != ready(l2a(OPEN, "32TQL")).digest
    orders = [make_order(workflow, item, complete(), "") for item in (ours, theirs)]
    assert [(each.version, each.processor_set) for each in orders] == [
        (OPEN.processors["l2a"].version, ""),
        ("7.7.7", "new"),
    ]
    told = [(each.parameters["PROCESSING_BASELINE"], each.parameters["PROCESSING_CENTER"]) for each in orders]
    assert told == [("00.01", "S2PS"), ("07.77", "OTHR")]
    assert orders[1].rules == {"processor_set": "vic"}


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"datatake_types": ["VIC"]}, True),
        ({"datatake_types": ["NOBS"]}, False),
        ({"steps": ["l1b"]}, True),
        ({"levels": ["L1C"]}, True),
        ({"levels": ["L2A"]}, False),
        ({"scenes_from": 5}, True),
        ({"scenes_from": 6}, False),
        ({"tiles": ["*"]}, False),
    ],
)
def test_each_condition_on_a_part_is_asked_of_each_work_item(when: dict[str, Any], holds: bool) -> None:
    item = ready(l1b(under(when, other_set())))
    assert item.decided.decision.processor_set == ("new" if holds else None)
    assert item.parameters["PROCESSING_BASELINE"] == ("07.77" if holds else "00.01")


def test_scenes_and_gaps_are_those_of_the_set_that_the_work_is_bound_to() -> None:
    demanding = other_set(lambda document: document["processors"]["l1b"].update(minimum_scenes=4))
    of_vic = {"datatake_types": ["VIC"]}
    lost = l1b(under(of_vic, demanding), scenes=3)
    assert isinstance(lost, Skipped)
    assert lost.reason == "3 scenes, l1b needs at least 4"
    ready(l1b(under(of_vic, demanding), kind="NOBS", scenes=3))


def test_how_a_datastrip_is_cut_stays_that_of_the_session() -> None:
    uncut = other_set(lambda document: document["processors"]["l1b"].update(split={"scenes": 4, "overlap": 1}))
    assert ready(l1b(under({"datatake_types": ["VIC"]}, uncut), scenes=30)).unit == "DT01"
    assert "FIRST_SCENE" not in ready(l1b(under({"datatake_types": ["VIC"]}, uncut), scenes=30)).parameters


def test_inputs_are_those_of_the_set_that_the_work_is_bound_to_and_what_lacks_parks_it() -> None:
    def takes_more(document: dict[str, Any]) -> None:
        document["processors"]["l1c"]["outputs"].append({"file_type": "MSK", "harvest": {"rule": "whole"}})
        document["processors"]["l2a"]["inputs"].append({"file_type": "MSK", "source": "l1c"})

    lost = l2a(under({"tiles": ["32TQM"]}, other_set(takes_more)))
    assert isinstance(lost, Skipped)
    assert (lost.ended, lost.reason) == ("parked", "l1c made no MSK, which l2a cannot do without")


def no_step(document: dict[str, Any]) -> None:
    del document["processors"]["l2a"]


def after_two(document: dict[str, Any]) -> None:
    document["processors"]["l1c-ds"] = document["processors"]["l1c"] | {"outputs": [{"file_type": "MSI_L1C_DS"}]}


def another_volume(document: dict[str, Any]) -> None:
    document["processors"]["l2a"]["shared"] = {"claim": "elsewhere"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (no_step, "it has no processor for l2a"),
        (after_two, "there l2a comes after l1c, l1c-ds, and here after l1c"),
        (another_volume, "there l2a has another shared volume than here"),
    ],
)
def test_a_set_in_which_the_step_stands_elsewhere_parks_the_work(change: Change, reason: str) -> None:
    workflow = under({"tiles": ["32TQM"]}, other_set(change))
    lost = l2a(workflow)
    assert isinstance(lost, Skipped)
    ruling = workflow.ruling.name
    assert lost.reason == f"rule vic of strategy {ruling} gives l2a to processor set new: {reason}"
    assert lost.ended == "parked"
    ready(l2a(workflow, "32TQL"))


def test_a_set_in_which_the_step_runs_on_another_unit_does_not_fit() -> None:
    def uncut(document: dict[str, Any]) -> None:
        for step in document["steps"]:
            if step["name"] == "l1a":  # not bound: what comes after it takes its place
                del step["over"]
        del document["processors"]["l1b"]["split"]

    other = other_set(uncut)
    assert clash(OPEN, other, OPEN.step("l1b")) == "there l1b runs on another unit (datastrip) than here (part)"
    assert clash(OPEN, other, OPEN.step("l1c")) == ""


def test_links_are_followed_on_one_volume_alone() -> None:
    def linked(document: dict[str, Any]) -> None:
        for step in ("l1c", "l2a"):
            document["processors"][step]["shared"] = {"claim": "strips"}
        document["processors"]["l2a"]["links"] = [{"source": "l1c", "what": "x/*", "to": "y"}]

    def unlinked(document: dict[str, Any]) -> None:
        document["processors"]["l2a"]["shared"] = {"claim": "strips"}

    own, other = other_set(unlinked), other_set(linked)
    assert "looks for files of l1c on a shared volume" in clash(own, other, own.step("l2a"))
    assert clash(other, other, own.step("l2a")) == ""


def test_whose_outputs_become_products_is_told_by_the_outcome() -> None:
    def silent(document: dict[str, Any]) -> None:
        document["processors"]["l1c"]["outputs"][0]["publish"] = None

    workflow = under({"tiles": ["32TQL"]}, other_set(silent))
    for name, published in (("", 1), ("new", 0)):
        made = source("l1c", "DT01-T32TQL", artifact("MSI_L1C_TL", "S2A_MSIL1C_X.SAFE"), processor_set=name).record
        assert isinstance(made, Outcome)
        assert len(list(published_artifacts(workflow, made))) == published
        assert bool(shelf_of(workflow, made, made.outputs[0])) == bool(published)
    assert workflow.levels("l1c") == {"L1C"}
    assert under({"tiles": ["32TQL"]}, OPEN, other_set(silent)).levels("l1c") == {"L1C"}


def test_volumes_that_any_set_of_the_session_shares_are_cleared() -> None:
    assert claims(under({"tiles": ["32TQL"]}, other_set(another_volume))) == ("elsewhere",)


def test_only_sets_that_a_rule_may_choose_for_this_session_are_read() -> None:
    rules = [
        {"name": "a", "when": {"satellites": ["S2B"], "tiles": ["3*"]}, "then": {"processor_set": "of-s2b"}},
        {"name": "b", "when": {"satellites": ["S2A"], "levels": ["L2A"]}, "then": {"processor_set": "new"}},
        {"name": "c", "when": {"satellites": ["S2A"]}, "then": {"processor_set": "own"}},
        {"name": "d", "when": {"steps": ["l1c"]}, "then": {"processor_set": "own"}},
        {"name": "e", "when": {"stations": ["MTI_"]}, "then": {"processor_set": "of-matera"}},
    ]
    ruling = Ruling(Strategy.model_validate({"name": "x", "rules": rules}), subject_of(complete()))
    assert ruling.whole.decision.processor_set == "own"
    assert ruling.other_sets == ("new",)


def test_a_set_that_was_not_read_is_no_other_one() -> None:
    with pytest.raises(ConfigurationError, match=f"processor set new: .* session {SESSION}"):
        l2a(under({"tiles": ["32TQM"]}, None))


def test_what_is_decided_of_all_of_a_session_is_its_own_set() -> None:
    ruling = Ruling(
        Strategy.model_validate({"name": "x", "rules": [{"name": "r", "then": {"processor_set": "new"}}]}),
        Subject(SESSION),
    )
    workflow = other_set().under(ruling)
    item = ready(l2a(workflow))
    assert item.parameters["PROCESSING_BASELINE"] == "07.77"
