"""A WebDAV station on the loopback that misbehaves on demand: cuts connections, ignores ranges, swaps files."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from pydantic import SecretStr

from shared.places import StationSettings


@dataclass
class WildStation:
    """``files``: path to (content, time). ``cut``: how many bytes of a GET's answer are sent before the line breaks."""

    files: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    cut: Callable[[str, int], int | None] = lambda _path, _start: None
    ignore_range: bool = False
    status: int = 0
    credentials: str = ""
    challenge: str = 'Basic realm="station"'
    before_get: Callable[[str], None] = lambda _path: None
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    port: int = 0

    def put(self, path: str, content: bytes, modified: datetime | None = None) -> None:
        self.files[path] = (content, modified or datetime(2026, 11, 22, 10, tzinfo=UTC))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def settings(self, **more: Any) -> StationSettings:
        return StationSettings(name="TST_", url=self.url, timeout_s=5, **more)

    def gets(self) -> list[str]:
        return [ranged for method, _, ranged in self.requests if method == "GET"]

    def listing(self, folder: str) -> bytes | None:
        names: dict[str, tuple[bytes, datetime] | None] = {}
        for path, held in self.files.items():
            if path.startswith(folder):
                head, _, rest = path[len(folder) :].partition("/")
                names[head] = None if rest else held
        if not names:
            return None
        entries = [_folder("/" + quote(folder)), *(self._entry(folder + n, held) for n, held in names.items())]
        return f'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">{"".join(entries)}</d:multistatus>'.encode()

    @staticmethod
    def _entry(path: str, held: tuple[bytes, datetime] | None) -> str:
        if held is None:
            return _folder(f"/{quote(path)}/")
        date = format_datetime(held[1], usegmt=True)
        props = f"<d:getcontentlength>{len(held[0])}</d:getcontentlength><d:getlastmodified>{date}</d:getlastmodified>"
        return _response("/" + quote(path), props)

    @contextmanager
    def serving(self) -> Iterator[WildStation]:
        station = self

        class Handler(_Handler):
            wild = station

        server = _Server(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that leave early are part of the game."""


def _folder(href: str) -> str:
    return _response(href, "<d:resourcetype><d:collection/></d:resourcetype>")


def _response(href: str, props: str) -> str:
    return (
        f"<d:response><d:href>{escape(href)}</d:href><d:propstat><d:prop>{props}</d:prop>"
        "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )


class _Handler(BaseHTTPRequestHandler):
    wild: WildStation
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    def _begin(self) -> bool:
        wild = self.wild
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        wild.requests.append((self.command, unquote(self.path), self.headers.get("Range", "")))
        if wild.status:
            return self._answer(wild.status, b"")
        expected = "Basic " + base64.b64encode(wild.credentials.encode()).decode()
        if wild.credentials and self.headers.get("Authorization") != expected:
            return self._answer(401, b"who?", {"WWW-Authenticate": wild.challenge})
        return True

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> bool:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        return False

    def do_PROPFIND(self) -> None:
        if self._begin():
            body = self.wild.listing(unquote(self.path).lstrip("/"))
            self._answer(404 if body is None else 207, body or b"")

    def do_GET(self) -> None:
        if not self._begin():
            return
        path = unquote(self.path).lstrip("/")
        self.wild.before_get(path)
        held = self.wild.files.get(path)
        if held is None:
            self._answer(404, b"")
            return
        ranged = self.headers.get("Range", "")
        start = int(ranged.removeprefix("bytes=").rstrip("-")) if ranged and not self.wild.ignore_range else 0
        if start >= len(held[0]) and start:
            self._answer(416, b"")
            return
        body = held[0][start:]
        more = {"Content-Range": f"bytes {start}-{len(held[0]) - 1}/{len(held[0])}"} if start else {}
        cut = self.wild.cut(path, start)
        if cut is None:
            self._answer(206 if start else 200, body, more)
            return
        self._answer(206 if start else 200, b"", {**more, "Content-Length": str(len(body))})
        self.wfile.write(body[:cut])
        self.wfile.flush()
        self.close_connection = True


def basic(user: str, password: str) -> dict[str, Any]:
    """Settings of a client that has these credentials."""
    return {"user": user, "password": SecretStr(password)}
