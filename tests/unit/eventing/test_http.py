"""The answers of a function: the table that the broker acts upon."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask import Flask, Request, request

from eventing.http import Step, answer, parent_of
from shared.cloudevents import MAX_BODY, to_http
from shared.domain.events import Event, object_created
from shared.errors import BadInputError, IntegrityError, NotReadyError, ObjectAbsentError, StoreUnavailableError
from shared.telemetry import current_traceparent, parse_traceparent, session_context, session_traceparent

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
