"""A CADIP on the loopback: OData over real HTTP, with a token service, a second origin that ``$value`` may redirect to,
and every quirk that stations in operation were seen to have, each switched on by itself."""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import eq, ge, gt, le, lt
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from uuid import UUID

from shared.places import StationSettings

WHEN: Final = datetime(2026, 11, 22, 10, tzinfo=UTC)
_TERM: Final = re.compile(r"(\w+) (eq|ne|gt|ge|lt|le) ('(?:[^']|'')*'|[^ ]+)")
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {"eq": eq, "gt": gt, "ge": ge, "lt": lt, "le": le}


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    port: int
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: dict[str, str] = field(default_factory=dict)


@dataclass
class CadipServer:
    """``sessions`` and ``files`` are entities as they are answered; ``bodies`` the files' bytes by their ids.

    Queries: ``rejects`` are patterns of a query that is answered 400, ``fails`` patterns of one that is answered 500.
    ``ignores`` holds options that are not looked at; ``most`` caps a page; ``links`` gives ``@odata.nextLink``;
    ``unsorted`` turns every list around; ``bare`` answers lists without an object around them.
    Credentials: ``auth``; a token lives ``lives_s``; ``refresh_says`` is the field ``refresh_expires_in``; 401 is
    answered to a token that was ``revoked``. Redirects: ``redirect`` is the status of ``$value``, to ``redirect_to``;
    that place wants credentials, none, or does not look.
    """

    sessions: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    quality: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rejects: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()
    ignores: frozenset[str] = frozenset()
    most: int = 10_000
    links: bool = False
    unsorted: bool = False
    bare: bool = False
    auth: Literal["none", "basic", "oauth2"] = "none"
    client: Literal["body", "basic"] = "body"
    token_header: str = "Authorization"
    lives_s: Any = 300
    refreshes: bool = True
    refresh_says: int | None = 1800
    revoked: set[str] = field(default_factory=set)
    redirect: int = 0
    redirect_to: Literal["same", "other"] = "other"
    place_wants: Literal["credentials", "none", "either"] = "either"
    ignore_range: bool = False
    cut: Callable[[str, int], int | None] = lambda _id, _start: None
    before_get: Callable[[str], None] = lambda _id: None
    requests: list[Request] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    port: int = 0
    other_port: int = 0
    user: str = "us"
    password: str = "p&w=d é"

    # contents ---------------------------------------------------------------------------------------------------
    def session(self, name: str, **fields: Any) -> dict[str, Any]:
        """List a session as stations do; ``fields`` replace its own."""
        entity = {
            "Id": str(UUID(int=len(self.sessions) + (1 << 64))),
            "SessionId": name,
            "NumChannels": 2,
            "PublicationDate": date(WHEN),
            "Satellite": name[:3],
            "StationUnitId": "05",
            "DownlinkOrbit": 123,
            "Retransfer": False,
            "DownlinkStart": "2026-11-22T10:00:00.000Z",
            "DownlinkStop": "2026-11-22T10:08:00.000Z",
            "DownlinkStatusOK": True,
        } | fields
        self.sessions.append(entity)
        return entity

    def file(self, name: str, body: bytes, *, after: float = 0, final: bool = False, **fields: Any) -> dict[str, Any]:
        """Publish a file ``after`` seconds; what its name says of session, channel and number goes into its fields."""
        found = re.fullmatch(r"DCS_\d\d_(.*)_ch(\d)_(?:DSDB_(\d+)|DSIB)\..*", name)
        said = (found[1], int(found[2]), int(found[3]) if found[3] else None) if found else ("", 1, 1)
        entity = {
            "Id": str(UUID(int=len(self.files) + 1)),
            "Name": name,
            "SessionId": said[0],
            "Channel": said[1],
            "BlockNumber": said[2],
            "FinalBlock": final,
            "PublicationDate": date(WHEN + timedelta(seconds=after)),
            "EvictionDate": date(WHEN + timedelta(days=7)),
            "Size": len(body),
            "Retransfer": False,
        } | fields
        self.files.append(entity)
        self.bodies[str(entity["Id"])] = body
        return entity

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/odata/v1"

    def settings(self, **more: Any) -> StationSettings:
        return StationSettings.model_validate(
            {"name": "TST_", "protocol": "cadip", "url": self.url, "timeout_s": 5, "satellites": ["S2A", "S2B"]} | more
        )

    def oauth2(self, **more: Any) -> dict[str, Any]:
        """The block ``auth`` of a client that may have tokens."""
        fields = {"kind": "oauth2", "token_url": f"http://127.0.0.1:{self.port}/token", "client_id": "s2ps"}
        return fields | {"client_secret": "hush:/", "user": self.user, "password": self.password} | more

    def asked(self, what: str) -> list[Request]:
        """The requests for ``what``: Sessions, Files, token, store."""
        return [each for each in self.requests if each.path.rpartition("/")[2].partition("(")[0] == what]

    def gets(self) -> list[str]:
        """The ranges of the requests for bytes, of the first request of each."""
        return [each.headers.get("range", "") for each in self.requests if each.path.endswith("/$value")]

    # serving ----------------------------------------------------------------------------------------------------
    @contextmanager
    def serving(self) -> Iterator[CadipServer]:
        served = self

        class Handler(_Handler):
            cadip = served

        with ExitStack() as stack:
            self.port = stack.enter_context(_serving(Handler))
            self.other_port = stack.enter_context(_serving(Handler))
            yield self

    def select(self, entities: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]] | None:
        """The entities that a filter holds for; None where it names a field that there is not."""
        found = list(entities)
        for name, operator, text in _TERM.findall(query.get("$filter", "")):
            if entities and not any(name in each for each in entities):
                return None
            found = [each for each in found if _holds(each.get(name), operator, text)]
        if "$orderby" in query:
            by = query["$orderby"].split()[0]
            found.sort(key=lambda each: (str(each.get(by) or ""), str(each["Id"])))
        return found[::-1] if self.unsorted else found

    def authorised(self, headers: dict[str, str]) -> bool:
        if self.auth == "none":
            return True
        if self.auth == "basic":
            return headers.get("authorization") == _basic(self.user, self.password)
        given = headers.get(self.token_header.lower(), "")
        token = given.removeprefix("Bearer ") if self.token_header == "Authorization" else given
        return token in self.tokens and token not in self.revoked

    def grant(self, form: dict[str, str], headers: dict[str, str]) -> dict[str, Any] | None:
        """The token service's answer; None where it refuses."""
        secret = (form.get("client_id"), form.get("client_secret")) == ("s2ps", "hush:/")
        if self.client == "basic":
            secret = headers.get("authorization") == _basic("s2ps", quote("hush:/", safe=""))
        good = {
            "password": (form.get("username"), form.get("password")) == (self.user, self.password),
            "client_credentials": True,
            "refresh_token": self.refreshes and form.get("refresh_token") == f"refresh-{len(self.tokens)}",
        }.get(form.get("grant_type", ""), False)
        if not (secret and good):
            return None
        self.tokens.append(f"token-{len(self.tokens) + 1}")
        answer = {"access_token": self.tokens[-1], "token_type": "Bearer", "expires_in": self.lives_s}
        answer["refresh_token"] = f"refresh-{len(self.tokens)}"
        if self.refresh_says is not None:
            answer["refresh_expires_in"] = self.refresh_says
        return {name: value for name, value in answer.items() if value is not None}


def date(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _holds(value: Any, operator: str, text: str) -> bool:
    """As OData has it: null is equal to null, and in no order with anything."""
    if text == "null":
        return (value is None) == (operator == "eq")
    if value is None:
        return False
    wanted: Any = text[1:-1].replace("''", "'") if text.startswith("'") else text
    return _OPERATORS[operator](str(value), str(wanted))


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that leave early are part of the game."""


class _Handler(BaseHTTPRequestHandler):
    cadip: CadipServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def log_message(self, *_: Any) -> None:
        return

    def _request(self) -> Request:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            int(self.connection.getsockname()[1]),
            unquote(parts.path),
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            dict(parse_qsl(body, keep_blank_values=True)),
        )
        self.cadip.requests.append(request)
        return request

    def do_POST(self) -> None:
        request = self._request()
        answer = self.cadip.grant(request.form, request.headers) if request.path == "/token" else None
        self._json(401, {"error": "invalid_grant"}) if answer is None else self._json(200, answer)

    def do_GET(self) -> None:
        cadip, request = self.cadip, self._request()
        store = re.fullmatch(r"/store/(.*)", request.path)
        if store is not None:
            given = bool({"authorization", "oauth2-access-token"} & set(request.headers))
            if cadip.place_wants == "credentials" and not cadip.authorised(request.headers):
                self._json(401, {})
            elif cadip.place_wants == "none" and given:
                self._json(400, {"error": "signed, and with credentials too"})
            else:
                self._bytes(store[1], request)
            return
        asked = f"{request.path}?{'&'.join(f'{name}={value}' for name, value in request.query.items())}"
        if not cadip.authorised(request.headers):
            self._json(401, {"message": "Token is invalid!"})
        elif any(re.search(pattern, asked) for pattern in cadip.fails):
            self._json(500, {"error": "internal"})
        elif any(re.search(pattern, asked) for pattern in cadip.rejects):
            self._json(400, {"error": "not supported"})
        else:
            self._entity(request)

    def _entity(self, request: Request) -> None:
        cadip = self.cadip
        found = re.fullmatch(r"/odata/v1/(Sessions|Files)(?:\(([^)]*)\)(/\$value)?)?", request.path)
        if found is None:
            self._json(404, {})
        elif found[2] is None:
            self._list(found[1], request)
        elif found[3]:
            port = cadip.port if cadip.redirect_to == "same" else cadip.other_port
            if cadip.redirect:
                self._json(
                    cadip.redirect, {}, {"Location": f"http://127.0.0.1:{port}/store/{found[2]}?X-Signature=abc"}
                )
            else:
                self._bytes(found[2], request)
        else:
            session = next((each for each in cadip.sessions if each["Id"] == found[2]), None)
            more = {"QualityInfo": cadip.quality.get(found[2], [])} if "$expand" in request.query else {}
            self._json(404, {}) if session is None else self._json(200, session | more)

    def _list(self, what: str, request: Request) -> None:
        cadip = self.cadip
        query = {name: value for name, value in request.query.items() if name not in cadip.ignores}
        found = cadip.select(cadip.sessions if what == "Sessions" else cadip.files, query)
        if found is None:
            self._json(400, {"error": "no such field"})
            return
        start, top = int(query.get("$skip", 0)), min(int(query.get("$top", cadip.most)), cadip.most)
        page, rest = found[start : start + top], found[start + top :]
        answer: dict[str, Any] = {"@odata.context": f"$metadata#{what}", "value": page}
        if cadip.links and rest:
            more = request.query | {"$skip": str(start + top)}
            answer["@odata.nextLink"] = f"{what}?" + "&".join(f"{name}={quote(value)}" for name, value in more.items())
        self._json(200, page if cadip.bare else answer)

    def _bytes(self, key: str, request: Request) -> None:
        cadip = self.cadip
        cadip.before_get(key)
        held = cadip.bodies.get(key)
        if held is None:
            self._json(404, {})
            return
        ranged = request.headers.get("range", "")
        start = int(ranged.removeprefix("bytes=").rstrip("-")) if ranged and not cadip.ignore_range else 0
        if start and start >= len(held):
            self._json(416, {})
            return
        body, cut = held[start:], cadip.cut(key, start)
        headers = {"Content-Range": f"bytes {start}-{len(held) - 1}/{len(held)}"} if start else {}
        self._answer(206 if start else 200, body if cut is None else body[:cut], headers, length=len(body))

    def _json(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        self._answer(status, json.dumps(document).encode(), headers or {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str], length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        if length not in {None, len(body)}:
            self.wfile.flush()
            self.close_connection = True
