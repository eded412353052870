"""Inverse location by polynomials against the viewing model itself."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from functions.ipf.l1b.geolocation import geolocate, spread
from functions.ipf.l1c.inverse import dense, fit_inverse
from shared.msi.geometry import ViewingModel
from shared.msi.instrument import band_named
from shared.msi.tiling import tile, tiles_meeting, to_utm
from shared.rehearsal.flight import fly
from shared.rehearsal.plan import Datatake

START = datetime(2026, 6, 21, 10, 20, tzinfo=UTC)


def model_over(position: tuple[float, float], scenes: int, detector: int) -> ViewingModel:
    return fly(Datatake(start=START, scenes=scenes, detectors=(detector,), position=position), "S2A").model


@pytest.mark.parametrize(
    ("position", "scenes", "detector", "name"),
    [
        ((8.15, 44.62), 2, 6, "B02"),
        ((8.15, 44.62), 2, 7, "B01"),
        ((20.0, 65.0), 8, 1, "B12"),
        ((20.0, -33.0), 1, 12, "B8A"),
    ],
)
def test_places_come_back_to_their_pixel(position: tuple[float, float], scenes: int, detector: int, name: str) -> None:
    band, model = band_named(name), model_over(position, scenes, detector)
    grids = geolocate(model, detector, band, scenes)
    for target in tiles_meeting(
        *np.array([[grids.lon[i, j], grids.lat[i, j]] for i, j in ((0, 0), (0, -1), (-1, -1), (-1, 0))]).T
    ):
        fitted = fit_inverse(grids, target)
        if fitted is None:
            continue
        random = np.random.default_rng(1)
        lines = random.uniform(0, scenes * band.lines_per_scene, 2000)
        columns = random.uniform(0, band.width, 2000)
        x, y = to_utm(target.epsg).transform(*model.locate(detector, band, lines, columns))
        left, bottom, right, top = target.bounds
        within = (x > left) & (x < right) & (y > bottom) & (y < top)
        line, column = fitted.at(x[within], y[within])
        assert np.abs(line - lines[within]).max(initial=0) < 0.05
        assert np.abs(column - columns[within]).max(initial=0) < 0.05


def test_interpolated_positions_agree_with_the_polynomials() -> None:
    band, target = band_named("B02"), tile("32TMQ")
    fitted = fit_inverse(geolocate(model_over((8.15, 44.62), 1, 6), 6, band, 1), target)
    assert fitted is not None
    rows, columns = range(4501, 4633), range(2003, 2260)
    line, column, base = dense(fitted, target, 10, rows, columns)
    x, y = np.meshgrid(target.ulx + (np.array(columns) + 0.5) * 10, target.uly - (np.array(rows) + 0.5) * 10)
    exact_line, exact_column = fitted.at(x, y)
    assert np.abs(line + base - exact_line).max() < 0.01
    assert np.abs(column - exact_column).max() < 0.01


def test_an_image_elsewhere_has_no_part_in_a_tile() -> None:
    grids = geolocate(model_over((8.15, 44.62), 1, 6), 6, band_named("B01"), 1)
    assert fit_inverse(grids, tile("32TQM")) is None


def test_spread_reaches_from_edge_to_edge() -> None:
    nodes = np.array([[0.0, 8.0], [4.0, 12.0]])
    assert spread(nodes, 2, 4, slice(0, 2)).tolist() == [[2.0, 4.0, 6.0, 8.0], [4.0, 6.0, 8.0, 10.0]]
    assert spread(nodes, 2, 4, slice(1, 2)).tolist() == [[4.0, 6.0, 8.0, 10.0]]
