"""Trigger filters: exact, prefix, suffix, all, any, not, as the CloudEvents Subscriptions API 1.0 defines them.

An absent attribute matches nothing. Values compare as strings. CESQL is left to clusters: no Trigger of ours uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.cloudevents import format_time
from shared.domain.events import Event

AttributeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,64}$")]
AttributeValue = Annotated[str, StringConstraints(min_length=1)]
Attributes = Annotated[dict[AttributeName, AttributeValue], Field(min_length=1)]


class Filter(BaseModel):
    """One filter expression: exactly one dialect is named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exact: Attributes | None = None
    prefix: Attributes | None = None
    suffix: Attributes | None = None
    all: Annotated[tuple[Filter, ...], Field(min_length=1)] | None = None
    any: Annotated[tuple[Filter, ...], Field(min_length=1)] | None = None
    not_: Annotated[Filter | None, Field(alias="not")] = None

    @model_validator(mode="after")
    def _one_dialect(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("expected exactly one of exact, prefix, suffix, all, any, not")
        return self


def matches(filters: Iterable[Filter], event: Event) -> bool:
    """Whether every filter of a Trigger accepts the event; no filter accepts all."""
    # Loops, not generators: a broker asks this of each event for each Trigger.
    for each in filters:  # noqa: SIM110
        if not _accepts(each, event):
            return False
    return True


def _accepts(one: Filter, event: Event) -> bool:
    if one.exact is not None:
        return _all_hold(one.exact, event, str.__eq__)
    if one.prefix is not None:
        return _all_hold(one.prefix, event, str.startswith)
    if one.suffix is not None:
        return _all_hold(one.suffix, event, str.endswith)
    if one.all is not None:
        return matches(one.all, event)
    if one.any is not None:
        return any(_accepts(each, event) for each in one.any)
    return one.not_ is None or not _accepts(one.not_, event)


def _all_hold(wanted: Mapping[str, str], event: Event, holds: Callable[[str, str], bool]) -> bool:
    """Whether every attribute is there, and as wanted."""
    for name, value in wanted.items():
        found = attribute(event, name)
        if found is None or not holds(found, value):
            return False
    return True


def attribute(event: Event, name: str) -> str | None:
    """An attribute or extension of an event as a filter sees it; None where the event has it not."""
    match name:
        case "subject":
            return event.subject or None
        case "type":
            return event.type
        case "source":
            return event.source
        case "id":
            return event.id
        case "time":
            return None if event.time is None else format_time(event.time)
        case "specversion":
            return "1.0"
        case _:
            return event.extensions.get(name)
