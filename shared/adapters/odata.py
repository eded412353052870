"""HTTP of an OData service: JSON documents and bytes, with its credentials, and with redirects followed by rule.

A redirect on the same host keeps the credentials; one to another host (a store's pre-signed address) gets none, unless
that host is named in the settings. Bytes are read from an offset with ``Range``. 401 makes one new token be fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, SSLError
from urllib3.util import Retry, Timeout

from shared.adapters.odata_auth import Credentials
from shared.adapters.odata_paging import origin
from shared.errors import BadInputError, ConfigurationError, ObjectAbsentError, StationUnavailableError
from shared.settings import AuthSettings

MAX_ANSWER: Final = 64 << 20
_CHUNK: Final = 1 << 20
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)", re.ASCII)
_RETRY: Final = Retry(
    total=2,
    connect=2,
    read=1,
    status=2,
    redirect=False,
    backoff_factor=0.2,
    status_forcelist=(502, 503, 504),
    allowed_methods=("GET",),
    raise_on_status=False,
    respect_retry_after_header=False,
)


class RejectedQueryError(BadInputError):
    """The service answered 400 or 501: it does not understand the query."""


class ODataService:
    """One service. Thread-safe; at most ``parallel`` connections at a time to one host."""

    def __init__(
        self, what: str, auth: AuthSettings, *, timeout_s: float = 20.0, ca_file: Path | None = None, parallel: int = 4
    ) -> None:
        self.what = what
        self._forward = frozenset(auth.redirect_hosts)
        self._pool = urllib3.PoolManager(
            maxsize=parallel,
            block=True,
            retries=_RETRY,
            timeout=Timeout(connect=timeout_s, read=timeout_s),
            cert_reqs="CERT_REQUIRED",
            ca_certs=None if ca_file is None else str(ca_file),
        )
        self._credentials = Credentials(what, auth, self._pool)

    def get_json(self, url: str) -> Any:
        """The JSON document at ``url``.

        RejectedQueryError where the service does not understand the query, ObjectAbsentError where there is nothing.
        """
        response = self._get(url, {"Accept": "application/json"})
        with _finishing(response):
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
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        response = self._get(url, headers)
        with _finishing(response):
            skip = self._bytes_to_skip(response, url, start)
            if skip is None:
                return
            try:
                while chunk := response.read(_CHUNK, decode_content=False):
                    if len(chunk) > skip:
                        yield chunk[skip:]
                    skip = max(0, skip - len(chunk))
            except HTTPError as error:
                raise self._unavailable(url, error) from error
            response.release_conn()

    def _bytes_to_skip(self, response: urllib3.BaseHTTPResponse, url: str, start: int) -> int | None:
        """Bytes before ``start`` in this answer; None where there is nothing from ``start`` on."""
        if response.status == 416 and start:
            return None
        if response.status == 200:
            return start
        if response.status != 206 or not start:
            raise self._refused(response, url, "200, or 206 for a range")
        shown = response.headers.get("Content-Range", "")
        found = _CONTENT_RANGE.fullmatch(shown)
        if found is None or int(found[1]) != start:
            raise BadInputError(f"{self.what}, {_place(url)}, Content-Range", f"bytes {start}-", shown)
        return 0

    def _get(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The answer at the end of the redirects; a 401 to our own credentials makes them be renewed, once."""
        response = self._followed(url, headers)
        if response.status == 401 and self._credentials.renew():
            _dropped(response)
            response = self._followed(url, headers)
        return response

    def _followed(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        here = url
        for _ in range(_MOST_REDIRECTS + 1):
            ours = origin(here) == origin(url) or urlsplit(here).hostname in self._forward
            response = self._send(here, headers | (self._credentials.headers() if ours else {}))
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response
            _dropped(response)
            here = self._redirected(here, location)
        raise BadInputError(f"{self.what}, {_place(url)}", f"at most {_MOST_REDIRECTS} redirects")

    def _redirected(self, here: str, location: str) -> str:
        target = urljoin(here, location)
        scheme, _ = origin(target)
        if scheme not in {"http", "https"} or (scheme == "http" and origin(here)[0] == "https"):
            raise BadInputError(f"{self.what}, {_place(here)}, Location", "a URL as safe as this one", _place(target))
        return target

    def _send(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request("GET", url, headers=headers, preload_content=False, redirect=False)
        except HTTPError as error:
            raise self._unavailable(url, error) from error

    def _unavailable(self, url: str, error: Exception) -> StationUnavailableError | ConfigurationError:
        reason = error if isinstance(error, SSLError) else getattr(error, "reason", None)
        if isinstance(reason, SSLError):
            return ConfigurationError(f"{self.what}: its certificate was not accepted: {reason}")
        return StationUnavailableError(f"{self.what}, {_place(url)}: {type(error).__name__}")

    def _refused(self, response: urllib3.BaseHTTPResponse, url: str, expected: str) -> Exception:
        _dropped(response)
        what = f"{self.what}, {_place(url)}"
        if response.status == 404:
            return ObjectAbsentError(f"{what}: nothing there")
        if response.status in {400, 501}:
            return RejectedQueryError(what, "that the service understands the query", response.status)
        told = f"{what}: expected {expected}, found {response.status}"
        if response.status >= 500 or response.status in {202, 408, 423, 425, 429}:
            return StationUnavailableError(told)
        return ConfigurationError(told)


@contextmanager
def _finishing(response: urllib3.BaseHTTPResponse) -> Iterator[None]:
    """Give the connection back to the pool whatever happens: its places are counted."""
    try:
        yield
    finally:
        response.close()
        response.release_conn()


def _dropped(response: urllib3.BaseHTTPResponse) -> None:
    response.close()
    response.release_conn()


def _place(url: str) -> str:
    """What of a URL may be shown: not its query, which holds the signature of a pre-signed address."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}"
