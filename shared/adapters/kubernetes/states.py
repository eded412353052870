"""How a Job stands, from the Job object and its pods. Pure.

The Job's own conditions are its end; its pods say why, and where a Job that is not over cannot get on. Reasons begin
with one word that does not change (``OOMKilled``, ``Evicted``), a colon, and what the cluster says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.adapters.kubernetes.manifest import IPF
from shared.ports import JobState

Object = Mapping[str, Any]

# How long a pod may fail to start, or a Job to make one, before the attempt counts as failed.
START_LIMIT: Final = timedelta(minutes=5)
# How long after the end of its grace period a pod may still be there: its node does not answer.
GONE_LIMIT: Final = timedelta(minutes=1)
# Reasons of waiting that the kubelet gives where something is wrong; ContainerCreating and PodInitializing are none.
_CANNOT_START: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "PreCreateHookError",
        "PreStartHookError",
        "RegistryUnavailable",
        "RunContainerError",
        "SignatureValidationFailed",
    }
)
_NODE_LOST: Final = "NodeLost"
# Conditions' reasons of a pod that was taken off a node because the node was lost to the cluster.
_LOST: Final = frozenset({"DeletionByTaintManager", "DeletionByPodGC", _NODE_LOST})
_SHOWN: Final = 200


def job_state(
    job: Object, pods: Sequence[Object], failures: Sequence[Object], now: datetime, wait: timedelta
) -> JobState:
    """How the Job stands.

    ``failures``: events that say why it could make no pod; looked at where it has none. ``wait``: how long a queue may
    keep it suspended; the cluster's own deadline does not run then.
    """
    conditions = {str(c.get("type")): c for c in _status(job).get("conditions") or () if c.get("status") == "True"}
    if "Complete" in conditions:
        return JobState("succeeded", 0)
    if "Failed" in conditions:
        return _failed(conditions["Failed"], pods)
    stuck = _stuck(pods, now) or _no_pod(job, pods, failures, now) or _suspended(job, conditions, now, wait)
    if stuck:
        return JobState("failed", None, stuck, stuck=True)
    begun = any("running" in state or "terminated" in state for pod in pods for _, state in _containers(pod))
    return JobState("running" if begun else "waiting")


def needs_pods(job: Object) -> bool:
    """Whether the pods can say more of this Job than the Job itself."""
    return not any(
        c.get("type") == "Complete" and c.get("status") == "True" for c in _status(job).get("conditions") or ()
    )


def lacks_pods(job: Object, pods: Sequence[Object], now: datetime) -> bool:
    """Whether a Job should long have made a pod, and has made none."""
    if pods or (job.get("spec") or {}).get("suspend"):
        return False
    conditions = {c.get("type") for c in _status(job).get("conditions") or () if c.get("status") == "True"}
    if conditions & {"Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"}:
        return False
    since = _time(_status(job).get("startTime")) or _time(_metadata(job).get("creationTimestamp"))
    return since is not None and since + START_LIMIT <= now


def _failed(condition: Object, pods: Sequence[Object]) -> JobState:
    """Why, best first: the newest pod that tells, else the Job's own word."""
    reason = str(condition.get("reason") or "Failed")
    if reason == "DeadlineExceeded":
        return JobState("failed", None, reason)
    for pod in sorted(pods, key=lambda p: str(_metadata(p).get("creationTimestamp", "")), reverse=True):
        why, exit_code = _pod_end(pod)
        if why:
            return JobState("failed", exit_code, why)
    return JobState("failed", None, _sentence(reason, condition.get("message")))


def _pod_end(pod: Object) -> tuple[str, int | None]:
    """(reason, exit code) of a pod that failed; an empty reason where it tells of none."""
    status = _status(pod)
    ends = [
        (name, state["terminated"])
        for name, state in _containers(pod)
        if state.get("terminated") and state["terminated"].get("exitCode") != 0
    ]
    name, end = ends[0] if ends else ("", {})
    exit_code = end.get("exitCode")
    if name == IPF and end.get("reason") == "OOMKilled":
        return "OOMKilled", exit_code
    if status.get("reason") == "DeadlineExceeded":
        return "DeadlineExceeded", exit_code
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            reason = str(condition.get("reason") or "")
            lost = _NODE_LOST if reason in _LOST else str(status.get("reason") or reason)
            return _sentence(lost, condition.get("message")), exit_code
    if status.get("reason"):
        return _sentence(str(status["reason"]), status.get("message")), exit_code
    if not ends:
        return "", None
    what = "" if end.get("reason") in {None, "", "Error"} else f"{end['reason']}, "
    return _sentence(f"{name}: {what}exit code {exit_code}", end.get("message")), exit_code


def _stuck(pods: Sequence[Object], now: datetime) -> str:
    """Why the Job cannot get on, empty where it can."""
    for pod in pods:
        if _status(pod).get("phase") in {"Succeeded", "Failed"}:
            continue
        gone = _time(_metadata(pod).get("deletionTimestamp"))
        if gone is not None:
            if gone + GONE_LIMIT <= now:
                node = (pod.get("spec") or {}).get("nodeName", "")
                return _sentence(_NODE_LOST, f"node {node} does not end pod {_metadata(pod).get('name', '')}")
            continue
        why = _not_starting(pod, now) or _unschedulable(pod, now)
        if why:
            return why
    return ""


def _not_starting(pod: Object, now: datetime) -> str:
    since = _time(_status(pod).get("startTime"))
    for name, state in _containers(pod):
        ended = _time((state.get("terminated") or {}).get("finishedAt"))
        since = max((t for t in (since, ended) if t is not None), default=None)
        waiting = state.get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason in _CANNOT_START and since is not None and since + START_LIMIT <= now:
            message = f": {waiting['message']}" if waiting.get("message") else ""
            return _sentence(reason, f"container {name}{message}")
    return ""


def _unschedulable(pod: Object, now: datetime) -> str:
    """A volume that is not there. Other reasons to wait for a node (a busy cluster) are none to give up."""
    for condition in _status(pod).get("conditions") or ():
        if condition.get("type") != "PodScheduled" or condition.get("status") != "False":
            continue
        message, since = str(condition.get("message") or ""), _time(condition.get("lastTransitionTime"))
        # "persistentvolumeclaim "dem" not found" is the scheduler's own sentence.
        missing = "persistentvolumeclaim" in message and "not found" in message
        if missing and since is not None and since + START_LIMIT <= now:
            return _sentence("Unschedulable", message)
    return ""


def _no_pod(job: Object, pods: Sequence[Object], failures: Sequence[Object], now: datetime) -> str:
    """Why no pod can be made at all. A quota that is used up is a reason to wait, like a busy cluster."""
    if not failures or not lacks_pods(job, pods, now):
        return ""
    newest = max(failures, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    message = str(newest.get("message") or "")
    return "" if "exceeded quota" in message else _sentence("FailedCreate", message)


def _suspended(job: Object, conditions: Mapping[str, Object], now: datetime, wait: timedelta) -> str:
    """A queue that never admits the Job: it asks for more than the queue has, or there is no such queue."""
    if not (job.get("spec") or {}).get("suspend"):
        return ""
    suspended = conditions.get("Suspended") or {}
    since = _time(suspended.get("lastTransitionTime")) or _time(_metadata(job).get("creationTimestamp"))
    late = since is not None and since + wait <= now
    return _sentence("Suspended", f"not admitted for {wait.total_seconds():.0f} s") if late else ""


def _containers(pod: Object) -> Iterator[tuple[str, Object]]:
    """(name, state) of each container, in the order in which they run."""
    status = _status(pod)
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        yield str(each.get("name", "")), each.get("state") or {}


def _sentence(reason: str, message: object) -> str:
    """Reason and the last line of what the cluster says of it."""
    lines = str(message or "").strip().splitlines()
    return f"{reason}: {lines[-1].strip()[-_SHOWN:]}" if lines else reason


def _status(of: Object) -> Object:
    return of.get("status") or {}


def _metadata(of: Object) -> Object:
    return of.get("metadata") or {}


def _time(text: object) -> datetime | None:
    """An instant as Kubernetes writes it, None where there is none."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None
    except ValueError:
        return None
