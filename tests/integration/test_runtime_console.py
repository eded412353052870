"""The console over a run with the real manifests and functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eventing.local.config import RunDir, settings_from
from eventing.local.seaweed import weed_binary
from functions.cli.main import main
from shared.bootstrap import Services
from shared.errors import ConfigurationError
from shared.ledger import keys
from shared.ledger.records import DeadLetter, OpenMarker
from shared.telemetry import session_traceparent
from tests.support.runs import stop_and_check, wait_for

SESSION = "S2A_20261122100000057405"


def ask(folder: Path, *arguments: str) -> Any:
    result = CliRunner().invoke(main, [*arguments, "--run-dir", str(folder), "-o", "json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Services]]:
    try:
        weed_binary()
    except ConfigurationError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("console") / "run"
    up = ask(folder, "up", "--set", "S2PS_SWEEP_GRACE_S=1")
    yield folder, Services(settings_from(up["settings"]))
    stop_and_check(RunDir.at(folder))


def test_up_twice_is_one_run(run: tuple[Path, Services]) -> None:
    assert ask(run[0], "up")["pid"] == ask(run[0], "up")["pid"]


def test_a_session_is_listed_and_told_of(run: tuple[Path, Services]) -> None:
    folder, services = run
    marker = OpenMarker(created=services.clock.now(), session=SESSION, station="SGS_", satellite="S2A")
    services.ledger.create(keys.open_marker(SESSION), marker)
    found = ask(folder, "sessions")
    assert (found["apiVersion"], found["kind"]) == ("s2ps.org/v1", "SessionList")
    assert [(each["session"], each["stands"]) for each in found["items"]] == [(SESSION, "arriving")]
    assert ask(folder, "products")["items"] == []
    assert ask(folder, "status", SESSION)["stands"] == "arriving"
    result = CliRunner().invoke(main, ["status", "S2B_20261122100000057405", "--run-dir", str(folder)])
    assert (result.exit_code, "knows nothing" in result.output) == (1, True)


def test_a_broken_record_is_a_dead_letter_with_its_trace(run: tuple[Path, Services]) -> None:
    """Through everything that is real: store, notification, broker, function, dead-letter sink, ledger."""
    folder, services = run
    key = f"sessions/{SESSION}/work/l0u/u/{'a' * 64}/order.json"
    services.store.put("s2-ledger", key, b"{}", metadata={"traceparent": session_traceparent(SESSION)})
    letters = wait_for(lambda: list(services.ledger.list("dead-letters/")), "the dead letter")
    letter = services.ledger.read(letters[0].key, DeadLetter)
    assert letter.event["subject"] == key
    assert letter.function == "http://job-launch/"
    assert letter.reason.startswith("422: job_launch: ledger record sessions/")
    assert [each["step"] for each in ask(folder, "status", SESSION)["work"]] == ["l0u"]

    def spans() -> list[dict[str, Any]]:
        result = CliRunner().invoke(main, ["trace", SESSION, "--run-dir", str(folder), "-o", "json"])
        return json.loads(result.output)["items"] if result.exit_code == 0 else []

    def told() -> list[dict[str, Any]]:
        found = spans()
        return found if {"job_launch", "dead_letters"} <= {each["service"] for each in found} else []

    found = wait_for(told, "the spans of both functions")
    assert {each["error"][:11] for each in found if each["error"]} == {"job_launch:"}
