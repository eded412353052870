"""View angles of a tile: where images look, and of bands that see it between the nodes of the grid alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from functions.ipf.l1c.angles import tile_angles
from functions.ipf.safe.angles import node_degrees
from functions.ipf.safe.working import BandImage, WorkingFolder
from shared.msi.tiling import tile
from shared.rehearsal.flight import fly
from shared.rehearsal.plan import Datatake

TILE, FLIGHT = tile("32TMQ"), fly(Datatake(scenes=1, detectors=(6, 7)), "S2A")


def folder(root: Path) -> WorkingFolder:
    working = WorkingFolder(root)
    working.write_model(FLIGHT.model.strip, FLIGHT.instrument)
    return working


def strip(lines: int, detectors: tuple[int, ...] = (6, 7)) -> Any:
    images = [
        BandImage(
            detector=detector,
            band="B01",
            lines=lines,
            columns=432,
            first_line_ns=FLIGHT.model.strip.first_line_ns["B01", detector],
            packets_expected=24,
            packets_received=24,
        )
        for detector in detectors
    ]
    return SimpleNamespace(images=images)


def outside(lines: int, detector: int) -> float:
    """Lines or columns from the nearest node of the tile to the image."""
    lon, lat = node_degrees(TILE)
    line, column = FLIGHT.model.inverse("B01", detector, lon, lat, 0.0)
    beyond = np.stack([-line, line - lines, -column, column - 432, np.zeros(line.shape)])
    return float(np.nanmin(beyond.max(axis=0)))


def test_every_node_that_an_image_sees_has_a_view(tmp_path: Path) -> None:
    working = folder(tmp_path)
    views = tile_angles(working, strip(384), TILE, FLIGHT.model.platform.reference_ns).views
    assert set(views) == {(0, 6), (0, 7)}
    for (_, detector), view in views.items():
        lon, lat = node_degrees(TILE)
        line, column = FLIGHT.model.inverse("B01", detector, lon, lat, 0.0)
        assert np.array_equal(np.isfinite(view.zenith), (line >= 0) & (line <= 384) & (column >= 0) & (column <= 432))


def test_a_band_between_nodes_has_the_view_of_the_nearest(tmp_path: Path) -> None:
    lines = next(n for n in range(1, 80) if min(outside(n, 6), outside(n, 7)) > 0)
    angles = tile_angles(folder(tmp_path), strip(lines), TILE, FLIGHT.model.platform.reference_ns)
    ((_, detector),) = angles.views
    assert outside(lines, detector) == min(outside(lines, 6), outside(lines, 7))
    mean = angles.mean_view(0)
    assert mean is not None
    # Detectors 6 and 7 look down; over 5 km the direction changes by less than half a degree.
    centre = FLIGHT.model.view_angles("B01", detector, np.array([0.5]), np.array([216.0]), np.array([0.0]))
    assert mean[0] == pytest.approx(float(centre[0][0]), abs=1.5)


def test_bands_that_do_not_see_the_tile_have_no_view(tmp_path: Path) -> None:
    assert tile_angles(folder(tmp_path), strip(384), tile("31TCJ"), FLIGHT.model.platform.reference_ns).views == {}
