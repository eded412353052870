"""The local runtime with real processes: events, crashes, dead letters, idling, and nothing left behind."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eventing.local import control
from eventing.local.processes import family
from shared.adapters.local_jobs import LocalJobLauncher
from shared.errors import ConfigurationError, RetryableError
from shared.ports import JobSpec, JobState
from tests.support.runs import ProbeRun, make_probe_run, stop_and_check, wait_for


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProbeRun]:
    made = make_probe_run(tmp_path_factory.mktemp("probe"))
    made.start()
    yield made
    stop_and_check(made.run)


def test_an_event_wakes_its_function(probe: ProbeRun) -> None:
    probe.send("fine", "one")
    wait_for(lambda: probe.attempts("one"), "the first event")
    probe.send("fine", "two")
    wait_for(lambda: probe.attempts("two"), "the second event")
    assert [each["id"] for each in probe.attempts("one")] == ["id-one"]
    function = probe.status()["functions"]["probe"]
    assert function["pid"] > 0
    assert function["cold_start_ms"] > 0
    assert probe.attempts("one", "dead-letters") == []


def test_what_is_not_ready_comes_again(probe: ProbeRun) -> None:
    probe.send("later", "later")
    wait_for(lambda: len(probe.attempts("later")) == 3, "three attempts")
    assert {each["id"] for each in probe.attempts("later")} == {"id-later"}


@pytest.mark.parametrize("how", ["crash-worker", "crash-all"])
def test_a_function_that_is_killed_gets_its_event_again(probe: ProbeRun, how: str) -> None:
    probe.send(how, how)
    attempts = wait_for(lambda: found if len(found := probe.attempts(how)) == 2 else None, "the event again")
    assert attempts[0]["pid"] != attempts[1]["pid"]
    assert {each["id"] for each in attempts} == {f"id-{how}"}


def test_bad_input_is_a_dead_letter(probe: ProbeRun) -> None:
    probe.send("refuse", "bad")
    (letter,) = wait_for(lambda: probe.attempts("bad", "dead-letters"), "the dead letter")
    assert letter["id"] == "id-bad"
    assert letter["extensions"]["knativeerrorcode"] == "422"
    assert letter["extensions"]["knativeerrordest"] == "http://probe/"
    said = base64.b64decode(letter["extensions"]["knativeerrordata"]).decode()
    assert said == "probe: probe: expected something else"
    assert len(probe.attempts("bad")) == 1


def test_the_front_refuses_what_is_no_event(probe: ProbeRun) -> None:
    assert probe.post("/broker", {"content-type": "application/json"}, b"{}")[0] == 400
    assert probe.post("/elsewhere", {}, b"")[0] == 404
    assert probe.post("/fn/nobody", {}, b"")[0] == 404
    status, said = probe.post("/fn/probe", {"content-type": "application/json"}, b"{}")
    assert (status, "specversion" in said) == (400, True)


def test_starting_twice_is_one_run(probe: ProbeRun) -> None:
    assert probe.start() == control.state(probe.run)


def test_a_run_that_is_up_is_not_set_up_otherwise_in_silence(probe: ProbeRun) -> None:
    with pytest.raises(ConfigurationError, match="is up"):
        control.start(probe.run, probe.config.model_copy(update={"cpus": 64.0}))
    assert control.state(probe.run) is not None


def test_two_starts_at_once_are_one_run(tmp_path: Path) -> None:
    probe = make_probe_run(tmp_path)
    try:
        with ThreadPoolExecutor(3) as pool:
            found = {future.result().pid for future in [pool.submit(probe.start) for _ in range(3)]}
        assert len(found) == 1
        probe.send("fine", "after")
        wait_for(lambda: probe.attempts("after"), "the event")
    finally:
        stop_and_check(probe.run)


def test_an_idle_function_is_stopped_and_woken_again(tmp_path: Path) -> None:
    probe = make_probe_run(tmp_path, idle_s=0.2)
    probe.start()
    try:
        probe.send("fine", "one")
        wait_for(lambda: probe.attempts("one"), "the event")
        wait_for(lambda: probe.status()["functions"]["probe"]["pid"] is None, "the function to be stopped")
        probe.send("fine", "two")
        wait_for(lambda: probe.attempts("two"), "the function to be woken")
        assert probe.status()["functions"]["probe"]["starts"] == 2
    finally:
        stop_and_check(probe.run)


def test_two_runs_side_by_side(tmp_path: Path) -> None:
    first, second = (make_probe_run(_folder(tmp_path / name)) for name in ("first", "second"))
    try:
        assert first.start().url != second.start().url
        first.send("fine", "mine")
        wait_for(lambda: first.attempts("mine"), "the event")
        stop_and_check(first.run)
        assert family(second.run.path)
        second.send("fine", "yours")
        wait_for(lambda: second.attempts("yours"), "the other run's event")
        assert second.attempts("mine") == []
    finally:
        stop_and_check(first.run)
        stop_and_check(second.run)


JOB = """
import sys, time
from pathlib import Path
(Path(__file__).parent / "started").write_text(" ".join(sys.argv))
time.sleep(600)
"""


def test_after_kill_9_of_everything_a_start_takes_up_what_was_left(tmp_path: Path) -> None:
    probe = make_probe_run(tmp_path, job_script=JOB)
    runtime = probe.start().pid
    try:
        launcher = LocalJobLauncher(probe.run.jobs)
        launcher.launch(JobSpec("l0u-x-1", "work/", 1, "S", "l0u", "u", 1.0, 100, 600, datetime.now(UTC), 0, ""))
        wait_for((tmp_path / "started").exists, "the Job to start")
        wait_for(lambda: launcher.state("l0u-x-1") == JobState("running"), "the host to say so")
        probe.send("fine", "before")
        wait_for(lambda: probe.attempts("before"), "the event")
        # The runtime first, or it may yet see how its Job ends.
        for pid in sorted(family(probe.run.path), key=lambda each: each != runtime):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not control.is_served(probe.run), "the runtime to be dead")
        (probe.run.scratch / "left-by-the-job" / "inputs").mkdir(parents=True)
        probe.start()
        assert list(probe.run.scratch.iterdir()) == []
        state = launcher.state("l0u-x-1")
        assert state is not None
        assert (state.phase, state.reason) == ("failed", "NodeLost")
        wait_for(lambda: probe.attempts("l0u-x-1"), "the event of the lost Job")
    finally:
        stop_and_check(probe.run)


def test_what_only_the_runtime_left_behind_is_ended(tmp_path: Path) -> None:
    probe = make_probe_run(tmp_path)
    state = probe.start()
    probe.send("fine", "before")
    wait_for(lambda: probe.attempts("before"), "the event")
    os.kill(state.pid, signal.SIGKILL)
    wait_for(lambda: not control.is_served(probe.run), "the runtime to be dead")
    assert family(probe.run.path), "the function outlives the runtime"
    stop_and_check(probe.run)


def test_a_manifest_that_is_wrong_is_told(tmp_path: Path) -> None:
    probe = make_probe_run(tmp_path)
    (probe.config.manifests / "all.yaml").write_text("apiVersion: v1\nkind: Pod\n")
    with pytest.raises(RetryableError, match="kind"):
        probe.start()
    stop_and_check(probe.run)


def test_a_run_json_that_is_wrong_is_told(tmp_path: Path) -> None:
    probe = make_probe_run(tmp_path)
    probe.run.path.mkdir()
    probe.run.config.write_text(json.dumps({"cpu": 2}))
    with pytest.raises(ConfigurationError, match=r"run\.json, cpu"):
        control.start(probe.run)
    stop_and_check(probe.run)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
