from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from shared.telemetry import metrics
from shared.telemetry.metrics import METRICS, NOTICES, SLACK, STARTS, STEP, Meters, Metric


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    made = InMemoryMetricReader()
    yield made
    made.shutdown()


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(metrics._Process, "meters", None)


def points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_each_kind_reaches_the_exporter(reader: InMemoryMetricReader) -> None:
    meters = Meters("sweep", reader)
    meters._stop.set()  # no thread: the test drains
    for _ in range(2):
        meters.record(NOTICES, 1, {"level": "L1C", "state": "missed"})
    meters.record(SLACK, 60, {"level": "L1C"})
    meters.record(SLACK, 30, {"level": "L1C"})
    meters.record(STEP, 100, {"step": "l1c"})
    meters.drain()
    found = points(reader)
    assert [(point.value, dict(point.attributes)) for point in found[NOTICES.name]] == [
        (2, {"level": "L1C", "state": "missed"})
    ]
    assert [point.value for point in found[SLACK.name]] == [30]
    assert [(point.count, point.sum) for point in found[STEP.name]] == [(1, 100)]


@pytest.mark.usefixtures("fresh")
def test_nothing_is_recorded_where_no_collector_is_named() -> None:
    metrics.configure_metrics("sweep")
    metrics.measure(SLACK, 1, level="L1C")
    assert metrics._Process.meters is None


@pytest.mark.usefixtures("fresh")
def test_a_start_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    meters: list[Meters] = []
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("os.register_at_fork", lambda **_: None)
    monkeypatch.setattr("atexit.register", lambda _: None)

    def record(self: Meters, metric: Metric, *_: object) -> None:
        assert metric is STARTS
        meters.append(self)

    monkeypatch.setattr(Meters, "record", record)
    for _ in range(3):
        metrics.configure_metrics("sweep")
    assert [each.service for each in meters] == ["sweep"]


def test_recording_waits_for_nobody(reader: InMemoryMetricReader) -> None:
    """Ten thousand measurements, while the SDK is busy, take the caller a fraction of a second."""
    meters = Meters("sweep", reader)
    meters._stop.set()
    with meters._lock:
        meters._thread = threading.current_thread()
        begin = time.perf_counter()
        for _ in range(10_000):
            meters.record(SLACK, 1, {"level": "L1C"})
        assert time.perf_counter() - begin < 1.0
    meters._thread = None


def test_names_are_told_once_and_in_prometheus_terms() -> None:
    names = [each.name for each in METRICS]
    assert len(set(names)) == len(names)
    assert SLACK.prometheus == "s2ps_sla_slack_seconds"
    assert NOTICES.prometheus == "s2ps_sla_notices_total"
    assert STEP.prometheus == "s2ps_step_duration_seconds"
