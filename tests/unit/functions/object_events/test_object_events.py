"""Store notifications: who may send them, and what goes out."""

from __future__ import annotations

import json

import pytest

from functions.object_events.step import WrongTokenError, check_token, forward
from shared.domain.events import Event
from shared.errors import BadInputError, RetryableError


class Sink:
    """Keeps what is sent; fails where it is told to."""

    def __init__(self, *, down: bool = False) -> None:
        self.sent: list[Event] = []
        self.down = down

    def send(self, event: Event) -> None:
        if self.down:
            raise RetryableError("the broker is down")
        self.sent.append(event)


def records(*keys: str) -> bytes:
    made = [
        {
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 1, "eTag": "e"}},
        }
        for key in keys
    ]
    return json.dumps({"Records": made}).encode()


def test_each_object_is_one_event() -> None:
    sink = Sink()
    assert forward(records("one", "two"), sink) == 2
    assert [event.subject for event in sink.sent] == ["one", "two"]


def test_what_is_no_notification_sends_nothing() -> None:
    sink = Sink()
    with pytest.raises(BadInputError):
        forward(b"<xml/>", sink)
    assert sink.sent == []


def test_a_broker_that_is_down_is_told() -> None:
    with pytest.raises(RetryableError):
        forward(records("one"), Sink(down=True))


@pytest.mark.parametrize(
    "header", [None, "", "secret", "Bearer", "Bearer wrong", "bearer secret", "Bearer secret ", "Bearer é"]
)
def test_a_wrong_token_is_refused(header: str | None) -> None:
    with pytest.raises(WrongTokenError) as refused:
        check_token(header, "secret")
    assert "secret" not in str(refused.value)


def test_the_right_token_and_no_token() -> None:
    check_token("Bearer secret", "secret")
    check_token(None, "")
