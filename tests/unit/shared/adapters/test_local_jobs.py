"""The spool of local Jobs: launched once, read whole."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.adapters.local_jobs import (
    LocalJobLauncher,
    format_job,
    format_state,
    parse_job,
    parse_state,
    write_new,
    write_whole,
)
from shared.errors import BadInputError, RetryableError
from shared.ports import JobSpec, JobState

JOB = JobSpec(
    "l0u-a-1", "sessions/S/work/l0u/u/d/", 1, "S", "l0u", "u", 1.5, 2000, 60, datetime(2026, 1, 1, tzinfo=UTC), 3, "tp"
)


def test_jobs_round_trip() -> None:
    assert parse_job(format_job(JOB), "x") == JOB


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"deadline": 1}', b"\xff"])
def test_what_is_no_job(body: bytes) -> None:
    with pytest.raises(BadInputError, match="spooled job x"):
        parse_job(body, "x")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"phase": "gone", "exit_code": 0, "reason": ""}'])
def test_what_is_no_state(body: bytes) -> None:
    with pytest.raises(BadInputError, match="state of job x"):
        parse_state(body, "x")


def test_launching_twice_is_a_no_op(tmp_path: Path) -> None:
    launcher = LocalJobLauncher(tmp_path / "jobs")
    assert launcher.state(JOB.name) is None
    launcher.launch(JOB)
    assert launcher.state(JOB.name) == JobState("waiting")
    write_whole(tmp_path / "jobs" / f"{JOB.name}.state.json", format_state(JobState("failed", 137, "NodeLost"), pid=1))
    launcher.launch(JOB)
    assert launcher.state(JOB.name) == JobState("failed", 137, "NodeLost")
    assert sorted(path.name for path in (tmp_path / "jobs").iterdir()) == ["l0u-a-1.json", "l0u-a-1.state.json"]


def test_one_of_many_writers_wins_and_no_draft_is_left(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: write_new(target, json.dumps(number).encode()), range(32)))
    assert won.count(True) == 1
    assert json.loads(target.read_bytes()) == won.index(True)
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_spool_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("in the way")
    with pytest.raises(RetryableError, match="job spool"):
        LocalJobLauncher(tmp_path / "jobs").launch(JOB)
