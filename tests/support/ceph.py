"""A Ceph of one node for tests: monitor, OSD on a sparse file, RADOS gateway; loopback only, gone at the end.

The daemons run in the foreground without systemd, as the user of the tests, and die with the test process, whatever
ends it. Keys are in use: without them a monitor of 16.2 that is just coming up refuses what it should not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from shared.settings import Settings
from tests.support.weed import free_ports

_PROGRAMS: Final = (
    "ceph",
    "ceph-authtool",
    "ceph-mon",
    "ceph-osd",
    "radosgw",
    "radosgw-admin",
    "monmaptool",
    "setpriv",
)
_READY_S: Final = 120.0
_COMMAND_S: Final = 60.0

_ALLOWED: Final = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *"},
    "client.rgw": {"mon": "allow *", "osd": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
}
"""Who there is, and what each may do."""

_CONFIGURATION: Final = """
[global]
fsid = {fsid}
mon_host = v1:127.0.0.1:{mon}
ms_bind_msgr2 = false
ms_bind_port_min = {low}
ms_bind_port_max = {high}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {folder}/keyring
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
crash_dir = {folder}/crash
mon_data = {folder}/mon
osd_data = {folder}/osd
osd_objectstore = bluestore
bluestore_block_create = true
bluestore_block_size = 10737418240
bluestore_fsck_quick_fix_on_mount = false
osd_memory_target = 939524096
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
rgw_frontends = beast endpoint=127.0.0.1:{gateway}
rgw_thread_pool_size = 32
rgw_enable_usage_log = false
debug_rgw = 5
"""


@dataclass
class Ceph:
    """One node. ``settings`` is of its gateway, with the user that owns the buckets."""

    folder: Path
    settings: Settings
    _daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def restart_gateway(self) -> None:
        """Kill the gateway and start it again: what it held in memory is gone."""
        daemon = self._daemons.pop("radosgw")
        daemon.kill()
        daemon.wait()
        self.start_gateway()

    def start_gateway(self) -> None:
        self.start("radosgw", "radosgw", "-n", "client.rgw")
        self.wait(self._answers, "the gateway to answer")

    def start(self, name: str, program: str, *arguments: str) -> None:
        """Start a daemon that dies with this process."""
        command = ["setpriv", "--pdeathsig", "KILL", program, "-f", "-c", str(self.folder / "ceph.conf"), *arguments]
        with (self.folder / f"{name}.out").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )

    def run(self, program: str, *arguments: str) -> str:
        """Run one of Ceph's tools to its end; AssertionError with what it said where it fails."""
        done = subprocess.run(
            [program, "-c", str(self.folder / "ceph.conf"), *arguments],
            capture_output=True, text=True, timeout=_COMMAND_S, check=False, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, f"{program} {' '.join(arguments)}: {done.stderr[-2000:]}"
        return done.stdout

    def succeeds(self, program: str, *arguments: str) -> bool:
        """Whether a tool runs to its end without an error."""
        try:
            self.run(program, *arguments)
        except AssertionError:
            return False
        return True

    def has_osd(self) -> bool:
        """Whether the OSD is up, as the monitor knows."""
        try:
            return bool(json.loads(self.run("ceph", "osd", "stat", "-f", "json"))["num_up_osds"] == 1)
        except AssertionError:
            return False

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until ``condition`` is true; AssertionError where a daemon dies or it takes too long."""
        deadline = time.monotonic() + _READY_S
        while not condition():
            for name, daemon in self._daemons.items():
                assert daemon.poll() is None, f"{name} died: {self._said(name)}"
            assert time.monotonic() < deadline, f"waited {_READY_S:.0f} s for {what}"
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill everything: the data go with the folder."""
        for daemon in self._daemons.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()

    def _said(self, name: str) -> str:
        return (self.folder / f"{name}.out").read_text(errors="replace")[-2000:]

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.settings.store_endpoint, timeout=5).close()  # noqa: S310 - our own address
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


def missing_programs() -> list[str]:
    """Programs that a node needs and that are not installed (Debian: ceph-mon, ceph-osd, radosgw, ceph-common)."""
    return [name for name in _PROGRAMS if shutil.which(name) is None]


@contextlib.contextmanager
def running_ceph(folder: Path) -> Iterator[Ceph]:
    """A node that answers, with its data below ``folder``, until the block ends."""
    mon, low, gateway = free_ports(3)
    access, secret = "test", uuid.uuid4().hex
    settings = Settings(
        store_endpoint=f"http://127.0.0.1:{gateway}",
        store_access_key=SecretStr(access),
        store_secret_key=SecretStr(secret),
    )
    fsid = str(uuid.uuid4())
    text = _CONFIGURATION.format(fsid=fsid, mon=mon, low=low, high=low + 100, gateway=gateway, folder=folder)
    (folder / "ceph.conf").write_text(text)
    node = Ceph(folder, settings)
    try:
        _bring_up(node, fsid, mon)
        made = node.run(
            "radosgw-admin", "-n", "client.rgw", "user", "create", "--uid", "s2ps", "--display-name", "s2ps",
            "--access-key", access, "--secret-key", secret,
        )  # fmt: skip
        assert json.loads(made)["user_id"] == "s2ps"
        node.start_gateway()
        yield node
    finally:
        node.stop()


def _bring_up(node: Ceph, fsid: str, mon: int) -> None:
    """Monitor, then one OSD that is up."""
    folder, osd = node.folder, str(uuid.uuid4())
    for name in ("mon", "osd", "crash"):
        (folder / name).mkdir()
    node.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v1:127.0.0.1:{mon}]", str(folder / "monmap"))
    keyring = str(folder / "keyring")
    node.run("ceph-authtool", "--create-keyring", keyring)
    for name, allowed in _ALLOWED.items():
        caps = [word for service, cap in allowed.items() for word in ("--cap", service, cap)]
        node.run("ceph-authtool", keyring, "--gen-key", "-n", name, *caps)
    node.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(folder / "monmap"), "--keyring", keyring)
    node.start("mon", "ceph-mon", "-i", "a")
    # A monitor that is just coming up answers, but not to everything.
    node.wait(lambda: node.succeeds("ceph", "--connect-timeout", "10", "osd", "new", osd), "the monitor")
    node.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
    node.start("osd", "ceph-osd", "-i", "0")
    node.wait(node.has_osd, "the OSD to be up")
