"""The broker as a function sees it: the address in ``K_SINK``, one POST per event."""

from __future__ import annotations

import os
from typing import Final

import urllib3

from shared.cloudevents import to_http
from shared.domain.events import Event
from shared.errors import ConfigurationError, PermanentError, RetryableError

_RETRIED: Final = frozenset({404, 408, 409, 429})


class HttpSink:
    """Sends events in binary mode to one address. Thread-safe; connections are kept."""

    def __init__(self, url: str, *, timeout_s: float = 10.0) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(
            maxsize=8,
            retries=False,
            timeout=urllib3.Timeout(connect=3.0, read=timeout_s),
            headers={"user-agent": "s2ps"},
        )

    @classmethod
    def from_environment(cls) -> HttpSink:
        """The sink that the platform bound to this function. ConfigurationError where it bound none."""
        url = os.environ.get("K_SINK", "")
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"K_SINK: expected the broker's URL, found {url!r}")
        return cls(url)

    def send(self, event: Event) -> None:
        """Hand over one event.

        Raises:
            RetryableError: nobody answers, or the answer says later.
            PermanentError: the receiver refuses this event.
        """
        headers, body = to_http(event)
        try:
            answer = self._pool.request("POST", self._url, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise RetryableError(f"broker {self._url}: {type(error).__name__}: {error}") from error
        if answer.status < 300:
            return
        said = answer.data[:200].decode(errors="replace")
        message = f"broker {self._url}: answered {answer.status} to event {event.id} ({event.type}): {said}"
        if answer.status >= 500 or answer.status in _RETRIED:
            raise RetryableError(message)
        raise PermanentError(message)
