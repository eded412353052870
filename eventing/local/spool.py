"""What the job host decides, without doing it: which Job is next, what an exit means, what its event says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared.domain.events import JOB_CHANGED, Event, event_id
from shared.domain.urgency import turn
from shared.ports import CLEAN, JobSpec, JobState

NODE_LOST = "NodeLost"
DEADLINE = "DeadlineExceeded"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a host has to give: processor cores and memory."""

    cpus: float
    memory_mb: int

    def takes(self, job: JobSpec, running: Iterable[JobSpec]) -> bool:
        """Whether ``job`` fits beside those that run. One that is larger than the host runs alone."""
        beside = list(running)
        if not beside:
            return True
        cpus = sum(each.cpus for each in beside) + job.cpus
        memory = sum(each.memory_mb for each in beside) + job.memory_mb
        return cpus <= self.cpus + 1e-9 and memory <= self.memory_mb


def in_order(waiting: Iterable[JobSpec]) -> list[JobSpec]:
    """The earliest turn first; the name decides between equals."""
    return sorted(waiting, key=lambda job: (turn(job.priority, job.deadline), job.name))


def to_start(waiting: Iterable[JobSpec], running: Iterable[JobSpec], capacity: Capacity) -> list[JobSpec]:
    """The Jobs to start now. The first that does not fit holds back the rest, or a large one would wait for ever."""
    chosen: list[JobSpec] = []
    beside = list(running)
    for job in in_order(waiting):
        if not capacity.takes(job, beside):
            break
        chosen.append(job)
        beside.append(job)
    return chosen


def words(job: JobSpec) -> list[str]:
    """What the runner is asked to do."""
    if job.step == CLEAN:
        return ["clean", "--session", job.session, "--claim", job.unit]
    return ["run", "--work", job.work, "--attempt", str(job.attempt)]


def ended(return_code: int, *, over_time: bool) -> JobState:
    """The final state of a process by its return code (negative: the signal that ended it, as ``subprocess`` says)."""
    exit_code = 128 - return_code if return_code < 0 else return_code
    if over_time:
        return JobState("failed", exit_code, DEADLINE)
    return JobState("succeeded", 0) if exit_code == 0 else JobState("failed", exit_code, "BackoffLimitExceeded")


def job_event(job: JobSpec, state: JobState) -> Event:
    """The event that an ApiServerSource sends of a Job's end: the Job object, with its final condition."""
    failed = state.phase == "failed"
    notes = {
        "s2ps.org/work": job.work,
        "s2ps.org/attempt": str(job.attempt),
        "s2ps.org/session": job.session,
        "s2ps.org/traceparent": job.traceparent,
    }
    condition = {
        "type": "Failed" if failed else "Complete",
        "status": "True",
        "reason": state.reason or "CompletionsReached",
        "message": "" if state.exit_code is None else f"exit code {state.exit_code}",
    }
    resource: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "labels": {"app.kubernetes.io/part-of": "s2ps"}, "annotations": notes},
        "status": {"failed" if failed else "succeeded": 1, "conditions": [condition]},
    }
    extensions = {"traceparent": job.traceparent} if job.traceparent else {}
    return Event(event_id("job", job.name, state.phase), "jobs", JOB_CHANGED, job.name, None, resource, extensions)
