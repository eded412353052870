"""Spans back from the OTLP JSON lines of a run, as the tree that an operator looks at. Pure but for the reading."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_KINDS: Final = ("", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One finished span. Times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    kind: str
    start: int
    end: int
    error: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9


@dataclass(frozen=True, slots=True)
class Node:
    """A span in its place: ``depth`` 0 is a root. ``orphan``: its parent was never written, or not yet."""

    span: SpanRow
    depth: int
    orphan: bool = False


def read_spans(folder: Path, trace_id: str) -> list[SpanRow]:
    """The spans of one trace, from every ``*.jsonl`` in a folder; a line cut short by a crash is passed over."""
    found: dict[str, SpanRow] = {}
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if trace_id in line:
                    found.update((span.span_id, span) for span in parse_line(line) if span.trace_id == trace_id)
    return sorted(found.values(), key=lambda span: (span.start, -span.end))


def parse_line(line: str) -> Iterator[SpanRow]:
    """The spans of one OTLP JSON line (``ExportTraceServiceRequest``); none where it is not whole, or is another's."""
    try:
        document = json.loads(line)
        found = [
            _row(span, str(_attributes(resource.get("resource", {})).get("service.name", "")))
            for resource in document.get("resourceSpans", ())
            for scope in resource.get("scopeSpans", ())
            for span in scope.get("spans", ())
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    yield from found


def _row(span: Mapping[str, Any], service: str) -> SpanRow:
    kind = span.get("kind", 0)
    status = span.get("status", {})
    failed = status.get("code") in {2, "STATUS_CODE_ERROR"}
    return SpanRow(
        trace_id=span["traceId"],
        span_id=span["spanId"],
        parent_id=span.get("parentSpanId", ""),
        name=span["name"],
        service=service,
        kind=_KINDS[kind] if isinstance(kind, int) and kind < len(_KINDS) else str(kind),
        start=int(span["startTimeUnixNano"]),
        end=int(span["endTimeUnixNano"]),
        error=(status.get("message") or "failed") if failed else "",
        attributes=_attributes(span),
    )


def _attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {each["key"]: _value(each.get("value", {})) for each in holder.get("attributes", ())}


def _value(value: Mapping[str, Any]) -> Any:
    for kind, content in value.items():
        if kind == "intValue":
            return int(content)
        if kind == "arrayValue":
            return [_value(each) for each in content.get("values", ())]
        return content
    return None


def tree(spans: Iterable[SpanRow], roots: Iterable[str] = ()) -> list[Node]:
    """Spans in the order of a depth-first walk, children by their start. Orphans stand at the top, by theirs.

    ``roots`` are span ids that parents may name before they are written: the session's root ends with its account.
    """
    rows = {span.span_id: span for span in spans}
    expected = set(roots)
    children: dict[str, list[SpanRow]] = {}
    top: list[SpanRow] = []
    for span in rows.values():
        if span.parent_id in rows and span.parent_id != span.span_id:
            children.setdefault(span.parent_id, []).append(span)
        else:
            top.append(span)
    walked: list[Node] = []
    for first in sorted(top, key=lambda span: (bool(span.parent_id), span.start)):
        waiting = [(first, 0)]
        while waiting:
            span, depth = waiting.pop()
            orphan = depth == 0 and bool(span.parent_id) and span.parent_id not in expected
            walked.append(Node(span, depth, orphan))
            below = sorted(children.get(span.span_id, ()), key=lambda each: (each.start, each.end), reverse=True)
            waiting += [(each, depth + 1) for each in below]
    return walked


def idle_seconds(spans: Iterable[SpanRow]) -> float:
    """Seconds between the first start and the last end in which no span but a root was under way."""
    intervals = sorted((span.start, span.end) for span in spans if span.parent_id)
    if not intervals:
        return 0.0
    idle, reached = 0, intervals[0][0]
    for start, end in intervals:
        idle += max(0, start - reached)
        reached = max(reached, end)
    return idle / 1e9
