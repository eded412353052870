"""From finished spans to an exporter, off the caller's path.

A bounded queue (the oldest spans fall out) and one daemon thread, started by the first span after a fork, so that a
server that forks its workers records in each. The exporter is OTLP over HTTP where ``OTEL_EXPORTER_OTLP_ENDPOINT`` is
set, else OTLP JSON lines below the trace folder, else none.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from shared.telemetry.spans import Span

CAPACITY: Final = 16_384
PERIOD_S: Final = 1.0
EXPORT_TIMEOUT_S: Final = 3.0
_BATCH: Final = 512
_LOG: Final = logging.getLogger(__name__)


class Pipeline:
    """The spans of one process on their way out."""

    def __init__(self, service: str, endpoint: str, trace_dir: Path | None) -> None:
        self.service = service
        self._endpoint = endpoint
        self._trace_dir = trace_dir
        self._spans: deque[Span] = deque(maxlen=CAPACITY)
        self._exporter: SpanExporter | None = None
        self._fresh()

    def _fresh(self) -> None:
        self._exporting = threading.Lock()
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._exporter = None

    def after_fork(self) -> None:
        """A child has neither the thread nor the right to the parent's spans and file."""
        self._spans.clear()
        self._fresh()

    def record(self, span: Span) -> None:
        """Queue a finished span."""
        self._spans.append(span)
        if self._thread is None:
            with self._starting:
                if self._thread is None and not self._stop.is_set():
                    self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            self.flush()

    def flush(self) -> None:
        """Export what is queued. Never called where a request waits."""
        with self._exporting:
            while self._spans:
                batch = [self._spans.popleft() for _ in range(min(len(self._spans), _BATCH))]
                try:
                    self._export(batch)
                except Exception as error:  # noqa: BLE001 - telemetry never takes its process down
                    _LOG.warning("%d spans lost: %s: %s", len(batch), type(error).__name__, error)

    def _export(self, batch: list[Span]) -> None:
        from shared.telemetry import otlp

        if self._exporter is None:
            self._exporter = otlp.exporter(self.service, self._endpoint, self._trace_dir)
        self._exporter.export([otlp.readable(span, self.service) for span in batch])

    def shutdown(self) -> None:
        """Stop the thread and export the rest."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(EXPORT_TIMEOUT_S)
        self.flush()
        if self._exporter is not None:
            self._exporter.shutdown()


class _Process:
    """The one pipeline of this process; telemetry is the process's, as its standard error is."""

    pipeline: Pipeline | None = None


def configure(service: str, trace_dir: Path | None = None) -> None:
    """Say who speaks and where its spans go; the first call counts.

    Args:
        service: the service's name, e.g. ``file_transfer``.
        trace_dir: folder of the OTLP JSON lines; default ``S2PS_TRACE_DIR``.
    """
    if _Process.pipeline is not None:
        return
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    folder = os.environ.get("S2PS_TRACE_DIR", "")
    trace_dir = trace_dir or (Path(folder) if folder else None)
    if not endpoint and trace_dir is None:
        return
    pipeline = _Process.pipeline = Pipeline(service, endpoint, trace_dir)
    os.register_at_fork(after_in_child=pipeline.after_fork)
    atexit.register(pipeline.shutdown)


def record(span: Span) -> None:
    """Queue a finished span, where a pipeline is configured."""
    if _Process.pipeline is not None:
        _Process.pipeline.record(span)


def flush() -> None:
    """Export what is queued now. For the end of a Job or a command, never for a request."""
    if _Process.pipeline is not None:
        _Process.pipeline.flush()
