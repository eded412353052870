"""The broker as a function sees it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.adapters.http_sink import HttpSink
from shared.cloudevents import from_http
from shared.domain.events import Event
from shared.errors import ConfigurationError, PermanentError, RetryableError


class Receiver(ThreadingHTTPServer):
    """Answers with ``status``; keeps the events."""

    daemon_threads = True
    status = 202
    seen: list[Event]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append(from_http(dict(self.headers.items()), body))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver(("127.0.0.1", 0), Handler)
    server.seen = []
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
    [(503, RetryableError), (500, RetryableError), (429, RetryableError), (404, RetryableError), (400, PermanentError)],
)
def test_what_the_broker_answers(receiver: Receiver, status: int, error: type[Exception]) -> None:
    receiver.status = status
    with pytest.raises(error, match=f"answered {status} to event 1"):
        HttpSink(url(receiver)).send(Event("1", "s", "t"))


def test_a_broker_that_is_not_there() -> None:
    with pytest.raises(RetryableError, match="broker http://127"):
        HttpSink("http://127.0.0.1:9/").send(Event("1", "s", "t"))


@pytest.mark.parametrize("value", ["", "broker", "ftp://x"])
def test_no_sink_bound(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SINK", value)
    with pytest.raises(ConfigurationError, match="K_SINK"):
        HttpSink.from_environment()
