"""A store behind https, with an authority of its own: requests that botocore does not make go by the same one."""

from __future__ import annotations

import shutil
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.adapters.store_setup.ceph import _delete_notification
from shared.adapters.store_setup.minio import _arn, make_admin
from shared.errors import StoreUnavailableError
from shared.settings import Settings
from tests.support.kube_api import make_authority


class Handler(BaseHTTPRequestHandler):
    """Says yes to all; ``status`` to a deletion."""

    status = 204

    def do_GET(self) -> None:
        self._answer(200, b'{"sqsARN": ["arn:minio:sqs::s2ps:webhook"]}')

    def do_DELETE(self) -> None:
        self._answer(self.status, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that trusts nobody hangs up: that is what is tested."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("authority")
    make_authority(folder)
    return folder


@pytest.fixture
def settings(authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "tls.crt", authority / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield Settings(
        store_endpoint=f"https://127.0.0.1:{server.server_port}",
        store_access_key=SecretStr("a"),
        store_secret_key=SecretStr("b"),
    )
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_the_stores_authority_is_believed(
    settings: Settings, authority: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(authority / "ca.crt"))
    _delete_notification(settings, "s2-ledger", "s2ps-s2-ledger")
    assert _arn(make_admin(settings)) == "arn:minio:sqs::s2ps:webhook"


def test_no_other_is(settings: Settings) -> None:
    with pytest.raises(StoreUnavailableError, match=r"(?i)certificate"):
        _delete_notification(settings, "s2-ledger", "s2ps-s2-ledger")
    with pytest.raises(StoreUnavailableError, match=r"(?i)certificate"):
        _arn(make_admin(settings))


def test_a_gateway_that_is_not_well_is_asked_again_later(
    settings: Settings, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority / "ca.crt"))
    monkeypatch.setattr(Handler, "status", 503)
    with pytest.raises(StoreUnavailableError, match="503"):
        _delete_notification(settings, "s2-ledger", "s2ps-s2-ledger")
