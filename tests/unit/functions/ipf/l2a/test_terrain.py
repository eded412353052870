"""Slopes, shadow, and elevation files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from functions.ipf.l2a.terrain import STEP_M, cast_shadow, elevation_files, files_over, read_altitude, relief
from functions.ipf.safe.jp2 import Extent
from shared.errors import BadInputError
from shared.msi.tiling import tile

SHAPE = (90, 90)


def plane(per_row: float, per_column: float) -> NDArray[np.float32]:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray(500 + STEP_M * (rows * per_row + columns * per_column), np.float32)


@pytest.mark.parametrize(
    ("per_row", "per_column", "azimuth", "wanted"),
    [
        (0.0, 0.0, 180.0, 1.0),
        (-0.2, 0.0, 180.0, 1.0 + 0.2 * np.tan(np.radians(40.0))),  # falls to the south, Sun in the south
        (-0.2, 0.0, 0.0, 1.0 - 0.2 * np.tan(np.radians(40.0))),
        (0.0, -0.2, 90.0, 1.0 + 0.2 * np.tan(np.radians(40.0))),  # falls to the east, Sun in the east
        (0.0, 0.2, 90.0, 1.0 - 0.2 * np.tan(np.radians(40.0))),
    ],
)
def test_light_on_a_slope(per_row: float, per_column: float, azimuth: float, wanted: float) -> None:
    found = relief(plane(per_row, per_column), 40.0, azimuth)
    upright = 1 / np.sqrt(1 + per_row**2 + per_column**2)
    inner = np.s_[5:-5, 5:-5]
    assert found.beam[inner] == pytest.approx(upright * wanted, rel=1e-3)
    assert found.open_sky[inner] == pytest.approx((1 + upright) / 2, rel=1e-4)


def test_a_slope_turned_from_the_sun_lies_in_shadow() -> None:
    assert (relief(plane(1.5, 0.0), 60.0, 180.0).beam[5:-5, 5:-5] == 0).all()


def test_a_wall_throws_a_shadow_as_long_as_the_sun_is_low() -> None:
    ground = np.zeros((300, 300), np.float32)
    ground[150:156] = 300.0
    shaded = cast_shadow(ground, np.radians(60.0), np.radians(180.0))  # the Sun in the south: shadow to the north
    rows = np.flatnonzero(shaded[:, 150])
    assert rows.max() < 153
    assert (150 - rows.min()) * STEP_M == pytest.approx(300 * np.tan(np.radians(60.0)), abs=60)
    assert not shaded[160:].any()


def elevations(path: Path, values: NDArray[np.float32], left: float, top: float, step: float) -> Path:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=values.shape[1],
        height=values.shape[0],
        count=1,
        dtype="float32",
        crs="EPSG:32632",
        nodata=-9999,
        transform=rasterio.Affine(step, 0, left, 0, -step, top),
    ) as file:
        file.write(values, 1)
    return path


def test_files_are_joined_and_the_sea_is_at_zero(tmp_path: Path) -> None:
    target = tile("32TMQ")
    block = Extent(0, 0, 60, 90)
    west = elevations(tmp_path / "a.tif", np.full((60, 30), 700, np.float32), target.ulx - 300, target.uly + 300, 30)
    gap = np.full((60, 20), 900, np.float32)
    gap[20:40] = -9999
    elevations(tmp_path / "sub.TIF", gap, target.ulx + 600, target.uly + 300, 30)
    found = read_altitude(elevation_files([tmp_path]), target, block)
    assert found is not None
    assert found[10, 5] == pytest.approx(700)
    assert found[5, 40] == pytest.approx(900)
    assert found[30, 40] == 0
    assert found[10, 80] == 0
    assert elevation_files([west]) == [west]


def test_files_elsewhere_are_no_terrain(tmp_path: Path) -> None:
    far = elevations(tmp_path / "a.tif", np.full((6, 6), 700, np.float32), 0.0, 1000.0, 30)
    assert read_altitude([far], tile("32TMQ"), Extent(0, 0, 60, 60)) is None


def degrees(folder: Path, west: int, south: int, name: str = "") -> Path:
    """A file of one degree by one."""
    path = folder / (name or f"{west}_{south}.tif")
    place = rasterio.Affine(0.5, 0, west, 0, -0.5, south + 1)
    shape = {"width": 2, "height": 2, "count": 1, "dtype": "int16", "crs": "EPSG:4326", "transform": place}
    with rasterio.open(path, "w", driver="GTiff", **shape) as file:
        file.write(np.full((2, 2), 100, np.int16), 1)
    return path


def test_of_the_whole_earths_files_those_over_the_tile_are_taken(tmp_path: Path) -> None:
    whole = Extent(0, 0, 5490, 5490)
    files = [degrees(tmp_path, west, south) for west in (-180, 6, 7, 8, 9, 10, 179) for south in (-45, 44, 45, 54)]

    def over(name: str, block: Extent) -> list[str]:
        return [path.stem for path in files_over(files, tile(name), block)]

    assert over("32TMQ", whole) == ["7_44", "7_45", "8_44", "8_45", "9_44", "9_45"]
    assert over("32TMQ", Extent(0, 2700, 60, 2760)) == ["8_45"]
    assert over("60UXG", whole) == ["-180_54", "179_54"]  # over the 180th meridian
    target = tile("32TMQ")
    inside = elevations(tmp_path / "a.tif", np.full((6, 6), 1, np.float32), target.ulx + 600, target.uly - 600, 30)
    assert files_over([*files, inside], target, Extent(0, 0, 60, 60))[-1] == inside
    assert inside not in files_over([*files, inside], target, Extent(3000, 3000, 3060, 3060))


def test_files_whose_names_tell_of_another_place_are_not_opened(tmp_path: Path) -> None:
    called = "Copernicus_DSM_COG_10_N{:02d}_00_E{:03d}_00_DEM.tif"
    inside = degrees(tmp_path, 8, 45, called.format(45, 8))
    plain = degrees(tmp_path, 8, 44, "n44e008_dem.tif")  # of such names there are cells of five degrees, too
    unread = [tmp_path / called.format(lat, lon) for lat, lon in ((45, 20), (10, 8), (46, 10))]
    for path in unread:
        path.write_bytes(b"no raster")
    assert files_over([*unread, inside, plain], tile("32TMQ"), Extent(0, 0, 5490, 5490)) == [inside, plain]
    (tmp_path / called.format(44, 8)).write_bytes(b"no raster")
    with pytest.raises(BadInputError, match="N44_00_E008"):
        files_over([tmp_path / called.format(44, 8)], tile("32TMQ"), Extent(0, 0, 5490, 5490))


def test_what_is_no_elevation_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "false.tif").write_bytes(b"no raster")
    with pytest.raises(BadInputError, match=r"false\.tif: expected an elevation raster that GDAL reads"):
        read_altitude([tmp_path / "false.tif"], tile("32TMQ"), Extent(0, 0, 60, 60))
    with pytest.raises(BadInputError, match=r"false\.tif: expected an elevation raster that GDAL reads"):
        files_over([tmp_path / "false.tif"], tile("32TMQ"), Extent(0, 0, 60, 60))
