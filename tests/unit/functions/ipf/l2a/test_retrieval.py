"""Water vapour, aerosol, scene classes and the correction itself on made-up ground."""

from __future__ import annotations

import numpy as np
import pytest

from functions.ipf.l2a.classification import SceneClass, classify, shadow_zone
from functions.ipf.l2a.images import Correction, area_mean, resolutions
from functions.ipf.l2a.retrieval import DEFAULT_AOT, aerosol, water_vapour
from shared.msi.atmosphere import coefficients, toa_from_surface

SUN, SHAPE = 40.0, (60, 60)


def lifted(surface: dict[str, float], aot: float, water: float) -> dict[str, np.ndarray]:
    return {b: np.full(SHAPE, toa_from_surface(r, b, SUN, aot, water), np.float32) for b, r in surface.items()}


@pytest.mark.parametrize("water", [0.5, 1.5, 4.0])
def test_water_vapour_is_found_over_bright_ground(water: float) -> None:
    toa = lifted({"B8A": 0.3, "B09": 0.3}, 0.1, water)
    assert water_vapour(toa, np.ones(SHAPE, bool), SUN) == pytest.approx(water, rel=0.02)


def test_water_vapour_without_clear_ground_is_the_default() -> None:
    toa = lifted({"B8A": 0.3, "B09": 0.3}, 0.1, 4.0)
    assert water_vapour(toa, np.zeros(SHAPE, bool), SUN) == pytest.approx(1.5)


@pytest.mark.parametrize("aot", [0.05, 0.2, 0.4])
def test_aerosol_is_found_where_vegetation_is_as_dark_as_the_rule_says(aot: float) -> None:
    surface = {"B02": 0.02, "B04": 0.04, "B8A": 0.35, "B12": 0.08}
    found = aerosol(lifted(surface, aot, 1.5), np.ones(SHAPE, bool), SUN, 1.5)
    assert found.method == "DDV"
    assert found.aot550 == pytest.approx(aot, rel=0.05, abs=0.01)


@pytest.mark.parametrize(
    "surface",
    [
        {"B02": 0.10, "B04": 0.20, "B8A": 0.30, "B12": 0.30},  # soil
        {"B02": 0.045, "B04": 0.04, "B8A": 0.35, "B12": 0.08},  # blue and red disagree
        {"B02": 0.001, "B04": 0.001, "B8A": 0.35, "B12": 0.09},  # beyond the table
    ],
)
def test_aerosol_is_the_default_where_the_tests_fail(surface: dict[str, float]) -> None:
    found = aerosol(lifted(surface, 0.2, 1.5), np.ones(SHAPE, bool), SUN, 1.5)
    assert (found.aot550, found.method) == (DEFAULT_AOT, "DEFAULT")


def correction(band: str, water: float = 1.5) -> Correction:
    at = coefficients(band, SUN, 0.1, np.full((2, 3), water))
    return Correction(
        np.asarray(1 / (10_000 * at.transmittance), np.float32),
        np.asarray((-0.1 - at.path) / at.transmittance, np.float32),
        np.asarray(at.albedo, np.float32),
    )


@pytest.mark.parametrize("band", ["B01", "B04", "B8A", "B12"])
def test_correction_gives_the_surface_back(band: str) -> None:
    rho = np.linspace(0.005, 0.9, 600 * 7).reshape(600, 7)
    counts = np.rint(toa_from_surface(rho, band, SUN) * 10_000 + 1000).astype(np.uint16)
    counts[5, 3] = 0
    surface = correction(band).apply(counts)
    assert surface[5, 3] == 0
    errors = (surface.astype(float) - 1000) / 10_000 - rho
    errors[5, 3] = 0
    assert np.abs(errors).max() < 3e-4


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


GROUND = {
    SceneClass.VEGETATION: (0.09, 0.09, 0.05, 0.35, 0.002, 0.20),
    SceneClass.NOT_VEGETATED: (0.13, 0.14, 0.18, 0.28, 0.002, 0.36),
    SceneClass.WATER: (0.10, 0.07, 0.04, 0.02, 0.001, 0.01),
    SceneClass.CLOUD_HIGH_PROBA: (0.60, 0.60, 0.62, 0.65, 0.010, 0.50),
    SceneClass.THIN_CIRRUS: (0.13, 0.12, 0.10, 0.35, 0.020, 0.22),
    SceneClass.SNOW_ICE: (0.80, 0.80, 0.80, 0.75, 0.002, 0.08),
}


@pytest.mark.parametrize("kind", GROUND, ids=lambda kind: kind.name)
def test_typical_ground_gets_its_class(kind: SceneClass) -> None:
    toa = {
        b: np.full((12, 12), v, np.float32)
        for b, v in zip(("B02", "B03", "B04", "B8A", "B10", "B11"), GROUND[kind], strict=True)
    }
    valid, saturated = np.ones((12, 12), bool), np.zeros((12, 12), bool)
    valid[0], saturated[1] = False, True
    found = classify(toa, valid, saturated, SUN, 150.0).classes
    assert (found[0] == SceneClass.NODATA).all()
    assert (found[1] == SceneClass.SATURATED_DEFECTIVE).all()
    assert (found[2:] == kind).all()


def test_shadows_fall_away_from_the_sun() -> None:
    cloudy = np.zeros((300, 300), bool)
    cloudy[150:162, 150:162] = True
    rows, columns = np.nonzero(shadow_zone(cloudy, 45.0, 90.0))  # the Sun in the east: shadows to the west
    assert columns.max() < 156
    assert columns.min() < 150
    assert abs(rows.mean() - 156) < 4
