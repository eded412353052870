"""The station client against Apache's mod_dav, over HTTP and HTTPS."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.adapters.webdav import WebDavStation
from shared.errors import ConfigurationError, ObjectAbsentError
from shared.places import StationSettings

MODULES = Path("/usr/lib/apache2/modules")
SESSION = "S2B_20211113035518024483"
FOLDER = f"DCS_05_{SESSION}_dat"
CONFIG = """
ServerName localhost
ServerRoot {root}
PidFile {root}/pid
ErrorLog {root}/error.log
{modules}
Listen 127.0.0.1:{plain}
Listen 127.0.0.1:{secure}
User {user}
DocumentRoot {root}/files
DavLockDB {root}/lock
<Directory {root}/files>
  Dav On
  AuthType Basic
  AuthName station
  AuthUserFile {root}/users
  Require valid-user
</Directory>
<VirtualHost 127.0.0.1:{secure}>
  SSLEngine on
  SSLCertificateFile {root}/cert.pem
  SSLCertificateKeyFile {root}/key.pem
</VirtualHost>
"""
LOADED = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "dav", "dav_fs", "ssl")


@pytest.fixture(scope="module")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, int]]:
    binary, openssl = shutil.which("apache2", path=f"{os.environ['PATH']}:/usr/sbin"), shutil.which("openssl")
    if binary is None or openssl is None or not MODULES.is_dir():
        pytest.skip("apache2 (with mod_dav) or openssl is not installed")
    root = tmp_path_factory.mktemp("apache")
    root.chmod(0o755)
    (root / "files").mkdir()
    request = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    request += ["-addext", "subjectAltName=DNS:localhost", "-keyout", f"{root}/key.pem", "-out", f"{root}/cert.pem"]
    subprocess.run(request, check=True, capture_output=True)
    hashed = subprocess.run([openssl, "passwd", "-apr1", "secret"], check=True, capture_output=True, text=True).stdout
    (root / "users").write_text(f"station:{hashed}")
    modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED)
    plain, secure = _free_port(), _free_port()
    user = "www-data" if os.getuid() == 0 else f"#{os.getuid()}"
    (root / "httpd.conf").write_text(CONFIG.format(root=root, modules=modules, plain=plain, secure=secure, user=user))
    with (root / "out").open("wb") as out:
        process = subprocess.Popen(
            [binary, "-f", str(root / "httpd.conf"), "-DFOREGROUND"], stdout=out, stderr=out, start_new_session=True
        )
        try:
            _wait(plain, process, root)
            yield root, plain, secure
        finally:
            process.terminate()
            process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes], root: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"apache2 did not start: {(root / 'out').read_text()}")
        time.sleep(0.05)


@pytest.fixture
def files(apache: tuple[Path, int, int], tmp_path: Path) -> Path:
    """The station's files: a session with both channels, one file with a strange name, one hidden."""
    root = apache[0] / "files"
    shutil.rmtree(root / "NOMINAL", ignore_errors=True)
    for n, channel in enumerate(("ch_1", "ch02")):
        folder = root / "NOMINAL/S2B" / FOLDER / channel
        folder.mkdir(parents=True)
        name = folder / f"DCS_05_{SESSION}_ch{n + 1}_DSDB_00001.raw"
        name.write_bytes(bytes(range(256)) * 20_000)
        os.utime(name, (1_700_000_000 + n, 1_700_000_000 + n))
    (folder / "a b%2Fc&é.xml").write_text("x")
    (folder / ".hidden").write_text("x")
    return root


def client(port: int, root: Path, **more: object) -> WebDavStation:
    secure = bool(more.pop("secure", False))
    url = f"{'https' if secure else 'http'}://localhost:{port}/"
    fields = {"user": "station", "password": SecretStr("secret"), "timeout_s": 10.0}
    return WebDavStation(StationSettings.model_validate({"name": "APA_", "url": url, **fields, **more}))


@pytest.mark.parametrize("preemptive", [True, False])
def test_listing_and_reading(apache: tuple[Path, int, int], files: Path, preemptive: bool) -> None:
    station = client(apache[1], files, preemptive=preemptive)
    assert list(station.sessions()) == [("NOMINAL", "S2B", FOLDER)]
    found = {file.name: file for file in station.files("NOMINAL", "S2B", FOLDER)}
    first, second = (f"DCS_05_{SESSION}_ch{n}_DSDB_00001.raw" for n in (1, 2))
    assert set(found) == {first, second, "a b%2Fc&é.xml"}
    assert found[first].size == 5_120_000
    assert found[second].modified == datetime.fromtimestamp(1_700_000_001, UTC)
    content = bytes(range(256)) * 20_000
    assert b"".join(station.read(found[first].path)) == content
    assert b"".join(station.read(found[first].path, start=4_000_001)) == content[4_000_001:]
    assert b"".join(station.read(found[first].path, start=len(content))) == b""
    assert b"".join(station.read(found["a b%2Fc&é.xml"].path)) == b"x"
    with pytest.raises(ObjectAbsentError):
        list(station.read("NOMINAL/S2B/none"))


def test_https_with_the_authority_that_signed(apache: tuple[Path, int, int], files: Path) -> None:
    trusted = client(apache[2], files, secure=True, ca_file=apache[0] / "cert.pem")
    assert list(trusted.sessions()) == [("NOMINAL", "S2B", FOLDER)]
    with pytest.raises(ConfigurationError, match="certificate"):
        list(client(apache[2], files, secure=True).sessions())


def test_wrong_credentials(apache: tuple[Path, int, int], files: Path) -> None:
    with pytest.raises(ConfigurationError, match="401"):
        list(client(apache[1], files, password=SecretStr("wrong")).sessions())
