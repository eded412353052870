"""What clients of pick-up points over HTTP share: bodies from any byte on, and what went wrong as an error of ours."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, SSLError
from urllib3.util import Retry

from shared.errors import BadInputError, ConfigurationError, ObjectAbsentError, StationUnavailableError

# It warns of each retry, with the whole address: a pre-signed one is a secret. What comes of the retries is told by us.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

_CHUNK: Final = 1 << 20
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,19})-\d{1,19}/(?:\d{1,19}|\*)", re.ASCII)
RETRY: Final = Retry(
    total=2,
    connect=2,
    read=1,
    status=2,
    redirect=False,
    backoff_factor=0.2,
    status_forcelist=(502, 503, 504),
    allowed_methods=("GET", "PROPFIND"),
    raise_on_status=False,
    respect_retry_after_header=False,
)


@contextmanager
def finishing(response: BaseHTTPResponse) -> Iterator[None]:
    """Give the connection back to the pool whatever happens: its places are counted."""
    try:
        yield
    finally:
        response.close()
        response.release_conn()


def range_headers(start: int) -> dict[str, str]:
    """Headers of a request for a file's own bytes from ``start`` on."""
    return {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})


def body_from(response: BaseHTTPResponse, what: str, start: int) -> Iterator[bytes]:
    """The bytes from ``start`` on, in chunks of at most 1 MiB, of an answer to a request with ``range_headers``.

    Of a server that ignores the range, the bytes before ``start`` are read and dropped. ObjectAbsentError where there
    is no such file; the errors of ``refused`` and ``failed``.
    """
    with finishing(response):
        skip = _bytes_to_skip(response, what, start)
        if skip is None:
            return
        try:
            while chunk := response.read(_CHUNK, decode_content=False):
                if len(chunk) > skip:
                    yield chunk[skip:]
                skip = max(0, skip - len(chunk))
        except HTTPError as error:
            raise failed(what, error) from error
        response.release_conn()


def _bytes_to_skip(response: BaseHTTPResponse, what: str, start: int) -> int | None:
    """Bytes before ``start`` in this answer; None where there is nothing from ``start`` on."""
    if response.status in {404, 410}:
        raise ObjectAbsentError(f"{what}: no such file")
    if response.status == 416 and start:
        return None
    if response.status == 200:
        return start
    if response.status != 206 or not start:
        raise refused(what, "200, or 206 for a range", response.status)
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != start:
        raise BadInputError(f"{what}, Content-Range", f"bytes {start}-", response.headers.get("Content-Range"))
    return 0


def failed(what: str, error: Exception) -> StationUnavailableError | ConfigurationError:
    """The error of ours for a request that got no (whole) answer."""
    reason = error if isinstance(error, SSLError) else getattr(error, "reason", None)
    if isinstance(reason, SSLError):
        return ConfigurationError(f"{what}: its certificate was not accepted: {reason}")
    return StationUnavailableError(f"{what}: {type(error).__name__}: {error}")


def refused(what: str, expected: str, status: int) -> StationUnavailableError | ConfigurationError:
    """The error of ours for an answer of another status than ``expected``."""
    told = f"{what}: expected {expected}, found {status}"
    if status >= 500 or status in {202, 408, 423, 425, 429}:
        return StationUnavailableError(told)
    return ConfigurationError(told)
