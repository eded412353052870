"""Kueue's queues as strict models: kubernetes-sigs/kueue, apis/kueue/v1beta2, and what its validation adds."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
_Quantity = Annotated[str, StringConstraints(pattern=r"^\d+(m|Ki|Mi|Gi|Ti)?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class _Metadata(_Strict):
    name: _Name
    namespace: _Name | None = None


class _Head(_Strict):
    api_version: Annotated[Literal["kueue.x-k8s.io/v1beta2"], Field(alias="apiVersion")]
    metadata: _Metadata


class _Flavor(_Head):
    kind: Literal["ResourceFlavor"]


class _Quota(_Strict):
    name: str
    nominal: Annotated[_Quantity, Field(alias="nominalQuota")]


class _FlavorQuotas(_Strict):
    name: _Name
    resources: Annotated[list[_Quota], Field(min_length=1)]


class _Group(_Strict):
    covered: Annotated[list[str], Field(alias="coveredResources", min_length=1)]
    flavors: Annotated[list[_FlavorQuotas], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_the_same_order(self) -> Self:
        if any([quota.name for quota in flavor.resources] != self.covered for flavor in self.flavors):
            raise ValueError("flavors: expected every covered resource, in the order of coveredResources")
        return self


class _Labels(_Strict):
    match_labels: Annotated[dict[str, str], Field(alias="matchLabels")]


class _Preemption(_Strict):
    within: Annotated[Literal["Never", "LowerPriority", "LowerOrNewerEqualPriority"], Field(alias="withinClusterQueue")]


class _ClusterQueueSpec(_Strict):
    namespaces: Annotated[_Labels, Field(alias="namespaceSelector")]
    strategy: Annotated[Literal["StrictFIFO", "BestEffortFIFO"], Field(alias="queueingStrategy")]
    groups: Annotated[list[_Group], Field(alias="resourceGroups", min_length=1)]
    preemption: _Preemption


class _ClusterQueue(_Head):
    kind: Literal["ClusterQueue"]
    spec: _ClusterQueueSpec


class _LocalQueueSpec(_Strict):
    queue: Annotated[_Name, Field(alias="clusterQueue")]


class _LocalQueue(_Head):
    kind: Literal["LocalQueue"]
    spec: _LocalQueueSpec


class _Priority(_Head):
    kind: Literal["WorkloadPriorityClass"]
    value: Annotated[int, Field(ge=-2_147_483_648, le=1_000_000_000)]
    description: str = ""


_ADAPTER: TypeAdapter[Any] = TypeAdapter(
    Annotated[_Flavor | _ClusterQueue | _LocalQueue | _Priority, Field(discriminator="kind")]
)


def kueue_refusals(document: Any) -> list[str]:
    """Why Kueue would refuse an object of its own."""
    try:
        _ADAPTER.validate_python(document)
    except ValidationError as error:
        where = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
        return [
            f"{where}: {'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}"
            for each in error.errors(include_url=False)
        ]
    return []
