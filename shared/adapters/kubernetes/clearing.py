"""The Job object that clears what a session left on a shared volume. Pure."""

from __future__ import annotations

from typing import Any, Final

from shared.adapters.kubernetes.manifest import (
    BACKOFF_LIMIT,
    container,
    credentials,
    image,
    label_value,
    pod_frame,
    security,
)
from shared.ports import JobSpec
from shared.settings import Settings

_MOUNT: Final = "/shared"
_TMP: Final = "/tmp"  # noqa: S108 - a mount point of an emptyDir


def clearing_manifest(job: JobSpec, settings: Settings) -> dict[str, Any]:
    """The object to create: one container of ours, which sees the whole claim.

    It bears no work, so that whoever settles attempts lets it be. It runs as the user of the stages and with the group
    of all Jobs, to which what an IPF wrote belongs.
    """
    labels = {
        "app.kubernetes.io/part-of": "s2ps",
        "app.kubernetes.io/component": "ipf",
        "s2ps.org/step": label_value(job.step),
    }
    notes = {"s2ps.org/session": job.session, "s2ps.org/traceparent": job.traceparent}
    queue = {"kueue.x-k8s.io/queue-name": settings.job_queue} if settings.job_queue else {}
    command = ["python", "-m", "functions.ipf.runner", "clean", "--session", job.session]
    command += ["--claim", job.unit, "--shared", _MOUNT]
    env = {"TRACEPARENT": job.traceparent, "HOME": _TMP, "TMPDIR": _TMP}
    pod = pod_frame(job, settings) | {
        "containers": [
            container("clean", image(settings.runner_image, settings), command, env, settings)
            | {
                "envFrom": credentials(settings),
                "resources": {
                    "requests": {"cpu": f"{round(job.cpus * 1000)}m", "memory": f"{job.memory_mb}Mi"},
                    "limits": {"memory": f"{job.memory_mb}Mi"},
                },
                "securityContext": security(read_only=True),
                "volumeMounts": [{"name": "shared", "mountPath": _MOUNT}, {"name": "tmp", "mountPath": _TMP}],
            }
        ],
        "volumes": [
            {"name": "shared", "persistentVolumeClaim": {"claimName": job.unit}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "labels": labels | queue, "annotations": notes},
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": BACKOFF_LIMIT,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": job.time_limit_s + settings.job_wait_s,
            "ttlSecondsAfterFinished": settings.job_ttl_s,
            "template": {"metadata": {"labels": labels, "annotations": notes}, "spec": pod},
        },
    }
