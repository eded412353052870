"""What several of these tests compare with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
    finally:
        started.process.kill()
        stop_and_check(started.run)
    traced = subprocess.run(
        [sys.executable, "-m", "functions.cli.main", "trace", account.session, "--run-dir", str(folder), "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return Reference(folder, output, account, images(folder / "products"), json.loads(traced.stdout)["items"])
