"""The commands that explain and simulate, as an operator calls them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from functions.cli import places
from functions.cli.main import main
from functions.cli.places import Place
from shared.strategy.document import format_strategy
from tests.faults.test_strategies import house, rule, strategy
from tests.support.standin import SESSION

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    made = house(rule(when={"tiles": ["32TQL"]}, levels=["L1C"]))
    made.run()

    @contextmanager
    def opened(_where: object) -> Iterator[Place]:
        yield Place("store", "memory", made.operator()[0])

    monkeypatch.setattr(places, "opened", opened)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(main, ["strategy", *words])


def test_explain_names_rule_matter_and_unit(run: Run) -> None:
    found = run("explain", SESSION[:8])
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith(f"{SESSION} (nominal) runs under tried ")
    lines = [" ".join(line.split()) for line in found.stdout.splitlines()]
    assert 'l1c DT01-T32TQL levels ["L1C"] one' in lines
    document = json.loads(run("explain", SESSION, "-o", "json").stdout)
    assert {each["matter"] for each in document["decided"]} == {"levels", "not asked for"}


def test_history_tells_what_was_active(run: Run) -> None:
    found = run("history")
    assert found.exit_code == 0, found.output
    assert "tried" in found.stdout
    assert "a test" in found.stdout


def test_explain_of_no_session_is_an_error(run: Run) -> None:
    found = run("explain", "S2Z")
    assert found.exit_code == 1
    assert "S2Z" in found.stderr


def test_simulate_compares_and_says_what_it_assumes(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_bytes(format_strategy(strategy(rule(levels=[]), name="bare")))
    found = run("simulate", str(file))
    assert found.exit_code == 0, found.output
    lines = [" ".join(line.split()) for line in found.stdout.splitlines()]
    assert any(line.startswith("bare ") and line.split()[2] == "2" for line in lines)
    assert "Assumed:" in lines
    document = json.loads(run("simulate", str(file), "--sessions", SESSION, "-o", "json").stdout)
    assert (document["sessions"], document["other"]["left_out"]) == (1, 4)
    assert document["assumed"]


def test_a_set_that_is_none_is_not_activated(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_bytes(format_strategy(strategy(rule(processor_set="nowhere"))))
    found = run("activate", str(file), "--reason", "so")
    assert found.exit_code == 1
    assert "rule one, processor_set" in found.stderr
