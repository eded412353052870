"""The broker as a function sees it."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shared.adapters import http_sink
from shared.adapters.http_sink import HttpSink
from shared.cloudevents import from_http
from shared.domain.events import Event
from shared.errors import ConfigurationError, PermanentError, RetryableError
from tests.support.runs import wait_for


class Receiver(ThreadingHTTPServer):
    """Answers with ``status``; keeps the events."""

    daemon_threads = True
    status = 202
    arrived: threading.Event
    answer: threading.Event
    seen: list[Event]
    authorisations: list[str | None]
    waited: list[bool]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.authorisations.append(self.headers["authorization"])
        self.server.seen.append(from_http(dict(self.headers.items()), body))
        self.server.arrived.set()
        self.server.answer.wait(30)
        self.server.waited.append(self.sender_waits())
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def sender_waits(self) -> bool:
        """Whether the sender has not hung up. A broker on in-memory channels ends its deliveries where it has."""
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver(("127.0.0.1", 0), Handler)
    server.seen, server.authorisations, server.waited = [], [], []
    server.arrived, server.answer = threading.Event(), threading.Event()
    server.answer.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def url(receiver: Receiver) -> str:
    return f"http://127.0.0.1:{receiver.server_address[1]}/broker"


def test_an_event_arrives_as_it_was_sent(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SINK", url(receiver))
    event = Event("1", "s2-ledger", "t", "sessions/é 1", data={"size": 1}, extensions={"traceparent": "x"})
    HttpSink.from_environment().send(event)
    assert receiver.seen == [event]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (503, RetryableError),
        (500, RetryableError),
        (429, RetryableError),
        (404, RetryableError),
        (401, RetryableError),  # a token that has just run out
        (400, PermanentError),
        (302, PermanentError),
        (403, ConfigurationError),
    ],
)
def test_what_the_broker_answers(receiver: Receiver, status: int, error: type[Exception]) -> None:
    receiver.status = status
    with pytest.raises(error, match=f"answered {status} to event 1"):
        HttpSink(url(receiver)).send(Event("1", "s", "t"))


def test_a_broker_that_answers_when_all_is_delivered_has_the_event(receiver: Receiver) -> None:
    """As one with in-memory channels does: the sender goes on, its request stays, and the event is not sent twice."""
    receiver.answer.clear()
    sink = HttpSink(url(receiver), timeout_s=0.05)
    for _ in range(3):
        sink.send(Event("1", "s", "t"))
    assert receiver.arrived.wait(10)
    sink.send(Event("2", "s", "t"))
    receiver.answer.set()
    wait_for(lambda: len(receiver.waited) == 2, "answers")
    assert receiver.waited == [True, True]
    assert sorted(event.id for event in receiver.seen) == ["1", "2"]


def test_an_event_that_is_over_can_be_sent_again(receiver: Receiver) -> None:
    sink = HttpSink(url(receiver))
    for _ in range(2):
        sink.send(Event("1", "s", "t"))
    assert len(receiver.seen) == 2


def test_a_delivery_that_fails_after_its_sender_went_on_is_told(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer.clear()
    receiver.status = 500
    HttpSink(url(receiver), timeout_s=0.05).send(Event("1", "s", "t"))
    receiver.answer.set()
    wait_for(lambda: "had event 1 (t), and then: " in caplog.text, "the warning")
    assert "answered 500 to event 1" in caplog.text


def test_a_broker_that_never_answers_has_the_event(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    receiver.answer.clear()
    HttpSink(url(receiver), held_s=0.05).send(Event("1", "s", "t"))
    receiver.answer.set()
    assert "had event 1 (t), and never answered" in caplog.text


def test_requests_that_stay_are_bounded(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_sink, "MOST_HELD", 1)
    receiver.answer.clear()
    sink = HttpSink(url(receiver), timeout_s=0.05)
    sink.send(Event("1", "s", "t"))
    with pytest.raises(RetryableError, match="has not answered to 1 other events yet"):
        sink.send(Event("2", "s", "t"))
    receiver.answer.set()
    wait_for(lambda: receiver.waited, "an answer")
    sink.send(Event("2", "s", "t"))
    assert [event.id for event in receiver.seen] == ["1", "2"]


def test_a_broker_that_is_not_there() -> None:
    with pytest.raises(RetryableError, match="broker http://127"):
        HttpSink("http://127.0.0.1:9/").send(Event("1", "s", "t"))


@pytest.mark.parametrize("value", ["", "broker", "ftp://x"])
def test_no_sink_bound(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SINK", value)
    with pytest.raises(ConfigurationError, match="K_SINK"):
        HttpSink.from_environment()


def test_a_token_is_sent_as_it_is_now_and_none_where_there_is_none(receiver: Receiver, tmp_path: Path) -> None:
    token = tmp_path / "token"
    sink = HttpSink(url(receiver), token_file=token)
    for content in (None, "first\n", "second", ""):
        if content is not None:
            token.write_text(content)
        sink.send(Event("1", "s", "t"))
    assert receiver.authorisations == [None, "Bearer first", "Bearer second", None]


def test_a_token_that_cannot_be_read_keeps_the_event_for_later(receiver: Receiver, tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="expected a token"):
        HttpSink(url(receiver), token_file=tmp_path).send(Event("1", "s", "t"))  # a folder
    assert receiver.seen == []


def test_overrides_win(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SINK", url(receiver))
    monkeypatch.setenv("K_CE_OVERRIDES", json.dumps({"extensions": {"site": "north", "priority": "1"}}))
    HttpSink.from_environment().send(Event("1", "s", "t", extensions={"priority": "5", "traceparent": "x"}))
    assert receiver.seen[0].extensions == {"site": "north", "priority": "1", "traceparent": "x"}


@pytest.mark.parametrize("value", ["", "  ", "{}", '{"extensions": null}', '{"extensions": {}}'])
def test_no_overrides(value: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SINK", url(receiver))
    monkeypatch.setenv("K_CE_OVERRIDES", value)
    HttpSink.from_environment().send(Event("1", "s", "t"))
    assert receiver.seen[0].extensions == {}


@pytest.mark.parametrize(
    "value", ["{", "[]", '{"extensions": []}', '{"extensions": {"a": 1}}', '{"extensions": {"A-b": "x"}}']
)
def test_broken_overrides_are_refused_at_the_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SINK", "http://127.0.0.1:9/")
    monkeypatch.setenv("K_CE_OVERRIDES", value)
    with pytest.raises(ConfigurationError, match="K_CE_OVERRIDES"):
        HttpSink.from_environment()


def test_certificates_that_are_none_are_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SINK", "https://127.0.0.1:9/")
    monkeypatch.setenv("K_CA_CERTS", "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigurationError, match="K_CA_CERTS: expected certificates as PEM"):
        HttpSink.from_environment()
