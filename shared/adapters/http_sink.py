"""The broker as a function sees it: the address in ``K_SINK``, one POST per event.

What a SinkBinding of Knative's gives along is honoured: ``K_CA_CERTS`` (PEM, the authority behind an https address),
``K_CE_OVERRIDES`` (extensions that every event gets), certificates below ``/knative-custom-certs``, and an OIDC token
in the file ``/oidc/token``. The file is replaced before the token expires, so it is read for each event.
Source: Knative eventing, ``sinkbinding_lifecycle.go`` and ``trust_bundle.go``.

A broker on in-memory channels answers when all its deliveries are over, retries and dead letters included, and ends
them when the sender hangs up: ingress and channel deliver within the context of the sender's request
(``ingress_handler.go``, ``fanout_event_handler.go``). So a sender goes on after a while, and its request stays.
"""

from __future__ import annotations

import json
import logging
import os
import re
import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import urllib3

from shared.cloudevents import to_http
from shared.domain.events import Event
from shared.errors import ConfigurationError, PermanentError, RetryableError

_LOG: Final = logging.getLogger(__name__)

TOKEN_FILE: Final = Path("/oidc/token")
BUNDLES: Final = Path("/knative-custom-certs")
HELD_S: Final = 300.0
"""How long a request stays for an answer, s: as the longest delivery takes, and as a pod may take to end."""
MOST_HELD: Final = 64
"""Requests that stay at a time. One event more is for later."""
# 401: a token that has just run out. The event is not to blame, and the next token is on its way.
_RETRIED: Final = frozenset({401, 404, 408, 409, 429})
_NAME: Final = re.compile(r"[a-z0-9]{1,64}", re.ASCII)


class HttpSink:
    """Sends events in binary mode to one address. Thread-safe; connections are kept.

    Requests stay in threads that the process waits for at its end: what was handed over is delivered beyond SIGTERM.

    Args:
        url: the address.
        timeout_s: how long a sender waits for the receiver to answer, s; its request stays for ``held_s``.
        held_s: limit for the receiver to answer, s.
        tls: how the receiver of an https address is judged; None: by the authorities that the machine knows.
        extensions: attributes that every event gets, whatever it brings.
        token_file: the bearer token to send, where the file is there.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 10.0,
        held_s: float = HELD_S,
        tls: ssl.SSLContext | None = None,
        extensions: Mapping[str, str] | None = None,
        token_file: Path = TOKEN_FILE,
    ) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._extensions = dict(extensions or {})
        self._token_file = token_file
        self._pool = urllib3.PoolManager(
            maxsize=MOST_HELD,
            retries=False,
            timeout=urllib3.Timeout(connect=3.0, read=held_s),
            headers={"user-agent": "s2ps"},
            ssl_context=tls,
        )
        self._senders = ThreadPoolExecutor(MOST_HELD, thread_name_prefix="broker")
        self._under_way: set[str] = set()
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls, *, bundles: Path = BUNDLES, token_file: Path = TOKEN_FILE) -> HttpSink:
        """The sink that the platform bound to this function. ConfigurationError where it is none or broken."""
        url = os.environ.get("K_SINK", "")
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"K_SINK: expected the broker's URL, found {url!r}")
        tls = _trust(os.environ.get("K_CA_CERTS", ""), bundles) if url.startswith("https://") else None
        extensions = _extensions(os.environ.get("K_CE_OVERRIDES", ""))
        return cls(url, tls=tls, extensions=extensions, token_file=token_file)

    def send(self, event: Event) -> None:
        """Hand over one event; at once where the receiver has one of this id, and has not answered yet.

        Raises:
            RetryableError: nobody takes it, or the answer says later. Taken, and not answered in time, is handed over.
            PermanentError: the receiver refuses this event; ConfigurationError where it refuses us.
        """
        with self._lock:
            if event.id in self._under_way:
                return
            self._under_way.add(event.id)
        sent = self._senders.submit(self._deliver, event)
        try:
            sent.result(self._timeout_s)
        except TimeoutError:
            if sent.cancel():
                self._over(event)
                raise RetryableError(f"broker {self._url}: has not answered to {MOST_HELD} other events yet") from None
            _LOG.info("broker %s: has event %s (%s), but no answer yet", self._url, event.id, event.type)
            sent.add_done_callback(partial(self._late, event))

    def _deliver(self, event: Event) -> None:
        try:
            self._post(event)
        finally:
            self._over(event)

    def _over(self, event: Event) -> None:
        with self._lock:
            self._under_way.discard(event.id)

    def _late(self, event: Event, sent: Future[None]) -> None:
        if (error := sent.exception()) is not None:
            _LOG.warning("broker %s: had event %s (%s), and then: %s", self._url, event.id, event.type, error)

    def _post(self, event: Event) -> None:
        if self._extensions:
            event = replace(event, extensions={**event.extensions, **self._extensions})
        headers, body = to_http(event)
        try:
            answer = self._pool.request("POST", self._url, body=body, headers=headers | self._authorisation())
        except urllib3.exceptions.ReadTimeoutError:
            # It has the event: to send it again would only keep the others waiting.
            _LOG.info("broker %s: had event %s (%s), and never answered", self._url, event.id, event.type)
            return
        except urllib3.exceptions.HTTPError as error:
            raise RetryableError(f"broker {self._url}: {type(error).__name__}: {error}") from error
        if answer.status < 300:
            return
        said = answer.data[:200].decode(errors="replace")
        message = f"broker {self._url}: answered {answer.status} to event {event.id} ({event.type}): {said}"
        if answer.status >= 500 or answer.status in _RETRIED:
            raise RetryableError(message)
        raise ConfigurationError(message) if answer.status == 403 else PermanentError(message)

    def _authorisation(self) -> dict[str, str]:
        try:
            token = self._token_file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise RetryableError(f"{self._token_file}: expected a token: {type(error).__name__}") from error
        return {"authorization": f"Bearer {token}"} if token else {}


def _trust(pem: str, bundles: Path) -> ssl.SSLContext:
    """Trust in the authorities that the machine knows, in those of ``pem``, and in those of files in ``bundles``."""
    context = ssl.create_default_context()
    files = sorted(path for path in bundles.glob("*") if path.is_file())
    given = {"K_CA_CERTS": pem} | {str(path): path.read_text(encoding="ascii", errors="replace") for path in files}
    for source, text in given.items():
        if text.strip():
            try:
                context.load_verify_locations(cadata=text)
            except (ssl.SSLError, ValueError) as error:
                raise ConfigurationError(f"{source}: expected certificates as PEM: {error}") from error
    return context


def _extensions(overrides: str) -> dict[str, str]:
    """``{"extensions": {name: value}}``, as a SinkBinding writes it."""
    if not overrides.strip():
        return {}
    try:
        document: Any = json.loads(overrides)
    except (ValueError, RecursionError):
        document = None
    found = document.get("extensions") if isinstance(document, dict) else ()
    found = {} if found is None else found
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ConfigurationError("K_CE_OVERRIDES: expected a JSON object with extensions, names to text")
    for name in found:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"K_CE_OVERRIDES: extension {name!r}: expected lower-case letters and digits")
    return found
