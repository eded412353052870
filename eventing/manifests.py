"""The Knative manifests as strict models: a field that is misspelt or unknown is refused, by file and field.

Kinds and fields: Knative Serving 1.2x (``serving.knative.dev/v1``), Knative Eventing 1.2x (``eventing.knative.dev/v1``,
``sources.knative.dev/v1``), kustomize v1beta1. Only what the base uses is modelled.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from eventing.cron import Schedule
from eventing.filters import Filter
from shared.errors import ConfigurationError

DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
_DURATION: Final = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")


def parse_duration(text: str) -> timedelta:
    """An ISO 8601 duration of hours, minutes and seconds, e.g. ``PT0.5S``; ValueError where it is none."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(f"expected an ISO 8601 duration such as PT0.5S, found {text!r}")
    return timedelta(hours=int(match[1] or 0), minutes=int(match[2] or 0), seconds=float(match[3] or 0))


def _is_duration(text: str) -> str:
    parse_duration(text)
    return text


def _is_schedule(text: str) -> str:
    Schedule.parse(text)
    return text


Duration = Annotated[str, AfterValidator(_is_duration)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Metadata(_Strict):
    name: DnsLabel
    namespace: DnsLabel | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Ref(_Strict):
    """A reference to an object of this base."""

    api_version: Annotated[str, Field(alias="apiVersion")]
    kind: str
    name: DnsLabel


class Destination(_Strict):
    ref: Ref


class Delivery(_Strict):
    """How an event is delivered: attempts, pauses between them, and where it goes when they are used up."""

    retry: Annotated[int, Field(ge=0, le=20)] = 0
    backoff_policy: Annotated[Literal["linear", "exponential"], Field(alias="backoffPolicy")] = "exponential"
    backoff_delay: Annotated[Duration, Field(alias="backoffDelay")] = "PT0.2S"
    timeout: Duration = "PT30S"
    dead_letter_sink: Annotated[Destination | None, Field(alias="deadLetterSink")] = None

    def delay_s(self, failures: int) -> float:
        """Seconds before the next attempt, after so many failures (from 1)."""
        base = parse_duration(self.backoff_delay).total_seconds()
        return base * (2.0 ** (failures - 1) if self.backoff_policy == "exponential" else failures)


class BrokerSpec(_Strict):
    delivery: Delivery = Delivery()


class Broker(_Strict):
    api_version: Annotated[Literal["eventing.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["Broker"]
    metadata: Metadata
    spec: BrokerSpec = BrokerSpec()


class TriggerSpec(_Strict):
    broker: DnsLabel
    filters: tuple[Filter, ...] = ()
    subscriber: Destination
    delivery: Delivery | None = None


class Trigger(_Strict):
    api_version: Annotated[Literal["eventing.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["Trigger"]
    metadata: Metadata
    spec: TriggerSpec


class PingSpec(_Strict):
    schedule: Annotated[str, AfterValidator(_is_schedule)]
    content_type: Annotated[str, Field(alias="contentType")] = "application/json"
    data: str = ""
    sink: Destination


class PingSource(_Strict):
    api_version: Annotated[Literal["sources.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["PingSource"]
    metadata: Metadata
    spec: PingSpec


class Selector(_Strict):
    match_labels: Annotated[dict[str, str], Field(alias="matchLabels", min_length=1)]


class WatchedResource(_Strict):
    api_version: Annotated[str, Field(alias="apiVersion")]
    kind: str
    selector: Selector | None = None


class ApiServerSpec(_Strict):
    service_account_name: Annotated[str, Field(alias="serviceAccountName")]
    mode: Literal["Resource", "Reference"]
    resources: Annotated[tuple[WatchedResource, ...], Field(min_length=1)]
    sink: Destination


class ApiServerSource(_Strict):
    api_version: Annotated[Literal["sources.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["ApiServerSource"]
    metadata: Metadata
    spec: ApiServerSpec


class BindingSubject(_Strict):
    api_version: Annotated[str, Field(alias="apiVersion")]
    kind: str
    selector: Selector


class SinkBindingSpec(_Strict):
    subject: BindingSubject
    sink: Destination


class SinkBinding(_Strict):
    api_version: Annotated[Literal["sources.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["SinkBinding"]
    metadata: Metadata
    spec: SinkBindingSpec


class ConfigMap(_Strict):
    api_version: Annotated[Literal["v1"], Field(alias="apiVersion")]
    kind: Literal["ConfigMap"]
    metadata: Metadata
    data: dict[str, str] = {}


class EnvVar(_Strict):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
    value: str


class Container(_Strict):
    """The function's container. What only a cluster reads is kept as found; the reference CRDs judge it."""

    name: DnsLabel
    image: str
    ports: tuple[dict[str, int], ...] = ()
    env: tuple[EnvVar, ...] = ()
    env_from: Annotated[tuple[dict[str, dict[str, str]], ...], Field(alias="envFrom")] = ()
    readiness_probe: Annotated[dict[str, Any], Field(alias="readinessProbe")] = {}
    liveness_probe: Annotated[dict[str, Any], Field(alias="livenessProbe")] = {}
    resources: dict[Literal["requests", "limits"], dict[str, str]] = {}
    security_context: Annotated[dict[str, Any], Field(alias="securityContext")] = {}
    volume_mounts: Annotated[tuple[dict[str, str], ...], Field(alias="volumeMounts")] = ()


class RevisionSpec(_Strict):
    container_concurrency: Annotated[int, Field(alias="containerConcurrency", ge=1, le=1000)]
    timeout_s: Annotated[int, Field(alias="timeoutSeconds", ge=1, le=600)]
    response_start_timeout_s: Annotated[int | None, Field(alias="responseStartTimeoutSeconds", ge=1, le=600)] = None
    enable_service_links: Annotated[bool, Field(alias="enableServiceLinks")] = False
    containers: Annotated[tuple[Container], Field()]
    volumes: tuple[dict[str, Any], ...] = ()


class TemplateMetadata(_Strict):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Template(_Strict):
    metadata: TemplateMetadata = TemplateMetadata()
    spec: RevisionSpec


class ServiceSpec(_Strict):
    template: Template


class Service(_Strict):
    """A Knative Service: one function."""

    api_version: Annotated[Literal["serving.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["Service"]
    metadata: Metadata
    spec: ServiceSpec

    @property
    def env(self) -> dict[str, str]:
        return {variable.name: variable.value for variable in self.spec.template.spec.containers[0].env}


class Kustomization(_Strict):
    api_version: Annotated[Literal["kustomize.config.k8s.io/v1beta1"], Field(alias="apiVersion")]
    kind: Literal["Kustomization"]
    resources: Annotated[tuple[str, ...], Field(min_length=1)]


Manifest: TypeAlias = Annotated[
    Service | Broker | Trigger | PingSource | ApiServerSource | SinkBinding | ConfigMap | Kustomization,
    Field(discriminator="kind"),
]
_ADAPTER: Final[TypeAdapter[Manifest]] = TypeAdapter(Manifest)


def parse_manifest(document: object, where: str) -> Manifest:
    """One manifest. ConfigurationError names file and field."""
    try:
        return _ADAPTER.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"][1:])
        raise ConfigurationError(f"manifest {where}, {field or 'kind'}: {first['msg']}") from None


def load_manifests(folder: Path) -> tuple[Manifest, ...]:
    """Every manifest that ``kustomization.yaml`` in ``folder`` names, in its order. ConfigurationError as above."""
    head = _documents(folder / "kustomization.yaml")
    if len(head) != 1 or not isinstance(head[0], Kustomization):
        raise ConfigurationError(f"manifest {folder / 'kustomization.yaml'}: expected one Kustomization")
    return tuple(manifest for name in head[0].resources for manifest in _documents(folder / name))


def _documents(path: Path) -> list[Manifest]:
    try:
        with path.open(encoding="utf-8") as stream:
            return [parse_manifest(each, str(path)) for each in yaml.safe_load_all(stream) if each is not None]
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"manifest {path}: {error}") from None
