"""How many processes share a step's work does not show in what it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from functions.ipf.common.processor import run_processor
from functions.ipf.l2a.process import process as l2a
from functions.ipf.safe.jp2 import Extent
from shared.msi.instrument import BANDS
from tests.support.level1c import Product, write_product

from .conftest import write_order

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = Extent(40, 0, 190, 6)
"""Of 60 m: more rows than any task takes at a time."""


def test_level_2a_has_the_same_bytes_by_one_process_and_by_two(tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    shapes = {band.name: BLOCK.scaled(60, band.resolution).shape for band in BANDS}
    given = write_product(tmp_path, Product(), {b: chance.uniform(0.02, 0.5, s) for b, s in shapes.items()}, BLOCK)
    made = []
    for threads in (1, 2):
        out = tmp_path / f"by_{threads}"
        order = write_order(tmp_path / "order.xml", {"MSI_L1C_TL": [given]}, {"MSI_L2A_TL": out}, threads)
        assert run_processor("S2PS-L2A", "test", l2a, [str(order)]) == 0
        made.append({str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()})
    one, two = made
    assert len(one) > 40
    assert [name for name in one.keys() | two.keys() if one.get(name) != two.get(name)] == []
