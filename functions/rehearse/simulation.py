"""Recorded sessions again under another strategy: the Jobs that the ledger tells of, on a cluster of equal nodes.

What is known is what was recorded: when each session was ready, which work followed from which, and how long each Job
ran. Levels, samples, priorities, budgets, resources and splits of the other strategy are applied to that. What it
cannot know is told with every result (``ASSUMED``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate
from statistics import quantiles
from typing import Final

from functions.rehearse.recorded import Recorded, Session, scenes_of, strip_of
from functions.rehearse.sizing import Ran, Task, replay, tasks_of
from shared.bootstrap import Services
from shared.domain.strategy import Split, Strategy
from shared.ports import STAGING_S, JobSpec
from shared.workflow.binding import bound
from shared.workflow.graph import UNITS, Workflow
from shared.workflow.mixing import fitting, misfit
from shared.workflow.parts import parts
from shared.workflow.plan import not_asked
from shared.workflow.products import published_artifacts
from shared.workflow.ruling import Known, ruling_of

ASSUMED: Final = (
    "Jobs take as long as they took, on other cores and by another processor set as well.",
    "A part of a datastrip takes its share of the scenes, and has its share of the tiles: those on seams count once.",
    "Datastrips that were cut in the record stay cut so, and only a rule of the other strategy cuts others.",
    "What was not made in the record cannot be replayed, though the other strategy asks for it.",
    "Held work goes on at once; waits for files and retries are those of the record.",
    "Sessions alone: other load of the cluster is not in it.",
)
_PUBLISH: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Timeliness:
    """Of the products of a level: in how many Jobs they are made, the share in time, minutes from T0."""

    level: str
    made: int
    in_time: float
    median_min: float
    p95_min: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What one strategy comes to. ``left_out``: Jobs that it does not ask for; ``held``: that it would hold."""

    name: str
    jobs: int
    core_hours: float
    peak_cores: float
    levels: tuple[Timeliness, ...]
    left_out: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """As it was recorded, as the record replays under its own strategies, and under the other one."""

    sessions: int
    nodes: int
    node_cpus: float
    node_memory_mb: int
    recorded: Figures
    replayed: Figures
    other: Figures
    assumed: tuple[str, ...] = ASSUMED


@dataclass
class _Load:
    """Tasks of all sessions; of each Job that published, by work item: the level, T0 and the deadline of that."""

    tasks: list[Task] = field(default_factory=list)
    promises: dict[str, tuple[str, datetime, datetime]] = field(default_factory=dict)
    left_out: int = 0
    held: int = 0


def compare(
    services: Services,
    sessions: Sequence[Session],
    other: Strategy,
    *,
    nodes: int | None = None,
    node_cpus: float = 32.0,
    node_memory_mb: int = 131072,
) -> Comparison:
    """The record against ``other``, on so many nodes; None: on as many as the record had in use at its peak."""
    was, will = _Load(), _Load()
    for session in sessions:
        _add(was, services, session, services.strategy_of(session.complete.strategy))
        _add(will, services, session, other)
    recorded = _recorded(sessions, was)
    count = nodes or max(1, math.ceil(recorded.peak_cores / node_cpus))
    machine = (count, node_cpus, node_memory_mb)
    return Comparison(
        len(sessions),
        *machine,
        recorded,
        _figures("replayed", was, *machine),
        _figures(f"{other.name} {other.version}", will, *machine),
    )


def _add(load: _Load, services: Services, session: Session, strategy: Strategy) -> None:
    """The tasks of a session under a strategy."""
    ruling = ruling_of(strategy, session.complete)
    graph = services.workflow_of(session.complete)
    target = services.workflow_under(ruling)
    ran, dropped, scenes, splits = [], set[str](), scenes_of(session), dict[str, Split | None]()
    for item in session.items:
        order, step = item.order, graph.step(item.order.step)
        if order.rerun:  # what an operator had made anew is no part of the pass
            continue
        if step.over == "part":
            whole = Known(order.facts, scenes.get(strip_of(order.unit)))
            splits[strip_of(order.unit)] = ruling.of(step, strip_of(order.unit), whole).decision.split
        known = Known(order.facts, scenes.get(strip_of(order.unit)))
        decided = ruling.of(step, order.unit, known)
        binding = fitting(target, step, decided)
        job = _job(item, binding)
        if not_asked(target, step, order.unit, known, decided) or misfit(target, step, decided):
            dropped.add(job.name)
        needs = bound(binding, order.step, decided.decision).processors.get(order.step)
        job = replace(
            job,
            cpus=needs.cpus if needs else job.cpus,
            memory_mb=needs.memory_mb if needs else job.memory_mb,
            priority=ruling.priority(decided),
            deadline=ruling.deadline(step.level, decided, session.complete.t0),
        )
        for output, _ in published_artifacts(graph, item.outcome):
            level, t0 = str(output.publish), session.complete.t0
            load.promises[job.name] = (level, t0, ruling.deadline(level, decided, t0))
        load.held += decided.decision.hold is not None and job.name not in dropped
        seconds = (item.outcome.finished - item.outcome.started).total_seconds()
        ran.append(Ran(job, item.attempt.created, max(0.0, seconds), item.outcome.finished))
    tasks = _without(tasks_of(ran, graph), dropped)
    load.left_out += len(ran) - len(tasks)
    tasks = _cut(tasks, graph, scenes, splits)
    base = len(load.tasks)
    load.tasks += [replace(task, after=tuple(n + base for n in task.after)) for task in tasks]


def _job(item: Recorded, target: Workflow) -> JobSpec:
    order, attempt = item.order, item.attempt
    processor = target.processors.get(order.step)
    return JobSpec(
        name=f"{order.session}/{order.step}/{order.unit}",
        work="",
        attempt=1,
        session=order.session,
        step=order.step,
        unit=order.unit,
        cpus=attempt.cpus,
        memory_mb=attempt.memory_mb,
        # A Job is not stopped for what it took in the record.
        time_limit_s=7 * 86400 + STAGING_S + (processor.time_limit_s if processor else 0),
        deadline=order.deadline,
        priority=order.priority,
        traceparent="",
    )


def _without(tasks: Sequence[Task], dropped: set[str]) -> list[Task]:
    """The tasks without those dropped, and without what comes after them."""
    kept: dict[int, int] = {}
    gone: set[int] = set()
    for n in _downwards(tasks):
        if tasks[n].job.name in dropped or gone.intersection(tasks[n].after):
            gone.add(n)
    for n in range(len(tasks)):
        if n not in gone:
            kept[n] = len(kept)
    return [replace(tasks[n], after=tuple(kept[above] for above in tasks[n].after)) for n in kept]


def _downwards(tasks: Sequence[Task]) -> list[int]:
    """Their numbers, each after those that it waits for."""
    found: dict[int, None] = {}

    def visit(n: int) -> None:
        if n not in found:
            for above in tasks[n].after:
                visit(above)
            found[n] = None

    for n in range(len(tasks)):
        visit(n)
    return list(found)


def _cut(
    tasks: list[Task], graph: Workflow, scenes: Mapping[str, int], splits: Mapping[str, Split | None]
) -> list[Task]:
    """The tasks with datastrips cut as the strategy says; those that were cut in the record stay as they are."""
    made: list[Task] = []
    copies: dict[int, tuple[int, ...]] = {}
    tiles: Counter[str] = Counter()
    of_strip = Counter(task.job.unit.partition("-T")[0] + task.job.step for task in tasks)
    for n in _downwards(tasks):
        task, strip = tasks[n], tasks[n].job.unit.partition("-T")[0]
        kind = UNITS.index(graph.unit(task.job.step))
        cut = (
            parts(scenes.get(strip, 0), splits.get(strip)) if kind >= UNITS.index("part") and "-P" not in strip else ()
        )
        if not cut:
            shares, chosen = [1.0], [0]
        elif kind == UNITS.index("tile"):
            at = tiles[strip + task.job.step]
            tiles[strip + task.job.step] += 1
            shares, chosen = [1.0], [at * len(cut) // of_strip[strip + task.job.step]]
        else:
            total = cut[-1].last
            shares, chosen = [(part.last - part.first) / total for part in cut], list(range(len(cut)))
        numbers = []
        for share, part in zip(shares, chosen, strict=True):
            after = tuple(_of(copies[above], part, len(cut)) for above in task.after)
            job = replace(task.job, name=f"{task.job.name}#{part}" if len(shares) > 1 else task.job.name)
            numbers.append(len(made))
            made.append(replace(task, job=job, seconds=task.seconds * share, after=after))
        copies[n] = tuple(numbers)
    return made


def _of(numbers: tuple[int, ...], part: int, count: int) -> int:
    return numbers[part] if len(numbers) == count > 1 else numbers[0]


def _figures(name: str, load: _Load, nodes: int, cpus: float, memory_mb: int) -> Figures:
    ends, used = replay(load.tasks, nodes, cpus, memory_mb)
    named = ((task.job.name, task.job.name.partition("#")[0]) for task in load.tasks)
    told = [(ends[job], *load.promises[item]) for job, item in named if item in load.promises]
    peak = max((cores for _, cores in used.steps), default=0.0)
    busy = sum(task.seconds * min(task.job.cpus, cpus) for task in load.tasks) / 3600
    return Figures(name, len(load.tasks), busy, peak, tuple(_levels(told)), load.left_out, load.held)


def _recorded(sessions: Iterable[Session], load: _Load) -> Figures:
    """As it was: Jobs that ended when they ended."""
    told = []
    changes = list[tuple[datetime, float]]()
    busy = 0.0
    items = [item for each in sessions for item in each.items]
    for item in items:
        order, outcome = item.order, item.outcome
        busy += (outcome.finished - outcome.started).total_seconds() * item.attempt.cpus
        changes += [(outcome.started, item.attempt.cpus), (outcome.finished, -item.attempt.cpus)]
        name = f"{order.session}/{order.step}/{order.unit}"
        if name in load.promises:
            told.append((outcome.finished, *load.promises[name]))
    peak = max(accumulate(cores for _, cores in sorted(changes)), default=0.0)
    return Figures("recorded", len(items), busy / 3600, peak, tuple(_levels(told)))


def _levels(told: Iterable[tuple[datetime, str, datetime, datetime]]) -> Iterator[Timeliness]:
    by: dict[str, list[tuple[bool, float]]] = {}
    for end, level, t0, deadline in told:
        shown = end + _PUBLISH
        by.setdefault(level, []).append((shown <= deadline, (shown - t0).total_seconds() / 60))
    for level, found in sorted(by.items()):
        minutes = sorted(taken for _, taken in found)
        cuts = quantiles(minutes, n=20, method="inclusive") if len(minutes) > 1 else minutes * 19
        in_time = sum(timely for timely, _ in found) / len(found)
        yield Timeliness(level, len(found), in_time, cuts[9], cuts[18])
