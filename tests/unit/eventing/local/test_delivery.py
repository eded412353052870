"""Delivery: the table of answers, retries, dead letters, bounded queues."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from eventing.local.delivery import Subscription, dead_letter, judge
from eventing.local.functions import FunctionUnavailableError, Reply
from eventing.manifests import Delivery
from shared.cloudevents import from_http, to_http
from shared.domain.events import Event

EVENT = Event("1", "s2-ledger", "t", "sessions/S/complete.json", extensions={"traceparent": "x"})
QUICK = Delivery.model_validate({"retry": 3, "backoffDelay": "PT0.001S"})


@pytest.mark.parametrize(
    ("status", "accepted", "retried"),
    [
        *((status, True, False) for status in (200, 202, 204)),
        *((status, False, False) for status in (301, 400, 401, 403, 405, 410, 413, 422)),
        *((status, False, True) for status in (404, 408, 409, 429, 500, 502, 503, 504)),
    ],
)
def test_statuses(status: int, accepted: bool, retried: bool) -> None:
    verdict = judge(Reply(status, {}, b""))
    assert (verdict.accepted, verdict.retried, verdict.code) == (accepted, retried, status)


def test_a_body_that_is_no_event_is_a_failure() -> None:
    verdict = judge(Reply(200, {"content-type": "text/html"}, b"OK"))
    assert (verdict.accepted, verdict.retried) == (False, True)


def test_a_body_that_is_an_event_is_a_reply() -> None:
    headers, _ = to_http(EVENT)
    verdict = judge(Reply(200, headers | {"content-type": "application/json"}, b"{}"))
    assert verdict.accepted
    assert verdict.reply is not None
    assert verdict.reply.id == "1"


def test_no_answer_comes_again() -> None:
    assert judge(None).retried


@pytest.mark.parametrize(
    ("status", "header", "expected"),
    [(503, "7", 7.0), (429, "0", 0.0), (503, "99999", 300.0), (500, "7", None), (503, "soon", None), (503, "-1", None)],
)
def test_retry_after(status: int, header: str, expected: float | None) -> None:
    assert judge(Reply(status, {"retry-after": header}, b"")).retry_after_s == expected


def test_a_dead_letter_says_who_and_why() -> None:
    letter = dead_letter(EVENT, "http://job-launch/", judge(Reply(422, {}, "order: expected é\n".encode())))
    assert (letter.id, letter.subject, letter.extensions["traceparent"]) == ("1", EVENT.subject, "x")
    assert letter.extensions["knativeerrordest"] == "http://job-launch/"
    assert letter.extensions["knativeerrorcode"] == "422"
    assert base64.b64decode(letter.extensions["knativeerrordata"]).decode() == "order: expected é\n"
    headers, body = to_http(letter)
    assert from_http(headers, body) == letter


class Subscriber:
    """Answers as scripted, then 204; ``None`` is no answer."""

    def __init__(self, *script: int | None) -> None:
        self.script = list(script)
        self.seen: list[str] = []
        self.lock = threading.Lock()

    def __call__(self, headers: Mapping[str, str], body: bytes, _timeout_s: float) -> Reply:
        with self.lock:
            self.seen.append(from_http(headers, body).id)
            status = self.script.pop(0) if self.script else 204
        if status is None:
            raise FunctionUnavailableError("probe: refused")
        return Reply(status, {}, b"because" if status >= 400 else b"")


@contextmanager
def subscribed(
    call: Callable[[Mapping[str, str], bytes, float], Reply], *, concurrency: int = 1, capacity: int = 100
) -> Iterator[tuple[Subscription, list[Event]]]:
    dead: list[Event] = []

    def keep(event: Event) -> bool:
        dead.append(event)
        return True

    subscription = Subscription(
        "probe",
        call,
        QUICK,
        concurrency=concurrency,
        on_reply=lambda _: True,
        on_dead=keep,
        destination="http://probe/",
        capacity=capacity,
    )
    try:
        yield subscription, dead
    finally:
        subscription.close()
        subscription.join(5)


def drained(subscription: Subscription) -> None:
    with subscription._changed:
        assert subscription._changed.wait_for(lambda: not subscription._queue and not subscription._busy, 10)


def test_failures_are_tried_again_until_it_is_done() -> None:
    call = Subscriber(503, None, 409)
    with subscribed(call) as (subscription, dead):
        assert subscription.offer(EVENT)
        drained(subscription)
        assert call.seen == ["1"] * 4
        assert (subscription.delivered, subscription.retried, dead) == (1, 3, [])


def test_attempts_are_counted_and_then_it_is_dead() -> None:
    call = Subscriber(*[500] * 10)
    with subscribed(call) as (subscription, dead):
        subscription.offer(EVENT)
        drained(subscription)
        assert call.seen == ["1"] * 4
        assert dead[0].extensions["knativeerrorcode"] == "500"


def test_bad_input_is_dead_at_once() -> None:
    call = Subscriber(422)
    with subscribed(call) as (subscription, dead):
        subscription.offer(EVENT)
        drained(subscription)
        assert call.seen == ["1"]
        assert len(dead) == 1


def test_a_failing_event_does_not_hold_up_the_next() -> None:
    call = Subscriber(503)
    with subscribed(call) as (subscription, _):
        for number in ("1", "2"):
            subscription.offer(Event(number, "s", "t"))
        drained(subscription)
        assert call.seen[:2] == ["1", "2"]
        assert sorted(call.seen) == ["1", "1", "2"]


def test_a_full_queue_takes_no_more() -> None:
    gate, entered = threading.Event(), threading.Event()

    def call(headers: Mapping[str, str], body: bytes, timeout_s: float) -> Reply:
        entered.set()
        gate.wait(10)
        return Reply(204, {}, b"")

    with subscribed(call, capacity=2) as (subscription, _):
        assert subscription.offer(EVENT)
        assert entered.wait(10)
        assert subscription.offer(EVENT)
        assert subscription.offer(EVENT)
        assert not subscription.has_room()
        assert not subscription.offer(EVENT)
        assert subscription.lost == 1
        gate.set()
        drained(subscription)
        assert subscription.delivered == 3


def test_as_many_at_a_time_as_the_function_takes() -> None:
    barrier = threading.Barrier(3)

    def call(headers: Mapping[str, str], body: bytes, timeout_s: float) -> Reply:
        barrier.wait(10)
        return Reply(204, {}, b"")

    with subscribed(call, concurrency=3) as (subscription, _):
        for number in range(3):
            subscription.offer(Event(str(number), "s", "t"))
        drained(subscription)
        assert subscription.delivered == 3


def test_an_error_of_ours_loses_one_event_not_the_thread() -> None:
    calls: list[int] = []

    def call(headers: Mapping[str, str], body: bytes, timeout_s: float) -> Reply:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return Reply(204, {}, b"")

    with subscribed(call) as (subscription, _):
        subscription.offer(EVENT)
        subscription.offer(EVENT)
        drained(subscription)
        assert subscription.delivered == 1
