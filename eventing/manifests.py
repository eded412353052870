"""The manifests, read strictly: a field that is misspelt or unknown is refused, by file and field.

Knative's kinds are modelled in ``eventing.knative`` and ``eventing.serving``. Of Kubernetes' own kinds only the head is
read here: their schemas judge them in the tests, and the local runtime has no use for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from eventing.knative import (
    ApiServerSource,
    Broker,
    Delivery,
    EventPolicy,
    EventType,
    Metadata,
    PingSource,
    SinkBinding,
    Strict,
    Trigger,
    parse_duration,
)
from eventing.serving import Service
from shared.errors import ConfigurationError

__all__ = [
    "ApiServerSource",
    "Broker",
    "ConfigMap",
    "CoreObject",
    "Delivery",
    "EventPolicy",
    "EventType",
    "Kustomization",
    "Manifest",
    "PingSource",
    "Service",
    "SinkBinding",
    "Trigger",
    "load_manifests",
    "parse_duration",
    "parse_manifest",
]


class ConfigMap(Strict):
    api_version: Annotated[Literal["v1"], Field(alias="apiVersion")]
    kind: Literal["ConfigMap"]
    metadata: Metadata
    data: Annotated[dict[str, str], Field(default_factory=dict)]


class CoreObject(Strict):
    """An object of Kubernetes itself that only a cluster reads."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    api_version: Annotated[
        Literal["v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1"], Field(alias="apiVersion")
    ]
    kind: Literal["ServiceAccount", "Role", "RoleBinding", "NetworkPolicy"]
    metadata: Metadata


class Kustomization(Strict):
    api_version: Annotated[Literal["kustomize.config.k8s.io/v1beta1"], Field(alias="apiVersion")]
    kind: Literal["Kustomization"]
    namespace: str = ""
    resources: Annotated[tuple[str, ...], Field(min_length=1)]


Manifest: TypeAlias = Annotated[
    Service
    | Broker
    | Trigger
    | PingSource
    | ApiServerSource
    | SinkBinding
    | EventType
    | EventPolicy
    | ConfigMap
    | CoreObject
    | Kustomization,
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
