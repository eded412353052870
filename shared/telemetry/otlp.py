"""The OpenTelemetry SDK's side of telemetry: its exporters, and our spans in its terms. Imported by need only."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from shared.telemetry.pipeline import EXPORT_TIMEOUT_S

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace.export import SpanExporter

    from shared.telemetry.ids import TraceContext
    from shared.telemetry.spans import Span


def exporter(service: str, endpoint: str, trace_dir: Path | None) -> SpanExporter:
    """OTLP over HTTP where a collector is named, else OTLP JSON lines in ``<trace_dir>/<service>-<pid>.jsonl``."""
    if endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(timeout=EXPORT_TIMEOUT_S)
    if trace_dir is None:
        raise ValueError("trace_dir: expected a folder where no collector is set")
    from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter

    trace_dir.mkdir(parents=True, exist_ok=True)
    return FileSpanExporter(trace_dir / f"{service}-{os.getpid()}.jsonl")


def meter_provider(service: str, reader: MetricReader | None, period_ms: int, timeout_ms: int) -> MeterProvider:
    """Metrics over OTLP, exported by a thread of the SDK; ``reader`` takes the place of that in tests."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    if reader is None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=timeout_ms / 1000), period_ms, timeout_ms)
    return MeterProvider([reader], _resource(service, os.getpid()), shutdown_on_exit=False)


def readable(span: Span, service: str) -> ReadableSpan:
    """A finished span in the SDK's terms."""
    return ReadableSpan(
        name=span.name,
        context=_context(span.context, remote=False),
        parent=None if span.parent is None else _context(span.parent, remote=True),
        resource=_resource(service, os.getpid()),
        attributes=span.attributes,
        links=[Link(_context(link, remote=True)) for link in span.links],
        kind=SpanKind[span.kind.upper()],
        instrumentation_scope=InstrumentationScope("s2ps"),
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=span.start_ns,
        end_time=span.end_ns,
    )


@cache
def _resource(service: str, pid: int) -> Resource:
    # Not Resource.create: it runs its detectors in a thread pool, and none can be had while a process ends.
    own = Resource({"service.name": service, "service.instance.id": f"{socket.gethostname()}-{pid}"})
    return OTELResourceDetector().detect().merge(own)


def _context(context: TraceContext, *, remote: bool) -> SpanContext:
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), remote, TraceFlags(int(context.sampled)))
