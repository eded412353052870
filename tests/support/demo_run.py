"""``s2ps run`` as a process of its own, small; and what an undisturbed one leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventing.local import control
from eventing.local.config import RunDir, settings_from
from eventing.local.processes import family, send
from shared.bootstrap import Services
from shared.errors import S2psError
from shared.ledger.ledger import Ledger
from shared.ledger.records import Account, Published
from tests.support.runs import wait_for

SMALL = ("--scenes", "1", "--detectors", "6", "--chunk-mib", "6", "--rate", "20")


@dataclass
class DemoRun:
    """``s2ps run`` as a process of its own."""

    run: RunDir
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, folder: Path, *more: str) -> DemoRun:
        run = RunDir.at(folder)
        command = [sys.executable, "-m", "functions.cli.main", "run", "--run-dir", str(folder), *SMALL, *more]
        environment = {**os.environ, "COLUMNS": "200"}
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return cls(run, process)

    def ledger(self) -> Ledger | None:
        found = control.state(self.run)
        return None if found is None else Services(settings_from(found.settings)).ledger

    def when(self, moment: Callable[[Ledger], object], what: str) -> None:
        """Wait for a moment of the session, by its ledger."""

        def reached() -> object:
            assert self.process.poll() is None, self.process.communicate()[0]
            ledger = self.ledger()
            try:
                return ledger is not None and moment(ledger)
            except S2psError:
                return False  # the store is not up yet

        wait_for(reached, what, timeout_s=240)

    def finish(self) -> str:
        output, _ = self.process.communicate(timeout=500)
        assert self.process.returncode == 0, output
        return output

    def kill_everything(self) -> None:
        """As a power cut would: no process gets to say a word."""
        self.process.kill()
        wait_for(lambda: not self._killed(), "the end of every process")
        self.process.communicate()

    def _killed(self) -> list[int]:
        alive = family(self.run.path)
        send(alive, signal.SIGKILL)
        return alive


@dataclass(frozen=True)
class Reference:
    """The undisturbed run: what it printed, and the bytes of its images by name without creation stamps.

    ``overhead``: what the console says of its own time.
    """

    folder: Path
    output: str
    account: Account
    images: dict[str, bytes]
    spans: list[dict[str, Any]]
    overhead: dict[str, Any]


def finished(ledger: Ledger) -> tuple[Account, list[Published]]:
    (found,) = [i.key for i in ledger.list("sessions/") if i.key.endswith("/account.json")]
    products = [ledger.read(info.key, Published) for info in ledger.list("products/")]
    return ledger.read(found, Account), products


def images(folder: Path) -> dict[str, bytes]:
    """The images of all tiles; their own names hold no creation stamp."""
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("IMG_DATA/**/T*.jp2"))}
