"""What the job host decides: order, room, the meaning of exits, the event of an end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.local.spool import Capacity, ended, in_order, job_event, to_start, words
from functions.job_settlement.step import job_end
from shared.domain.events import JOB_CHANGED
from shared.ports import CLEAN, JobSpec, JobState

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
WORK = f"sessions/S2A_20261122100000057405/work/l0u/u/{'a' * 64}/"


def job(name: str, *, minutes: int = 0, priority: int = 0, cpus: float = 1.0, memory_mb: int = 100) -> JobSpec:
    deadline = NOON + timedelta(minutes=minutes)
    return JobSpec(name, WORK, 1, "S2A_20261122100000057405", "l0u", "u", cpus, memory_mb, 60, deadline, priority, "tp")


JOBS = st.lists(
    st.builds(
        job,
        st.text("abc", min_size=1, max_size=3),
        minutes=st.integers(0, 3),
        priority=st.integers(0, 2),
        cpus=st.sampled_from([0.5, 1.0, 2.0, 8.0]),
        memory_mb=st.sampled_from([100, 1000, 9000]),
    ),
    max_size=8,
    unique_by=lambda each: each.name,
)


def test_the_earliest_turn_first() -> None:
    jobs = [
        job("late", minutes=9),
        job("soon", minutes=1),
        job("chosen", minutes=99, priority=20),
        job("ahead", minutes=9, priority=1),
        job("also", minutes=1),
    ]
    assert [each.name for each in in_order(jobs)] == ["chosen", "also", "soon", "ahead", "late"]


def test_a_large_job_is_not_overtaken_for_ever() -> None:
    running = [job("runs", cpus=1)]
    waiting = [job("large", minutes=1, cpus=2), job("small", minutes=2, cpus=1)]
    assert to_start(waiting, running, Capacity(2, 4000)) == []
    assert [each.name for each in to_start(waiting, [], Capacity(2, 4000))] == ["large"]


@given(JOBS, JOBS)
def test_the_host_is_never_overbooked(waiting: list[JobSpec], running: list[JobSpec]) -> None:
    capacity = Capacity(2.0, 4000)
    chosen = to_start(waiting, running, capacity)
    assert chosen == in_order(waiting)[: len(chosen)]
    together = [*running, *chosen]
    if chosen and len(together) > 1:
        assert sum(each.cpus for each in together) <= 2.0
        assert sum(each.memory_mb for each in together) <= 4000
    if waiting and not running:
        assert chosen


@pytest.mark.parametrize(
    ("code", "over_time", "state"),
    [
        (0, False, JobState("succeeded", 0)),
        (3, False, JobState("failed", 3, "BackoffLimitExceeded")),
        (-9, False, JobState("failed", 137, "BackoffLimitExceeded")),
        (-15, True, JobState("failed", 143, "DeadlineExceeded")),
        (0, True, JobState("failed", 0, "DeadlineExceeded")),
    ],
)
def test_exits(code: int, over_time: bool, state: JobState) -> None:
    assert ended(code, over_time=over_time) == state


def test_the_event_of_an_end_is_what_settlement_reads() -> None:
    lost = job_event(job("l0u-1"), JobState("failed", None, "NodeLost"))
    assert (lost.type, lost.subject, lost.traceparent) == (JOB_CHANGED, "l0u-1", "tp")
    end = job_end(lost.data)
    assert end is not None
    assert (end.place.prefix, end.attempt, end.reason) == (WORK, 1, "NodeLost")
    done = job_event(job("l0u-1"), JobState("succeeded", 0))
    assert job_end(done.data) is not None
    assert done.id != lost.id


def test_the_runner_is_told_what_to_do() -> None:
    attempt = job("l0u-1")
    assert words(attempt) == ["run", "--work", WORK, "--attempt", "1"]
    clearing = replace(attempt, step=CLEAN, unit="s2-l1-shared", work="")
    assert words(clearing) == ["clean", "--session", attempt.session, "--claim", "s2-l1-shared"]
