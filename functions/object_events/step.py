"""Object events: a store's notification becomes CloudEvents for the broker."""

from __future__ import annotations

import hmac

from eventing.dialects import parse_notification
from shared.errors import PermanentError
from shared.ports import EventSink


class WrongTokenError(PermanentError):
    """The sender does not know the token."""


def check_token(authorization: str | None, token: str) -> None:
    """Compare ``Authorization: Bearer <token>`` in constant time; an empty ``token`` admits everybody.

    WrongTokenError where it is not the one.
    """
    if token and not hmac.compare_digest((authorization or "").encode(), f"Bearer {token}".encode()):
        raise WrongTokenError("notification: expected the header Authorization with the bearer token of this service")


def forward(body: bytes, sink: EventSink) -> int:
    """Send on what the notification says was written; returns how many events went out."""
    events = parse_notification(body)
    for event in events:
        sink.send(event)
    return len(events)
