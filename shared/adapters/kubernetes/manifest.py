"""The Job object of an attempt. Pure: from the JobSpec, its processor and the settings.

Three containers over one scratch volume: stage-in and stage-out are ours and hold the credentials, the IPF between
them is an unmodified image that gets neither settings nor credentials, and shares nothing but the scratch volume.
Why each field has its value: docs/decisions/0009.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from shared.adapters.kubernetes.volumes import ipf_mounts, pod_volumes, stage_mounts, storage
from shared.domain.urgency import turn
from shared.errors import BadInputError, ConfigurationError
from shared.ports import JobSpec
from shared.settings import Settings
from shared.workflow.graph import Processor

STAGE_IN: Final = "stage-in"
IPF: Final = "ipf"
TURN: Final = "s2ps.org/turn"
CLASS: Final = "kueue.x-k8s.io/priority-class"
STAGE_OUT: Final = "stage-out"
# Pods that one Job may have: the first, and replacements after a drained node or a store that was down.
BACKOFF_LIMIT: Final = 3
GRACE_S: Final = 30
# A node that does not answer for this long has lost its Jobs; the cluster's own default is 300 s.
LOST_NODE_S: Final = 120

_DNS_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_LABEL_VALUE: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)


def job_manifest(job: JobSpec, processor: Processor, settings: Settings, now: datetime) -> dict[str, Any]:
    """The object to create. BadInputError where the name is no DNS label, ConfigurationError where no image is set."""
    if not _DNS_LABEL.fullmatch(job.name):
        raise BadInputError("job name", "a DNS label of at most 63 characters", job.name)
    labels = {
        "app.kubernetes.io/part-of": "s2ps",
        "app.kubernetes.io/component": "ipf",
        "s2ps.org/step": label_value(job.step),
        "s2ps.org/attempt": str(job.attempt),
    }
    notes = {
        "s2ps.org/work": job.work,
        "s2ps.org/attempt": str(job.attempt),
        "s2ps.org/traceparent": job.traceparent,
        "s2ps.org/session": job.session,
        "s2ps.org/unit": job.unit,
    }
    due = turn(job.priority, job.deadline)
    priority = priority_class(settings, due, now)
    queue = {"kueue.x-k8s.io/queue-name": settings.job_queue} if settings.job_queue else {}
    if queue and priority:
        queue[CLASS] = priority
    template = {
        # A node is not emptied under a running IPF for want of load.
        "metadata": {
            "labels": labels,
            "annotations": {**notes, "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        },
        "spec": _pod(job, processor, settings, priority),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "labels": {**labels, **queue}, "annotations": {**notes, TURN: due.isoformat()}},
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": BACKOFF_LIMIT,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": failure_policy(),
            # To wait for a place on a busy cluster is no fault of the Job's: that time comes on top.
            "activeDeadlineSeconds": job.time_limit_s + settings.job_wait_s,
            "ttlSecondsAfterFinished": settings.job_ttl_s,
            "template": template,
        },
    }


def failure_policy() -> dict[str, Any]:
    """Which end of a pod brings another pod, and which is the Job's own end. The first rule that fits counts."""
    return {
        "rules": [
            {"action": "Count", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            *(
                {"action": "Count", "onExitCodes": {"containerName": name, "operator": "In", "values": [1]}}
                for name in (STAGE_IN, STAGE_OUT)
            ),
            # Out of memory, over the time, an image without the shell: another pod would end like this one. The next
            # attempt may get more memory.
            {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0]}},
        ]
    }


def label_value(text: str) -> str:
    """``text`` where Kubernetes takes it as a label's value, else a digest of it."""
    if _LABEL_VALUE.fullmatch(text):
        return text
    return "x-" + hashlib.sha256(text.encode(errors="replace")).hexdigest()[:24]


def priority_class(settings: Settings, due: datetime, now: datetime) -> str:
    """The class for what is left until its turn (``shared.domain.urgency``): that of the smallest threshold above it;
    empty where there is none.
    """
    slack_min = (due - now).total_seconds() / 60
    return min(((limit, name) for limit, name in settings.job_priorities if slack_min < limit), default=(0.0, ""))[1]


def literal(text: str) -> str:
    """``text`` as a command's argument or an environment value that Kubernetes hands on as it is: ``$(X)`` would be
    replaced, ``$$`` halved.
    """
    return text.replace("$", "$$")


def image(name: str, settings: Settings) -> str:
    """The image that ``name`` stands for."""
    return settings.images.get(name, name)


def _pod(job: JobSpec, processor: Processor, settings: Settings, priority: str) -> dict[str, Any]:
    if not processor.image:
        raise ConfigurationError(f"processor {processor.name} {processor.version}, image: expected one for a cluster")
    # The IPF may write where HOME and TMPDIR point; what it leaves there must not be read by a stage with credentials.
    trace = {"TRACEPARENT": job.traceparent}
    stage_env = {**trace, "HOME": "/tmp", "TMPDIR": "/tmp", "PYTHONNOUSERSITE": "1"}  # noqa: S108 - its own emptyDir
    scratch = str(settings.job_scratch)
    ipf_env = {**trace, "HOME": scratch, "TMPDIR": scratch, **processor.env}
    pod: dict[str, Any] = {
        **pod_frame(job, settings),
        "initContainers": [
            _stage(STAGE_IN, job, processor, settings, stage_env),
            _ipf(job, processor, settings, ipf_env),
        ],
        "containers": [_stage(STAGE_OUT, job, processor, settings, stage_env)],
        "volumes": pod_volumes(processor, settings),
    }
    return {**pod, "priorityClassName": priority} if priority else pod


def pod_frame(job: JobSpec, settings: Settings) -> dict[str, Any]:
    """What the pods of all Jobs have: no token, no rights, one group, and an end."""
    return {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": job.time_limit_s,
        "terminationGracePeriodSeconds": GRACE_S,
        "serviceAccountName": settings.job_service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": settings.job_user,
            "runAsGroup": settings.job_user,
            "fsGroup": settings.job_user,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{state}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": LOST_NODE_S,
            }
            for state in ("not-ready", "unreachable")
        ],
    }


def _stage(name: str, job: JobSpec, processor: Processor, settings: Settings, env: Mapping[str, str]) -> dict[str, Any]:
    command = ["python", "-m", "functions.ipf.runner", name, "--work", job.work, "--attempt", str(job.attempt)]
    command += ["--scratch", str(settings.job_scratch / "job")]
    if processor.shared is not None:
        command += ["--shared", processor.shared.path]
    return container(name, image(settings.runner_image, settings), command, env, settings) | {
        "envFrom": credentials(settings),
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": security(read_only=True),
        "volumeMounts": stage_mounts(job, processor, settings),
    }


def _ipf(job: JobSpec, processor: Processor, settings: Settings, env: Mapping[str, str]) -> dict[str, Any]:
    # What ipf.sh is to run stands in a file of stage-in's, which alone knows what stands for each placeholder.
    folder = settings.job_scratch / "job"
    command = [*processor.shell, str(folder / ".s2ps" / "ipf.sh"), str(folder), str(processor.time_limit_s)]
    disk = storage(processor, settings)
    memory = f"{job.memory_mb}Mi"
    context = security(read_only=processor.read_only_root)
    if processor.user is not None:
        context["runAsUser"] = processor.user
    return container(IPF, image(processor.image, settings), command, env, settings) | {
        "resources": {
            "requests": {
                "cpu": f"{max(1, round(job.cpus * 1000))}m",
                "memory": memory,
                "ephemeral-storage": disk.request,
            },
            # No limit on processor time: what a node has to spare shortens the way to the product.
            "limits": {"memory": memory, "ephemeral-storage": disk.limit},
        },
        "securityContext": context,
        "volumeMounts": ipf_mounts(job, processor, settings),
    }


def container(
    name: str, image_name: str, command: list[str], env: Mapping[str, str], settings: Settings
) -> dict[str, Any]:
    """What all containers have."""
    return {
        "name": name,
        "image": image_name,
        "imagePullPolicy": settings.image_pull_policy,
        "command": [literal(part) for part in command],
        "env": [{"name": key, "value": literal(value)} for key, value in env.items()],
        # Where a container fails, the end of its log becomes the reason that operators read.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def credentials(settings: Settings) -> list[dict[str, Any]]:
    """Settings and credentials: for containers of ours alone."""
    return [{"configMapRef": {"name": settings.job_config_map}}, {"secretRef": {"name": settings.job_secret}}]


def security(*, read_only: bool) -> dict[str, Any]:
    """What a container may do."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only,
    }
