"""Tiles of which no surface can be seen: no product, an exit code that says so, and the reason in the log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from functions.ipf.common.processor import Exit, run_processor
from functions.ipf.l2a.process import NAME, VERSION, process
from functions.ipf.safe.jp2 import Extent
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask, format_job_order
from shared.msi.instrument import BANDS
from tests.support.level1c import Product, write_product

BLOCK = Extent(0, 0, 6, 6)


def run(root: Path, product: Product, reflectance: float) -> int:
    images = {b.name: np.full((360 // b.resolution,) * 2, reflectance) for b in BANDS}
    safe = write_product(root, product, images, BLOCK)
    task = JobTask("task", "0.1", (JobInput("MSI_L1C_TL", (str(safe),)),), (JobOutput("MSI_L2A_TL", f"{root}/out"),))
    order = root / "order.xml"
    parameters = {"CREATION_DATE": "20261122T120000"}
    order.write_bytes(format_job_order(JobOrder("IPF", "0.1", "S2PS", "S2PS", parameters, (task,))))
    return run_processor(NAME, VERSION, process, [str(order)])


@pytest.mark.parametrize(
    ("product", "reflectance", "said"),
    [
        (Product(sun=(88.5, 180.0)), 0.2, "the Sun's zenith is up to 88.5 degrees, and has to be below 88"),
        (Product(), np.nan, "no band has a pixel with data"),
    ],
    ids=["night", "no data"],
)
def test_nothing_is_made_and_the_reason_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], product: Product, reflectance: float, said: str
) -> None:
    assert run(tmp_path, product, reflectance) == Exit.DEGRADED
    assert f"[W] no product: {product.name}: {said}" in capsys.readouterr().out
    assert not list(tmp_path.glob("out/*"))
