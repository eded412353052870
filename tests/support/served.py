"""A function's container as a cluster drives it: started by its command and environment, asked as Knative asks.

What a request looks like is what knative/eventing's filter (``pkg/broker/filter``, ``pkg/kncloudevents``), its sources
(``pkg/adapter``) and knative/serving's activator and queue-proxy send: binary mode, names of headers as Go writes them.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, Final

from eventing.local.config import ROOT
from eventing.local.functions import Reply
from eventing.local.processes import free_port
from eventing.manifests import ConfigMap, Service, load_manifests
from shared.cloudevents import from_http, to_http, to_json
from shared.domain.events import Event
from shared.settings import Settings

IMAGE: Final = ROOT / "knative" / "images" / "functions" / "Dockerfile"
BASE: Final = load_manifests(ROOT / "knative" / "base")
SERVICES: Final = {each.metadata.name: each for each in BASE if isinstance(each, Service)}
HOP: Final = {
    "User-Agent": "Go-http-client/1.1",
    "Accept-Encoding": "gzip",
    "Forwarded": "for=10.244.0.15;proto=http",
    "K-Proxy-Request": "activator",
    "X-Forwarded-For": "10.244.0.15, 10.244.0.9",
    "X-Forwarded-Proto": "http",
    "X-Request-Id": "9e351834-0542-4f32-9928-3a5d6aece30c",
    "Traceparent": "00-53c7d0e1c5c4b0e9dbf2dd2ea4d6ee1a-2f3a6f5b5d2f0a11-01",
}
"""What activator and queue-proxy add on the way. The bare traceparent is theirs, not the event's."""
FILTER: Final = {"Prefer": "reply", "Kn-Namespace": "s2ps"}
"""What the broker's filter adds to an event."""


def container_command() -> list[str]:
    """The image's command, its ``python`` being the one of the tests."""
    found = re.findall(r"^CMD (\[.*\])$", IMAGE.read_text(), re.MULTILINE)
    command: list[str] = json.loads(found[-1])
    return [sys.executable if word == "python" else word for word in command]


def container_env(service: Service, secret: Mapping[str, str]) -> dict[str, str]:
    """The container's environment: ``envFrom`` (the Secret's content being ``secret``), then ``env``; /app is here."""
    maps = {each.metadata.name: each.data for each in BASE if isinstance(each, ConfigMap)}
    env: dict[str, str] = dict(maps["s2ps-settings"]) | dict(secret) | service.env
    source = PurePosixPath(env["FUNCTION_SOURCE"]).relative_to("/app")
    return env | {"FUNCTION_SOURCE": str(ROOT / source), "K_SERVICE": service.metadata.name}


def store_env(settings: Settings) -> dict[str, str]:
    """A store's settings and buckets, as overlay and Secret give them."""
    buckets = {f"S2PS_BUCKET_{name.upper()}": getattr(settings, f"bucket_{name}") for name in BUCKETS}
    return buckets | {
        "S2PS_STORE_ENDPOINT": settings.store_endpoint,
        "S2PS_STORE_ACCESS_KEY": settings.store_access_key.get_secret_value(),
        "S2PS_STORE_SECRET_KEY": settings.store_secret_key.get_secret_value(),
    }


BUCKETS: Final = ("sessions", "auxiliary", "work", "products", "ledger")


def go_name(name: str) -> str:
    """A header's name as Go's canonical form has it."""
    return "-".join(part.capitalize() for part in name.split("-"))


def binary(event: Event, extra: Mapping[str, str] = FILTER) -> tuple[dict[str, str], bytes]:
    """An event in binary mode as the broker hands it to a subscriber."""
    headers, body = to_http(event)
    headers["ce-knativearrivaltime"] = "2026-06-21T10:53:20.123456789Z"
    return {go_name(name): value for name, value in headers.items()} | dict(extra) | HOP, body


def structured(event: Event) -> tuple[dict[str, str], bytes]:
    """An event in structured mode: nothing of Knative's sends it, the contract allows it."""
    document = to_json(event) | {"knativearrivaltime": "2026-06-21T10:53:20.123456789Z"}
    return {"Content-Type": "application/cloudevents+json; charset=UTF-8", **FILTER, **HOP}, json.dumps(
        document
    ).encode()


@dataclass
class Server:
    """A function's process that serves."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    started_s: float
    opened: list[socket.socket] = field(default_factory=list)

    def connection(self, timeout_s: float = 30.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def post(self, headers: Mapping[str, str], body: bytes | Iterator[bytes] = b"", method: str = "POST") -> Reply:
        """One request on a connection of its own; chunked where ``body`` is an iterator."""
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, "/", body, dict(headers), encode_chunked=True)
            return reply_of(connection)

    def begin(self, headers: Mapping[str, str], size: int) -> socket.socket:
        """A request whose head the server has taken, and whose body of ``size`` bytes it waits for."""
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.opened.append(opened)
        head = {**headers, "Host": "function.s2ps.svc.cluster.local", "Content-Length": str(size)}
        head["Expect"] = "100-continue"
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        opened.sendall(f"POST / HTTP/1.1\r\n{lines}\r\n".encode())
        said = b""
        while not said.endswith(b"\r\n\r\n"):
            said += opened.recv(1)
            assert said, f"the server hung up: {self.log.read_text()}"
        assert said.startswith(b"HTTP/1.1 100 "), said
        return opened

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


def finish(opened: socket.socket, body: bytes) -> Reply:
    """Send the body of a request that was begun, and read its answer."""
    with contextlib.closing(opened):
        opened.sendall(body)
        answer = http.client.HTTPResponse(opened)
        answer.begin()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def reply_of(connection: http.client.HTTPConnection) -> Reply:
    """The answer to the request under way."""
    answer = connection.getresponse()
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


@contextlib.contextmanager
def serving(
    command: list[str], env: Mapping[str, str], log: Path, *, port: int = 0, limit_s: float = 60.0
) -> Iterator[Server]:
    """A container's process, from its start to its end; ``PORT`` is chosen here where it is not given."""
    port = port or free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("S2PS_", "K_", "OTEL_"))}
    server: Server | None = None
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**inherited, **env, "PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < began + limit_s, log.read_text()
            time.sleep(0.005)
        server = Server(process, port, log, time.monotonic() - began)
        yield server
    finally:
        for each in server.opened if server is not None else ():
            each.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Sink(ThreadingHTTPServer):
    """The broker's ingress: accepts every event and keeps it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Accept)
        self.seen: list[Event] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/s2ps/s2ps"


class _Accept(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append(from_http(dict(self.headers.items()), body))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


@contextlib.contextmanager
def recording_sink() -> Iterator[Sink]:
    """A sink that records, until the block ends."""
    server = Sink()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class JobObject:
    """A Job as an ApiServerSource tells of it."""

    name: str
    annotations: dict[str, str]
    conditions: list[dict[str, str]] = field(default_factory=list)

    def event(self) -> Event:
        """The event of its change, as the broker hands it on."""
        metadata = {"name": self.name, "namespace": "s2ps", "uid": "0b7c", "annotations": self.annotations}
        data: dict[str, Any] = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}
        data["status"] = {"conditions": self.conditions}
        subject = f"/apis/batch/v1/namespaces/s2ps/jobs/{self.name}"
        extensions = {"apiversion": "batch/v1", "kind": "Job", "name": self.name, "namespace": "s2ps"}
        kind = "dev.knative.apiserver.resource.update"
        return Event("8a1c1e0e-3c5f", "https://10.96.0.1:443", kind, subject, data=data, extensions=extensions)
