"""Knative's resources as strict models: a field that is misspelt, unknown, or barred by default is refused.

Kinds and fields: Knative Serving and Eventing 1.2x. Only what our manifests use is modelled; so a field that needs a
flag in ``config-features`` (init containers, priorities, affinity) is unknown here, and refused. Beyond the schemas
of the custom resources, the rules of the admission webhooks that a manifest can break are checked here too.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from eventing.cron import Schedule
from eventing.filters import Filter

DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
LOCAL_SCHEDULE: Final = "s2ps.org/local-schedule"
"""Annotation of a PingSource: its schedule in the local runtime, where waking a function costs little."""
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


class Strict(BaseModel):
    """What is not modelled is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Metadata(Strict):
    name: DnsLabel
    namespace: DnsLabel | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Ref(Strict):
    """A reference to an object of the same namespace, where it names no other."""

    api_version: Annotated[str, Field(alias="apiVersion")]
    kind: str
    name: DnsLabel
    namespace: DnsLabel | None = None


class Destination(Strict):
    ref: Ref


class Delivery(Strict):
    """How an event is delivered: attempts, pauses between them, and where it goes when they are used up.

    ``retryAfterMax`` and ``format`` are not here: each needs a feature flag.
    """

    retry: Annotated[int, Field(ge=0, le=20)] = 0
    backoff_policy: Annotated[Literal["linear", "exponential"], Field(alias="backoffPolicy")] = "exponential"
    backoff_delay: Annotated[Duration, Field(alias="backoffDelay")] = "PT0.2S"
    timeout: Duration = "PT30S"
    dead_letter_sink: Annotated[Destination | None, Field(alias="deadLetterSink")] = None

    def delay_s(self, failures: int) -> float:
        """Seconds before the next attempt, after so many failures (from 1)."""
        base = parse_duration(self.backoff_delay).total_seconds()
        return base * (2.0 ** (failures - 1) if self.backoff_policy == "exponential" else failures)


class BrokerSpec(Strict):
    config: Ref | None = None
    delivery: Delivery = Delivery()


class Broker(Strict):
    api_version: Annotated[Literal["eventing.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["Broker"]
    metadata: Metadata
    spec: BrokerSpec = BrokerSpec()


class TriggerSpec(Strict):
    broker: DnsLabel
    filters: tuple[Filter, ...] = ()
    subscriber: Destination
    delivery: Delivery | None = None


class Trigger(Strict):
    api_version: Annotated[Literal["eventing.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["Trigger"]
    metadata: Metadata
    spec: TriggerSpec


class PingSpec(Strict):
    schedule: Annotated[str, AfterValidator(_is_schedule)]
    content_type: Annotated[str, Field(alias="contentType")] = "application/json"
    data: str = ""
    sink: Destination


class PingSource(Strict):
    api_version: Annotated[Literal["sources.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["PingSource"]
    metadata: Metadata
    spec: PingSpec

    @property
    def local_schedule(self) -> str:
        """When the local runtime ticks."""
        return self.metadata.annotations.get(LOCAL_SCHEDULE, self.spec.schedule)

    @model_validator(mode="after")
    def _local_schedule_is_one(self) -> Self:
        try:
            Schedule.parse(self.local_schedule)
        except ValueError as error:
            raise ValueError(f"metadata.annotations, {LOCAL_SCHEDULE}: {error}") from None
        return self


class Selector(Strict):
    match_labels: Annotated[dict[str, str], Field(alias="matchLabels", min_length=1)]


class WatchedResource(Strict):
    api_version: Annotated[str, Field(alias="apiVersion")]
    kind: str
    selector: Selector | None = None


class ApiServerSpec(Strict):
    service_account_name: Annotated[str, Field(alias="serviceAccountName")]
    mode: Literal["Resource", "Reference"]
    resources: Annotated[tuple[WatchedResource, ...], Field(min_length=1)]
    sink: Destination


class ApiServerSource(Strict):
    api_version: Annotated[Literal["sources.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["ApiServerSource"]
    metadata: Metadata
    spec: ApiServerSpec


class BindingSubject(Strict):
    api_version: Annotated[str, Field(alias="apiVersion")]
    kind: str
    selector: Selector


class SinkBindingSpec(Strict):
    subject: BindingSubject
    sink: Destination


class SinkBinding(Strict):
    api_version: Annotated[Literal["sources.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["SinkBinding"]
    metadata: Metadata
    spec: SinkBindingSpec


class EventTypeSpec(Strict):
    reference: Ref
    type: Annotated[str, StringConstraints(min_length=1)]
    source: str = ""
    description: str = ""
    schema_uri: Annotated[str, Field(alias="schema", pattern=r"^https://")]
    schema_data: Annotated[str, Field(alias="schemaData", min_length=2)]


class EventType(Strict):
    """A type of event and the schema of its data. v1beta2 is the version that a cluster stores."""

    api_version: Annotated[Literal["eventing.knative.dev/v1beta2"], Field(alias="apiVersion")]
    kind: Literal["EventType"]
    metadata: Metadata
    spec: EventTypeSpec


class Target(Strict):
    ref: Ref


class PolicySpec(Strict):
    """Who may send what to whom. Of the identities, only references to sources are modelled."""

    to: Annotated[tuple[Target, ...], Field(min_length=1)]
    senders: Annotated[tuple[Target, ...], Field(alias="from", min_length=1)]
    filters: tuple[Filter, ...] = ()


class EventPolicy(Strict):
    api_version: Annotated[Literal["eventing.knative.dev/v1alpha1"], Field(alias="apiVersion")]
    kind: Literal["EventPolicy"]
    metadata: Metadata
    spec: PolicySpec
