"""Trigger filters: exact, prefix, suffix, all, any, not, as the CloudEvents Subscriptions API 1.0 defines them.

An absent attribute matches nothing. Values compare as strings. CESQL is left to clusters: no Trigger of ours uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.cloudevents import format_time
from shared.domain.events import Event

AttributeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,64}$")]
AttributeValue = Annotated[str, StringConstraints(min_length=1)]
Attributes = Annotated[dict[AttributeName, AttributeValue], Field(min_length=1)]
Test = Callable[[Event], bool]


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

    @cached_property
    def accepts(self) -> Test:
        """Whether it accepts an event; what it asks for is looked at once, and not with each event."""
        return _test(self)


def matches(filters: Iterable[Filter], event: Event) -> bool:
    """Whether every filter of a Trigger accepts the event; no filter accepts all."""
    # Loops, not generators: a broker asks this of each event for each Trigger.
    for each in filters:  # noqa: SIM110
        if not each.accepts(event):
            return False
    return True


def _test(one: Filter) -> Test:
    if one.exact is not None:
        return _every([_holds(name, str.__eq__, value) for name, value in one.exact.items()])
    if one.prefix is not None:
        return _every([_holds(name, str.startswith, value) for name, value in one.prefix.items()])
    if one.suffix is not None:
        return _every([_holds(name, str.endswith, value) for name, value in one.suffix.items()])
    if one.all is not None:
        return _every([each.accepts for each in one.all])
    if one.any is not None:
        return _some([each.accepts for each in one.any])
    refused = one.not_
    return _every([]) if refused is None else lambda event: not refused.accepts(event)


def _holds(name: str, holds: Callable[[str, str], bool], value: str) -> Test:
    """An attribute is there, and as wanted."""
    if name == "subject":  # what nearly all ask for; one that is absent is empty, and no value is
        return lambda event: holds(event.subject, value)

    def test(event: Event) -> bool:
        found = attribute(event, name)
        return found is not None and holds(found, value)

    return test


def _every(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(event: Event) -> bool:
        for each in tests:  # noqa: SIM110  as above
            if not each(event):
                return False
        return True

    return test


def _some(tests: list[Test]) -> Test:
    def test(event: Event) -> bool:
        for each in tests:  # noqa: SIM110  as above
            if each(event):
                return True
        return False

    return test


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
