"""The way of a notification on a cluster: an ingress that a test shuts, object_events, and what that sends to."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, Literal

import urllib3

from shared.domain.events import Event, object_created
from shared.settings import Settings
from tests.support.weed import free_ports

ROOT: Final = Path(__file__).resolve().parents[2]
TOKEN: Final = "t0ken/of+the=service&more"
_SETTINGS: Final = ("store_endpoint", "bucket_ledger", "store_region")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True


class Broker:
    """Where events end: keeps what it is sent, by id. ``answers`` other than 202 keep nothing."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, str]] = {}
        self.requests = 0
        self.answers = 202
        broker = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                broker.requests += 1
                if broker.answers == 202:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    broker.events[headers["ce-id"]] = headers
                _answer(self, broker.answers)

            def log_message(self, *_: object) -> None:
                return

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def has(self, event: Event) -> bool:
        return event.id in self.events

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Ingress:
    """In front of the function, at an address that stays: forwards, answers 503 itself, or is not there at all."""

    def __init__(self, function: str) -> None:
        self.mode: Literal["forward", "unavailable"] = "forward"
        self.requests = 0
        self._pool = urllib3.PoolManager(retries=False, timeout=30, maxsize=32)
        ingress = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                ingress.requests += 1
                if ingress.mode == "unavailable":
                    _answer(self, 503)
                    return
                named = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                _answer(self, ingress._pool.request("POST", function, body=body, headers=named).status)

            def log_message(self, *_: object) -> None:
                return

        self._handler = Handler
        self._server: _Server | None = _Server(("127.0.0.1", 0), Handler)
        self._port = self._server.server_port
        self.url = f"http://127.0.0.1:{self._port}/"
        self._serve()

    def _serve(self) -> None:
        assert self._server is not None
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def shut(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def open(self) -> None:
        """Be there again, at the same address."""
        self._server = _Server(("127.0.0.1", self._port), self._handler)
        self._serve()


def _answer(handler: BaseHTTPRequestHandler, status: int) -> None:
    handler.send_response(status)
    handler.send_header("content-length", "0")
    handler.end_headers()


@contextlib.contextmanager
def running_object_events(settings: Settings, sink: str, log: Path) -> Iterator[str]:
    """The function as its container starts it, with the token set; its address."""
    (port,) = free_ports(1)
    set_of = {f"S2PS_{name.upper()}": str(getattr(settings, name)) for name in _SETTINGS}
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "FUNCTION_SOURCE": str(ROOT / "functions" / "object_events" / "main.py"),
        "FUNCTION_TARGET": "main",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "K_SINK": sink,
        "S2PS_NOTIFICATION_TOKEN": TOKEN,
        **set_of,
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "eventing.serve"], cwd=ROOT, env=environment, stdout=out, stderr=out
        )
        try:
            url = f"http://127.0.0.1:{port}/"
            _await(url, process, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib3.request("GET", url, timeout=2, retries=False)
        except urllib3.exceptions.HTTPError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return


def expected(bucket: str, key: str, etag: str) -> Event:
    """The event that an object is to become."""
    return object_created(bucket, key, etag)
