"""``s2ps store setup``: what it prints, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from functions.cli import store as module
from shared.adapters.store_setup.report import Report, State
from shared.errors import StoreUnavailableError


def report(*states: State) -> Report:
    made = Report("ceph", applied=True)
    for number, state in enumerate(states):
        made.add("bucket", f"b{number}", state, "by hand" if state == "manual" else "")
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the set-up is asked for; ``answer`` is what it returns, or raises."""
    kept: dict[str, Any] = {"answer": report("created", "unchanged")}

    def set_up(_: object, **options: Any) -> Report:
        kept.update(options)
        if isinstance(kept["answer"], Exception):
            raise kept["answer"]
        answer: Report = kept["answer"]
        return answer

    monkeypatch.setattr(module, "set_up_store", set_up)
    return kept


def run(*arguments: str) -> Any:
    return CliRunner().invoke(module.store, ["setup", *arguments])


def test_options_reach_the_set_up(asked: dict[str, Any]) -> None:
    done = run("--store-kind", "minio", "--dry-run", "--renew", "--wait", "120")
    assert done.exit_code == 0
    assert {name: asked[name] for name in ("kind", "apply", "renew", "wait_s")} == {
        "kind": "minio",
        "apply": False,
        "renew": True,
        "wait_s": 120.0,
    }


@pytest.mark.parametrize(
    ("states", "options", "code"),
    [
        (["created"], [], 0),
        (["manual"], [], 0),
        (["manual"], ["--strict"], 3),
        (["manual", "failed"], ["--strict"], 1),
        (["failed"], [], 1),
        (["unchanged"], ["--strict"], 0),
    ],
)
def test_the_exit_code_tells_how_it_went(
    asked: dict[str, Any], states: list[State], options: list[str], code: int
) -> None:
    asked["answer"] = report(*states)
    assert run(*options).exit_code == code


def test_each_form_tells_the_same(asked: dict[str, Any]) -> None:
    asked["answer"] = report("created", "manual")
    table, told = run().output, json.loads(run("-o", "json").output)
    assert told == yaml.safe_load(run("-o", "yaml").output)
    assert [item["state"] for item in told["items"]] == ["created", "manual"]
    assert "b1    manual" in table
    assert "bucket b1: by hand" in table


def test_a_store_that_does_not_answer_is_one_sentence(asked: dict[str, Any]) -> None:
    asked["answer"] = StoreUnavailableError("object store, s2-ledger: not there")
    done = run()
    assert done.exit_code == 1
    assert done.output.strip() == "Error: object store, s2-ledger: not there"
