from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.errors import BadInputError
from shared.msi.atmosphere import Air, Sight, apply_forward, coefficients_at, toa_from_surface
from shared.msi.instrument import BANDS, Band, band_named
from shared.rehearsal.landscape import CLASSES, ProceduralLandscape, band_spectrum
from shared.rehearsal.scene import Atmosphere, BandRaster, toa_reflectance
from shared.rehearsal.scenes import rebuild

PLACES = st.floats(-5e4, 5e4)


@pytest.fixture(scope="module")
def landscape() -> ProceduralLandscape:
    return ProceduralLandscape(7, 32632)


def raster(*, mirrored: bool) -> BandRaster:
    values = np.random.default_rng(5).integers(0, 65_536, (9, 7)).astype(np.uint16)
    return BandRaster(values, 300.0, 900.0, 10.0, 1e-4, -0.1, mirrored=mirrored)


def keys(of: BandRaster, x: float, y: float) -> float:
    """Cubic convolution as Keys (1981) writes it, sample after sample."""

    def weight(distance: float) -> float:
        d = abs(distance)
        if d < 1:
            return 1.5 * d**3 - 2.5 * d**2 + 1
        return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0

    mode: Literal["symmetric", "wrap"] = "symmetric" if of.mirrored else "wrap"
    column, row = (x - of.left) / of.pixel - 0.5, (of.top - y) / of.pixel - 0.5
    pad = 20_000 // 9
    rows = np.pad(np.arange(9), pad, mode=mode)
    columns = np.pad(np.arange(7), pad, mode=mode)
    total = 0.0
    for i in range(int(np.floor(row)) - 1, int(np.floor(row)) + 3):
        for j in range(int(np.floor(column)) - 1, int(np.floor(column)) + 3):
            total += weight(row - i) * weight(column - j) * float(of.values[rows[i + pad], columns[j + pad]])
    return total * of.scale + of.offset


@given(st.booleans(), st.floats(-2e4, 2e4), st.floats(-2e4, 2e4))
def test_sampling_is_cubic_convolution_inside_and_beyond_the_raster(mirrored: bool, x: float, y: float) -> None:
    of = raster(mirrored=mirrored)
    assert of.sample(np.array([x]), np.array([y]))[0] == pytest.approx(keys(of, x, y), abs=2e-5)


@pytest.mark.parametrize("mirrored", [True, False])
def test_pixel_centres_have_the_raster_s_own_values(mirrored: bool) -> None:
    of = raster(mirrored=mirrored)
    x, y = np.meshgrid(305.0 + 10 * np.arange(7), 895.0 - 10 * np.arange(9))
    assert of.sample(x, y) == pytest.approx(of.values * 1e-4 - 0.1, abs=2e-6)


def test_the_same_seed_gives_the_same_landscape(landscape: ProceduralLandscape) -> None:
    band = band_named("B05")
    again = rebuild(landscape.describe())
    x, y = np.array([500_123.0, 511_000.4]), np.array([4_950_001.0, 4_949_000.9])
    assert np.array_equal(landscape.reflectance(band, 32632, x, y), again.reflectance(band, 32632, x, y))
    assert not np.array_equal(landscape.cover(), ProceduralLandscape(8, 32632).cover())


def test_every_class_is_there_and_clouds_shine(landscape: ProceduralLandscape) -> None:
    shares = np.bincount(landscape.cover().ravel(), minlength=len(CLASSES)) / landscape.cover().size
    assert (shares[:-1] > 0.001).all()
    assert shares[CLASSES.index("water")] < 0.3
    values = landscape.raster(band_named("B02")).values * 5e-5
    assert 0.005 < (values > 0.4).mean() < 0.2


def test_without_clouds_the_ground_is_the_spectrum_of_its_class() -> None:
    clear = ProceduralLandscape(7, 32632, clouds=False)
    band = band_named("B08")
    cover, ground = clear.cover(), clear.raster(band).values * 5e-5
    for name in ("water", "wood", "crop"):
        there = ground[cover == CLASSES.index(name)]
        assert np.median(there) == pytest.approx(band_spectrum(name)[band.index], rel=0.08)


def test_the_landscape_may_be_asked_for_in_another_zone(landscape: ProceduralLandscape) -> None:
    from pyproj import Transformer

    x, y = np.array([330_000.0]), np.array([4_950_000.0])
    there = Transformer.from_crs(32632, 32631, always_xy=True).transform(x, y)
    band = band_named("B04")
    ours = landscape.reflectance(band, 32632, x, y)
    assert landscape.reflectance(band, 32631, *there) == pytest.approx(ours, abs=1e-5)


def interpolated(
    samples: NDArray[np.float32], at_row: NDArray[np.float64], at_column: NDArray[np.float64]
) -> NDArray[np.float32]:
    counts = np.rint(samples * 4e4).astype(np.uint16)
    return BandRaster(counts, 0.0, 0.0, 1.0, 1 / 4e4, 0.0, mirrored=True).sample(at_column + 0.5, -at_row - 0.5)


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_resampling_the_landscape_costs_little(landscape: ProceduralLandscape, band: Band) -> None:
    """Sampled on a turned grid and interpolated back: the bound that products are judged by."""
    step = float(band.resolution)
    angle = np.radians(12.0)
    rows, columns = np.mgrid[0:400, 0:400].astype(np.float64)
    x = 480_000 + step * (columns * np.cos(angle) - rows * np.sin(angle)) * 1.0
    y = 4_940_000 - step * (columns * np.sin(angle) + rows * np.cos(angle)) * 1.05
    seen = landscape.reflectance(band, 32632, x, y)
    at_row, at_column = (axis + 0.37 for axis in np.mgrid[50:350, 50:350].astype(np.float64))
    true_x = 480_000 + step * (at_column * np.cos(angle) - at_row * np.sin(angle))
    true_y = 4_940_000 - step * (at_column * np.sin(angle) + at_row * np.cos(angle)) * 1.05
    truth = landscape.reflectance(band, 32632, true_x, true_y)
    error = np.abs(interpolated(seen, at_row, at_column) - truth)
    assert error.max() < 0.006
    assert np.sqrt((error**2).mean()) < 0.0006


class Ground:
    """A surface scene of one raster."""

    kind: Literal["surface", "toa"] = "surface"
    epsg = 32632
    relief = None

    def reflectance(
        self, _band: Band, _epsg: int, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        return raster(mirrored=False).sample(x, y)

    def centre(self) -> None:
        return None

    def describe(self) -> dict[str, Any]:
        return {}


@given(st.sampled_from([band for band in BANDS if band.name != "B10"]), st.floats(20, 60), st.floats(0.05, 0.4))
def test_a_surface_scene_is_lifted_through_the_atmosphere(band: Band, zenith: float, aot: float) -> None:
    scene = Ground()
    x, y = np.full(5, 333.0), np.linspace(800, 900, 5)
    air = Atmosphere(aot, 2.0)
    toa = toa_reflectance(scene, band, 32632, x, y, sun_zenith_deg=zenith, air=air)
    surface = scene.reflectance(band, 32632, x, y)
    assert toa == pytest.approx(toa_from_surface(surface, band.name, zenith, aot, 2.0), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("satellite", ["S2A", "S2B", "S2C", "S2D"])
def test_each_satellite_sees_the_air_through_its_own_bands(satellite: str) -> None:
    """So that Level 2A, which takes the air away by the same satellite's table, finds the water that was put there."""
    place, band = np.full(1, 333.0), band_named("B09")
    surface = float(Ground().reflectance(band, 32632, place, place)[0])
    toa = toa_reflectance(
        Ground(), band, 32632, place, place, sun_zenith_deg=30.0, air=Atmosphere(0.1, 2.0), satellite=satellite
    )
    at = coefficients_at("B09", Sight(30.0), Air(0.1, 2.0), satellite)
    assert float(toa[0]) == pytest.approx(float(apply_forward(np.array(surface), at)), rel=1e-4)


def test_a_truth_that_names_no_known_scene_is_refused() -> None:
    with pytest.raises(BadInputError, match="a landscape or an image"):
        rebuild({"type": "landscape", "seed": "1"})
