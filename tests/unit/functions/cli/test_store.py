"""``s2ps store setup``: what it prints, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from functions.cli import store as module
from functions.cli.options import Where
from functions.cli.places import Place
from shared.adapters.store_setup.report import Report, State
from shared.bootstrap import Services
from shared.errors import StoreUnavailableError
from shared.settings import Settings, load_settings


def report(*states: State) -> Report:
    made = Report("ceph", applied=True)
    for number, state in enumerate(states):
        made.add("bucket", f"b{number}", state, "by hand" if state == "manual" else "")
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the set-up is asked for; ``answer`` is what it returns, or raises."""
    kept: dict[str, Any] = {"answer": report("created", "unchanged")}

    def set_up(settings: Settings, **options: Any) -> Report:
        kept.update(options, settings=settings)
        if isinstance(kept["answer"], Exception):
            raise kept["answer"]
        answer: Report = kept["answer"]
        return answer

    monkeypatch.setattr(module, "set_up_store", set_up)
    monkeypatch.setenv("S2PS_STORE_ENDPOINT", "http://of-the-environment:8333")
    load_settings.cache_clear()
    yield kept
    load_settings.cache_clear()


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


def test_it_goes_where_the_command_line_says(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Where] = []

    @contextmanager
    def opened(where: Where) -> Iterator[Place]:
        seen.append(where)
        yield Place("cluster", "any", Services(Settings(store_endpoint="http://of-the-cluster:8333")))

    assert run().exit_code == 0
    assert asked["settings"].store_endpoint == "http://of-the-environment:8333"
    monkeypatch.setattr("functions.cli.places.opened", opened)
    assert run("-n", "other").exit_code == 0
    assert asked["settings"].store_endpoint == "http://of-the-cluster:8333"
    assert run("--run-dir", "runs/x").exit_code == 0
    assert seen == [Where(namespace="other"), Where(run_dir=Path("runs/x"))]


def test_aws_needs_no_place(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S2PS_STORE_ENDPOINT")
    load_settings.cache_clear()
    assert run("--store-kind", "aws").exit_code == 0
    assert asked["settings"].store_endpoint == ""


def test_nowhere_is_one_sentence(asked: dict[str, Any]) -> None:
    done = run("--run-dir", "runs/none-such")
    assert (done.exit_code, "is not up" in done.output) == (1, True)


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
