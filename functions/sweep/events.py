"""The events that the sweep sends: those that would have been sent, had none been lost."""

from __future__ import annotations

from shared.domain.events import JOB_CHANGED, Event, event_id, object_created
from shared.ledger.keys import WorkKey
from shared.ports import JobState, ObjectInfo


def again(bucket: str, info: ObjectInfo, trace: str) -> Event:
    """The event of an object, once more."""
    return object_created(bucket, info.key, info.etag, size=info.size, when=info.modified, traceparent=trace)


def job_ended(place: WorkKey, number: int, state: JobState, trace: str) -> Event:
    """The event that an ApiServerSource would send of this Job's end."""
    name = place.job_name(number)
    condition = {
        "type": "Failed" if state.phase == "failed" else "Complete",
        "status": "True",
        "reason": state.reason or ("BackoffLimitExceeded" if state.phase == "failed" else "CompletionsReached"),
    }
    annotations = {"s2ps.org/work": place.prefix, "s2ps.org/attempt": str(number)}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "annotations": annotations},
        "status": {"conditions": [condition]},
    }
    return Event(event_id("job", name, state.phase), "jobs", JOB_CHANGED, name, None, job, {"traceparent": trace})
