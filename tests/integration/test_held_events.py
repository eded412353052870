"""What a function handed to a broker that delivers while its sender waits, in the function's own process."""

from __future__ import annotations

import http.client
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.runs import wait_for
from tests.support.served import container_command, serving

FUNCTION = """
import os
import functions_framework
from shared.adapters.http_sink import HttpSink
from shared.domain.events import Event

SINK = HttpSink(os.environ["SINK"], timeout_s=0.05)

@functions_framework.http
def main(request):
    SINK.send(Event("1", "s2-ledger", "t"))
    return "", 204
"""


class Slow(ThreadingHTTPServer):
    """A broker on in-memory channels: its answer comes when its deliveries are over."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Deliver)
        self.taken, self.delivered = threading.Event(), threading.Event()
        self.sender_waited: list[bool] = []


class _Deliver(BaseHTTPRequestHandler):
    server: Slow

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.set()
        self.server.delivered.wait(60)
        try:
            waits = bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            waits = True
        self.server.sender_waited.append(waits)
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


def test_a_delivery_outlives_its_notification_and_sigterm(tmp_path: Path) -> None:
    """A pod is taken away seconds after its last request; deliveries that the broker has under way go on."""
    source = tmp_path / "main.py"
    source.write_text(FUNCTION)
    broker = Slow()
    thread = threading.Thread(target=broker.serve_forever, args=(0.01,))
    thread.start()
    try:
        sink = f"http://127.0.0.1:{broker.server_address[1]}/s2ps/s2ps"
        env = {"FUNCTION_TARGET": "main", "FUNCTION_SOURCE": str(source), "THREADS": "4", "SINK": sink}
        with serving(container_command(), env, tmp_path / "log") as server:
            assert server.post({}).status == http.client.NO_CONTENT
            assert broker.taken.wait(30)
            server.terminate()
            with pytest.raises(subprocess.TimeoutExpired):
                server.process.wait(2)
            broker.delivered.set()
            assert server.process.wait(30) == 0
        wait_for(lambda: broker.sender_waited, "the answer")
        assert broker.sender_waited == [True]
    finally:
        broker.delivered.set()
        broker.shutdown()
        broker.server_close()
        thread.join()
