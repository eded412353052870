"""Over mountains as over plains: L1C is the scene, pixel by pixel, where the processors have the elevation tiles.

One scene of detector 1, at the swath's edge, where height moves a place most: 0.17 m for each metre.
``python -m tests.integration.ipf.test_relief`` prints the table of ``docs/processors.md``.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from functions.ipf.common.processor import run_processor
from functions.ipf.l1b.process import process as l1b
from functions.ipf.l1c.process import process as l1c
from functions.ipf.safe.jp2 import read_window
from functions.ipf.safe.working import WorkingFolder
from shared.geometry.heights import save_cells
from shared.msi.earth import earth_sun_u
from shared.msi.instrument import BANDS, Band, band_named
from shared.msi.radiometry import quantisation_error
from shared.msi.tiling import tile
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.plan import Datatake
from shared.rehearsal.scene import Atmosphere, toa_reflectance

from .conftest import make_level0, write_order
from .test_truth import COUNT, RESAMPLING_MAX, RESAMPLING_RMS

if TYPE_CHECKING:
    from shared.rehearsal.flight import Flight

TILE = tile("32TMQ")
RELIEF_M = 800.0
SCENE = ProceduralLandscape(relief_m=RELIEF_M)
PLACES = 200_000


@dataclass(frozen=True)
class Mountains:
    """The same L0 products, located with the elevation tiles and without."""

    root: Path
    flight: Flight

    def error(self, band: Band, made: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """L1C less the scene, and the scene's slope to the east and north (per metre), at places by chance."""
        (image,) = (self.root / made / "l1c").glob(f"*.SAFE/GRANULE/*/IMG_DATA/*_{band.name}.jp2")
        counts = read_window(image)
        rows, columns = np.nonzero(counts)
        chosen = np.random.default_rng(band.index).choice(rows.size, min(PLACES, rows.size), replace=False)
        rows, columns = rows[chosen], columns[chosen]
        x, y = TILE.ulx + (columns + 0.5) * band.resolution, TILE.uly - (rows + 0.5) * band.resolution
        half = band.resolution / 4
        here, east, west, north, south = (
            self.seen(band, x + a, y + b) for a, b in ((0, 0), (half, 0), (-half, 0), (0, half), (0, -half))
        )
        return (counts[rows, columns] - 1000.0) / 1e4 - here, (east - west) / 2 / half, (north - south) / 2 / half

    def seen(self, band: Band, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        zenith = self.flight.sun_zenith_deg
        return toa_reflectance(SCENE, band, TILE.epsg, x, y, sun_zenith_deg=zenith, air=Atmosphere()).astype(float)

    def shift(self, band: Band, made: str) -> NDArray[Any]:
        """By how many metres the image lies to the east and north of the scene: least squares matching."""
        error, east, north = self.error(band, made)
        slopes = np.stack([east, north], -1)
        clear = np.abs(error) < 0.1
        return -np.asarray(np.linalg.lstsq(slopes[clear], error[clear], rcond=None)[0])


@pytest.fixture(scope="session")
def mountains(tmp_path_factory: pytest.TempPathFactory) -> Mountains:
    return make_mountains(tmp_path_factory.mktemp("mountains"))


def make_mountains(root: Path) -> Mountains:
    flight = make_level0(root, Datatake(scenes=1, detectors=(1,)), SCENE)
    assert SCENE.relief is not None
    save_cells(SCENE.relief, *flight.outlines(RELIEF_M / 2), 0.05, root / "dem")
    for made, auxiliary in (("with", {"DEM_SRTM": [root / "dem"]}), ("without", {})):
        inputs = {"PDI_DS": [root / "ds"], "PDI_DS_GR_LIST": [root / "gr"], **auxiliary}
        outputs = {"L1B_WORKING": root / made / "working", "TILE_LIST_FILE": root / made / "tiles.xml"}
        (root / made).mkdir()
        order = write_order(root / made / "l1b.xml", inputs, outputs)
        assert run_processor("S2PS-L1B", "test", l1b, [str(order)]) == 0
        if made == "with":
            shutil.move(root / "dem", root / "gone")  # L1C has what it needs in the working folder
        order = write_order(
            root / made / "l1c.xml",
            {"L1B_WORKING": [root / made / "working"]},
            {"MSI_L1C_TL": root / made / "l1c"},
            TILE=TILE.name,
        )
        assert run_processor("S2PS-L1C", "test", l1c, [str(order)]) == 0
    return Mountains(root, flight)


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_every_pixel_is_the_scene_at_its_place(mountains: Mountains, band: Band) -> None:
    errors, _, _ = mountains.error(band, "with")
    quantum = quantisation_error(band, mountains.flight.sun_zenith_deg, earth_sun_u(mountains.flight.first_line_ns))
    assert abs(errors.mean()) < 3e-5
    assert np.sqrt((errors**2).mean()) < quantum + COUNT + RESAMPLING_RMS
    assert np.abs(errors).max() < quantum + COUNT + RESAMPLING_MAX


@pytest.mark.parametrize("band", [each for each in BANDS if each.name != "B10"], ids=lambda band: band.name)
def test_every_band_that_sees_the_ground_lies_where_the_scene_lies(mountains: Mountains, band: Band) -> None:
    """Within a tenth of a 10 m pixel, in the bands of 20 and 60 m as well; B10 does not see the ground."""
    assert np.hypot(*mountains.shift(band, "with")) < 1.0


@pytest.mark.parametrize("band", ["B02", "B8A", "B09"])
def test_without_elevations_pixels_lie_beside_their_places(mountains: Mountains, band: str) -> None:
    """The tests above can fail."""
    bad, _, _ = mountains.error(band_named(band), "without")
    good, _, _ = mountains.error(band_named(band), "with")
    assert np.sqrt((bad**2).mean()) > 10 * np.sqrt((good**2).mean())


def test_bands_see_the_same_mountain_on_different_lines(mountains: Mountains) -> None:
    """Parallax in L1B: B02 and B01 see the ground 0.0218 apart along the track, by which the ellipsoid would part them.

    That is 0.0194 of tan psi_y, made greater by the curve of the Earth (orbit's radius over the Earth's).
    """
    working = WorkingFolder(mountains.root / "with" / "working")
    model, relief = working.sensor_model(), working.relief()
    assert relief is not None
    lines = np.linspace(100, 2200, 60)[:, None]
    seen = model.direct("B02", 1, lines, np.linspace(100, 2500, 60), relief)
    line, _ = model.inverse("B01", 1, seen.lon, seen.lat, seen.height)
    fine, coarse = (model.inverse(band, 1, seen.lon, seen.lat, 0.0)[0] for band in ("B02", "B01"))
    apart = (coarse - line) * 63.0 - (fine - lines) * 10.5
    assert seen.height.max() > 300
    assert np.abs(apart) == pytest.approx(seen.height * 0.0218, abs=0.3)


def test_ground_and_tiles_are_those_of_the_elevations(mountains: Mountains) -> None:
    working = WorkingFolder(mountains.root / "with" / "working")
    relief = working.relief()
    assert relief is not None
    assert SCENE.relief is not None
    ring = np.array(working.datastrip().footprint)
    assert relief.at(ring[:, 0], ring[:, 1]) == pytest.approx(SCENE.relief.at(ring[:, 0], ring[:, 1]), abs=1e-3)
    assert working.datastrip().elevation == "dem"
    flat = np.array(WorkingFolder(mountains.root / "without" / "working").datastrip().footprint)
    assert 20 < np.abs(ring - flat).max() * 111e3 < 250


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = make_mountains(Path(folder))
        print("| band | shift east, north (m) | mean | RMS | largest | RMS without |\n|---|---|---|---|---|---|")
        for band in BANDS:
            (good, _, _), (bad, _, _) = (made.error(band, each) for each in ("with", "without"))
            east, north = made.shift(band, "with")
            shift = "not seen" if band.name == "B10" else f"{east:.3f}, {north:.3f}"
            errors = f"{good.mean():.6f} | {np.sqrt((good**2).mean()):.5f} | {np.abs(good).max():.4f}"
            print(f"| {band.name} | {shift} | {errors} | {np.sqrt((bad**2).mean()):.4f} |")


if __name__ == "__main__":
    main()
