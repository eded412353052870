"""A pass on which much goes wrong: what is bad is refused by name and reason, the rest goes on, the session ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eventing.local import control
from eventing.local.config import RunDir, settings_from
from eventing.local.processes import family
from functions.cli.demo import EXIT_INCOMPLETE
from shared.bootstrap import Services
from shared.ledger import keys
from shared.ledger.records import Account, Complete, Outcome, Refusal
from tests.support.runs import stop_and_check

SESSION = "S2A_20260621104500057405"
FAULTS = (
    "corrupt:channel=1,frame=200,symbols=40",  # more than the code corrects
    "corrupt:channel=2,frame=300,symbols=5",  # corrected, and no trouble
    "truncate:channel=1,number=3,keep=200000",  # and never whole
    "dsib:channel=2,how=entity-bomb",
    "traversal:name=../../x",
    "clutter",
)


def chunk(channel: int, number: int) -> str:
    return f"DCS_05_{SESSION}_ch{channel}_DSDB_{number:05d}.raw"


@pytest.fixture
def run(tmp_path: Path) -> Any:
    run = RunDir.at(tmp_path / "run")
    yield run
    stop_and_check(run)


def test_faults_are_refused_by_name_and_the_session_goes_on_without_them(run: RunDir) -> None:
    command = [sys.executable, "-m", "functions.cli.main", "run", "--run-dir", str(run.path), "--keep"]
    command += ["--scenes", "1", "--detectors", "6", "--chunk-mib", "2", "--rate", "0"]
    command += ["--set", "S2PS_SESSION_WAIT_S=5", *(word for fault in FAULTS for word in ("--fault", fault))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in {0, EXIT_INCOMPLETE}, done.stdout + done.stderr
    found = control.state(run)
    assert found is not None
    ledger = Services(settings_from(found.settings)).ledger

    complete = ledger.read(keys.complete(SESSION), Complete)
    assert "the DSIB of channel 2" in complete.missing
    assert "wait" in complete.reason
    assert all(file.name.startswith("DCS_05_") for file in complete.files)  # no clutter, no stranger

    refused = [ledger.read(i.key, Refusal) for i in ledger.list(f"{keys.session(SESSION)}refused/")]
    reasons = {refusal.file: refusal.reason for refusal in refused}
    assert set(reasons) == {chunk(1, 3), f"DCS_05_{SESSION}_ch2_DSIB.xml", "../../x"}
    assert "200000 bytes" in reasons[chunk(1, 3)]
    assert "entities" in reasons[f"DCS_05_{SESSION}_ch2_DSIB.xml"]

    (outcome,) = [i.key for i in ledger.list(keys.session(SESSION)) if "/l0u/" in i.key and "outcome" in i.key]
    warnings = ledger.read(outcome, Outcome).warnings
    assert f"{chunk(1, 1)}: frames that could not be corrected: 1" in warnings
    assert not [warning for warning in warnings if warning.startswith(chunk(2, 1))]

    account = ledger.read(keys.account(SESSION), Account)
    assert account.produced + account.absent + account.parked == len(account.entries)
    assert {entry.level for entry in account.entries} == {"SAD", "L0", "L1C", "L2A"}
    assert all(entry.reason or entry.warning for entry in account.entries)  # nothing is sold as whole
    assert (done.returncode == 0) == (account.produced == len(account.entries))
    assert [name for name in reasons if any(line.startswith(name) for line in account.refused)] == list(reasons)
    assert f"{account.produced} of {len(account.entries)} produced" in done.stdout
    assert done.stdout.count("Refused: ") == len(refused)
    assert json.loads((run.path / "truth.json").read_text())["faults"][0]["fault"] == "corrupt"


def test_what_cannot_be_is_refused_before_an_earlier_run_is_removed(run: RunDir) -> None:
    kept = run.path / "logs" / "of-an-earlier-run.log"
    kept.parent.mkdir(parents=True)
    kept.touch()
    command = [sys.executable, "-m", "functions.cli.main", "run", "--run-dir", str(run.path), "--fault", "storm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "storm" in done.stderr
    assert "Traceback" not in done.stderr
    assert kept.exists()
    assert family(run.path) == []
