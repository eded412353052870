"""What several of these tests compare with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.demo_run import DemoRun, Reference, finished, images
from tests.support.runs import stop_and_check


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """One undisturbed run for all."""
    return undisturbed(tmp_path_factory.mktemp("reference") / "run")


@pytest.fixture(scope="session")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The same without mountains, as the overlay ``pass`` simulates it."""
    return undisturbed(tmp_path_factory.mktemp("flat") / "run", "--relief", "0")


def undisturbed(folder: Path, *more: str) -> Reference:
    """A run from its begin to its end, and what it left."""
    started = DemoRun.start(folder, "--keep", *more)
    try:
        output = started.finish()
        ledger = started.ledger()
        assert ledger is not None
        account, _ = finished(ledger)
        overhead = traced(folder, account.session, "--overhead")
    finally:
        started.process.kill()
        stop_and_check(started.run)
    spans = traced(folder, account.session)["items"]
    return Reference(folder, output, account, images(folder / "products"), spans, overhead)


def traced(folder: Path, session: str, *more: str) -> dict[str, Any]:
    """What ``s2ps trace`` says of a session."""
    command = [sys.executable, "-m", "functions.cli.main", "trace", session, "--run-dir", str(folder), "-o", "json"]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
