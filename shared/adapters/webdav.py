"""A pick-up point on WebDAV (XBIP): ``<tree>/[<station>/]<satellite>/<session folder>/<channel folder>/<file>``.

PROPFIND with Depth 1 only (RFC 4918): one folder at a time, and only the folders that are asked for. Redirects are not
followed, and hrefs never lead out of the folder that was listed.
"""

from __future__ import annotations

import logging
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Final, Literal
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from shared.adapters.breaker import Breaker
from shared.adapters.http_bodies import RETRY, body_from, failed, finishing, range_headers, refused
from shared.adapters.webdav_listing import MAX_ANSWER, REQUEST, Entry, members
from shared.domain.names import SATELLITES
from shared.errors import BadInputError, ConfigurationError, StationUnavailableError
from shared.places import StationSettings
from shared.ports import StationFile

Tree = Literal["NOMINAL", "RETRANSFER"]
TREES: Final[tuple[Tree, ...]] = ("NOMINAL", "RETRANSFER")

_log: Final = logging.getLogger(__name__)
_IGNORED: Final = re.compile(r"\..*|.*\.tmp|db.*|lost\+found", re.DOTALL)
_CHANNEL: Final = re.compile(r"ch_?0?[12]", re.ASCII)
_STATION: Final = re.compile(r"[A-Z0-9_]{4}", re.ASCII)
# One of several challenges, perhaps: ``Digest realm="a", nonce="b", Basic realm="a"`` (RFC 9110, section 11.6.1).
_BASIC: Final = re.compile(r"(?:^|,)\s*basic(?:\s|,|$)", re.ASCII | re.IGNORECASE)


class WebDavStation:
    """``shared.ports.Station`` over WebDAV. Thread-safe; at most ``settings.parallel`` connections at a time."""

    def __init__(self, settings: StationSettings) -> None:
        self._settings = settings
        self._base = settings.url.rstrip("/") + "/"
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=settings.parallel,
            block=True,
            retries=RETRY,
            timeout=Timeout(connect=settings.timeout_s, read=settings.timeout_s),
            cert_reqs="CERT_REQUIRED",
            ca_certs=None if settings.ca_file is None else str(settings.ca_file),
        )
        self._breaker = Breaker(f"station {settings.name}", StationUnavailableError)
        self._authorise = settings.preemptive
        self._roots: dict[Tree, list[tuple[str, str]]] = {}

    @property
    def name(self) -> str:
        return self._settings.name

    def sessions(self) -> Iterator[tuple[Tree, str, str]]:
        """See the port. A tree that is not there holds nothing."""
        for tree in TREES:
            self._roots[tree] = list(self._satellites(tree))
            for satellite, path in self._roots[tree]:
                for entry in self._list(path):
                    if entry.folder and entry.plain and not _IGNORED.fullmatch(entry.name):
                        yield tree, satellite, entry.name

    def files(self, tree: Tree, satellite: str, folder: str) -> Iterator[StationFile]:
        """See the port. Files stand in the session folder itself or in its channel folders."""
        for of, path in self._roots.get(tree) or self._satellites(tree):
            if of != satellite:
                continue
            session = f"{path}{folder}/"
            for entry in self._list(session):
                if not entry.folder:
                    yield from self._file(entry, session, tree, satellite, folder)
                elif _CHANNEL.fullmatch(entry.name):
                    channel = f"{session}{entry.name}/"
                    for file in self._list(channel):
                        if not file.folder:
                            yield from self._file(file, channel, tree, satellite, folder)

    def _file(self, entry: Entry, below: str, tree: Tree, satellite: str, folder: str) -> Iterator[StationFile]:
        if _IGNORED.fullmatch(entry.name) and entry.plain:
            return
        if entry.modified is None:
            _log.warning("station %s: %r below %s has no getlastmodified, passed over", self.name, entry.name, below)
            return
        yield StationFile(f"{below}{entry.name}", entry.name, tree, satellite, folder, entry.size, entry.modified)

    def _satellites(self, tree: Tree) -> Iterator[tuple[str, str]]:
        """(satellite, path of its folder) in a tree, with or without a folder of the station above it."""
        for entry in self._list(f"{tree}/"):
            if not entry.folder:
                continue
            if entry.name in SATELLITES:
                yield entry.name, f"{tree}/{entry.name}/"
            elif _STATION.fullmatch(entry.name):
                for below in self._list(f"{tree}/{entry.name}/"):
                    if below.folder and below.name in SATELLITES:
                        yield below.name, f"{tree}/{entry.name}/{below.name}/"

    def _list(self, path: str) -> list[Entry]:
        """The members of a folder (``path`` ends in ``/``); none where it is not there."""
        headers = {"Depth": "1", "Content-Type": "application/xml; charset=utf-8"}
        response = self._send("PROPFIND", path, headers, REQUEST)
        with finishing(response):
            if response.status == 404:
                response.drain_conn()
                return []
            if response.status != 207:
                raise refused(f"station {self.name}, {path}", "207 Multi-Status", response.status)
            try:
                document = response.read(MAX_ANSWER + 1)
            except HTTPError as error:
                raise self._unavailable(path, error) from error
            response.release_conn()
        if len(document) > MAX_ANSWER:
            raise BadInputError(f"station {self.name}, listing of {path}", f"at most {MAX_ANSWER} bytes")
        return list(members(document, self._url(path)))

    def read(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        """See the port. Of a server that ignores the range, the bytes before ``start`` are read and dropped."""
        yield from body_from(self._send("GET", path, range_headers(start)), f"station {self.name}, {path}", start)

    def _send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        basic = self._credentials()
        while True:
            sent = headers | (basic if self._authorise else {})
            self._breaker.admit()
            try:
                response = self._pool.request(
                    method, self._url(path), headers=sent, body=body, preload_content=False, redirect=False
                )
            except HTTPError as error:
                told = self._unavailable(path, error)
                if isinstance(told, StationUnavailableError):
                    self._breaker.failed()
                raise told from error
            self._breaker.answered(response.status)
            challenge = response.headers.get("WWW-Authenticate", "")
            if response.status != 401 or self._authorise or not basic or not _BASIC.search(challenge):
                return response
            response.drain_conn()
            self._authorise = True

    def _credentials(self) -> dict[str, str]:
        """Basic authentication in UTF-8 (RFC 7617)."""
        user, password = self._settings.user, self._settings.password.get_secret_value()
        return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"} if user else {}

    def _url(self, path: str) -> str:
        steps = path.split("/")
        if any(step in {".", ".."} for step in steps):
            raise BadInputError(f"station {self.name}, path", "no step that leads upwards", path)
        return self._base + "/".join(quote(step, safe="") for step in steps)

    def _unavailable(self, path: str, error: Exception) -> StationUnavailableError | ConfigurationError:
        return failed(f"station {self.name} ({urlsplit(self._base).netloc}), {path}", error)
