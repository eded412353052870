"""A function's Knative Service as a strict model: Knative Serving 1.2x, within what it allows by default."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from eventing.knative import DnsLabel, Metadata, Strict

_GO_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_AUTOSCALING: Final = "autoscaling.knative.dev/"
_LEAST_WINDOW: Final = timedelta(seconds=6)
_LONGEST: Final = timedelta(hours=1)
_ZERO: Final = timedelta()

Resource = Literal["cpu", "memory", "ephemeral-storage"]
Quantity = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?(m|Ki|Mi|Gi|Ti)?$")]


def go_duration(text: str) -> timedelta:
    """A duration as Go writes it, e.g. ``1m30s``; ValueError where it is none."""
    match = _GO_DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(f"expected a duration such as 10s, found {text!r}")
    return timedelta(hours=int(match[1] or 0), minutes=int(match[2] or 0), seconds=float(match[3] or 0))


class EnvVar(Strict):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
    value: str


class Named(Strict):
    name: DnsLabel
    optional: bool = False


class EnvFrom(Strict):
    """One of the two."""

    config_map: Annotated[Named | None, Field(alias="configMapRef")] = None
    secret: Annotated[Named | None, Field(alias="secretRef")] = None


class Port(Strict):
    container_port: Annotated[int, Field(alias="containerPort", ge=1, le=65535)]


class TcpSocket(Strict):
    port: Annotated[int, Field(ge=1, le=65535)]


class Probe(Strict):
    """Without a period, a readiness probe is Knative's own, many times a second; it then takes no limits either."""

    tcp_socket: Annotated[TcpSocket, Field(alias="tcpSocket")]
    period_s: Annotated[int | None, Field(alias="periodSeconds", ge=1)] = None
    failure_threshold: Annotated[int | None, Field(alias="failureThreshold", ge=1)] = None
    timeout_s: Annotated[int | None, Field(alias="timeoutSeconds", ge=1)] = None

    @model_validator(mode="after")
    def _limits_need_a_period(self) -> Self:
        if self.period_s is None and (self.failure_threshold is not None or self.timeout_s is not None):
            raise ValueError("failureThreshold and timeoutSeconds: expected a periodSeconds beside them")
        return self


class Resources(Strict):
    requests: dict[Resource, Quantity]
    limits: Annotated[dict[Resource, Quantity], Field(default_factory=dict)]


class Capabilities(Strict):
    drop: tuple[str, ...] = ()


class SeccompProfile(Strict):
    type: Literal["RuntimeDefault", "Localhost", "Unconfined"]


class SecurityContext(Strict):
    allow_privilege_escalation: Annotated[bool | None, Field(alias="allowPrivilegeEscalation")] = None
    read_only_root: Annotated[bool | None, Field(alias="readOnlyRootFilesystem")] = None
    run_as_non_root: Annotated[bool | None, Field(alias="runAsNonRoot")] = None
    run_as_user: Annotated[int | None, Field(alias="runAsUser", ge=0)] = None
    run_as_group: Annotated[int | None, Field(alias="runAsGroup", ge=0)] = None
    capabilities: Capabilities | None = None
    seccomp_profile: Annotated[SeccompProfile | None, Field(alias="seccompProfile")] = None


class VolumeMount(Strict):
    name: DnsLabel
    mount_path: Annotated[str, Field(alias="mountPath", pattern=r"^/")]
    read_only: Annotated[bool, Field(alias="readOnly")] = False


class EmptyDir(Strict):
    size_limit: Annotated[Quantity, Field(alias="sizeLimit")]


class Volume(Strict):
    """A ConfigMap's files, or an empty folder: the kinds that need no feature flag."""

    name: DnsLabel
    empty_dir: Annotated[EmptyDir | None, Field(alias="emptyDir")] = None
    config_map: Annotated[Named | None, Field(alias="configMap")] = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.empty_dir is None) == (self.config_map is None):
            raise ValueError("expected one of emptyDir, configMap")
        return self


class Container(Strict):
    name: DnsLabel
    image: str
    image_pull_policy: Annotated[Literal["IfNotPresent", "Always", "Never"] | None, Field(alias="imagePullPolicy")] = (
        None
    )
    ports: tuple[Port] | tuple[()] = ()
    env: tuple[EnvVar, ...] = ()
    env_from: Annotated[tuple[EnvFrom, ...], Field(alias="envFrom")] = ()
    readiness_probe: Annotated[Probe | None, Field(alias="readinessProbe")] = None
    liveness_probe: Annotated[Probe | None, Field(alias="livenessProbe")] = None
    resources: Resources | None = None
    security_context: Annotated[SecurityContext | None, Field(alias="securityContext")] = None
    volume_mounts: Annotated[tuple[VolumeMount, ...], Field(alias="volumeMounts")] = ()


class RevisionSpec(Strict):
    service_account_name: Annotated[DnsLabel | None, Field(alias="serviceAccountName")] = None
    container_concurrency: Annotated[int, Field(alias="containerConcurrency", ge=1, le=1000)]
    timeout_s: Annotated[int, Field(alias="timeoutSeconds", ge=1, le=600)]
    response_start_timeout_s: Annotated[int | None, Field(alias="responseStartTimeoutSeconds", ge=1, le=600)] = None
    enable_service_links: Annotated[bool, Field(alias="enableServiceLinks")] = False
    containers: Annotated[tuple[Container], Field()]
    volumes: tuple[Volume, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.response_start_timeout_s or 0) > self.timeout_s:
            raise ValueError("responseStartTimeoutSeconds: expected no more than timeoutSeconds")
        mounted = {mount.name for mount in self.containers[0].volume_mounts}
        if mounted != {volume.name for volume in self.volumes}:
            raise ValueError("volumes: expected each to be mounted, and each mount to have its volume")
        return self


class TemplateMetadata(Strict):
    labels: Annotated[dict[str, str], Field(default_factory=dict)]
    annotations: Annotated[dict[str, str], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _autoscaling(self) -> Self:
        notes = {
            name.removeprefix(_AUTOSCALING): value
            for name, value in self.annotations.items()
            if name.startswith(_AUTOSCALING)
        }
        unknown = notes.keys() - {"min-scale", "max-scale", "window", "scale-to-zero-pod-retention-period"}
        if unknown:
            raise ValueError(f"annotations: no {_AUTOSCALING}{', '.join(sorted(unknown))}")
        if not int(notes.get("min-scale", "0")) <= int(notes.get("max-scale", "1")):
            raise ValueError("annotations: expected min-scale to be no more than max-scale")
        if not _LEAST_WINDOW <= go_duration(notes.get("window", "60s")) <= _LONGEST:
            raise ValueError("annotations, window: expected 6s to 1h")
        if not _ZERO <= go_duration(notes.get("scale-to-zero-pod-retention-period", "0s")) <= _LONGEST:
            raise ValueError("annotations, scale-to-zero-pod-retention-period: expected 0s to 1h")
        return self


class Template(Strict):
    metadata: Annotated[TemplateMetadata, Field(default_factory=lambda: TemplateMetadata.model_validate({}))]
    spec: RevisionSpec


class ServiceSpec(Strict):
    template: Template


class Service(Strict):
    """A Knative Service: one function."""

    api_version: Annotated[Literal["serving.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["Service"]
    metadata: Metadata
    spec: ServiceSpec

    @property
    def env(self) -> dict[str, str]:
        """The variables that its container sets of itself."""
        return {variable.name: variable.value for variable in self.spec.template.spec.containers[0].env}
