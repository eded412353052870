"""A simulated session through the Level-0 processors, each a process of its own: exit codes, log, account against the
truth.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.joborder import JobInput, JobOrder, JobOutput, JobTask, format_job_order
from shared.rehearsal.faults import BitNoise, CorruptFrame, DropFrames, FaultPlan
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.plan import Datatake, SessionPlan
from shared.rehearsal.simulator import Truth, simulate_session

PLAN = SessionPlan(
    datatakes=(Datatake(datetime(2026, 6, 21, 10, 20, tzinfo=UTC), scenes=1, detectors=(6,)),), chunk_bytes=3 << 20
)
FAULTS = FaultPlan(
    (
        CorruptFrame(1, 120, 9),
        CorruptFrame(2, 121, 8),
        DropFrames(2, 300, 5),
        DropFrames(1, 2000, 40),
        BitNoise(1, 1e-6),
    )
)
LINE = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]{15} \S+ S2PS-L0[UC] \S+ \[\d{10}\]: \[[DIPWE]\] .*")


def _run(step: str, root: Path, inputs: dict[str, Path], outputs: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    task = JobTask(
        step,
        "0.1.0",
        tuple(JobInput(kind, (str(path),), "Directory") for kind, path in inputs.items()),
        tuple(JobOutput(kind, str(root / kind)) for kind in outputs),
    )
    parameters = {"CREATION_DATE": "20260621T110000", "PROCESSING_CENTER": "S2PS", "PROCESSING_BASELINE": "00.01"}
    root.mkdir(parents=True)
    path = root / "JobOrder.xml"
    path.write_bytes(format_job_order(JobOrder(step, "0.1.0", "SGS_", "S2PS", parameters, (task,))))
    command = [sys.executable, "-m", f"functions.ipf.{step}", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def _simulated(folder: Path, faults: FaultPlan | None) -> tuple[Path, Truth]:
    truth = simulate_session(PLAN, folder / "station", scene=ProceduralLandscape(), faults=faults)
    return folder / "station" / truth.folder, truth


@pytest.mark.parametrize(("faults", "code"), [(None, 0), (FAULTS, 1)], ids=["clean", "faults"])
def test_every_packet_of_a_session_is_accounted_for(tmp_path: Path, faults: FaultPlan | None, code: int) -> None:
    session, truth = _simulated(tmp_path, faults)
    l0u = _run("l0u", tmp_path / "l0u", {"STO_CADU_S": session}, ("DS_GR_FOLDER", "SAD_FOLDER", "REP_PASS"))
    assert l0u.returncode == code, l0u.stdout + l0u.stderr
    assert all(LINE.fullmatch(line) for line in l0u.stdout.splitlines())
    report = json.loads((tmp_path / "l0u/REP_PASS").read_text())
    assert {int(apid): count["expected"] for apid, count in report["packets"].items()} == truth.packets
    for apid, sent in truth.packets.items():
        count = report["packets"][str(apid)]
        assert count["received"] + count["lost"] == sent
        assert count["unexpected"] == 0
    for channel, sent_frames in truth.frames.items():
        counts = report["channels"][f"ch_{channel}"]
        received = counts["data_frames"] + counts["idle_frames"]
        lost = sum(vc["lost_frames"] for vc in counts["virtual_channels"].values())
        assert received + lost == sum(sent_frames.values())
    assert (report["totals"]["lost"] > 0) == bool(code)

    l0c = _run("l0c", tmp_path / "l0c", {"PDI_L0U": tmp_path / "l0u/DS_GR_FOLDER/DT01"}, ("PDI_DS", "PDI_DS_GR_LIST"))
    assert l0c.returncode == code, l0c.stdout + l0c.stderr
    account = json.loads(next((tmp_path / "l0c").glob("PDI_DS/*/QI_DATA/*_REP_L0__DS_*.json")).read_text())
    assert sum(account["packets_missing"].values()) == sum(
        count["lost"] for apid, count in report["packets"].items() if int(apid) > 500
    )


def test_files_that_are_no_downlink_fail_with_their_name(tmp_path: Path) -> None:
    for channel in (1, 2):
        place = tmp_path / "session" / f"ch_{channel}"
        place.mkdir(parents=True)
        (place / f"DCS_05_S2A_20260621104500057405_ch{channel}_DSDB_00001.raw").write_bytes(b"\0\1\2\3" * 50_000)
    run = _run(
        "l0u", tmp_path / "l0u", {"STO_CADU_S": tmp_path / "session"}, ("DS_GR_FOLDER", "SAD_FOLDER", "REP_PASS")
    )
    assert run.returncode >= 128
    assert "[E] DCS_05_S2A_20260621104500057405_ch1_DSDB_00001.raw: expected CADUs" in run.stdout
