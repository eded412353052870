"""Spans: one trace per session, context carried on, nothing on the caller's path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry import current_traceparent, parse_traceparent, session_context, session_traceparent, span
from shared.telemetry.ids import TraceContext
from shared.telemetry.pipeline import Pipeline
from shared.telemetry.spans import Span

SESSION = "S2A_20260621104500057405"


def test_session_trace_is_derived_and_valid() -> None:
    assert session_traceparent(SESSION) == session_traceparent(SESSION)
    assert session_traceparent(SESSION) != session_traceparent(SESSION[:-1] + "6")
    context = parse_traceparent(session_traceparent(SESSION))
    assert context == session_context(SESSION)


@given(st.text(max_size=80))
def test_what_is_no_traceparent_is_none(text: str) -> None:
    found = parse_traceparent(text)
    assert found is None or found.traceparent[3:] == text[3:55]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        "ff-" + "1" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "A" * 32 + "-" + "1" * 16 + "-01",
    ],
)
def test_invalid_contexts(text: str | None) -> None:
    assert parse_traceparent(text) is None


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_contexts_round_trip(trace: int, span_id: int, sampled: bool) -> None:
    context = TraceContext(f"{trace:032x}", f"{span_id:016x}", sampled)
    assert parse_traceparent(context.traceparent) == context


def test_spans_nest_and_carry_the_context_on() -> None:
    assert current_traceparent() == ""
    with span("outer", traceparent=session_traceparent(SESSION)) as outer:
        assert outer.context.trace_id == session_context(SESSION).trace_id
        assert outer.parent == session_context(SESSION)
        assert current_traceparent() == outer.traceparent
        with span("inner") as inner:
            assert inner.parent == outer.context
        assert current_traceparent() == outer.traceparent
    assert current_traceparent() == ""


def test_a_broken_parent_starts_a_trace_of_its_own() -> None:
    with span("alone", traceparent="nonsense", links=["nonsense", session_traceparent(SESSION)]) as alone:
        assert alone.parent is None
        assert alone.links == (session_context(SESSION),)


def test_an_error_is_told_and_goes_on() -> None:
    seen: list[Span] = []

    def fail() -> None:
        with span("fails") as current:
            seen.append(current)
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert seen[0].error == "KeyError: 'x'"
    assert seen[0].end_ns >= seen[0].start_ns


def run_in_process(code: str, folder: Path) -> list[dict[str, Any]]:
    """Spans that a process of its own wrote; configuration is the process's."""
    env = {**os.environ, "S2PS_TRACE_DIR": str(folder)}
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        env.pop(name, None)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert "lost" not in done.stderr
    documents = [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]
    return [
        each
        for document in documents
        for resource in document["resourceSpans"]
        for scope in resource["scopeSpans"]
        for each in scope["spans"]
    ]


def test_a_short_process_writes_its_spans_at_exit(tmp_path: Path) -> None:
    spans = run_in_process(
        f"""
from datetime import UTC, datetime
from shared.telemetry import configure, emit_session_root, session_traceparent, span
configure("probe")
with span("work", traceparent=session_traceparent({SESSION!r}), kind="consumer", attributes={{"n": 1}}):
    pass
emit_session_root({SESSION!r}, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
""",
        tmp_path,
    )
    root = next(each for each in spans if each["name"].startswith("session"))
    work = next(each for each in spans if each["name"] == "work")
    assert root["spanId"] == session_context(SESSION).span_id
    assert work["parentSpanId"] == root["spanId"]
    assert work["traceId"] == root["traceId"]
    assert int(root["endTimeUnixNano"]) - int(root["startTimeUnixNano"]) == 86_400 * 10**9
    assert [path.name.startswith("probe-") for path in tmp_path.iterdir()] == [True]


def test_a_forked_worker_records_in_a_file_of_its_own(tmp_path: Path) -> None:
    spans = run_in_process(
        """
import os
from shared.telemetry import configure, flush, span
configure("probe")
with span("parent"):
    pass
flush()
pid = os.fork()
with span("child" if pid == 0 else "after"):
    pass
if pid:
    os.waitpid(pid, 0)
""",
        tmp_path,
    )
    assert sorted(each["name"] for each in spans) == ["after", "child", "parent"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_collector_that_is_down_takes_nothing_down(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    pipeline = Pipeline("probe", "", blocked / "folder")
    with span("work") as current:
        pass
    pipeline.record(current)
    pipeline.shutdown()
    assert "1 spans lost" in caplog.text


def test_recording_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.telemetry.pipeline.CAPACITY", 10)
    pipeline = Pipeline("probe", "", None)
    pipeline._thread = threading.current_thread()  # no thread drains it
    for _ in range(50):
        with span("work") as current:
            pass
        pipeline.record(current)
    assert len(pipeline._spans) == 10


def test_span_times_are_the_wall_clock() -> None:
    with span("now") as current:
        pass
    began = datetime.fromtimestamp(current.start_ns / 1e9, UTC)
    assert abs(datetime.now(UTC) - began) < timedelta(minutes=1)
