"""Spans: what took how long, under what. Recording costs microseconds; the SDK is imported by a background thread.

``configure`` once per process says where spans go; until then spans only carry the context on. Nothing is ever
exported on the caller's path: a thread drains the finished spans once a second, and once more at exit.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

from shared.telemetry import pipeline
from shared.telemetry.ids import TraceContext, new_trace, parse_traceparent, session_context

Attribute: TypeAlias = str | bool | int | float | Sequence[str]
Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]


@dataclass(slots=True)
class Span:
    """A span under way. ``set`` adds an attribute; ``traceparent`` is what children, events and Jobs carry on."""

    name: str
    context: TraceContext
    parent: TraceContext | None
    kind: Kind = "internal"
    start_ns: int = 0
    end_ns: int = 0
    attributes: dict[str, Attribute] = field(default_factory=dict)
    links: tuple[TraceContext, ...] = ()
    error: str = ""

    @property
    def traceparent(self) -> str:
        return self.context.traceparent

    def set(self, key: str, value: Attribute) -> None:
        """Add or replace one attribute."""
        self.attributes[key] = value


_CURRENT: Final[ContextVar[Span | None]] = ContextVar("s2ps_span", default=None)


def current_traceparent() -> str:
    """The context of the span under way in this thread, as a ``traceparent``; empty where there is none."""
    span = _CURRENT.get()
    return "" if span is None else span.traceparent


@contextmanager
def span(
    name: str,
    *,
    traceparent: str | None = None,
    kind: Kind = "internal",
    attributes: Mapping[str, Attribute] | None = None,
    links: Iterable[str] = (),
) -> Iterator[Span]:
    """A span around a block of work.

    Args:
        name: what is done, e.g. ``stage-in``.
        traceparent: the parent; without one the span under way in this thread, else a trace of its own.
        kind: the OpenTelemetry span kind.
        attributes: known from the start; more by ``Span.set``.
        links: traceparents of other spans that this one follows from (fan-in).

    An exception that leaves the block marks the span as failed and goes on.
    """
    outer = _CURRENT.get()
    parent = parse_traceparent(traceparent) or (outer.context if outer is not None else None)
    context = parent.child() if parent is not None else new_trace()
    linked = tuple(link for link in map(parse_traceparent, links) if link is not None)
    current = Span(name, context, parent, kind, time.time_ns(), attributes=dict(attributes or {}), links=linked)
    token = _CURRENT.set(current)
    try:
        yield current
    except BaseException as error:
        current.error = current.error or f"{type(error).__name__}: {error}"
        raise
    finally:
        _CURRENT.reset(token)
        current.end_ns = max(time.time_ns(), current.start_ns)
        if context.sampled:
            pipeline.record(current)


def emit_session_root(
    session: str, start: datetime, end: datetime, attributes: Mapping[str, Attribute] | None = None
) -> None:
    """Write the root span of a session's trace: everything that was derived from the session id hangs below it."""
    root = Span(
        name=f"session {session}",
        context=session_context(session),
        parent=None,
        start_ns=_nanoseconds(start),
        end_ns=max(_nanoseconds(end), _nanoseconds(start)),
        attributes={"s2ps.session": session, **(attributes or {})},
    )
    pipeline.record(root)


def emit_span(
    name: str, start: datetime, end: datetime, traceparent: str, attributes: Mapping[str, Attribute] | None = None
) -> None:
    """Write a span of something that told of its times afterwards, as a child of ``traceparent``."""
    parent = parse_traceparent(traceparent)
    if parent is None or not parent.sampled:
        return
    span = Span(
        name=name,
        context=parent.child(),
        parent=parent,
        start_ns=_nanoseconds(start),
        end_ns=max(_nanoseconds(end), _nanoseconds(start)),
        attributes=dict(attributes or {}),
    )
    pipeline.record(span)


def _nanoseconds(when: datetime) -> int:
    return int(when.timestamp() * 1_000_000) * 1_000
