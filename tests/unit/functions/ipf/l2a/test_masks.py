"""Masks that cannot be read do not keep a product from being made, and are told: warnings, and the exit code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from functions.ipf.common.processor import Exit, run_processor
from functions.ipf.l2a.process import NAME, VERSION, process
from functions.ipf.safe.jp2 import Extent, write_jp2
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask, format_job_order
from shared.msi.instrument import BANDS
from shared.msi.tiling import tile
from tests.support.level1c import Product, write_product

BLOCK = Extent(0, 0, 6, 6)


def test_directions_and_classes_that_cannot_be_read_are_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = {b.name: np.full((360 // b.resolution,) * 2, 0.2) for b in BANDS}
    safe = write_product(tmp_path, Product(), images, BLOCK)
    (quality,) = safe.glob("GRANULE/*/QI_DATA")
    (quality / "MSK_CLASSI_B00.jp2").write_bytes(b"")
    write_jp2(quality / "MSK_DETFOO_B01.jp2", np.full((6, 6), 13, np.uint8), tile("32TMQ"), 60, BLOCK)
    task = JobTask("L2A", "1", (JobInput("MSI_L1C_TL", (str(safe),)),), (JobOutput("MSI_L2A_TL", f"{tmp_path}/out"),))
    order = tmp_path / "order.xml"
    parameters = {"CREATION_DATE": "20261122T120000"}
    order.write_bytes(format_job_order(JobOrder("IPF", "0.1", "S2PS", "S2PS", parameters, (task,))))
    assert run_processor(NAME, VERSION, process, [str(order)]) == Exit.DEGRADED
    said = capsys.readouterr().out
    assert "[W] MSK_DETFOO_B01.jp2: expected detectors 1 to 12" in said
    assert "[W] MSK_CLASSI_B00.jp2: not a whole JP2 file; left out" in said
    (made,) = tmp_path.glob("out/*.SAFE")
    assert not list(made.glob("GRANULE/*/QI_DATA/MSK_CLASSI*"))
