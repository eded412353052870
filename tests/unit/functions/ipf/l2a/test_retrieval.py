"""Water vapour, aerosol, and the correction itself, on made-up ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from functions.ipf.l2a.air import AirMaps, Sky, coefficient_maps
from functions.ipf.l2a.classification import SceneClass
from functions.ipf.l2a.correction import Around, Correction, Light, surroundings
from functions.ipf.l2a.images import Bench, Scaling, area_mean, resolutions
from functions.ipf.l2a.inference import Found, retrieve
from functions.ipf.l2a.process import told_usual
from functions.ipf.l2a.retrieval import Bands60, dark_vegetation, forecast_aerosol, water_vapour
from functions.ipf.l2a.scene import Scene
from functions.ipf.safe.jp2 import Extent
from shared.msi.atmosphere import Air, Sight, apply_forward, coefficients_at
from shared.msi.instrument import BANDS

SUN, SHAPE = 40.0, (60, 60)


def two(value: float) -> NDArray[np.float64]:
    return np.full((2, 2), value)


SKY = Sky(two(SUN), two(150.0), {band.name: (two(6.0), two(100.0)) for band in BANDS})


def lifted(
    surface: dict[str, float], aot: float, water: float, altitude: float = 0.0
) -> dict[str, NDArray[np.float32]]:
    found = {}
    for band, rho in surface.items():
        at = coefficients_at(band, Sight(SUN, 6.0, 50.0), Air(aot, water, altitude))
        found[band] = np.full(SHAPE, apply_forward(np.array(rho), at), np.float32)
    return found


def everywhere(toa: dict[str, NDArray[np.float32]]) -> Bands60:
    return Bands60(toa, np.ones(SHAPE, bool))


def level(altitude_km: float) -> NDArray[np.float32]:
    return np.full(SHAPE, altitude_km, np.float32)


@pytest.mark.parametrize("rho", [0.12, 0.3, 0.6])
@pytest.mark.parametrize(("water", "altitude"), [(0.5, 0.0), (1.5, 2.0), (4.0, 0.0)])
def test_water_vapour_is_found_over_any_clear_ground(water: float, altitude: float, rho: float) -> None:
    toa = lifted({"B8A": rho, "B09": rho}, 0.1, water, altitude)
    found = water_vapour(everywhere(toa), "S2A", SKY, level(altitude), 0.1, None)
    assert found == pytest.approx(np.full(SHAPE, water), rel=0.02)


def test_water_vapour_without_clear_ground_is_the_first_guess() -> None:
    toa = lifted({"B8A": 0.3, "B09": 0.3}, 0.1, 4.0)
    hidden = Bands60(toa, np.zeros(SHAPE, bool))
    assert water_vapour(hidden, "S2A", SKY, level(0), 0.1, None) == pytest.approx(1.5)
    assert water_vapour(hidden, "S2A", SKY, level(0), 0.1, level(2.5)) == pytest.approx(2.5)


def test_water_vapour_under_a_cloud_is_that_around_it() -> None:
    toa = lifted({"B8A": 0.3, "B09": 0.3}, 0.1, 3.0)
    clear = np.ones(SHAPE, bool)
    clear[20:40, 20:40] = False
    toa["B09"][~clear] = 0.5
    found = water_vapour(Bands60(toa, clear), "S2A", SKY, level(0), 0.1, None)
    assert found[30, 30] == pytest.approx(3.0, rel=0.02)


USUAL = Air(0.13, 1.5)


@pytest.mark.parametrize("aot", [0.05, 0.2, 0.4])
def test_aerosol_is_found_where_vegetation_is_as_dark_as_the_rule_says(aot: float) -> None:
    surface = {"B02": 0.02, "B04": 0.04, "B8A": 0.35, "B12": 0.08}
    toa = lifted(surface, aot, 1.5)
    toa["B12"] *= np.linspace(0.99, 1.01, SHAPE[0], dtype=np.float32)[:, None]
    found = dark_vegetation(everywhere(toa), "S2A", SKY, USUAL)
    assert found.method == "DDV"
    assert found.aot550 == pytest.approx(aot, rel=0.1, abs=0.015)


@pytest.mark.parametrize(
    ("surface", "reason"),
    [
        ({"B02": 0.10, "B04": 0.20, "B8A": 0.30, "B12": 0.30}, "too few"),
        ({"B02": 0.045, "B04": 0.04, "B8A": 0.35, "B12": 0.08}, "disagrees"),
        ({"B02": 0.001, "B04": 0.001, "B8A": 0.35, "B12": 0.09}, "beyond"),
    ],
)
def test_aerosol_is_the_usual_where_the_tests_fail(surface: dict[str, float], reason: str) -> None:
    toa = lifted(surface, 0.2, 1.5)
    toa["B12"] *= np.linspace(0.99, 1.01, SHAPE[0], dtype=np.float32)[:, None]
    found = dark_vegetation(everywhere(toa), "S2A", SKY, USUAL)
    assert (found.aot550, found.method) == (0.13, "CLIMATOLOGY")
    assert reason in found.reason


def test_a_forecast_s_aerosol_is_thinner_on_mountains() -> None:
    found = forecast_aerosol(level(0.3), level(0.2), level(2.2))
    assert found == pytest.approx(0.3 * np.exp(-1.0), rel=1e-4)


def correction(band: str, rho_light: Light | None = None, around: Around | None = None) -> Correction:
    air = AirMaps(level(0.1), level(1.5), level(0.0))
    path, through, albedo = coefficient_maps(band, "S2A", (SKY,), air)
    gain = np.asarray(1 / (10_000 * through), np.float32)
    return Correction(gain, np.asarray((-0.1 - path) / through, np.float32), albedo, rho_light, around)


@pytest.mark.parametrize("band", ["B01", "B04", "B8A", "B12"])
def test_correction_gives_the_surface_back(band: str) -> None:
    rho = np.linspace(0.005, 0.9, 600 * 7).reshape(600, 7)
    at = coefficients_at(band, Sight(SUN, 6.0, 50.0), Air(0.1, 1.5))
    counts = np.rint(apply_forward(rho, at) * 10_000 + 1000).astype(np.uint16)
    counts[5, 3] = 0
    surface = correction(band).apply(counts)
    assert surface[5, 3] == 0
    errors = (surface.astype(float) - 1000) / 10_000 - rho
    errors[5, 3] = 0
    assert np.abs(errors).max() < 3e-4


def test_a_slope_s_light_is_divided_out_but_not_more_than_fourfold() -> None:
    counts = np.full(SHAPE, 3000, np.uint16)
    flat = (correction("B8A").apply(counts)[0, 0] - 1000) / 10_000
    beam, sky = np.full(SHAPE, 0.5, np.float32), np.ones(SHAPE, np.float32)
    half = correction("B8A", Light(beam, sky, 1.0, 0.0, 0.0)).apply(counts)
    assert (half - 1000.0) / 10_000 == pytest.approx(2 * flat, rel=0.02)
    dark = correction("B8A", Light(0 * beam, sky, 1.0, 0.0, 0.0)).apply(counts)
    assert (dark - 1000.0) / 10_000 == pytest.approx(4 * flat, rel=0.06)


def test_contrast_that_scattering_took_is_given_back() -> None:
    counts = np.full(SHAPE, 2500, np.uint16)
    plain = (correction("B02").apply(counts)[0, 0] - 1000) / 10_000
    around = Around(np.full((4, 4), plain + 0.1, np.float32), 0.15)
    found = (correction("B02", None, around).apply(counts)[0, 0] - 1000) / 10_000
    assert found == pytest.approx(plain - 0.15 * 0.1, abs=2e-4)


def test_surroundings_of_even_ground_are_that_ground_and_gaps_do_not_count() -> None:
    ground = np.full((200, 300), 0.2, np.float32)
    valid = np.ones(ground.shape, bool)
    ground[50:100], valid[50:100] = 9.0, False
    assert surroundings(ground, valid, 0.5) == pytest.approx(0.2, abs=1e-5)


def test_near_ground_weighs_more_under_aerosol_than_under_air() -> None:
    ground = np.zeros((400, 400), np.float32)
    ground[180:220, 180:220] = 1.0
    air, haze = (surroundings(ground, np.ones(ground.shape, bool), part)[40, 40] for part in (0.0, 1.0))
    assert 0 < air < haze < 1


@pytest.mark.parametrize("band", ["B02", "B09"])
def test_maps_between_levels_agree_with_the_table(band: str) -> None:
    """Linear levels cost less than the table is off: wide ranges of everything at once."""
    chance = np.random.default_rng(3)
    shape = (40, 50)
    aot, water, altitude = (
        chance.uniform(low, high, shape).astype(np.float32) for low, high in ((0.05, 0.5), (0.3, 4.0), (0.0, 3.0))
    )
    sky = Sky(two(SUN), two(150.0), SKY.views)
    path, through, albedo = coefficient_maps(band, "S2A", (sky,), AirMaps(aot, water, altitude))
    exact = coefficients_at(band, Sight(SUN, 6.0, 50.0), Air(aot, water, altitude))
    assert np.abs(path - exact.path).max() < 0.0006
    assert np.abs(through / exact.transmittance - 1).max() < (0.008 if band == "B09" else 0.002)
    assert np.abs(albedo - exact.albedo).max() < 0.001


def test_area_mean_has_no_data_where_a_part_has_none() -> None:
    counts = np.full((4, 6), 100, np.uint16)
    counts[0, 0], counts[2, 4] = 104, 0
    assert area_mean(counts, 2).tolist() == [[101, 100, 100], [100, 100, 0]]


def test_bands_stand_at_the_resolutions_of_l2a_products() -> None:
    assert resolutions("B02") == (10, 20, 60)
    assert resolutions("B08") == (10,)
    assert resolutions("B8A") == (20, 60)
    assert resolutions("B01") == (20, 60)
    assert resolutions("B10") == ()


GREEN = {"B02": 0.02, "B04": 0.04, "B8A": 0.35, "B09": 0.35, "B12": 0.08}
SOIL = {"B02": 0.10, "B04": 0.20, "B8A": 0.30, "B09": 0.30, "B12": 0.30}


def chosen(root: Path, surface: dict[str, float], forecast: NDArray[np.float32] | None) -> tuple[Found, Bench]:
    """What is found over ground under an aerosol of 0.2, where the climatology has 0.3 and hills thin it."""
    bench = Bench(None, root, root, Extent(0, 0, *SHAPE))  # type: ignore[arg-type]  # no product is written
    for band, rho in lifted(surface, 0.2, 1.5).items():
        bench.save(f"{band}_60", np.rint(rho * 10_000 + 1000).astype(np.uint16))
    bench.save("classes", np.full((180, 180), SceneClass.VEGETATION, np.uint8))
    usual = np.linspace(0.2, 0.4, SHAPE[0], dtype=np.float32)[:, None] * np.ones(SHAPE, np.float32)
    scaling = Scaling(10_000, {band.name: -1000.0 for band in BANDS})
    scene = Scene(
        *("S2A", scaling, SKY, (SKY, SKY), level(0), level(0), False, False, usual, forecast, level(0), None),
        *(0.33, "CONFIG", (), (), (), ()),
    )
    return retrieve(bench, scene), bench


def test_the_forecast_is_taken_before_the_ground_s_own_word(tmp_path: Path) -> None:
    found, bench = chosen(tmp_path, GREEN, level(0.25))
    assert found.aerosol.method == "CAMS"
    assert found.aerosol.aot550 == pytest.approx(0.25)
    assert bench.load("AOT") == pytest.approx(level(0.25))


def test_dark_vegetation_is_taken_before_the_climatology(tmp_path: Path) -> None:
    found, bench = chosen(tmp_path, GREEN, None)
    assert found.aerosol.method == "DDV"
    assert found.aerosol.aot550 == pytest.approx(0.2, abs=0.02)
    assert np.ptp(bench.load("AOT")) == 0


def test_the_climatology_is_taken_where_nothing_else_tells_thinned_by_the_hills(tmp_path: Path) -> None:
    found, bench = chosen(tmp_path, SOIL, None)
    assert found.aerosol.method == "CLIMATOLOGY"
    assert found.aerosol.aot550 == pytest.approx(0.3, abs=1e-3)
    assert bench.load("AOT")[[0, -1], 0] == pytest.approx([0.2, 0.4])
    assert told_usual(found.aerosol) == (
        "L2A: the aerosol, 0.300 at 550 nm, is a climatology's: 0 pixels of dark vegetation are too few.",
    )
