"""Jobs as a cluster runs them: the Job controller, a node of a few places, and the events of an ApiServerSource.

Status and conditions follow kubernetes/kubernetes, pkg/controller/job (JobPodReplacementPolicy, JobSuccessPolicy and
podFailurePolicy as of 1.34); the events knative/eventing, pkg/adapter/apiserver (``resource.add`` and ``.update``, the
object as data, its path as subject, a new id each).
"""

from __future__ import annotations

import copy
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from shared.domain.events import Event
from tests.support.kube_api import Cluster
from tests.support.kube_judge import policy_action, quantity
from tests.support.pod import Ended, Pod
from tests.support.restricted import violations

Object = dict[str, Any]
_BACKOFF_S: Final = 10.0
_SOURCE: Final = "https://10.96.0.1:443"


def stamp() -> str:
    """Now, as Kubernetes writes instants."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ClusterPod(Pod):
    """A pod whose containers are all isolated, with its ConfigMaps' files; ``kill_ipf``: its end, by whom."""

    kill_ipf: str = ""

    def kill(self) -> None:
        """Whatever runs of it, at once."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def _volume(self, name: str) -> Path:
        return self.folder / "volumes" / name

    def _volumes(self) -> None:
        super()._volumes()
        for volume in self.spec["volumes"]:
            for name, text in self.config.get(volume.get("configMap", {}).get("name", ""), {}).items():
                (self._volume(volume["name"]) / name).write_text(text)

    def over(self, ended: Sequence[Ended]) -> Iterator[str]:
        """What a kubelet evicts or kills for: volumes and containers above their limits, as far as seen at the end."""
        for volume in self.spec["volumes"]:
            limit = volume.get("emptyDir", {}).get("sizeLimit")
            files = self._volume(volume["name"]).rglob("*") if limit else ()
            used = sum(path.lstat().st_blocks * 512 for path in files)
            if limit and used > quantity(limit):
                yield f"volume {volume['name']}: {used} bytes of {limit}"
        for container in (*self.spec.get("initContainers", ()), *self.spec["containers"]):
            limit = container["resources"]["limits"]["memory"]
            for each in ended:
                if each.name == container["name"] and each.peak_mb * 2**20 > quantity(limit):
                    yield f"container {each.name}: {each.peak_mb} MiB of {limit}"

    def _run(self, container: Mapping[str, Any], timeout_s: float) -> Ended:
        if container["name"] == "ipf" and self.kill_ipf:
            threading.Thread(target=self._kill, daemon=True).start()
        return super()._run(container, timeout_s)

    def _kill(self) -> None:
        """As the kernel does for want of memory: the whole container at once, while the IPF is at work."""
        log = self._volume("scratch") / "job" / "log.txt"
        for _ in range(6000):
            if log.exists() and self._process is not None:
                self._process.kill()
                return
            time.sleep(0.01)


@dataclass
class Kubelet:
    """The Job controller and one node.

    Args:
        cluster: the API server, whose Jobs these are.
        pod: makes the processes of a Job's pod in a folder.
        folder: for the pods.
        send: takes the ApiServerSource's events.
        watched: labels that the ApiServerSource asks for.
        places: pods at a time; the others wait for the scheduler.
    """

    cluster: Cluster
    pod: Callable[[Object, Path], ClusterPod]
    folder: Path
    send: Callable[[Event], object]
    watched: Mapping[str, str]
    places: int = 2
    kill_first: dict[str, str] = field(default_factory=dict)
    """Step to the reason for which the ipf container of its first Job is killed."""
    mute: set[str] = field(default_factory=set)
    """Steps of whose failed Jobs no event tells."""
    failed: dict[str, datetime] = field(default_factory=dict)
    """Names of the Jobs that failed, and when."""
    sent: list[Event] = field(default_factory=list)
    ran: list[tuple[str, list[Ended]]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._node = threading.BoundedSemaphore(self.places)
        self._numbers = itertools.count(1)
        self._threads: list[threading.Thread] = []
        self._running: list[ClusterPod] = []
        self._closed = threading.Event()

    @property
    def busy(self) -> bool:
        """Whether any Job is under way."""
        return any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """The cluster goes away: no pod is left."""
        self._closed.set()
        while self.busy:
            with self.cluster.lock:
                for pod in tuple(self._running):
                    pod.kill()
            for thread in self._threads:
                thread.join(0.1)

    def admit(self, job: Object) -> None:
        """A Job was created: see it through, beside the others."""
        thread = threading.Thread(target=self._see_through, args=(job,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _see_through(self, job: Object) -> None:
        try:
            self._control(job)
        except BaseException as error:  # noqa: BLE001 - the test asks for it
            if not self._closed.is_set():
                self.errors.append(error)

    def _control(self, job: Object) -> None:
        """The Job controller: pods until the Job is over."""
        self._tell("add", job)
        self._update(job, startTime=stamp(), uncountedTerminatedPods={})
        failed = 0
        while True:
            pod = self._make_pod(job)
            self._update(job, active=1, ready=0, terminating=0)
            with self._node:
                self._update(job, ready=1)
                self._start(pod, job)
            if pod["status"]["phase"] == "Succeeded":
                self._end(job, "SuccessCriteriaMet", "Complete", "CompletionsReached", succeeded=1)
                return
            failed += 1
            if policy_action(job, pod["status"]) == "FailJob":
                self._end(job, "FailureTarget", "Failed", "PodFailurePolicy", failed=failed)
                return
            if failed > job["spec"]["backoffLimit"]:
                self._end(job, "FailureTarget", "Failed", "BackoffLimitExceeded", failed=failed)
                return
            self._update(job, active=0, ready=0, failed=failed)
            if self._closed.wait(_BACKOFF_S * 2 ** (failed - 1)):
                return

    def _make_pod(self, job: Object) -> Object:
        name = f"{job['metadata']['name']}-{next(self._numbers):05d}"
        template = job["spec"]["template"]
        assert (faults := list(violations(template["spec"]))) == [], faults
        own = {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
        pod = {
            "metadata": {
                "name": name,
                "labels": {**template["metadata"]["labels"], **own},
                "creationTimestamp": stamp(),
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        with self.cluster.lock:
            self.cluster.pods.append(pod)
        return pod

    def _start(self, pod: Object, job: Object) -> None:
        """The kubelet: all containers, one after the other, and what is said of them."""
        folder = self.folder / pod["metadata"]["name"]
        folder.mkdir(parents=True)
        made = self.pod(job, folder)
        first = job["metadata"]["labels"]["s2ps.org/attempt"] == "1"
        reason = self.kill_first.get(_step(job), "") if first else ""
        made.kill_ipf = reason
        with self.cluster.lock:
            pod["status"] |= {"startTime": stamp(), **_statuses(made, "", reason)}

        def before(name: str) -> None:
            with self.cluster.lock:
                pod["status"] |= {
                    "phase": "Pending" if name != "stage-out" else "Running",
                    **_statuses(made, name, reason),
                }

        self._running.append(made)
        ended = made.run(before, timeout_s=500)
        self._running.remove(made)
        if self._closed.is_set():
            raise InterruptedError(pod["metadata"]["name"])
        self.ran.append((job["metadata"]["name"], ended))
        assert (over := list(made.over(ended))) == [], (job["metadata"]["name"], over)
        phase = "Failed" if any(each.code for each in ended) else "Succeeded"
        with self.cluster.lock:
            pod["status"] |= {"phase": phase, **_statuses(made, "", reason)}

    def _end(self, job: Object, first: str, last: str, reason: str, **counts: int) -> None:
        """The two conditions of an end, as the controller writes them: the second when its pods are accounted for."""
        self._update(job, conditions=[_condition(first, reason)], active=0, ready=0)
        with self.cluster.lock:
            job["status"].pop("active")
        ended = {"completionTime": stamp()} if last == "Complete" else {}
        if not ended:
            self.failed[job["metadata"]["name"]] = datetime.now(UTC)
        self._update(job, conditions=[_condition(first, reason), _condition(last, reason)], **counts, **ended)

    def _update(self, job: Object, **status: Any) -> None:
        with self.cluster.lock:
            job.setdefault("status", {}).update(status)
            job["metadata"]["resourceVersion"] = str(int(job["metadata"]["resourceVersion"]) + 1)
        if not (_fails(job) and _step(job) in self.mute):
            self._tell("update", job)

    def _tell(self, what: str, job: Object) -> None:
        metadata = job["metadata"]
        if not self.watched.items() <= metadata["labels"].items():
            return
        with self.cluster.lock:
            data = copy.deepcopy(job)
        event = Event(
            str(uuid.uuid4()),
            _SOURCE,
            f"dev.knative.apiserver.resource.{what}",
            f"/apis/batch/v1/namespaces/{metadata['namespace']}/jobs/{metadata['name']}",
            datetime.now(UTC),
            data,
            {"kind": "Job", "name": metadata["name"], "namespace": metadata["namespace"]},
        )
        self.send(event)
        self.sent.append(event)


def created(job: Object, namespace: str) -> Object:
    """What the API server adds to a Job that it takes."""
    uid = str(uuid.uuid4())
    job["metadata"] |= {"namespace": namespace, "uid": uid, "creationTimestamp": stamp(), "resourceVersion": "1"}
    job["metadata"]["generation"] = 1
    job["spec"] |= {"completionMode": "NonIndexed", "suspend": False, "manualSelector": False}
    job["status"] = {}
    return job


def _step(job: Object) -> str:
    return str(job["metadata"]["labels"]["s2ps.org/step"])


def _fails(job: Object) -> bool:
    return any(each["type"].startswith("Fail") for each in job["status"].get("conditions", ()))


def _condition(kind: str, reason: str) -> Object:
    return {"type": kind, "status": "True", "reason": reason, "lastProbeTime": stamp(), "lastTransitionTime": stamp()}


def _statuses(pod: Pod, running: str, killed: str) -> Object:
    """The containers' statuses: those that ended, the one that runs, and those that wait."""
    ends = {each.name: each for each in pod.ended}

    def status(container: Mapping[str, Any]) -> Object:
        name: str = container["name"]
        state: Object = {"waiting": {"reason": "PodInitializing"}}
        if name in ends:
            end = ends[name]
            why = "Completed" if end.code == 0 else killed if name == "ipf" and killed else "Error"
            said = {"message": end.output[-2000:]} if end.code else {}
            state = {"terminated": {"exitCode": end.code, "reason": why, "finishedAt": stamp(), **said}}
        elif name == running:
            state = {"running": {"startedAt": stamp()}}
        return {"name": name, "image": container["image"], "restartCount": 0, "state": state}

    spec = pod.spec
    return {
        "initContainerStatuses": [status(each) for each in spec.get("initContainers", ())],
        "containerStatuses": [status(each) for each in spec["containers"]],
    }
