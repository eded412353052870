from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.errors import ConfigurationError
from shared.workflow.graph import load_workflow

OPEN = Path(__file__).resolve().parents[4] / "shared" / "workflow" / "processors" / "open.yaml"


def written(folder: Path, **changes: Any) -> str:
    document = yaml.safe_load(OPEN.read_text()) | changes
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def test_the_open_set_binds_every_step_of_the_graph() -> None:
    workflow = load_workflow("open")
    assert [step.name for step in workflow.steps] == ["l0u", "l0c", "l1b", "l1c", "l2a"]
    assert [step.name for step in workflow.downstream("l1b")] == ["l1b", "l1c", "l2a"]
    published = {o.publish for s in workflow.steps for o in workflow.publishes(s.name)}
    assert published == {"HKTM", "SAD", "L0", "L1C", "L2A"}


def test_a_set_of_ones_own_is_a_file(tmp_path: Path) -> None:
    assert load_workflow(written(tmp_path, site="MINE")).site == "MINE"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"site": "too long"}, "site"),
        ({"baseline": "4"}, "baseline"),
        ({"processors": {}}, "none for step l0u"),
        ({"stepz": []}, "stepz"),
        ({"steps": [{"name": "l0u", "level": "L7", "after": "session"}]}, "level"),
        ({"steps": [{"name": "l0c", "level": "L0", "after": "l0u"}]}, "no step l0u stands before it"),
    ],
)
def test_a_wrong_set_is_refused_with_the_field_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_workflow(written(tmp_path, **change))


def test_an_input_that_nobody_makes_is_refused(tmp_path: Path) -> None:
    processors = yaml.safe_load(OPEN.read_text())["processors"]
    processors["l1c"]["inputs"] = [{"file_type": "MSI_L9", "source": "l1b"}]
    with pytest.raises(ConfigurationError, match="l1b makes no MSI_L9"):
        load_workflow(written(tmp_path, processors=processors))


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("session", "expected a step, found session"),
        ("l1b", "l1b has another shared volume"),
        ("l9", "source: expected session"),
    ],
)
def test_a_link_leads_to_a_step_on_the_same_volume(tmp_path: Path, source: str, named: str) -> None:
    processors = yaml.safe_load(OPEN.read_text())["processors"]
    step = "l0u" if source != "l1b" else "l1c"
    processors[step]["links"] = [{"source": source, "what": "x/*", "to": "y"}]
    with pytest.raises(ConfigurationError, match=named):
        load_workflow(written(tmp_path, processors=processors))


def test_a_set_may_say_itself_what_a_datatake_asks_for(tmp_path: Path) -> None:
    path = written(tmp_path, datatakes={"types": {"DASC": ["L1C"]}, "unknown": ["L1C"]})
    datatakes = load_workflow(path).datatakes
    assert [datatakes.levels(kind) for kind in ("DASC", "", "NOBS")] == [("L1C",), ("L1C",), ()]
    assert datatakes.asks_for("NOBS", ())
    assert not datatakes.asks_for("NOBS", ("L1C",))


@pytest.mark.parametrize(
    ("datatakes", "named"),
    [
        ({"types": {"DASC": ["L7"]}}, "datatakes.types.DASC: .*found L7"),
        ({"tpyes": {}}, r"datatakes\.tpyes"),
        ({"unknown": "L1C"}, r"datatakes\.unknown"),
    ],
)
def test_wrong_datatakes_are_refused_with_the_field_named(
    tmp_path: Path, datatakes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_workflow(written(tmp_path, datatakes=datatakes))


def test_what_stays_on_a_shared_volume_cannot_be_published(tmp_path: Path) -> None:
    processors = yaml.safe_load(OPEN.read_text())["processors"]
    processors["l1b"]["outputs"][0] |= {"harvest": {"rule": "place"}, "publish": "L1B"}
    with pytest.raises(ConfigurationError, match="L1B_WORKING: what stays in its place cannot be published"):
        load_workflow(written(tmp_path, processors=processors))


def test_a_set_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("- l0u\n")
    with pytest.raises(ConfigurationError, match="expected a mapping, found list"):
        load_workflow(str(tmp_path / "mine.yaml"))


def test_the_licensed_set_binds_the_whole_graph_with_its_joins() -> None:
    workflow = load_workflow("esa")
    assert workflow.step("l2a").after == ("l1c", "l1c-ds", "l2a-ds")
    assert [step.name for step in workflow.after("l1c-ds")] == ["l2a-ds", "l2a"]
    assert {workflow.unit(step.name) for step in workflow.steps} == {"session", "datastrip", "part", "tile"}


def test_a_set_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        load_workflow("nowhere")
