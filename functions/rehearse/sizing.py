"""How many nodes a load needs: the Jobs of a rehearsal again, in a cluster of any size, without the service around.

What is kept of the rehearsal: when each session was complete, how long each Job took, which had to end before it, and
how long the service took in between. A rehearsal in a cluster of the size that was found then shows whether it holds.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypedDict

from functions.rehearse.cluster import Used, VirtualCluster
from shared.domain.deadlines import BUDGETS
from shared.ports import JobSpec, JobState
from shared.workflow.graph import Workflow
from shared.workflow.parts import unit_above

MOST_NODES: Final = 4096
_PUBLISH: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Ran:
    """A Job as a rehearsal saw it: when it was launched, and how long it took."""

    job: JobSpec
    launched: datetime
    seconds: float
    ended: datetime


@dataclass(frozen=True, slots=True)
class Task:
    """A Job to run again: ``lag_s`` after the last of ``after`` (indices), or at ``at``.

    ``level``: of its products, the most urgent where they are of several; empty where it publishes none. ``due``: when
    they must be there, where that is not the Job's own deadline.
    """

    job: JobSpec
    seconds: float
    after: tuple[int, ...]
    lag_s: float
    at: datetime | None
    level: str
    due: datetime | None = None


class _Promised(TypedDict):
    level: str
    due: datetime | None


def tasks_of(ran: Sequence[Ran], workflow: Workflow) -> list[Task]:
    """The Jobs with what each waits for; of several attempts the last."""
    last = {(each.job.session, each.job.step, each.job.unit): each for each in ran}
    index = {key: number for number, key in enumerate(last)}
    found = []
    for (session, step, unit), each in last.items():
        above = []
        for before in workflow.step(step).after:
            key = (session, before, unit_above(unit, workflow.unit(before), session))
            if before != "session" and key in index:
                above.append(key)
        ready = max((last[key].ended for key in above), default=None)
        lag = max(0.0, (each.launched - ready).total_seconds()) if ready is not None else 0.0
        found.append(
            Task(
                job=each.job,
                seconds=each.seconds,
                after=tuple(index[key] for key in above),
                lag_s=lag,
                at=each.launched if ready is None else None,
                **_promised(each.job, workflow),
            )
        )
    return found


def _promised(job: JobSpec, workflow: Workflow) -> _Promised:
    """The most urgent level of what a Job publishes, and when that must be there: a Job runs under its step's level."""
    levels = sorted({str(output.publish) for output in workflow.publishes(job.step)}, key=BUDGETS.__getitem__)
    if not levels:
        return {"level": "", "due": None}
    ahead = BUDGETS[workflow.step(job.step).level] - BUDGETS[levels[0]]
    return {"level": levels[0], "due": job.deadline - max(ahead, timedelta(0))}


@dataclass
class _Again:
    """One run of all tasks."""

    tasks: Sequence[Task]
    nodes: int
    cpus: float
    memory_mb: int
    now: datetime
    heap: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    ends: dict[str, datetime] = field(default_factory=dict)
    used: Used = field(default_factory=Used)

    def run(self) -> Mapping[str, datetime]:
        """When each Job ended."""
        count = itertools.count()
        waits = [len(task.after) for task in self.tasks]
        follow: defaultdict[int, list[int]] = defaultdict(list)
        number = {task.job.name: n for n, task in enumerate(self.tasks)}

        def at(when: datetime, do: Callable[[], None]) -> None:
            heapq.heappush(self.heap, (max(when, self.now), next(count), do))

        def ended(job: JobSpec, _state: JobState) -> None:
            self.ends[job.name] = self.now
            for child in follow[number[job.name]]:
                waits[child] -= 1
                if not waits[child]:
                    at(
                        self.now + timedelta(seconds=self.tasks[child].lag_s),
                        partial(cluster.launch, self.tasks[child].job),
                    )

        def begin(job: JobSpec) -> tuple[float, Callable[[], JobState]]:
            return self.tasks[number[job.name]].seconds, lambda: JobState("succeeded", 0)

        cluster = VirtualCluster(lambda: self.now, at, begin, ended, self.nodes, self.cpus, self.memory_mb)
        for n, task in enumerate(self.tasks):
            for above in task.after:
                follow[above].append(n)
            if task.at is not None:
                at(task.at, partial(cluster.launch, task.job))
        while self.heap:
            self.now, _, do = heapq.heappop(self.heap)
            do()
        self.used = cluster.used
        return self.ends


def replay(tasks: Sequence[Task], nodes: int, cpus: float, memory_mb: int) -> tuple[Mapping[str, datetime], Used]:
    """When each Job ends on so many nodes, by its name, and what they use of them."""
    starts = [task.at for task in tasks if task.at is not None]
    if not starts:
        return {}, Used()
    again = _Again(tasks, nodes, cpus, memory_mb, min(starts))
    return again.run(), again.used


def within(tasks: Sequence[Task], nodes: int, cpus: float, memory_mb: int) -> float:
    """The share of Jobs with products that end, and are published, by their deadlines, on so many nodes.

    It is that of the level that does worst: many that are early do not make up for few that are late.
    """
    starts = [task.at for task in tasks if task.at is not None]
    ends = _Again(tasks, nodes, cpus, memory_mb, min(starts)).run() if starts else {}
    due: defaultdict[str, list[bool]] = defaultdict(list)
    for task in tasks:
        if task.level:
            due[task.level].append(ends[task.job.name] + _PUBLISH <= (task.due or task.job.deadline))
    return min((sum(found) / len(found) for found in due.values()), default=1.0)


def needed(tasks: Sequence[Task], share: float, cpus: float, memory_mb: int) -> int | None:
    """The fewest nodes with which ``share`` of the products are in time; None where no number is enough."""
    low, high = 0, _kept_busy(tasks, cpus)
    while within(tasks, high, cpus, memory_mb) < share:
        low, high = high, high * 2
        if high > MOST_NODES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if within(tasks, middle, cpus, memory_mb) < share:
            low = middle
        else:
            high = middle
    return high


def _kept_busy(tasks: Sequence[Task], cpus: float) -> int:
    """The nodes that all Jobs would keep busy from the first to the last deadline: where the search begins.

    With far fewer, what waits only grows, and a run of that takes longest.
    """
    starts = [task.at for task in tasks if task.at is not None]
    if not starts:
        return 1
    span = (max(task.job.deadline for task in tasks) - min(starts)).total_seconds()
    work = sum(min(task.job.cpus, cpus) * task.seconds for task in tasks)
    return max(1, math.floor(work / (max(span, 1.0) * cpus)))
