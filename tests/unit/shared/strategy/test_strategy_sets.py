"""Processor sets that rules name are compared before a session runs under them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from functions.cli.main import main
from shared.domain.strategy import Strategy
from shared.strategy.sets import disagreements
from shared.workflow.graph import Workflow, load_workflow
from tests.unit.shared.workflow.test_mixing import other_set

OPEN, ESA = load_workflow("open"), load_workflow("esa")
SAME = other_set()


def rule(name: str, processor_set: str, **when: Any) -> dict[str, Any]:
    return {"name": name, "when": when, "then": {"processor_set": processor_set}}


def wrong(*rules: dict[str, Any], default: Workflow = OPEN, **sets: Workflow) -> list[str]:
    found = Strategy.model_validate({"name": "tried", "rules": list(rules)})
    return list(disagreements(found, {"new": SAME, "esa": ESA, **sets}, default))


def renamed(document: dict[str, Any]) -> None:
    """What Level 1C makes for Level 2A has another type."""
    document["processors"]["l1c"]["outputs"][0]["harvest"]["file_type"] = "L1C_TILE"
    document["processors"]["l2a"]["inputs"] = [{"file_type": "L1C_TILE", "source": "l1c"}]


@pytest.mark.parametrize("when", [{"tiles": ["32*"]}, {"datatake_types": ["VIC"]}, {"steps": ["l1b", "l2a"]}])
def test_two_versions_of_one_set_go_together(when: dict[str, Any]) -> None:
    assert wrong(rule("r", "new", **when)) == []


def test_a_set_of_another_graph_is_told_with_rule_set_and_step() -> None:
    told = wrong(rule("vic", "esa", datatake_types=["VIC"]))
    here = "rule vic, processor_set esa, in sessions of set open"
    assert f"{here}: there l1b comes after l1a, and here after l0c" in told
    assert not any("there l2a" in each for each in told), "of VIC no Level 2A is made"
    assert wrong(rule("vic", "esa", datatake_types=["VIC"]), default=ESA) == []


def test_what_one_set_makes_the_other_must_be_able_to_use() -> None:
    other = other_set(renamed)
    (lacks,) = wrong(rule("r", "odd", levels=["L2A"]), odd=other)
    assert "l2a of set open cannot do without L1C_TILE, which l1c of set open does not make" in lacks
    (feeds,) = wrong(rule("r", "odd", levels=["L1C"]), odd=other)
    assert "l2a of set open cannot do without MSI_L1C_TL, which l1c of set open does not make" in feeds
    assert wrong(rule("r", "odd", levels=["L1C", "L2A"]), odd=other) == [], "both are of the other set"
    assert wrong(rule("r", "odd", levels=["L1C"], datatake_types=["VIC"]), odd=other) == [], "no Level 2A is made"


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([rule("all", "esa"), rule("r", "new", tiles=["3*"])], False),
        ([rule("r", "new", tiles=["3*"]), rule("all", "esa")], True),
        ([rule("r", "new", tiles=["3*"], satellites=["S2A"]), rule("b", "esa", satellites=["S2B"])], False),
        ([rule("r", "new", tiles=["3*"], satellites=["S2A"]), rule("a", "esa", satellites=["S2A"])], True),
        ([rule("r", "new", tiles=["3*"], until="2026-01-01T00:00:00Z"),
          rule("a", "esa", since="2026-01-01T00:00:00Z")], False),
        ([rule("r", "unread", tiles=["3*"])], False),
    ],
)  # fmt: skip
def test_sets_are_compared_where_they_may_meet(rules: list[dict[str, Any]], told: bool) -> None:
    assert bool(wrong(*rules)) == told


@pytest.fixture
def strategy_file(tmp_path: Path) -> Callable[..., Path]:
    def made(*rules: dict[str, Any]) -> Path:
        path = tmp_path / "strategy.yaml"
        path.write_text(yaml.safe_dump({"name": "tried", "rules": list(rules)}))
        return path

    return made


def test_validate_refuses_sets_that_do_not_go_together(strategy_file: Callable[..., Path]) -> None:
    file = strategy_file(rule("vic", "esa", datatake_types=["VIC"]))
    found = CliRunner().invoke(main, ["strategy", "validate", str(file)])
    assert found.exit_code == 1
    assert "rule vic, processor_set esa, in sessions of set open: there l1b comes after l1a" in found.stderr
    assert CliRunner().invoke(main, ["strategy", "validate", str(file), "--processor-set", "esa"]).exit_code == 0


def test_validate_says_which_set_it_could_not_look_at(strategy_file: Callable[..., Path]) -> None:
    found = CliRunner().invoke(main, ["strategy", "validate", str(strategy_file(rule("r", "/etc/none.yaml")))])
    assert found.exit_code == 0, found.output
    assert "rule r: its processor set was not looked at: workflow file /etc/none.yaml" in found.stderr
