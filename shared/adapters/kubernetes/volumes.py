"""The volumes of a Job's pod, and which container sees which. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from shared.errors import ConfigurationError
from shared.ports import JobSpec
from shared.settings import Settings
from shared.workflow.graph import Processor

SCRATCH: Final = "scratch"
PROCESSORS_DIR: Final = "/etc/s2ps/processors"
_PROCESSORS: Final = "processors"
_STAGE_TMP: Final = "tmp"
_IPF_TMP: Final = "ipf-tmp"
_TMP: Final = "/tmp"  # noqa: S108 - a mount point of emptyDirs
_STAGE_TMP_SIZE: Final = "256Mi"
_IPF_TMP_GB: Final = 2
# What an IPF may log, and write into its own image's file system.
_OWN_GB: Final = 1


@dataclass(frozen=True, slots=True)
class Storage:
    """Disk of the node: what the scheduler reckons with, and beyond which the pod is evicted."""

    request: str
    limit: str


def storage(processor: Processor, settings: Settings) -> Storage:
    """Disk of the node that the IPF may take. A pod's limit counts all its emptyDirs, logs and written layers."""
    besides = _IPF_TMP_GB + _OWN_GB
    if settings.job_scratch_class:
        return Storage(f"{_OWN_GB}Gi", f"{besides}Gi")
    return Storage(f"{processor.scratch_gb}Gi", f"{processor.scratch_gb + besides}Gi")


def pod_volumes(processor: Processor, settings: Settings) -> list[dict[str, Any]]:
    """All volumes. ``/tmp`` of the stages and of the IPF are two: the stages hold credentials, the IPF is foreign."""
    writable = {volume.claim for volume in processor.volumes if not volume.read_only}
    if processor.shared is not None:
        writable.add(processor.shared.claim)
    volumes = [
        {"name": SCRATCH, **_scratch(processor, settings)},
        {"name": _STAGE_TMP, "emptyDir": {"sizeLimit": _STAGE_TMP_SIZE}},
        {"name": _IPF_TMP, "emptyDir": {"sizeLimit": f"{_IPF_TMP_GB}Gi"}},
        *(
            # Read-only as a claim too: no node walks through a whole DEM to give it to our group.
            {"name": name, "persistentVolumeClaim": {"claimName": claim, "readOnly": claim not in writable}}
            for claim, name in _claims(processor).items()
        ),
    ]
    if settings.job_processors_map:
        volumes.append({"name": _PROCESSORS, "configMap": {"name": settings.job_processors_map, "optional": True}})
    return volumes


def stage_mounts(job: JobSpec, processor: Processor, settings: Settings) -> list[dict[str, Any]]:
    """What stage-in and stage-out see."""
    mounts: list[dict[str, Any]] = [
        {"name": SCRATCH, "mountPath": str(settings.job_scratch)},
        {"name": _STAGE_TMP, "mountPath": _TMP},
        *_shared_mounts(job, processor),
    ]
    if settings.job_processors_map:
        mounts.append({"name": _PROCESSORS, "mountPath": PROCESSORS_DIR, "readOnly": True})
    return mounts


def ipf_mounts(job: JobSpec, processor: Processor, settings: Settings) -> list[dict[str, Any]]:
    """What the IPF sees."""
    claims = _claims(processor)
    mounts: list[dict[str, Any]] = [
        {"name": SCRATCH, "mountPath": str(settings.job_scratch)},
        {"name": _IPF_TMP, "mountPath": _TMP},
        *_shared_mounts(job, processor),
    ]
    for volume in processor.volumes:
        mount = {"name": claims[volume.claim], "mountPath": volume.path, "readOnly": volume.read_only}
        mounts.append({**mount, "subPath": volume.sub_path} if volume.sub_path else mount)
    return mounts


def _shared_mounts(job: JobSpec, processor: Processor) -> list[dict[str, Any]]:
    """The folder of the datastrip alone, which the kubelet makes with the first Job that sees it."""
    if processor.shared is None:
        return []
    if not job.shared:
        raise ConfigurationError(f"processor {processor.name}, shared: expected a Job that names its folder there")
    name = _claims(processor)[processor.shared.claim]
    return [{"name": name, "mountPath": processor.shared.path, "subPath": job.shared}]


def _claims(processor: Processor) -> dict[str, str]:
    """Claim to the volume's name in the pod: a claim may be mounted twice, but is one volume."""
    claims = dict.fromkeys(volume.claim for volume in processor.volumes)
    if processor.shared is not None:
        claims[processor.shared.claim] = None
    return {claim: f"data-{number}" for number, claim in enumerate(claims)}


def _scratch(processor: Processor, settings: Settings) -> dict[str, Any]:
    size = f"{processor.scratch_gb}Gi"
    if not settings.job_scratch_class:
        return {"emptyDir": {"sizeLimit": size}}
    return {
        "ephemeral": {
            "volumeClaimTemplate": {
                "metadata": {"labels": {"app.kubernetes.io/part-of": "s2ps"}},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": settings.job_scratch_class,
                    "resources": {"requests": {"storage": size}},
                },
            }
        }
    }
