"""HTTP of an OData service: JSON documents and bytes, with its credentials, and with redirects followed by rule.

A redirect keeps all headers of the request. The credentials are kept on the same origin (scheme, host, port), and go to
no other (a store's pre-signed address), unless its host is named in the settings; where the settings say so, they are
dropped on the same origin too. Bytes are read from an offset with ``Range``. 401 makes one new token be fetched.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from shared.adapters.breaker import Breaker
from shared.adapters.http_bodies import RETRY, body_from, failed, finishing, range_headers, refused
from shared.adapters.odata_auth import Credentials
from shared.adapters.odata_paging import joined, origin
from shared.errors import BadInputError, ConfigurationError, ObjectAbsentError, StationUnavailableError
from shared.places import AuthSettings

MAX_ANSWER: Final = 64 << 20
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# What services answer to a filter, an order or a page size that they do not know.
_REJECTED: Final = frozenset({400, 405, 422, 501})


class RejectedQueryError(BadInputError):
    """The service answered 400, 405, 422 or 501: it does not understand the query."""


class ODataService:
    """One service. Thread-safe; at most ``parallel`` connections at a time to one host."""

    def __init__(
        self, what: str, auth: AuthSettings, *, timeout_s: float = 20.0, ca_file: Path | None = None, parallel: int = 4
    ) -> None:
        self.what = what
        self._forward, self._keep = frozenset(auth.redirect_hosts), auth.redirect_credentials
        self._pool = urllib3.PoolManager(
            maxsize=parallel,
            block=True,
            retries=RETRY,
            timeout=Timeout(connect=timeout_s, read=timeout_s),
            ssl_context=_trust(what, ca_file),
        )
        self._credentials = Credentials(what, auth, self._pool)
        self._breaker = Breaker(what, StationUnavailableError)

    def get_json(self, url: str) -> Any:
        """The JSON document at ``url``.

        RejectedQueryError where the service does not understand the query, ObjectAbsentError where there is nothing.
        """
        response = self._get(url, {"Accept": "application/json"})
        with finishing(response):
            if response.status != 200:
                raise self._refused(response, url, "200")
            try:
                document = response.read(MAX_ANSWER + 1)
            except HTTPError as error:
                raise self._unavailable(url, error) from error
            response.release_conn()
        if len(document) > MAX_ANSWER:
            raise BadInputError(f"{self.what}, {_place(url)}", f"an answer of at most {MAX_ANSWER} bytes")
        try:
            return json.loads(document)
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"{self.what}, {_place(url)}", "JSON", str(error)) from None

    def read(self, url: str, *, start: int = 0) -> Iterator[bytes]:
        """The bytes at ``url`` from ``start``, in chunks of at most 1 MiB; of a service that ignores the range as well.

        ObjectAbsentError where there is nothing at ``url``.
        """
        yield from body_from(self._get(url, range_headers(start)), f"{self.what}, {_place(url)}", start)

    def _get(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The answer at the end of the redirects; a 401 to our own credentials makes them be renewed, once."""
        answer = self._followed(url, headers)
        if answer.response.status == 401 and self._credentials.renew(answer.credentials):
            _dropped(answer.response)
            answer = self._followed(url, headers)
        if answer.response.status in {401, 403} and answer.redirected and self._credentials.any:
            _dropped(answer.response)
            how = "with the credentials" if answer.credentials else "without credentials"
            raise ConfigurationError(
                f"{self.what}, {_place(url)}: {answer.response.status} after a redirect to {answer.host}, which was "
                f"asked {how}: see redirect_hosts and redirect_credentials"
            )
        return answer.response

    def _followed(self, url: str, headers: dict[str, str]) -> _Answer:
        here = url
        for count in range(_MOST_REDIRECTS + 1):
            sent = self._credentials.headers() if self._trusted(here, url, redirected=count > 0) else {}
            response = self._send(here, headers | sent) if count else self._asked(here, headers | sent)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return _Answer(response, sent, urlsplit(here).hostname or "", redirected=count > 0)
            _dropped(response)
            here = self._redirected(here, location)
        raise BadInputError(f"{self.what}, {_place(url)}", f"at most {_MOST_REDIRECTS} redirects")

    def _trusted(self, here: str, url: str, *, redirected: bool) -> bool:
        """Whether ``here`` gets the credentials of a request to ``url``."""
        if redirected and urlsplit(here).hostname in self._forward:
            return True
        return origin(here) == origin(url) and (self._keep or not redirected)

    def _redirected(self, here: str, location: str) -> str:
        target = joined(here, location)
        scheme, _ = origin(target)
        if scheme not in {"http", "https"} or (scheme == "http" and origin(here)[0] == "https"):
            raise BadInputError(f"{self.what}, {_place(here)}, Location", "a URL as safe as this one", _place(target))
        return target

    def _asked(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The service's own answer, behind its breaker: where a redirect leads to is another endpoint."""
        self._breaker.admit()
        try:
            response = self._send(url, headers)
        except StationUnavailableError:
            self._breaker.failed()
            raise
        self._breaker.answered(response.status)
        return response

    def _send(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request("GET", url, headers=headers, preload_content=False, redirect=False)
        except HTTPError as error:
            raise self._unavailable(url, error) from error

    def _unavailable(self, url: str, error: Exception) -> StationUnavailableError | ConfigurationError:
        """What urllib3 says of a request that failed may hold the whole address: it is not told."""
        told = failed(self.what, error)
        return (
            told
            if isinstance(told, ConfigurationError)
            else StationUnavailableError(f"{self.what}, {_place(url)}: {type(error).__name__}")
        )

    def _refused(self, response: urllib3.BaseHTTPResponse, url: str, expected: str) -> Exception:
        _dropped(response)
        what = f"{self.what}, {_place(url)}"
        if response.status == 404:
            return ObjectAbsentError(f"{what}: nothing there")
        if response.status in _REJECTED:
            return RejectedQueryError(what, "that the service understands the query", response.status)
        return refused(what, expected, response.status)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The answer of ``host``, and the credentials that it was asked with."""

    response: urllib3.BaseHTTPResponse
    credentials: dict[str, str]
    host: str
    redirected: bool


def _trust(what: str, ca_file: Path | None) -> ssl.SSLContext:
    """Who may sign certificates: ``ca_file`` beside the system's own, for a redirect may lead to a public host."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"{what}, ca_file {ca_file}: {error}") from None
    return context


def _dropped(response: urllib3.BaseHTTPResponse) -> None:
    response.close()
    response.release_conn()


def _place(url: str) -> str:
    """What of a URL may be shown: not its query, which holds the signature of a pre-signed address."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}"
