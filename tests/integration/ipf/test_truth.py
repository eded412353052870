"""What comes out of the processors is what went in: reflectances of the scene, at both ends of the atmosphere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio

from functions.ipf.safe.jp2 import read_window
from shared.msi.earth import earth_sun_u
from shared.msi.instrument import BANDS, Band
from shared.msi.radiometry import quantisation_error
from shared.msi.tiling import tile
from shared.rehearsal.scene import toa_reflectance

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE = tile("32TMQ")
SAMPLES = 20_000

# Resampling: the scene is smooth to 1.5 pixels, on which the bicubic kernel and its 1/32 pixel positions err by less
# than this, root mean square and at most (edges of clouds).
RESAMPLING_RMS = 0.0008
RESAMPLING_MAX = 0.012
COUNT = 1e-4
"""One count of a product's images: rounded twice, to L1B and L1C."""


def sampled(image: NDArray[Any], band: Band) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Counts at pixels chosen at random among those with data, and the metres of their centres."""
    rows, columns = np.nonzero(image)
    chosen = np.random.default_rng(band.index).choice(rows.size, min(SAMPLES, rows.size), replace=False)
    rows, columns = rows[chosen], columns[chosen]
    return (
        image[rows, columns].astype(np.float64),
        TILE.ulx + (columns + 0.5) * band.resolution,
        TILE.uly - (rows + 0.5) * band.resolution,
    )


def test_every_step_succeeds(chain: Any) -> None:
    assert chain.codes == {"l1b": 0, "l1c": 0, "l2a": 0}


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_l1c_is_the_scene_at_the_top_of_the_atmosphere(chain: Any, band: Band) -> None:
    counts, x, y = sampled(read_window(chain.image("L1C", band.name)), band)
    wanted = toa_reflectance(chain.scene, band, TILE.epsg, x, y, sun_zenith_deg=chain.sun_zenith, air=chain.air)
    errors = (counts - 1000) / 10_000 - wanted
    quantum = quantisation_error(band, chain.sun_zenith, earth_sun_u(chain.flight.first_line_ns))
    assert abs(errors.mean()) < 2e-5
    assert np.sqrt((errors**2).mean()) < quantum + COUNT + RESAMPLING_RMS
    assert np.abs(errors).max() < quantum + COUNT + RESAMPLING_MAX


@pytest.mark.parametrize("band", [b for b in BANDS if b.name != "B10"], ids=lambda band: band.name)
def test_l2a_is_the_scene_on_the_ground(chain: Any, band: Band) -> None:
    image = read_window(chain.image("L2A", f"{band.name}_{band.resolution}m"))
    counts, x, y = sampled(image, band)
    wanted = chain.scene.reflectance(band, TILE.epsg, x, y)
    clear = wanted < 0.45
    errors = ((counts - 1000) / 10_000 - wanted)[clear]
    # B09 hangs on the water vapour, found as if the ground were as bright as in B8A: the scene's water is not.
    bias, rms = (0.01, 0.03) if band.name == "B09" else (0.0005, 0.0015)
    assert abs(errors.mean()) < bias
    assert np.sqrt((errors**2).mean()) < rms


def test_water_vapour_and_aerosol_are_those_of_the_scene(chain: Any) -> None:
    water = read_window(chain.image("L2A", "WVP_60m"))
    assert np.median(water[water > 0]) / 1000 == pytest.approx(chain.air.water_vapour, rel=0.1)
    aerosol = read_window(chain.image("L2A", "AOT_60m"))
    assert set(np.unique(aerosol)) == {0, round(chain.air.aot550 * 1000)}


def test_scene_classes_follow_the_cover(chain: Any) -> None:
    classes = read_window(chain.image("L2A", "SCL_20m"))
    rows, columns = np.nonzero(classes)
    x, y = TILE.ulx + (columns + 0.5) * 20, TILE.uly - (rows + 0.5) * 20
    b8a, red = (chain.scene.reflectance(BANDS[i], TILE.epsg, x, y) for i in (8, 3))
    found = classes[rows, columns]
    vegetation, index = found == 4, (b8a - red) / (b8a + red)
    assert (index[vegetation] > 0.35).mean() > 0.99
    assert vegetation[(index > 0.6) & (b8a > 0.25)].mean() > 0.95
    assert (found[red > 0.6] == 9).mean() > 0.95
    assert np.isin(found[b8a < 0.02], (3, 6)).mean() > 0.95


def test_gdal_opens_both_products_at_every_resolution(chain: Any) -> None:
    with rasterio.Env(GDAL_PAM_ENABLED="NO"):
        for level, counts in (("L1C", (4, 6, 3, 3)), ("L2A", (6, 11, 7, 3))):
            path = chain.safe(level) / f"MTD_MSI{level}.xml"
            with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(path) as product:
                names = product.subdatasets
            assert len(names) == 4
            for name, count, resolution in zip(names, counts, (10, 20, 60, 10), strict=True):
                with rasterio.open(name) as part:
                    assert part.driver == "SENTINEL2"
                    assert part.count == count
                    assert part.shape == (TILE.size(resolution),) * 2
                    assert part.transform.to_gdal() == (TILE.ulx, resolution, 0, TILE.uly, 0, -resolution)
                    assert part.crs.to_epsg() == TILE.epsg


def test_every_packet_is_accounted_for(chain: Any) -> None:
    datastrip = json.loads((chain.root / "working" / "datastrip.json").read_text())
    expected = {band.name: band.packets_per_scene for band in BANDS}
    assert {i["band"]: i["packets_received"] for i in datastrip["images"]} == expected
    assert {i["band"]: i["packets_expected"] for i in datastrip["images"]} == expected
