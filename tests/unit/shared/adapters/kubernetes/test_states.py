"""How a Job stands, from objects as clusters give them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.adapters.kubernetes import states
from shared.adapters.kubernetes.states import lacks_pods
from shared.ports import JobState

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
WAIT = timedelta(hours=6)
PULL = "Back-off pulling image"


def job_state(job: Any, pods: list[Any], failures: list[Any], now: datetime) -> JobState:
    return states.job_state(job, pods, failures, now, WAIT)


def ago(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(*conditions: tuple[str, str, str], minutes: float = 20, **spec: Any) -> dict[str, Any]:
    listed = [{"type": t, "status": "True", "reason": reason, "message": m} for t, reason, m in conditions]
    status = {"startTime": ago(minutes), "conditions": listed}
    return {"metadata": {"name": "j", "creationTimestamp": ago(minutes)}, "spec": spec, "status": status}


FAILED = job(
    ("FailureTarget", "PodFailurePolicy", ""), ("Failed", "PodFailurePolicy", "Container ipf ... exit code 137")
)


def pod(
    phase: str = "Pending", *, minutes: float = 20, status: dict[str, Any] | None = None, **states: Any
) -> dict[str, Any]:
    """``states``: of stage_in, ipf, stage_out."""
    default = {"waiting": {"reason": "PodInitializing"}}
    inits = [{"name": n, "state": states.get(n.replace("-", "_"), default)} for n in ("stage-in", "ipf")]
    main = [{"name": "stage-out", "state": states.get("stage_out", default)}]
    return {
        "metadata": {"name": "j-abcde", "creationTimestamp": ago(minutes)},
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": phase,
            "startTime": ago(minutes),
            "initContainerStatuses": inits,
            "containerStatuses": main,
            **(status or {}),
        },
    }


def ended(code: int, reason: str = "Error", message: str = "", minutes: float = 0) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, "finishedAt": ago(minutes)}}


DONE = ended(0, "Completed", minutes=10)


def disrupted(by: str, message: str, **status: str) -> dict[str, Any]:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": by, "message": message}
    return {**status, "conditions": [condition]}


NO_SECRET = {"waiting": {"reason": "CreateContainerConfigError", "message": "secret x not found"}}


@pytest.mark.parametrize(
    ("condition", "pods", "expected"),
    [
        ([("SuccessCriteriaMet", "CompletionsReached", ""), ("Complete", "CompletionsReached", "")], [], "succeeded"),
        ([], [], "waiting"),
        ([("Suspended", "JobSuspended", "")], [], "waiting"),
        ([], [pod()], "waiting"),
        ([], [pod(stage_in={"running": {}})], "running"),
        ([], [pod(stage_in=DONE, ipf={"running": {}})], "running"),
        ([], [pod("Running", stage_in=DONE, ipf=DONE, stage_out={"running": {}})], "running"),
        # its pod is still ending: it is over when the Job says so
        ([("FailureTarget", "PodFailurePolicy", "")], [pod("Failed", stage_in=DONE, ipf=ended(137))], "running"),
    ],
)
def test_phases(condition: list[tuple[str, str, str]], pods: list[dict[str, Any]], expected: str) -> None:
    assert job_state(job(*condition), pods, [], NOW).phase == expected


@pytest.mark.parametrize(
    ("failed", "reason", "exit_code"),
    [
        (pod("Failed", stage_in=DONE, ipf=ended(137, "OOMKilled")), "OOMKilled", 137),
        # memory of a stage is not the IPF's: more for the IPF would not help
        (pod("Failed", stage_in=ended(137, "OOMKilled")), "stage-in: OOMKilled, exit code 137", 137),
        (pod("Failed", stage_in=DONE, ipf=ended(137)), "ipf: exit code 137", 137),
        (
            pod("Failed", stage_in=DONE, ipf=ended(128, "StartError", "exec: /bin/sh: no such file")),
            "ipf: StartError, exit code 128: exec: /bin/sh: no such file",
            128,
        ),
        (
            pod("Failed", stage_in=DONE, ipf=DONE, stage_out=ended(1, message="first\nstore: no answer\n")),
            "stage-out: exit code 1: store: no answer",
            1,
        ),
        (
            pod("Failed", stage_in=DONE, ipf=ended(143), status={"reason": "DeadlineExceeded", "message": "..."}),
            "DeadlineExceeded",
            143,
        ),
        (
            pod("Failed", stage_in=DONE, ipf=ended(137), status={"reason": "Evicted", "message": "more than 20Gi"}),
            "Evicted: more than 20Gi",
            137,
        ),
        (
            pod(
                "Failed", ipf=ended(137), status=disrupted("TerminationByKubelet", "node low on disk", reason="Evicted")
            ),
            "Evicted: node low on disk",
            137,
        ),
        (
            pod("Failed", status=disrupted("DeletionByTaintManager", "tainted")),
            "NodeLost: tainted",
            None,
        ),
        (
            pod("Failed", ipf=ended(143), status=disrupted("PreemptionByScheduler", "for another")),
            "PreemptionByScheduler: for another",
            143,
        ),
        (pod("Failed", status={"reason": "OutOfmemory", "message": "no room"}), "OutOfmemory: no room", None),
    ],
)
def test_a_failed_jobs_pod_says_why(failed: dict[str, Any], reason: str, exit_code: int | None) -> None:
    assert job_state(FAILED, [failed], [], NOW) == JobState("failed", exit_code, reason)


def test_the_newest_pod_that_tells_is_believed() -> None:
    older = pod("Failed", minutes=20, stage_in=ended(1))
    newer = pod("Failed", minutes=5, stage_in=DONE, ipf=ended(137, "OOMKilled"))
    silent = pod("Failed", minutes=1)
    for order in ([older, newer, silent], [silent, newer, older]):
        assert job_state(FAILED, order, [], NOW).reason == "OOMKilled"


def test_where_the_pods_are_gone_the_job_itself_says_why() -> None:
    assert job_state(FAILED, [], [], NOW).reason == "PodFailurePolicy: Container ipf ... exit code 137"


def test_the_jobs_own_deadline_is_a_deadline_whatever_its_pods_say() -> None:
    late = job(("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
    assert job_state(late, [pod("Failed", ipf=ended(137))], [], NOW).reason == "DeadlineExceeded"


WRONG_IMAGE = {"waiting": {"reason": "ImagePullBackOff", "message": PULL}}


@pytest.mark.parametrize(
    ("stuck", "reason"),
    [
        (pod(minutes=5, stage_in=WRONG_IMAGE), f"ImagePullBackOff: container stage-in: {PULL}"),
        (pod(minutes=30, stage_in=ended(0, minutes=5), ipf=WRONG_IMAGE), f"ImagePullBackOff: container ipf: {PULL}"),
        (
            pod(minutes=6, stage_in=NO_SECRET),
            "CreateContainerConfigError: container stage-in: secret x not found",
        ),
        (pod(minutes=6, stage_in={"waiting": {"reason": "InvalidImageName"}}), "InvalidImageName: container stage-in"),
    ],
)
def test_a_pod_that_cannot_start_is_a_failure_to_be_stopped(stuck: dict[str, Any], reason: str) -> None:
    assert job_state(job(), [stuck], [], NOW) == JobState("failed", None, reason, stuck=True)


@pytest.mark.parametrize(
    "patient",
    [
        pod(minutes=4.9, stage_in=WRONG_IMAGE),
        # the image of the second container is only just being asked for
        pod(minutes=30, stage_in=ended(0, minutes=1), ipf=WRONG_IMAGE),
        pod(minutes=30, stage_in={"waiting": {"reason": "ContainerCreating"}}),
        pod("Failed", minutes=30, stage_in=WRONG_IMAGE),
    ],
)
def test_what_may_still_start_is_waited_for(patient: dict[str, Any]) -> None:
    assert not job_state(job(), [patient], [], NOW).stuck


def test_a_pod_that_a_dead_node_never_ends_is_lost() -> None:
    lost = pod("Running", stage_in=DONE, ipf={"running": {}})
    lost["metadata"]["deletionTimestamp"] = ago(1)
    for owner in (job(), job(("FailureTarget", "DeadlineExceeded", ""))):
        assert job_state(owner, [lost], [], NOW) == JobState(
            "failed", None, "NodeLost: node node-1 does not end pod j-abcde", stuck=True
        )
    lost["metadata"]["deletionTimestamp"] = ago(0.5)
    assert job_state(job(), [lost], [], NOW).phase == "running"


def unschedulable(message: str, minutes: float) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    status = {"conditions": [{**condition, "lastTransitionTime": ago(minutes)}], "startTime": None}
    return pod(status=status)


def test_a_busy_cluster_is_waited_for_and_a_claim_that_is_not_there_is_not() -> None:
    busy = unschedulable("0/3 nodes are available: 3 Insufficient memory.", 60)
    assert job_state(job(), [busy], [], NOW) == JobState("waiting")
    missing = unschedulable('0/3 nodes are available: persistentvolumeclaim "dem" not found.', 6)
    state = job_state(job(), [missing], [], NOW)
    assert (state.stuck, state.reason.partition(":")[0]) == (True, "Unschedulable")
    assert '"dem" not found' in state.reason


def test_a_queue_may_keep_a_job_for_so_long_and_no_longer() -> None:
    assert job_state(job(minutes=359, suspend=True), [], [], NOW) == JobState("waiting")
    expected = JobState("failed", None, "Suspended: not admitted for 21600 s", stuck=True)
    assert job_state(job(minutes=360, suspend=True), [], [], NOW) == expected
    again = job(("Suspended", "JobSuspended", ""), minutes=900, suspend=True)
    again["status"]["conditions"][0]["lastTransitionTime"] = ago(10)
    assert job_state(again, [], [], NOW) == JobState("waiting")


def failure(message: str, minutes: float) -> dict[str, Any]:
    return {"reason": "FailedCreate", "message": message, "lastTimestamp": ago(minutes)}


def test_a_job_that_can_make_no_pod_says_why() -> None:
    told = [failure("older", 4), failure('pods "j-" is forbidden: no PriorityClass with name urgent was found', 1)]
    state = job_state(job(minutes=6), [], told, NOW)
    assert state.stuck
    assert state.reason == 'FailedCreate: pods "j-" is forbidden: no PriorityClass with name urgent was found'


def test_a_quota_that_is_used_up_is_waited_for() -> None:
    assert job_state(job(minutes=60), [], [failure("exceeded quota: compute", 1)], NOW) == JobState("waiting")


@pytest.mark.parametrize(
    ("given", "pods", "lacks"),
    [
        (job(minutes=6), [], True),
        (job(minutes=4), [], False),
        (job(minutes=6), [pod()], False),
        (job(minutes=60, suspend=True), [], False),
        (job(("Failed", "x", ""), minutes=60), [], False),
    ],
)
def test_when_events_are_asked_for(given: dict[str, Any], pods: list[dict[str, Any]], lacks: bool) -> None:
    assert lacks_pods(given, pods, NOW) is lacks


def test_objects_without_status_are_waiting() -> None:
    assert job_state({}, [{}], [], NOW) == JobState("waiting")
