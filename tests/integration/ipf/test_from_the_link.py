"""A session of raw chunks through L0U, L0C and L1B, each a process of its own, gives the very images of its packets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from functions.ipf.safe.working import WorkingFolder
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask, format_job_order
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.plan import Datatake, SessionPlan
from shared.rehearsal.simulator import simulate_session


def run(step: str, root: Path, inputs: dict[str, list[Path]], outputs: tuple[str, ...]) -> Path:
    root.mkdir()
    task = JobTask(
        step,
        "0.1.0",
        tuple(JobInput(kind, tuple(map(str, paths)), "Directory") for kind, paths in inputs.items()),
        tuple(JobOutput(kind, str(root / kind)) for kind in outputs),
    )
    parameters = {"CREATION_DATE": "20261122T120000", "NUMBER_OF_THREADS": "2"}
    order = root / "JobOrder.xml"
    order.write_bytes(format_job_order(JobOrder(step, "0.1.0", "SGS_", "S2PS", parameters, (task,))))
    command = [sys.executable, "-m", f"functions.ipf.{step}", str(order)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture(scope="module")
def level0(chain: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What L0C made of a simulated session, over which the air is that of the chain."""
    root = tmp_path_factory.mktemp("link")
    plan = SessionPlan(datatakes=(Datatake(scenes=1, detectors=(6,)),), air=chain.air)
    truth = simulate_session(plan, root / "station", scene=ProceduralLandscape())
    session = root / "station" / truth.folder
    l0u = run("l0u", root / "l0u", {"STO_CADU_S": [session]}, ("DS_GR_FOLDER", "SAD_FOLDER", "REP_PASS"))
    return run("l0c", root / "l0c", {"PDI_L0U": [l0u / "DS_GR_FOLDER/DT01"]}, ("PDI_DS", "PDI_DS_GR_LIST"))


@pytest.mark.parametrize("by_folder", [True, False], ids=["folders of products", "products"])
def test_images_are_those_of_the_packets(chain: Any, level0: Path, tmp_path: Path, by_folder: bool) -> None:
    kinds = ("PDI_DS", "PDI_DS_GR_LIST")
    inputs = {kind: [level0 / kind] if by_folder else sorted((level0 / kind).iterdir()) for kind in kinds}
    l1b = run("l1b", tmp_path / "l1b", inputs, ("L1B_WORKING", "TILE_LIST_FILE"))

    found, wanted = WorkingFolder(l1b / "L1B_WORKING"), WorkingFolder(chain.root / "working")
    datastrip, reference = found.datastrip(), wanted.datastrip()
    assert datastrip.reception_station == "SGS_"
    assert datastrip.gps_points == reference.gps_points
    assert datastrip.attitudes == reference.attitudes
    assert len(datastrip.images) == 13
    for image in datastrip.images:
        assert image in reference.images
        assert np.array_equal(found.read_lines(image, 0, image.lines), wanted.read_lines(image, 0, image.lines))
    assert (l1b / "TILE_LIST_FILE").read_bytes() == (chain.root / "tile_list_file.xml").read_bytes()
