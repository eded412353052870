"""Bands that are lost, and what stands in for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from functions.ipf.l2a.classification import GROUND_BANDS, SceneClass
from functions.ipf.l2a.clouds import MODEL_BANDS
from functions.ipf.l2a.gaps import CLEAR_B10, NEIGHBOURS, complete
from functions.ipf.l2a.images import Bench, Scaling
from functions.ipf.l2a.steps import class_strip, cloud_strip
from functions.ipf.safe.jp2 import Extent
from shared.msi.instrument import BANDS
from tests.unit.functions.ipf.l2a.test_classification import BANDS as ORDER
from tests.unit.functions.ipf.l2a.test_classification import SPECTRA

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SCALING = Scaling(10_000, {band.name: -1000.0 for band in BANDS})
SIDE = 4
"""Pixels of 60 m."""


def classes(root: Path, ground: str, lost: tuple[str, ...] = ()) -> NDArray[np.uint8]:
    """Classes at 20 m of even ground of a typical spectrum, bands of which have no data in the left half."""
    bench = Bench(None, root, root, Extent(0, 0, SIDE, SIDE))  # type: ignore[arg-type]  # no product is written
    for name, rho in zip(ORDER, SPECTRA[ground], strict=True):
        for resolution in (10, 20, 60):
            counts = np.full((SIDE * 60 // resolution,) * 2, round(rho * 10_000) + 1000, np.uint16)
            counts[:, : counts.shape[1] // 2] *= name not in lost
            bench.save(f"{name}_{resolution}", counts)
    bench.save("low", np.zeros((SIDE, SIDE), bool))
    bench.save("cloud", np.zeros((SIDE, SIDE), np.float32))
    for name in ("classes", "cloud_percent", "snow_percent"):
        bench.save(name, np.zeros((3 * SIDE, 3 * SIDE), np.uint8))
    cloud_strip(bench, SCALING, 0, SIDE)
    bench.save("smooth_cloud", np.nan_to_num(bench.load("cloud"), nan=0.0))
    class_strip(bench, SCALING, 0, SIDE)
    return np.array(bench.load("classes"))


KINDS = {
    "vegetation": SceneClass.VEGETATION,
    "soil": SceneClass.NOT_VEGETATED,
    "water": SceneClass.WATER,
    "snow": SceneClass.SNOW_ICE,
    "cloud": SceneClass.CLOUD_HIGH_PROBA,
}


@pytest.mark.parametrize("ground", KINDS)
@pytest.mark.parametrize("lost", [band.name for band in BANDS])
def test_one_lost_band_costs_no_pixel_its_class(lost: str, ground: str, tmp_path: Path) -> None:
    found = classes(tmp_path, ground, (lost,))
    assert (found[:, 3 * SIDE // 2 :] == KINDS[ground]).all()
    without = found[:, : 3 * SIDE // 2]
    if (ground, lost) in {("vegetation", "B04"), ("snow", "B11"), ("cloud", "B11"), ("cloud", "B12")}:
        assert (without != SceneClass.NODATA).all()
    else:
        assert (without == KINDS[ground]).all()


def test_no_data_is_where_no_band_has_any(tmp_path: Path) -> None:
    both = classes(tmp_path, "soil", ("B11", "B12"))
    assert (both[:, : 3 * SIDE // 2] == SceneClass.UNCLASSIFIED).all()
    nothing = classes(tmp_path, "soil", tuple(band.name for band in BANDS))
    assert (nothing[:, : 3 * SIDE // 2] == SceneClass.NODATA).all()
    assert (nothing[:, 3 * SIDE // 2 :] == SceneClass.NOT_VEGETATED).all()


def test_what_is_there_is_not_touched_and_what_stands_in_is_the_nearest() -> None:
    values = {band.name: np.full((1, 2), k / 10, np.float32) for k, band in enumerate(BANDS, 1)}
    for name in ("B02", "B03", "B10"):
        values[name][0, 0] = np.nan
    found, seen, known = complete(("B02", "B04", "B10"), values.__getitem__)
    assert seen.all()
    assert known.all()
    assert found["B02"] == pytest.approx(np.array([[0.1, 0.2]]))
    assert found["B10"] == pytest.approx(np.array([[CLEAR_B10, 1.1]]))
    assert found["B04"] is values["B04"]


def test_every_band_of_the_tests_has_a_stand_in() -> None:
    assert {*GROUND_BANDS, *MODEL_BANDS} - {"B10"} <= set(NEIGHBOURS)
