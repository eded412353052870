"""Metrics: what is counted and measured, and its way to a collector, off the caller's path.

Recording appends to a bounded queue; a daemon thread imports the SDK and hands on. Where no endpoint is set
(``OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_ENDPOINT``), nothing is recorded at all.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader

CAPACITY: Final = 16_384
PERIOD_S: Final = 1.0
EXPORT_PERIOD_MS: Final = 15_000
EXPORT_TIMEOUT_MS: Final = 3_000
_LOG: Final = logging.getLogger(__name__)


_SUFFIX: Final = {"s": "_seconds", "By": "_bytes"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric by its OpenTelemetry name. ``unit`` is ``s``, ``By``, or ``{what}`` for counts."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    description: str

    @property
    def prometheus(self) -> str:
        """The name that a collector gives it in Prometheus; a histogram's series have suffixes besides."""
        return self.name.replace(".", "_") + _SUFFIX.get(self.unit, "") + ("_total" if self.kind == "counter" else "")


SLACK: Final = Metric("s2ps.sla.slack", "gauge", "s", "Smallest slack expected of open sessions, by level")
NOTICES: Final = Metric("s2ps.sla.notices", "counter", "{notice}", "Levels at risk or missed, by level and state")
STEP: Final = Metric("s2ps.step.duration", "histogram", "s", "From a work item's order to its outcome, by step")
PRODUCTS: Final = Metric("s2ps.products", "counter", "{product}", "Promised products of closed accounts: level, ended")
MARGIN: Final = Metric("s2ps.product.slack", "histogram", "s", "Slack with which products came to the shelf, by level")
AGE: Final = Metric(
    "s2ps.product.age", "histogram", "s", "From a session's last sensing to its products on the shelf, by level"
)
OPEN: Final = Metric("s2ps.sessions.open", "gauge", "{session}", "Sessions whose account is open")
RUNNING: Final = Metric("s2ps.work.running", "gauge", "{item}", "Work items with an attempt under way, by step")
WAITING: Final = Metric("s2ps.work.waiting", "gauge", "{item}", "Work items without one and without outcome, by step")
MISSING: Final = Metric("s2ps.passes.missing", "counter", "{pass}", "Planned passes that were never seen")
STARTS: Final = Metric("s2ps.function.starts", "counter", "{start}", "Processes of functions started, by function")
COLD: Final = Metric(
    "s2ps.function.cold_start", "histogram", "s", "From a function's process start to its first answer, by function"
)
OWN: Final = Metric(
    "s2ps.overhead", "histogram", "s", "The service's own time on the way of the last product of each level, by level"
)
FIRST_IPF: Final = Metric(
    "s2ps.overhead.first_ipf", "histogram", "s", "From a session's last file seen to its first IPF process"
)
QUEUE: Final = Metric(
    "s2ps.overhead.queue", "histogram", "s", "Waits for room in the cluster on the same way, by level"
)
BYTES: Final = Metric("s2ps.session.raw", "counter", "By", "Raw bytes of closed sessions, by satellite")

METRICS: Final = (
    SLACK, NOTICES, STEP, PRODUCTS, MARGIN, AGE, OPEN, RUNNING, WAITING, MISSING, STARTS, COLD, OWN, FIRST_IPF, QUEUE,
    BYTES,
)  # fmt: skip

_SECONDS: Final = (0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200)
_AGES: Final = (1800, 3600, 5400, 7200, 9000, 10800, 14400, 18000, 21600, 28800, 43200, 86400)
_SLACKS: Final = (-7200, -3600, -1800, -900, -300, 0, 300, 600, 900, 1800, 2700, 3600, 4500, 7200)

_Measured = tuple[Metric, float, dict[str, str]]


@dataclass
class Meters:
    """The measurements of one process on their way out; ``reader`` exports them (default: over OTLP)."""

    service: str
    reader: MetricReader | None = None
    _queue: deque[_Measured] = field(default_factory=lambda: deque(maxlen=CAPACITY))
    _instruments: dict[str, Any] = field(default_factory=dict)
    _provider: MeterProvider | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def record(self, metric: Metric, value: float, attributes: Mapping[str, str]) -> None:
        """Queue one measurement."""
        self._queue.append((metric, value, dict(attributes)))
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._stop.is_set():
                    self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
                    self._thread.start()

    def after_fork(self) -> None:
        """A child has neither the thread nor the right to what its parent measured."""
        self._queue.clear()
        self._instruments, self._provider, self._thread = {}, None, None
        self._lock, self._stop = threading.Lock(), threading.Event()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            self.drain()

    def drain(self) -> None:
        """Hand what is queued to the SDK. Never called where a request waits."""
        with self._lock:
            while self._queue:
                metric, value, attributes = self._queue.popleft()
                try:
                    self._measure(metric, value, attributes)
                except Exception as error:  # noqa: BLE001 - telemetry never takes its process down
                    _LOG.warning("metric %s lost: %s: %s", metric.name, type(error).__name__, error)

    def _measure(self, metric: Metric, value: float, attributes: dict[str, str]) -> None:
        if metric.name not in self._instruments:
            self._instruments[metric.name] = self._instrument(metric)
        instrument = self._instruments[metric.name]
        match metric.kind:
            case "counter":
                instrument.add(value, attributes)
            case "gauge":
                instrument.set(value, attributes)
            case _:
                instrument.record(value, attributes)

    def _instrument(self, metric: Metric) -> Any:
        if self._provider is None:
            from shared.telemetry.otlp import meter_provider

            self._provider = meter_provider(self.service, self.reader, EXPORT_PERIOD_MS, EXPORT_TIMEOUT_MS)
        meter = self._provider.get_meter("s2ps")
        if metric.kind == "histogram":
            bounds = {MARGIN: _SLACKS, AGE: _AGES}.get(metric, _SECONDS)
            return meter.create_histogram(
                metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=bounds
            )
        create = meter.create_counter if metric.kind == "counter" else meter.create_gauge
        return create(metric.name, metric.unit, metric.description)

    def shutdown(self) -> None:
        """Stop the thread and export the rest."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(EXPORT_TIMEOUT_MS / 1000)
        self.drain()
        if self._provider is not None:
            self._provider.shutdown(EXPORT_TIMEOUT_MS)


class _Process:
    """The one set of meters of this process."""

    meters: Meters | None = None


def configure_metrics(service: str) -> None:
    """Say who measures; the first call counts, and does nothing where no collector is named."""
    if _Process.meters is not None:
        return
    if not (os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")):
        return
    meters = _Process.meters = Meters(service)
    os.register_at_fork(after_in_child=meters.after_fork)
    atexit.register(meters.shutdown)
    measure(STARTS, function=service)


def measured() -> bool:
    """Whether anybody asks: what costs more than a measurement is found out only then."""
    return _Process.meters is not None


def measure(metric: Metric, value: float = 1, **attributes: str) -> None:
    """Record one measurement, where metrics are configured. Costs a microsecond."""
    if _Process.meters is not None:
        _Process.meters.record(metric, value, attributes)
