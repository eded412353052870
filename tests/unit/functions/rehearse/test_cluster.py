"""The virtual cluster gives its room to the most urgent first; the size that is found is the smallest that holds."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from functions.rehearse.cluster import VirtualCluster
from functions.rehearse.sizing import Task, needed, within
from shared.ports import JobSpec, JobState

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def job(name: str, minutes: float = 60, cpus: float = 8, **more: Any) -> JobSpec:
    spec = JobSpec(
        name=name,
        work="",
        attempt=1,
        session="s",
        step="l1c",
        unit=name,
        cpus=cpus,
        memory_mb=1000,
        time_limit_s=9999,
        deadline=NOW + timedelta(minutes=minutes),
        priority=0,
        traceparent="",
    )
    return replace(spec, **more)


class Bench:
    """A cluster whose Jobs take what they are told."""

    def __init__(self, nodes: int = 1, seconds: float | None = 100.0) -> None:
        self.now, self.heap, self.count = NOW, list[tuple[datetime, int, Callable[[], None]]](), itertools.count()
        self.ends: list[tuple[str, str, float]] = []
        self.began: list[str] = []
        self.seconds = seconds
        self.cluster = VirtualCluster(
            lambda: self.now, self.at, self.begin, self.end, nodes, cpus=16, memory_mb=4000, pause_s=0
        )

    def at(self, when: datetime, do: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (when, next(self.count), do))

    def begin(self, spec: JobSpec) -> tuple[float | None, Callable[[], JobState]]:
        self.began.append(spec.name)
        return self.seconds, lambda: JobState("succeeded", 0)

    def end(self, spec: JobSpec, state: JobState) -> None:
        self.ends.append((spec.name, state.reason or state.phase, (self.now - NOW).total_seconds()))

    def run(self) -> None:
        while self.heap:
            self.now, _, do = heapq.heappop(self.heap)
            do()


def test_the_earliest_turn_first() -> None:
    bench = Bench()
    for spec in (
        job("a"),
        job("b"),
        job("late", minutes=90),
        job("soon", minutes=10),
        job("first", minutes=99, priority=20),
    ):
        bench.cluster.launch(spec)
    bench.run()
    assert bench.began == ["a", "b", "first", "soon", "late"]
    assert bench.cluster.used.busy == 5 * 8 * 100


def test_work_of_the_lowest_priority_does_not_wait_for_ever() -> None:
    """A stream of more urgent work keeps the node full; what is due so much earlier goes before it all the same."""
    bench = Bench()
    low = job("low", cpus=16, minutes=0, priority=-100)
    bench.cluster.launch(job("runs", cpus=16))
    bench.cluster.launch(low)
    for n in range(900):
        each = job(f"n{n:03d}", cpus=16, minutes=120 + n * 99 // 60, priority=100)
        bench.at(NOW + timedelta(seconds=99 * n), partial(bench.cluster.launch, each))
    bench.run()
    place = bench.began.index("low")
    assert 530 < place < 540, "what comes 200 times five minutes after it is due, less two hours of its own, is behind"


def test_memory_counts_as_cores_do() -> None:
    bench = Bench()
    for name in "abc":
        bench.cluster.launch(job(name, cpus=1, memory_mb=2500))
    bench.run()
    assert [end for *_, end in bench.ends] == [100, 200, 300]


def test_a_large_one_is_not_overtaken_for_ever() -> None:
    bench = Bench()
    bench.cluster.launch(job("runs", cpus=10))
    bench.cluster.launch(job("large", cpus=16, minutes=10))
    bench.cluster.launch(job("small", cpus=1, minutes=20))
    bench.run()
    assert bench.began == ["runs", "large", "small"]


def test_one_that_never_ends_is_stopped_at_its_limit() -> None:
    bench = Bench(seconds=None)
    bench.cluster.launch(job("hangs", time_limit_s=500))
    bench.run()
    assert bench.ends == [("hangs", "DeadlineExceeded", 500)]


def test_the_same_job_is_launched_once_and_a_lost_node_gives_its_room() -> None:
    bench = Bench()
    bench.cluster.launch(job("a", cpus=16))
    bench.cluster.launch(job("a", cpus=16))
    bench.cluster.launch(job("b", cpus=16))
    bench.at(NOW + timedelta(seconds=10), lambda: bench.cluster.kill("a", JobState("failed", None, "NodeLost")))
    bench.run()
    assert bench.ends == [("a", "NodeLost", 10), ("b", "succeeded", 110)]
    assert bench.cluster.state("a") == JobState("failed", None, "NodeLost")


def tasks(count: int) -> list[Task]:
    """One Job, then ``count`` that wait for it, due ten minutes after it could be over."""
    first = Task(job("first", minutes=60), 300, (), 0, NOW, level="")
    rest = [Task(job(f"t{n}", minutes=16, cpus=16), 300, (0,), 0, None, level="L1C") for n in range(count)]
    return [first, *rest]


def test_the_size_is_the_smallest_that_holds() -> None:
    # Two rounds of five minutes fit before the deadline: ten Jobs need five nodes.
    assert needed(tasks(10), 1.0, 16, 4000) == 5
    assert within(tasks(10), 5, 16, 4000) == 1.0
    assert within(tasks(10), 4, 16, 4000) == 0.8
    assert needed(tasks(10), 0.8, 16, 4000) == 4


def test_no_size_helps_one_job_that_takes_too_long() -> None:
    slow = [replace(each, seconds=7200) for each in tasks(1)]
    assert needed(slow, 0.99, 16, 4000) is None


def test_the_level_that_does_worst_decides() -> None:
    """Thirty that have all day do not hide two of ten that are late."""
    late, day = tasks(10), timedelta(days=1)
    early = [
        replace(each, level="L2A", job=replace(each.job, name=f"{each.job.name}-early", deadline=NOW + day))
        for each in tasks(30)[1:]
    ]
    assert within(late, 4, 16, 4000) == within([*late, *early], 4, 16, 4000) == 0.8


def test_a_job_that_is_over_is_known_for_a_while_and_then_starts_again() -> None:
    """As Kubernetes deletes a Job that has finished: who asks for it afterwards is not held back by its name."""
    bench, asked = Bench(seconds=100), list[str]()
    bench.cluster.ttl_s, bench.cluster.asked = 300, lambda spec: asked.append(spec.name)
    bench.cluster.launch(job("one"))
    bench.at(NOW + timedelta(seconds=399), partial(bench.cluster.launch, job("one")))
    bench.at(NOW + timedelta(seconds=401), partial(bench.cluster.launch, job("one")))
    bench.run()
    assert (asked, bench.began) == (["one", "one"], ["one", "one"])
    assert bench.cluster.state("one") is None
