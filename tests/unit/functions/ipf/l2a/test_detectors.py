"""Directions by detector: no seam where two of them meet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from functions.ipf.l2a.detectors import detectors
from functions.ipf.l2a.images import Bench, Scaling
from functions.ipf.l2a.sky import sky_over
from functions.ipf.l2a.steps import Recipe, correction
from functions.ipf.safe.angles import NODES, Angles, TileAngles
from functions.ipf.safe.jp2 import Extent, write_jp2
from shared.errors import BadInputError
from shared.msi.atmosphere import Air, Sight, apply_forward, coefficients_at
from shared.msi.instrument import band_named
from shared.msi.tiling import tile

BLOCK = Extent(900, 900, 940, 940)
SUN, ODD, EVEN = (50.0, 150.0), (7.0, 118.0), (7.0, 95.0)
"""Zenith and azimuth; those of neighbouring detectors of one band in a real tile."""


def constant(zenith: float, azimuth: float) -> Angles:
    return Angles(np.full((NODES, NODES), zenith), np.full((NODES, NODES), azimuth))


ANGLES = TileAngles(constant(*SUN), {(1, 5): constant(*ODD), (1, 6): constant(*EVEN)})


def seam(root: Path, *, told: bool) -> float:
    """Step in the surface reflectance of even, dark ground where detectors 5 and 6 meet, B02 in moderate haze."""
    bench = Bench(None, root, root, BLOCK)  # type: ignore[arg-type]  # no product is written
    halves = []
    for zenith, azimuth in (ODD, EVEN):
        at = coefficients_at("B02", Sight(SUN[0], zenith, SUN[1] - azimuth), Air(0.3, 1.5))
        halves.append(float(apply_forward(np.array(0.05), at)))
    counts = np.repeat(np.rint(np.array(halves) * 10_000 + 1000).astype(np.uint16), 20)[None].repeat(40, axis=0)
    bench.save("B02_60", counts)
    for name, value in (("AOT", 0.3), ("WVP", 1.5), ("altitude", 0.0)):
        bench.save(name, np.full((40, 40), value, np.float32))
    if told:
        bench.save("detector_B02", np.repeat(np.array([5, 6], np.uint8), 20)[None].repeat(40, axis=0))
    sides = (sky_over(ANGLES, BLOCK, 0), sky_over(ANGLES, BLOCK, 1))
    scaling = Scaling(10_000, {"B02": -1000.0})
    recipe = Recipe("S2A", scaling, sky_over(ANGLES, BLOCK), 0.33, relief=False, cirrus=False, adjacency=False)
    if told:
        recipe = Recipe("S2A", scaling, recipe.sky, 0.33, relief=False, cirrus=False, adjacency=False, sides=sides)
    surface = correction(bench, "B02", recipe).reflectance(counts)
    return abs(float(surface[:, :20].mean() - surface[:, 20:].mean()))


def test_two_detectors_see_one_ground(tmp_path: Path) -> None:
    assert seam(tmp_path, told=False) > 0.002
    assert seam(tmp_path, told=True) < 0.0002


def test_a_parity_with_too_few_nodes_has_the_mean() -> None:
    line = np.full((NODES, NODES), np.nan)
    line[:, 3] = 1.0
    angles = TileAngles(constant(*SUN), {(1, 5): constant(*ODD), (1, 6): Angles(7 * line, 95 * line)})
    odd, even, both = (sky_over(angles, BLOCK, parity).views["B02"][1].mean() for parity in (1, 0, None))
    assert odd == pytest.approx(ODD[1], abs=0.01)
    assert even == pytest.approx(both, abs=1e-9)


def test_masks_tell_the_detector_at_60_m(tmp_path: Path) -> None:
    (tmp_path / "QI_DATA").mkdir()
    assert detectors(tmp_path, "B02", BLOCK) is None
    path = tmp_path / "QI_DATA" / "MSK_DETFOO_B02.jp2"
    whole = Extent(900, 900, 950, 950).scaled(60, 10)
    pixels = np.zeros(whole.shape, np.uint8)
    pixels[:, :120], pixels[:, 120:] = 5, 6
    write_jp2(path, pixels, tile("32TMQ"), band_named("B02").resolution, whole)
    found = detectors(tmp_path, "B02", BLOCK)
    assert found is not None
    assert (found[:, :20] == 5).all()
    assert (found[:, 20:] == 6).all()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadInputError, match=r"MSK_DETFOO_B02\.jp2"):
        detectors(tmp_path, "B02", BLOCK)


def test_masks_of_a_real_tile(real_data: Path) -> None:
    (granule,) = (real_data / "l2a_safe").glob("*/GRANULE/*")
    found = detectors(granule, "B05", Extent(0, 0, 1830, 1830))
    assert found is not None
    assert set(np.unique(found)) == {0, 9, 10, 11, 12}
