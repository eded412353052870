"""The front of the local runtime: ``/broker`` takes events, ``/fn/<name>`` is a function's address, ``/status`` tells.

It listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from eventing.local.broker import LocalBroker
from eventing.local.functions import FunctionProcess, FunctionUnavailableError
from shared.cloudevents import MAX_BODY, from_http
from shared.errors import BadInputError

_LOG: Final = logging.getLogger(__name__)
_MAX_BODY: Final = 4 * MAX_BODY
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host"})


class Front:
    """The HTTP server of a runtime; ``serve`` starts its thread, ``close`` ends it."""

    def __init__(
        self,
        port: int,
        broker: LocalBroker,
        functions: Mapping[str, FunctionProcess],
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.broker, self._server.functions, self._server.status = broker, functions, status
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="front", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def serve(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    broker: LocalBroker
    functions: Mapping[str, FunctionProcess]
    status: Callable[[], dict[str, Any]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120.0
    server: _Server

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        path = urlsplit(self.path).path
        if path == "/broker":
            self._ingress(body)
        elif path.startswith("/fn/"):
            self._forward(path.removeprefix("/fn/"), body)
        else:
            self._answer(404, f"no such path: {path[:100]!r}")

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/status":
            self._send(200, {"content-type": "application/json"}, json.dumps(self.server.status()).encode())
        else:
            self._answer(404, "only /status answers GET")

    def _ingress(self, body: bytes) -> None:
        try:
            event = from_http(dict(self.headers.items()), body)
        except BadInputError as error:
            self._answer(400, str(error))
            return
        if self.server.broker.accept(event):
            self._send(202, {}, b"")
        else:
            self._answer(503, "the queue of a subscriber is full")

    def _forward(self, path: str, body: bytes) -> None:
        name, _, rest = path.partition("/")
        function = self.server.functions.get(name.replace("_", "-"))
        if function is None:
            self._answer(404, f"no such function: {name[:100]!r}")
            return
        headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP_BY_HOP}
        try:
            reply = function.call("POST", f"/{rest}", headers, body, function.spec.timeout_s)
        except FunctionUnavailableError as error:
            self._answer(503, str(error))
            return
        kept = {key: value for key, value in reply.headers.items() if key not in _HOP_BY_HOP | {"content-length"}}
        self._send(reply.status, kept, reply.body)

    def _body(self) -> bytes | None:
        declared = self.headers.get("content-length", "")
        if not declared.isdecimal():
            self.close_connection = True
            self._answer(411, "expected a content-length")
            return None
        if int(declared) > _MAX_BODY:
            self.close_connection = True
            self._answer(413, f"expected at most {_MAX_BODY} bytes")
            return None
        return self.rfile.read(int(declared))

    def _answer(self, status: int, message: str) -> None:
        self._send(status, {"content-type": "text/plain; charset=utf-8"}, message.encode())

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        _LOG.debug(format, *args)
