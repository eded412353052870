"""Elevation files whose names say where they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared.errors import BadInputError
from shared.geometry.cells import Cell, cell_of
from shared.geometry.terrain import Terrain

from .test_terrain import raster

COPERNICUS = "Copernicus_DSM_COG_10_N{:02d}_00_E{:03d}_00_DEM.tif"


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("N45E006.hgt", (6, 45)),
        ("s01w078.HGT", (-78, -1)),
        ("S00E000.hgt", (0, 0)),
        ("e006/n45.dt1", (6, 45)),
        ("DTED/W018/S32.DT2", (-18, -32)),
        ("w001n010.dt0", (-1, 10)),
        ("Copernicus_DSM_COG_10_N45_00_E006_00_DEM.tif", (6, 45)),
        ("Copernicus_DSM_30_S14_00_W172_00_DEM.tif", (-172, -14)),
    ],
)
def test_names_that_tell(name: str, cell: tuple[int, int]) -> None:
    assert cell_of(Path("/dem") / name) == Cell(*cell)


@pytest.mark.parametrize(
    "name",
    [
        "n45e005_dem.tif",  # five degrees
        "N45E006.tif",
        "srtm_38_03.tif",
        "n45.dt1",  # in no folder of a longitude
        "europe006/n45.dt1",
        "e006/n45.tif",
        "Copernicus_DSM_COG_10_N45_30_E006_00_DEM.tif",
        "N95E006.hgt",
        "N45E006.hgt.tif",
    ],
)
def test_names_that_do_not(name: str) -> None:
    assert cell_of(Path("/dem") / name) is None


def test_a_cell_is_met_over_the_antimeridian_and_a_little_beyond_its_edges() -> None:
    assert Cell(-180, 10).meets(179.5, 10.2, 180.5, 10.4)
    assert Cell(179, 10).meets(-180.5, 10.2, -179.9, 10.4)
    assert not Cell(179, 10).meets(-179.8, 10.2, -179.5, 10.4)
    assert Cell(6, 45).meets(7.05, 46.05, 7.5, 46.5)
    assert not Cell(6, 45).meets(7.2, 45.0, 7.5, 46.0)
    assert not Cell(6, 45).meets(6.2, 46.2, 6.5, 47.0)


def test_only_the_files_of_a_window_are_opened(tmp_path: Path) -> None:
    heights = np.full((11, 11), 300, np.int16)
    raster(tmp_path / COPERNICUS.format(45, 6), heights, 6.0, 46.0, 0.1)
    raster(tmp_path / "any.tif", heights + 100, 8.0, 46.0, 0.1)
    (tmp_path / COPERNICUS.format(45, 9)).write_bytes(b"no raster")
    terrain = Terrain.from_files(tmp_path, None)
    assert terrain.at(np.array([6.5]), np.array([45.5]))[0] == pytest.approx(300)
    assert terrain.at(np.array([8.5]), np.array([45.5]))[0] == pytest.approx(400)
    assert terrain.at(np.array([5.0]), np.array([45.5]))[0] == 0
    with pytest.raises(BadInputError, match=r"E009_00_DEM\.tif: expected a raster"):
        terrain.at(np.array([9.5]), np.array([45.5]))


def test_of_files_that_overlap_the_last_holds_whichever_is_opened_first(tmp_path: Path) -> None:
    named = raster(tmp_path / COPERNICUS.format(45, 6), np.full((11, 11), 300, np.int16), 6.0, 46.0, 0.1)
    other = raster(tmp_path / "other.tif", np.full((11, 11), 700, np.int16), 6.0, 46.0, 0.1)
    for files, height in (([named, other], 700), ([other, named], 300)):
        assert Terrain.from_files(files, None).at(np.array([6.5]), np.array([45.5]))[0] == pytest.approx(height)


def test_a_name_that_tells_another_cell_than_the_file_is_refused(tmp_path: Path) -> None:
    raster(tmp_path / COPERNICUS.format(45, 6), np.full((11, 11), 300, np.int16), 7.0, 46.0, 0.1)
    with pytest.raises(BadInputError, match="nodes of the cell that its name tells"):
        Terrain.from_files(tmp_path, None).at(np.array([6.5]), np.array([45.5]))
