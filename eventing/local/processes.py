"""Processes of one run: how they are marked, found again, and ended for certain.

Every process below a run carries ``S2PS_FAMILY=<run folder>`` in its environment, and its children inherit it. So
whatever a crash left behind is found by what the kernel says of it (``/proc``), not by what a file remembers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MARK: Final = "S2PS_FAMILY"
_POLL_S: Final = 0.02


def family(run_dir: Path) -> list[int]:
    """Process ids of everything alive that belongs to a run, but this process."""
    wanted = f"{MARK}={run_dir.resolve()}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        # A process may end while it is looked at, or be another user's.
        with contextlib.suppress(OSError), open(f"/proc/{entry.name}/environ", "rb") as stream:  # noqa: PTH123
            if wanted in stream.read().split(b"\0"):
                found.append(int(entry.name))
    return found


def end_family(run_dir: Path, *, grace_s: float = 10.0) -> int:
    """End everything that belongs to a run, with SIGTERM first; returns how many processes there were.

    RuntimeError where something survives SIGKILL.
    """
    seen: set[int] = set()
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
        deadline = time.monotonic() + wait_s
        asked: set[int] = set()
        while members := family(run_dir):
            # A process may have been born while its parent was asked to end.
            send(set(members) - asked if number == signal.SIGTERM else members, number)
            asked.update(members)
            seen.update(members)
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_S)
        else:
            return len(seen)
    raise RuntimeError(f"processes of {run_dir} survive SIGKILL: {family(run_dir)}")


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """A signal to each process that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def send_group(pid: int, number: signal.Signals) -> None:
    """A signal to the process group that ``pid`` leads, if any of it is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def free_port(*, taken: Iterable[int] = (), paired: bool = False) -> int:
    """A port on 127.0.0.1 that nobody listens on now; ``paired``: neither on the one 10000 above it.

    Below the range that the kernel gives to outgoing connections (32768 and up), so that none of those takes it.
    """
    avoid = set(taken)
    start = 10_100 + int.from_bytes(os.urandom(2)) % 11_000
    for offset in range(11_000):
        port = 10_100 + (start - 10_100 + offset) % 11_000
        if port not in avoid and is_free(port) and (not paired or is_free(port + 10_000)):
            return port
    raise RuntimeError("no free port between 10100 and 21100")


def is_free(port: int) -> bool:
    """Whether a server may listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
