"""Object events: a store's notification becomes CloudEvents for the broker.

Who may send: whoever knows the token, which each store carries its own way. SeaweedFS and MinIO send it as a bearer
token, Amazon SNS as the password of Basic authentication, Ceph as ``opaqueData`` in each record of the body.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol
from urllib.parse import quote

from eventing.dialects import opaque_data, read_document, sorted_out
from eventing.sns import is_envelope
from shared.domain.events import Event
from shared.errors import BadInputError, PermanentError, RetryableError
from shared.ports import EventSink

_LOG: Final = logging.getLogger(__name__)
_MAX_BODY: Final = 4 << 20
_MAX_STRANGE: Final = 1 << 18
"""A body that has yet to show its token: Ceph sends one record at a time. Read as JSON it takes 25 times its size."""
_WHO: Final = "notification: expected the token of this service in its header Authorization, or in its opaqueData"


class WrongTokenError(PermanentError):
    """The sender does not know the token."""


class StormError(RetryableError):
    """Not delivered, and the sender will try again at once, without end: its answer is to wait a moment."""


class Envelopes(Protocol):
    """Opens envelopes of Amazon SNS."""

    def open(self, document: Mapping[str, Any]) -> bytes | None:
        """What an envelope holds; None where it asked for something else and that was done."""
        ...


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes notifications. ``token`` empty: from everybody."""

    token: str
    sink: EventSink
    envelopes: Envelopes

    def limit(self, authorization: str | None) -> int:
        """How long a body may be, bytes: nothing of it is wanted where the header tells of a stranger already."""
        if self._told(authorization):
            return _MAX_BODY
        return 0 if authorization else _MAX_STRANGE

    def refuse(self, authorization: str | None, error: BadInputError) -> NoReturn:
        """Raise what a body that is longer than ``limit`` deserves: a stranger's gets no other answer than any."""
        raise error if self._told(authorization) else WrongTokenError(_WHO)

    def _told(self, authorization: str | None) -> bool:
        return not self.token or knows_token(authorization, self.token)

    def receive(self, body: bytes, authorization: str | None) -> int:
        """Send on what a notification says was written; returns how many events went out.

        Raises:
            WrongTokenError: the sender is not who may send.
            BadInputError: no notification, or one with a field that is not what its dialect says; the others went out.
            PermanentError: the broker refuses an event; the others went out.
            RetryableError: the broker, or Amazon SNS, does not answer; some events may have gone out.
        """
        by_header = self._told(authorization)
        if not by_header and authorization:
            raise WrongTokenError(_WHO)
        document = self._read(body, told=by_header)
        opaque = opaque_data(document)
        if not by_header and not (opaque and all(_same(each, self.token) for each in opaque)):
            raise WrongTokenError(_WHO)
        try:
            return self._forward(document)
        except RetryableError as error:
            raise StormError(str(error)) if opaque else error from None
        except PermanentError as error:
            if not opaque:
                raise
            # Ceph would send it again for ever, and its queue would stand still behind it.
            _LOG.error("object_events: dropped, the sweep will find what it told of: %s", error)
            return 0

    def _read(self, body: bytes, *, told: bool) -> dict[str, Any]:
        try:
            return read_document(body)
        except BadInputError:
            if told:
                raise
            raise WrongTokenError(_WHO) from None

    def _forward(self, document: Mapping[str, Any]) -> int:
        if is_envelope(document):
            inner = self.envelopes.open(document)
            if inner is None:
                return 0
            document = read_document(inner)
        events, wrong = sorted_out(document)
        sent = send_all(events, self.sink)
        if wrong is not None:
            raise wrong
        return sent


def send_all(events: list[Event], sink: EventSink) -> int:
    """Send each event; returns how many. One that is refused keeps no other from going, and is raised at the end."""
    refused: list[PermanentError] = []
    for event in events:
        try:
            sink.send(event)
        except PermanentError as error:
            refused.append(error)
    if refused:
        raise refused[0]
    return len(events)


def knows_token(authorization: str | None, token: str) -> bool:
    """Whether ``Authorization`` is ``Bearer <token>``, or Basic with it as the password; in constant time."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme == "Bearer":
        return _same(value, token)
    if scheme != "Basic":
        return False
    try:
        pair = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    password = pair.partition(b":")[2].decode(errors="replace")
    # It came from a URL, where it stands escaped.
    plain, escaped = _same(password, token), _same(password, quote(token, safe=""))
    return plain or escaped


def _same(found: str, token: str) -> bool:
    return hmac.compare_digest(found.encode(errors="replace"), token.encode(errors="replace"))
