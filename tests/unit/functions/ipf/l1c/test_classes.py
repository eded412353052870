"""The classification mask: each class by its spectrum, single pixels dropped, no pixel in two classes."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from functions.ipf.l1c.classes import classify, rayleigh_path
from functions.ipf.safe.working import to_counts

Counts: TypeAlias = NDArray[np.uint16]
Planes: TypeAlias = tuple[Counts, Counts, Counts, Counts]

# TOA reflectance in B01, B03, B10 and B11.
GROUND = (0.12, 0.08, 0.001, 0.15)
CLOUD = (0.55, 0.5, 0.005, 0.45)
THIN = (0.18, 0.14, 0.02, 0.2)
SNOW = (0.8, 0.8, 0.004, 0.06)
SAND = (0.25, 0.35, 0.003, 0.55)
KINDS = {"cloud": CLOUD, "cirrus": THIN, "snow": SNOW, "sand": SAND, "ground": GROUND}


def scene(kind: tuple[float, ...], size: int = 9) -> Planes:
    """Ground with a square of something else in its middle."""
    planes: list[Counts] = []
    for ground, other in zip(GROUND, kind, strict=True):
        rho = np.full((31, 31), ground)
        first = (31 - size) // 2
        rho[first : first + size, first : first + size] = other
        planes.append(to_counts(rho))
    return four(planes)


def four(planes: list[Counts]) -> Planes:
    blue, green, cirrus, swir = planes
    return blue, green, cirrus, swir


@pytest.mark.parametrize(
    ("kind", "found"),
    [("cloud", (81, 0, 0)), ("cirrus", (0, 81, 0)), ("snow", (0, 0, 81)), ("sand", (0, 0, 0)), ("ground", (0, 0, 0))],
)
def test_each_class_is_known_by_its_spectrum(kind: str, found: tuple[int, ...]) -> None:
    masks = classify(*scene(KINDS[kind]), 35.0)
    assert tuple(int(mask.sum()) for mask in masks) == found


@pytest.mark.parametrize(("size", "kept"), [(1, 0), (2, 0), (3, 9)])
def test_clouds_narrower_than_three_pixels_fall_away(size: int, kept: int) -> None:
    for kind in (CLOUD, THIN):
        assert int(classify(*scene(kind, size), 35.0).sum()) == kept


def test_no_pixel_has_two_classes_and_none_without_data_has_one() -> None:
    random = np.random.default_rng(2)
    planes = four([to_counts(random.uniform(0, 0.9, (40, 40))) for _ in range(4)])
    for plane in planes:
        plane[random.uniform(size=plane.shape) < 0.05] = 0
    masks = classify(*planes, 35.0)
    assert masks.sum(axis=0).max() == 1
    assert not masks[:, np.logical_or.reduce([plane == 0 for plane in planes])].any()


def test_a_low_sun_does_not_make_air_a_cloud() -> None:
    assert rayleigh_path(70.0) > rayleigh_path(35.0)
    hazy = scene((0.34, 0.2, 0.001, 0.2))
    assert not classify(*hazy, 75.0).any()
    assert classify(*hazy, 20.0)[0].any()
