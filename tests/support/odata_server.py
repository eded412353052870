"""An AUXIP on the loopback: OData over real HTTP, with a token service and a store that $value redirects to, and with
every quirk that services in operation were seen to have, each switched on by itself."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

_FILTER = re.compile(r"PublicationDate (ge|gt|le|lt) ([0-9T:.Z-]+)|startswith\(Name,'([^']*)'\)")


@dataclass
class Held:
    """A product. ``visible``: when it begins to be listed, whatever it says of its publication."""

    id: str
    name: str
    body: bytes
    published: datetime | None
    visible: datetime
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass
class ODataServer:
    """``now`` is the time by which things become visible.

    Paging: ``links`` gives ``@odata.nextLink`` (``relative`` ones), ``most`` caps a page whatever ``$top`` says, and
    ``ignores`` holds query options that are not looked at. ``rejects``: operators of a filter that are answered 400.
    ``redirect``: status of ``$value``, to another host, or to a path of this one (``redirect_here``). ``trouble``:
    statuses that the next requests get. ``lives_s``: of a token, and None says nothing of it.
    """

    products: list[Held] = field(default_factory=list)
    now: datetime = datetime(2026, 11, 22, 10, tzinfo=UTC)
    auth: str = "none"
    grant: str = "password"
    links: bool = False
    relative: bool = False
    most: int = 1000
    ignores: frozenset[str] = frozenset()
    rejects: frozenset[str] = frozenset()
    unsorted: bool = False
    redirect: int = 0
    redirect_here: bool = False
    ignore_range: bool = False
    cut: int | None = None
    trouble: list[int] = field(default_factory=list)
    lives_s: float | None = 300
    refreshes: bool = True
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    grants: list[dict[str, str]] = field(default_factory=list)
    before_list: Any = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/odata/v1"

    @property
    def token_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    def publish(
        self, name: str, body: bytes, published: datetime | None = None, *, late: float = 0, **fields: Any
    ) -> Held:
        """Publish a product now, or ``late`` seconds before it becomes visible."""
        held = Held(
            f"00000000-0000-0000-0000-{len(self.products):012d}",
            name,
            body,
            published or self.now - timedelta(seconds=late),
            self.now,
            fields,
        )
        self.products.append(held)
        return held

    def listed(self) -> list[str]:
        """The queries of lists that were asked."""
        return [path for _, path, _ in self.requests if "/Products?" in path]

    @contextmanager
    def serving(self) -> Iterator[ODataServer]:
        served = self

        class Handler(_Handler):
            odata = served

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def select(self, query: dict[str, str]) -> list[Held]:
        found = [each for each in self.products if each.visible <= self.now]
        for operator, when, prefix in _FILTER.findall(query.get("$filter", "")):
            if prefix:
                found = [each for each in found if each.name.startswith(prefix)]
            else:
                found = [each for each in found if each.published is None or _holds(operator, each.published, when)]
        latest = datetime.max.replace(tzinfo=UTC)
        if "$orderby" in query:
            found.sort(key=lambda each: (each.published or latest, each.id), reverse=self.unsorted)
        return found


def _holds(operator: str, published: datetime, text: str) -> bool:
    when = datetime.fromisoformat(text)
    return {"ge": published >= when, "gt": published > when, "le": published <= when, "lt": published < when}[operator]


class _Handler(BaseHTTPRequestHandler):
    odata: ODataServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        odata = self.odata
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True))
        odata.grants.append(form)
        good = {
            "password": form.get("username") == "us" and form.get("password") == "p&w=d é",
            "client_credentials": form.get("client_secret") == "secret",
            "refresh_token": form.get("refresh_token") == f"refresh-{len(odata.tokens)}" and odata.refreshes,
        }.get(form.get("grant_type", ""), False)
        if not good or form.get("client_id") != "s2ps":
            self._answer(401, b'{"error": "invalid_grant"}')
            return
        odata.tokens.append(f"token-{len(odata.tokens) + 1}")
        answer: dict[str, Any] = {"access_token": odata.tokens[-1], "token_type": "Bearer"}
        if odata.lives_s is not None:
            answer["expires_in"] = odata.lives_s
        if odata.refreshes or odata.lives_s is None:
            answer["refresh_token"] = f"refresh-{len(odata.tokens)}"
        self._answer(200, json.dumps(answer).encode())

    def do_GET(self) -> None:
        odata, given = self.odata, self.headers.get("Authorization", "")
        odata.requests.append((self.headers.get("Host", ""), self.path, given))
        if self.path.startswith("/store/"):
            # A store takes a signed address, and refuses one that comes with other credentials too.
            good = given == "" or odata.redirect_here
            self._bytes(self.path.removeprefix("/store/").partition("?")[0]) if good else self._answer(400, b"two ways")
            return
        if not self._authorised(given):
            self._answer(401, b"")
        elif odata.trouble:
            self._answer(odata.trouble.pop(0), b"trouble")
        elif self.path.endswith("/$value"):
            self._value(self.path.rpartition("(")[2].removesuffix(")/$value"))
        else:
            self._list()

    def _authorised(self, given: str) -> bool:
        odata = self.odata
        if odata.auth == "basic":
            return given == "Basic dXM6cCZ3PWQgw6k="
        return odata.auth == "none" or bool(odata.tokens and given == f"Bearer {odata.tokens[-1]}")

    def _list(self) -> None:
        odata = self.odata
        if odata.before_list is not None:
            odata.before_list(len(odata.listed()))
        asked = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query, strict_parsing=True).items()}
        query = {key: value for key, value in asked.items() if key not in odata.ignores}
        if odata.rejects & set(re.findall(r"\b(?:ge|gt|le|lt)\b", query.get("$filter", ""))):
            self._answer(400, b'{"error": {"message": "operator not supported"}}')
            return
        found = odata.select(query)
        start, top = int(query.get("$skip", 0)), min(int(query.get("$top", 10**6)), odata.most)
        page, rest = found[start : start + top], found[start + top :]
        answer: dict[str, Any] = {"@odata.context": "$metadata#Products", "value": [_shown(each) for each in page]}
        if odata.links and rest:
            more = "&".join(f"{key}={quote(value)}" for key, value in {**asked, "$skip": str(start + top)}.items())
            answer["@odata.nextLink"] = f"Products?{more}" if odata.relative else f"{odata.url}/Products?{more}"
        self._answer(200, json.dumps(answer).encode())

    def _value(self, identity: str) -> None:
        odata = self.odata
        if odata.redirect:
            host = "127.0.0.1" if odata.redirect_here else "localhost"
            place = f"http://{host}:{odata.port}/store/{identity}?X-Amz-Signature=abc"
            self._answer(odata.redirect, b"", {"Location": place})
        else:
            self._bytes(identity)

    def _bytes(self, identity: str) -> None:
        odata = self.odata
        held = next((each for each in odata.products if each.id == identity), None)
        if held is None:
            self._answer(404, b"")
            return
        ranged = self.headers.get("Range", "")
        start = 0 if odata.ignore_range or not ranged else int(ranged.removeprefix("bytes=").removesuffix("-"))
        body = held.body[start:]
        if start >= len(held.body) and ranged and not odata.ignore_range:
            self._answer(416, b"")
            return
        headers = {"Content-Range": f"bytes {start}-{len(held.body) - 1}/{len(held.body)}"} if start else {}
        if odata.cut is not None:
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: odata.cut])
            self.close_connection = True
            return
        self._answer(206 if start else 200, body, headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _shown(held: Held) -> dict[str, Any]:
    date = None if held.published is None else held.published.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "Id": held.id,
        "Name": held.name,
        "ContentType": "application/octet-stream",
        "ContentLength": len(held.body),
        "PublicationDate": date,
        "Checksum": None,
        "ContentDate": None,
    } | held.fields
