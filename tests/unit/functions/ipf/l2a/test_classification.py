"""Scene classes: of typical ground, of simulated clouds of known place, and their shadows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from functions.ipf.l2a.classification import GROUND_BANDS, SceneClass, ground_classes, smoothed, with_clouds
from functions.ipf.l2a.clouds import MODEL_BANDS, cloud_probability
from functions.ipf.l2a.shadows import cloud_shadow, dark_ground, shift_per_metre

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
# TOA reflectances of typical ground, in the order of BANDS.
SPECTRA = {
    "vegetation": (0.11, 0.085, 0.08, 0.05, 0.09, 0.24, 0.30, 0.31, 0.33, 0.11, 0.001, 0.17, 0.08),
    "soil": (0.14, 0.13, 0.14, 0.18, 0.21, 0.23, 0.25, 0.26, 0.28, 0.10, 0.001, 0.36, 0.28),
    "water": (0.12, 0.09, 0.06, 0.035, 0.03, 0.025, 0.022, 0.02, 0.018, 0.008, 0.001, 0.006, 0.004),
    "snow": (0.85, 0.82, 0.80, 0.78, 0.77, 0.76, 0.75, 0.73, 0.70, 0.30, 0.002, 0.07, 0.06),
    "cloud": (0.55, 0.54, 0.53, 0.54, 0.56, 0.57, 0.58, 0.58, 0.60, 0.42, 0.020, 0.42, 0.30),
}


def spectrum(name: str, shape: tuple[int, int]) -> dict[str, NDArray[np.float32]]:
    return {band: np.full(shape, value, np.float32) for band, value in zip(BANDS, SPECTRA[name], strict=True)}


@pytest.mark.parametrize(
    ("ground", "kind"),
    [
        ("vegetation", SceneClass.VEGETATION),
        ("soil", SceneClass.NOT_VEGETATED),
        ("water", SceneClass.WATER),
        ("snow", SceneClass.SNOW_ICE),
    ],
)
def test_typical_ground_gets_its_class_and_is_no_cloud(ground: str, kind: SceneClass) -> None:
    toa = spectrum(ground, (9, 9))
    probability = cloud_probability(toa, np.ones((9, 9), bool))
    classes, _ = with_clouds(ground_classes({b: toa[b] for b in GROUND_BANDS}), probability, toa["B10"])
    assert (classes == kind).all()


def test_cirrus_by_its_own_band() -> None:
    toa = spectrum("vegetation", (4, 4))
    ground = ground_classes({b: toa[b] for b in GROUND_BANDS})
    none = np.zeros((4, 4), np.float32)
    thin, _ = with_clouds(ground, none, np.full((4, 4), 0.02, np.float32))
    thick, _ = with_clouds(ground, none, np.full((4, 4), 0.05, np.float32))
    assert (thin == SceneClass.THIN_CIRRUS).all()
    assert (thick == SceneClass.CLOUD_MEDIUM_PROBA).all()


def test_clouds_of_ice_are_told_from_snow_on_low_ground_alone() -> None:
    toa = spectrum("snow", (4, 4))
    ground, none = ground_classes({b: toa[b] for b in GROUND_BANDS}), np.zeros((4, 4), np.float32)
    high_up = np.full((4, 4), 0.05, np.float32)
    assert (with_clouds(ground, none, high_up)[0] == SceneClass.SNOW_ICE).all()
    low = np.ones((4, 4), bool)
    assert (with_clouds(ground, none, high_up, low)[0] == SceneClass.CLOUD_MEDIUM_PROBA).all()
    assert (with_clouds(ground, none, toa["B10"], low)[0] == SceneClass.SNOW_ICE).all()


def scene(height_m: float) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.bool_], NDArray[np.bool_]]:
    """Fields, a lake and three round clouds at 60 m; where the clouds are, and where their shadows fall."""
    size = 240
    chance = np.random.default_rng(4)
    rows, columns = np.mgrid[:size, :size]
    fields = chance.random((size // 12, size // 12)).repeat(12, 0).repeat(12, 1)
    cloudy, shade = np.zeros((size, size), bool), np.zeros((size, size), bool)
    down, right = (part * height_m / 60 for part in shift_per_metre(SUN, VIEW))
    for row, column, radius in ((70, 80, 12), (150, 120, 20), (100, 190, 7)):
        cloudy |= np.hypot(rows - row, columns - column) < radius
        shade |= np.hypot(rows - row - down, columns - column - right) < radius
    shade &= ~cloudy
    lake = np.hypot(rows - 200, columns - 50) < 20
    toa = {}
    for index, band in enumerate(BANDS):
        green, brown, wet, white = (SPECTRA[n][index] for n in ("vegetation", "soil", "water", "cloud"))
        values = np.where(lake, wet, green + (brown - green) * fields)
        values = np.where(shade & ~lake, 0.35 * values, values)
        values = np.where(cloudy, white, values) * chance.normal(1, 0.01, values.shape)
        toa[band] = values.astype(np.float32)
    return toa, cloudy, shade & ~lake


SUN, VIEW = (40.0, 150.0), (6.0, 100.0)


@pytest.mark.parametrize("height_m", [800.0, 2000.0, 6000.0])
def test_clouds_of_known_place_and_their_shadows_are_found(height_m: float) -> None:
    toa, cloudy, shade = scene(height_m)
    valid = np.ones(cloudy.shape, bool)
    probability = smoothed(cloud_probability({b: toa[b] for b in MODEL_BANDS}, valid), valid)
    classes, _ = with_clouds(ground_classes({b: toa[b] for b in GROUND_BANDS}), probability, toa["B10"])
    found = np.isin(classes, [SceneClass.CLOUD_MEDIUM_PROBA, SceneClass.CLOUD_HIGH_PROBA])
    assert found[cloudy].mean() > 0.97
    assert found[~cloudy].mean() < 0.01
    assert (classes[cloudy] == SceneClass.CLOUD_HIGH_PROBA).mean() > 0.8

    water = classes == SceneClass.WATER
    dark = dark_ground(toa["B8A"], toa["B11"], ~found & ~water) & ~water
    shadow = cloud_shadow(found, dark, valid, shift_per_metre(SUN, VIEW))
    assert shadow[shade].mean() > 0.8
    assert shadow[~shade].mean() < 0.01


def test_dark_ground_beside_the_place_of_a_shadow_is_none() -> None:
    cloudy, dark = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    cloudy[40:50, 40:50] = True
    dark[80:95, 70:90] = True  # towards the Sun
    assert not cloud_shadow(cloudy, dark, np.ones_like(dark), shift_per_metre(SUN, VIEW)).any()


def test_a_shadow_lies_away_from_the_sun_and_the_cloud_from_the_view() -> None:
    down, right = shift_per_metre((45.0, 90.0), (0.0, 0.0))  # the Sun in the east: shadow to the west
    assert (down, right) == pytest.approx((0.0, -1.0), abs=1e-12)
    down, right = shift_per_metre(
        (0.0, 0.0), (45.0, 0.0)
    )  # seen from the north: the image shows the cloud too far south
    assert (down, right) == pytest.approx((-1.0, 0.0), abs=1e-12)


def test_the_model_answers_as_lightgbm_does() -> None:
    """Random spectra, and what LightGBM 4.7.0 makes of them with the model file of s2cloudless 1.7.3."""
    rows = np.array(json.loads(Path(__file__).with_name("cloud_model_runs.json").read_text("utf-8")))
    toa = {band: rows[:, k].astype(np.float32)[None] for k, band in enumerate(MODEL_BANDS)}
    found = cloud_probability(toa, np.ones((1, len(rows)), bool))[0]
    assert rows[:, -1].min() < 0.01
    assert rows[:, -1].max() > 0.99
    assert found == pytest.approx(rows[:, -1], abs=1e-5)
