"""A cluster of equal nodes that runs Jobs in virtual time: the earliest turn first, where there is room.

What Kubernetes with Kueue does, as far as it decides when a Job runs: a Job is admitted in its turn, gets a node that
has cores and memory for it, and starts after a pause for pod and image. The order is that of
``eventing.local.spool.in_order``, which the local launcher obeys as well.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from shared.domain.urgency import turn
from shared.ports import JobSpec, JobState

Key = tuple[datetime, str]


@dataclass(slots=True)
class Node:
    """What is free of a node."""

    cpus: float
    memory_mb: int


@dataclass(slots=True)
class Used:
    """Core-seconds: ``busy`` of Jobs, and for each change of load (instant, cores in use)."""

    busy: float = 0.0
    steps: list[tuple[datetime, float]] = field(default_factory=list)


@dataclass
class VirtualCluster:
    """``shared.ports.JobLauncher`` over ``nodes`` nodes.

    Args:
        clock: where the time comes from.
        at: ``at(when, do)`` does something then.
        begin: called when a Job starts; it says after how many seconds it ends, and what is done then, which gives the
            Job's final state. None for one that never ends by itself.
        end: told of each Job's end.
        pause_s: between admission and start.
        asked: told of each Job that is new.
        ttl_s: so long a Job that is over is known; None: for ever. Who asks for one of its name later starts it again.
    """

    clock: Callable[[], datetime]
    at: Callable[[datetime, Callable[[], None]], None]
    begin: Callable[[JobSpec], tuple[float | None, Callable[[], JobState]]]
    end: Callable[[JobSpec, JobState], None]
    nodes: int
    cpus: float = 32.0
    memory_mb: int = 131072
    pause_s: float = 6.0
    asked: Callable[[JobSpec], None] = lambda _job: None
    ttl_s: float | None = None
    states: dict[str, JobState] = field(default_factory=dict)
    used: Used = field(default_factory=Used)
    waits: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._free = [Node(self.cpus, self.memory_mb) for _ in range(self.nodes)]
        self._waiting: list[tuple[Key, JobSpec, datetime]] = []
        self._running: dict[str, tuple[JobSpec, Node, float, int]] = {}
        self._in_use = 0.0

    @property
    def capacity(self) -> float:
        """Cores of all nodes."""
        return self.nodes * self.cpus

    def launch(self, job: JobSpec) -> None:
        if job.name in self.states:
            return
        self.asked(job)
        self.states[job.name] = JobState("waiting")
        now = self.clock()
        heapq.heappush(self._waiting, ((turn(job.priority, job.deadline), job.name), job, now))
        self._start()

    def state(self, name: str) -> JobState | None:
        return self.states.get(name)

    def hasten(self, name: str) -> None:
        """Nothing to do: a turn does not change."""

    def stop(self, name: str) -> None:
        running = self._running.get(name)
        if running is not None:
            self._over(running[0], JobState("failed", None, "Stopped"))
        self.states.pop(name, None)

    @property
    def running(self) -> list[JobSpec]:
        return [job for job, *_ in self._running.values()]

    def kill(self, name: str, state: JobState) -> None:
        """A Job ends as its platform will have it: its node is lost, it is evicted."""
        running = self._running.get(name)
        if running is not None:
            self._over(running[0], state)
            self._start()

    def _start(self) -> None:
        """Start what fits. One that does not fit holds back the rest: a large one would wait for ever."""
        while self._waiting:
            _, job, since = self._waiting[0]
            cpus, memory = min(job.cpus, self.cpus), min(job.memory_mb, self.memory_mb)
            node = next((each for each in self._free if each.cpus >= cpus and each.memory_mb >= memory), None)
            if node is None:
                return
            heapq.heappop(self._waiting)
            if job.name not in self.states:  # stopped while it waited
                continue
            node.cpus -= cpus
            node.memory_mb -= memory
            self._running[job.name] = (job, node, cpus, memory)
            self.states[job.name] = JobState("running")
            self._load(cpus)
            self.waits.append((job.step, (self.clock() - since).total_seconds()))
            self._run(job)

    def _run(self, job: JobSpec) -> None:
        seconds, finish = self.begin(job)
        limit = job.time_limit_s + self.pause_s
        taken = limit if seconds is None else min(self.pause_s + seconds, limit)
        began = self.clock()

        def done() -> None:
            if job.name not in self._running or self.states.get(job.name) != JobState("running"):
                return
            self.used.busy += taken * min(job.cpus, self.cpus)
            over = seconds is None or self.pause_s + seconds > limit
            self._over(job, JobState("failed", None, "DeadlineExceeded") if over else finish())
            self._start()

        self.at(began + timedelta(seconds=taken), done)

    def _over(self, job: JobSpec, state: JobState) -> None:
        _, node, cpus, memory = self._running.pop(job.name)
        node.cpus += cpus
        node.memory_mb += memory
        self._load(-cpus)
        self.states[job.name] = state
        if self.ttl_s is not None:
            self.at(self.clock() + timedelta(seconds=self.ttl_s), partial(self._forget, job.name, state))
        self.end(job, state)

    def _forget(self, name: str, state: JobState) -> None:
        if self.states.get(name) is state:
            del self.states[name]

    def _load(self, cpus: float) -> None:
        self._in_use += cpus
        self.used.steps.append((self.clock(), self._in_use))
