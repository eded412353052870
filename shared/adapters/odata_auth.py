"""Credentials of an OData service: none, basic, or an OAuth2 token by password or client credentials.

Source: RFC 7617 (basic, in UTF-8), RFC 6749 sections 4.3, 4.4 and 6. Token services in operation leave out
``expires_in``, ``refresh_token`` or ``refresh_expires_in``: what is not said is not relied on. A token is renewed
before it ends, by the refresh token while that lasts, else anew; and once where the service answers 401 to it.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Callable
from threading import Lock
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from shared.errors import BadInputError, ConfigurationError, StationUnavailableError
from shared.places import AuthSettings

_MOST: Final = 1 << 20
_EARLY_S: Final = 30.0
"""A token is renewed so long before it ends, or after half its life where that is shorter."""


class Credentials:
    """What requests to one service carry. Thread-safe."""

    def __init__(
        self, what: str, auth: AuthSettings, pool: urllib3.PoolManager, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._auth, self._pool, self._clock = what, auth, pool, clock
        self._lock = Lock()
        self._token, self._until = "", 0.0
        self._refresh, self._refresh_until = "", 0.0

    def headers(self) -> dict[str, str]:
        """The header to send; a token is fetched where none is held or it is about to end."""
        if self._auth.kind == "none":
            return {}
        if self._auth.kind == "basic":
            return _basic(self._auth.user, self._auth.password.get_secret_value())
        with self._lock:
            if not self._token or self._clock() >= self._until:
                self._fetch()
            return self._carrying(self._token)

    @property
    def any(self) -> bool:
        """Whether requests carry anything."""
        return self._auth.kind != "none"

    def renew(self, refused: dict[str, str]) -> bool:
        """The service refused the headers ``refused``: whether it is worth trying again, with a new token.

        Of several requests that were refused with one token, the first has it renewed.
        """
        if self._auth.kind != "oauth2" or not refused:
            return False
        with self._lock:
            if refused == self._carrying(self._token):
                self._token = ""
        return True

    def _carrying(self, token: str) -> dict[str, str]:
        header = self._auth.token_header
        return {header: f"Bearer {token}" if header == "Authorization" else token}

    def _fetch(self) -> None:
        now = self._clock()
        if self._refresh and now < self._refresh_until:
            answer = self._asked({"grant_type": "refresh_token", "refresh_token": self._refresh})
            self._refresh = ""  # used up, or refused
            if answer is not None:
                self._keep(answer, now)
                return
        auth = self._auth
        fields: dict[str, str] = {"grant_type": auth.grant}
        if auth.grant == "password":
            fields |= {"username": auth.user, "password": auth.password.get_secret_value()}
        answer = self._asked(fields)
        if answer is None:
            raise ConfigurationError(f"{self._what}: {_host(auth.token_url)} refuses its credentials a token")
        self._keep(answer, now)

    def _asked(self, fields: dict[str, str]) -> dict[str, Any] | None:
        """The token service's answer; None where it refuses."""
        auth, url = self._auth, self._auth.token_url
        client = {"client_id": auth.client_id, "client_secret": auth.client_secret.get_secret_value()}
        headers = {"Accept": "application/json"}
        if auth.client_auth == "basic":
            # RFC 6749, section 2.3.1: both are encoded as in a form first.
            headers |= _basic(*(quote_plus(text) for text in client.values()))
            client = {}
        form = {**fields, **client, "scope": auth.scope}
        try:
            response = self._pool.request(
                "POST",
                url,
                fields={key: value for key, value in form.items() if value},
                encode_multipart=False,
                headers=headers,
                redirect=False,
                preload_content=False,
            )
            body = response.read(_MOST)
            response.close()
            response.release_conn()
        except HTTPError as error:
            reason = error if isinstance(error, SSLError) else getattr(error, "reason", None)
            if isinstance(reason, SSLError):
                raise ConfigurationError(
                    f"{self._what}: the certificate of {_host(url)} was not accepted: {reason}"
                ) from None
            # From None: what urllib3 says of a request may hold its fields.
            raise StationUnavailableError(f"{self._what}: no token from {_host(url)}: {type(error).__name__}") from None
        if response.status in {400, 401, 403}:
            return None
        if response.status != 200:
            kind = StationUnavailableError if response.status >= 500 or response.status == 429 else ConfigurationError
            raise kind(f"{self._what}: {_host(url)} answers {response.status} where a token was asked for")
        return self._read(body, url)

    def _read(self, body: bytes, url: str) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise BadInputError(f"{self._what}, answer of {_host(url)}", "JSON with an access_token")
        found: dict[str, Any] = answer
        return found

    def _keep(self, answer: dict[str, Any], now: float) -> None:
        self._token = answer["access_token"]
        self._until = now + _before_end(_seconds(answer.get("expires_in")))
        refresh = answer.get("refresh_token")
        self._refresh = refresh if isinstance(refresh, str) else ""
        # Nothing said, and 0, mean: until it is refused.
        self._refresh_until = now + (_seconds(answer.get("refresh_expires_in")) or float("inf"))


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def _seconds(value: Any) -> float | None:
    """A life in seconds, also where it is written as a text; None where none is said."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if 0 < found < float("inf") else None


def _before_end(life: float | None) -> float:
    return float("inf") if life is None else max(life - _EARLY_S, life / 2)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
