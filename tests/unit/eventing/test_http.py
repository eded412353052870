"""The answers of a function: the table that the broker acts upon."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask, Request, request

from eventing.http import Step, answer, parent_of
from shared.cloudevents import MAX_BODY, to_http
from shared.domain.events import PING, Event, object_created
from shared.errors import BadInputError, IntegrityError, NotReadyError, ObjectAbsentError, StoreUnavailableError
from shared.telemetry import current_traceparent, parse_traceparent, process, session_context, session_traceparent, span
from shared.telemetry.metrics import COLD, Metric
from shared.telemetry.spans import Span

SESSION = "S2A_20260621104500057405"
EVENT = object_created("s2-ledger", f"sessions/{SESSION}/complete.json", "etag")


def ask(step: Step, event: Event = EVENT, **changes: Any) -> tuple[str, int]:
    headers, body = to_http(event)
    options: dict[str, Any] = {"method": "POST", "headers": headers, "data": body} | changes
    with Flask(__name__).test_request_context("/", **options):
        said, status, _ = answer(request, "probe", step)
    return said, status


def raising(error: Exception) -> Step:
    def step(_: Event) -> None:
        raise error

    return step


def test_done_is_an_empty_204() -> None:
    seen: list[Event] = []
    assert ask(seen.append) == ("", 204)
    assert seen == [EVENT]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotReadyError("the DSIB is not there yet"), 503),
        (StoreUnavailableError("the store is down"), 503),
        (BadInputError("DSIB x, session_id", "a session"), 422),
        (IntegrityError("file y: checksum differs"), 422),
        (ObjectAbsentError("gone"), 204),
        (ZeroDivisionError("secret detail"), 500),
    ],
)
def test_what_a_step_raises_decides(error: Exception, status: int) -> None:
    said, answered = ask(raising(error))
    assert answered == status
    assert ("\n" in said, "secret" in said) == (False, False)
    if status in {422, 503}:
        assert said == f"probe: {error}"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"method": "GET"}, 405),
        ({"headers": {}}, 400),
        ({"headers": {"content-type": "application/cloudevents-batch+json"}, "data": b"[]"}, 400),
        ({"data": b"{"}, 400),
        ({"data": b"[" + b"1," * MAX_BODY + b"1]"}, 400),
    ],
)
def test_what_is_no_event_never_reaches_the_step(changes: dict[str, Any], status: int) -> None:
    def step(_: Event) -> None:
        pytest.fail("the step was called")

    said, answered = ask(step, **changes)
    assert answered == status
    assert said


def test_an_endless_body_is_not_read_to_its_end() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            view = memoryview(buffer)  # type: ignore[arg-type]
            view[:] = b"x" * len(view)
            Endless.given += len(view)
            return len(view)

    environment = {"REQUEST_METHOD": "POST", "wsgi.input": Endless(), "wsgi.input_terminated": True}
    said, status, _ = answer(Request(environment), "probe", lambda _: None)
    assert status == 400
    assert "at most" in said
    assert Endless.given < 4 * MAX_BODY


class Counted(io.BytesIO):
    """A connection's input that is counted."""

    given = 0

    def read(self, size: int | None = -1) -> bytes:
        part = super().read(size)
        self.given += len(part)
        return part

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        self.given += count
        return count


@pytest.mark.parametrize("declared", [True, False])
def test_what_is_left_of_a_body_is_taken_from_the_connection(declared: bool) -> None:
    """The server closes a connection with more left on it, under the event that a proxy sends there next."""
    rest = Counted(b"x" * (2 * MAX_BODY))
    environment: dict[str, Any] = {"REQUEST_METHOD": "POST", "wsgi.input": rest, "wsgi.input_terminated": True}
    if declared:
        environment["CONTENT_LENGTH"] = str(2 * MAX_BODY)
    asked = Request(environment)
    assert answer(asked, "probe", lambda _: None)[1] == 400
    assert rest.given == 2 * MAX_BODY


def test_the_framework_finds_nothing_to_read_before_it_answers() -> None:
    rest = Counted(b"x" * (8 * MAX_BODY))
    asked = Request({"REQUEST_METHOD": "POST", "wsgi.input": rest, "wsgi.input_terminated": True})
    assert answer(asked, "probe", lambda _: None)[1] == 400
    assert asked.get_data() == b""
    assert rest.given < 4 * MAX_BODY


def test_an_answer_is_one_line_of_plain_text() -> None:
    headers, body = to_http(EVENT)
    with Flask(__name__).test_request_context("/", method="POST", headers=headers, data=body):
        said, _, told = answer(request, "probe", raising(NotReadyError("one\n  <b>two</b>\r\n")))
    assert said == "probe: one <b>two</b>"
    assert told == {"content-type": "text/plain; charset=utf-8"}


def test_a_refusal_is_an_error_of_its_span(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Span] = []

    @contextmanager
    def keeping(*arguments: Any, **options: Any) -> Iterator[Span]:
        with span(*arguments, **options) as current:
            kept.append(current)
            yield current

    monkeypatch.setattr("eventing.http.span", keeping)
    ask(raising(NotReadyError("not there")))
    ask(lambda _: None)
    assert [each.error for each in kept] == ["probe: not there", ""]


def test_the_step_runs_in_the_trace_of_the_event() -> None:
    seen: list[str] = []
    ask(lambda _: seen.append(current_traceparent()))
    found = parse_traceparent(seen[0])
    assert found is not None
    assert found.trace_id == session_context(SESSION).trace_id
    assert found.span_id != session_context(SESSION).span_id


def test_where_an_event_belongs() -> None:
    own = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    assert parent_of(Event("1", "s", "t", extensions={"traceparent": own})) == own
    assert parent_of(EVENT) == session_traceparent(SESSION)
    assert parent_of(Event("1", "timers", "t", data={"session": SESSION})) == session_traceparent(SESSION)
    job = {"kind": "Job", "metadata": {"annotations": {"s2ps.org/traceparent": own}}}
    assert parent_of(Event("1", "jobs", "t", data=job)) == own
    assert parent_of(Event("1", "s", "t", extensions={"traceparent": "broken"})) is None
    assert parent_of(Event("1", "s", "t", data=[1])) is None


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The cold starts that are measured."""
    measured: list[float] = []

    def note(metric: Metric, value: float, *, function: str) -> None:
        assert (metric, function) == (COLD, "probe")
        measured.append(value)

    monkeypatch.setattr("eventing.http.measure", note)
    monkeypatch.setattr(process, "_READY", [2.0])
    return measured


def test_the_first_answer_of_a_process_is_measured_from_its_start(cold: list[float]) -> None:
    ask(raising(NotReadyError("not yet")))
    ask(lambda _: None)
    (found,) = cold
    assert 2.0 < found < 12.0


def test_of_a_tick_which_stays_on_the_start_alone_counts(cold: list[float]) -> None:
    ask(lambda _: None, Event("e", "probe", PING))
    assert cold == [2.0]
