"""A broker behind https, with an authority of the cluster's own, as a SinkBinding hands it over."""

from __future__ import annotations

import shutil
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shared.adapters.http_sink import HttpSink
from shared.cloudevents import from_http
from shared.domain.events import Event
from shared.errors import RetryableError
from tests.support.kube_api import make_authority

EVENT = Event("1", "s2-ledger", "t", "sessions/x", data={"size": 1})


class Broker(ThreadingHTTPServer):
    """Accepts events; keeps them with the authorisation that came along."""

    daemon_threads = True
    seen: list[tuple[Event, str | None]]

    def handle_error(self, *_: object) -> None:
        """A client that trusts nobody hangs up: that is what is tested."""


class Handler(BaseHTTPRequestHandler):
    server: Broker

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((from_http(dict(self.headers.items()), body), self.headers["authorization"]))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("authority")
    make_authority(folder)
    return folder


@pytest.fixture
def broker(authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    server = Broker(("127.0.0.1", 0), Handler)
    server.seen = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "tls.crt", authority / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("K_SINK", f"https://127.0.0.1:{server.server_address[1]}/s2ps/s2ps")
    for name in ("K_CA_CERTS", "K_CE_OVERRIDES"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_authority_in_the_environment_is_trusted(
    broker: Broker, authority: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("K_CA_CERTS", (authority / "ca.crt").read_text())
    token = tmp_path / "token"
    token.write_text("of.this.binding")
    HttpSink.from_environment(token_file=token).send(EVENT)
    assert broker.seen == [(EVENT, "Bearer of.this.binding")]


def test_the_authorities_of_mounted_bundles_are_trusted(broker: Broker, authority: Path, tmp_path: Path) -> None:
    bundles = tmp_path / "bundles"
    bundles.mkdir()
    shutil.copy(authority / "ca.crt", bundles / "bundle.pem")
    HttpSink.from_environment(bundles=bundles).send(EVENT)
    assert broker.seen == [(EVENT, None)]


@pytest.mark.usefixtures("authority")
def test_without_its_authority_nothing_is_sent_to_it(broker: Broker, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    with pytest.raises(RetryableError, match="CERTIFICATE_VERIFY_FAILED"):
        HttpSink.from_environment(token_file=token).send(EVENT)
    assert broker.seen == []
