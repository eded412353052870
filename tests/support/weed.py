"""A SeaweedFS for tests and benchmarks: one process, free ports, loopback only, gone at the end."""

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

from pydantic import SecretStr

from shared.adapters.s3 import S3Store
from shared.errors import StoreUnavailableError
from shared.settings import Settings


def weed_binary() -> str | None:
    """The path of the ``weed`` program, None where it is not installed."""
    return shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")


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


@contextlib.contextmanager
def running_weed(binary: str, folder: Path) -> Iterator[Settings]:
    """Settings of a store that runs, with data below ``folder``, until the block ends."""
    access, secret = "test", uuid.uuid4().hex
    identity = {
        "name": "test",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    s3, master, volume, filer, admin = free_ports(5)
    command = [binary, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={folder}/s3.json"]
    command += [f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
    command += [f"-admin.port={admin}", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    # Every bucket takes volumes of its own, and their number is what the disk holds of this size.
    command += ["-master.telemetry=false", "-master.volumeSizeLimitMB=16"]
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


def _wait_ready(store: S3Store, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            store.ensure_bucket("ready")
            store.put("ready", "ready", b"1")
        except StoreUnavailableError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"weed did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.1)
        else:
            return
