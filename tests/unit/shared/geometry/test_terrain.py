from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

from shared.errors import BadInputError
from shared.geometry import _rays, _terrain, frames
from shared.geometry.heights import HeightField
from shared.geometry.terrain import Terrain

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def raster(
    path: Path,
    values: NDArray[np.generic],
    west: float,
    north: float,
    step: float | tuple[float, float],
    crs: str = "EPSG:4326",
    **profile: object,
) -> Path:
    """A raster whose first node (upper left) stands at ``west``, ``north``; GDAL counts from the pixel's corner."""
    dx, dy = step if isinstance(step, tuple) else (step, step)
    where = Affine(dx, 0, west - dx / 2, 0, -dy, north + dy / 2)
    rows, columns = values.shape
    options = {"driver": "GTiff", "width": columns, "height": rows, "count": 1, "dtype": values.dtype.name}
    with rasterio.open(path, "w", **(options | {"crs": crs, "transform": where} | profile)) as out:
        out.write(values, 1)
    return path


def nodes(west: float, north: float, step: float, count: int) -> NDArray[np.float32]:
    """A plane that bilinear interpolation keeps: 20 x + 10 y metres, in degrees from Greenwich and the equator."""
    lon, lat = west + step * np.arange(count), north - step * np.arange(count)
    return (20 * (lon % 360)[None, :] + 10 * lat[:, None]).astype(np.float32)


def test_heights_are_bilinear_between_nodes_and_tiles_join_without_a_seam(tmp_path: Path) -> None:
    """Tiles with a common edge (SRTM), and tiles that end one node before the next (Copernicus)."""
    step = 0.1
    raster(tmp_path / "a.tif", nodes(10.0, 46.0, step, 11), 10.0, 46.0, step)
    raster(tmp_path / "b.tif", nodes(11.0, 46.0, step, 10), 11.0, 46.0, step)
    raster(tmp_path / "c.tif", nodes(12.0, 46.0, step, 11), 12.0, 46.0, step)
    lon, lat = np.linspace(10.05, 12.95, 500), np.linspace(45.15, 45.95, 500)
    found = Terrain.from_files(tmp_path, None).at(lon, lat)
    np.testing.assert_allclose(found, 20 * lon + 10 * lat, atol=2e-3)


def test_tiles_of_other_steps_are_brought_to_the_finest_grid(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif", nodes(10.0, 46.0, 0.1, 11), 10.0, 46.0, 0.1)
    raster(tmp_path / "b.tif", nodes(11.0, 46.0, 0.05, 21), 11.0, 46.0, 0.05)
    lon, lat = np.linspace(10.05, 11.95, 400), np.linspace(45.15, 45.95, 400)
    found = Terrain.from_files(tmp_path, None).at(lon, lat)
    np.testing.assert_allclose(found, 20 * lon + 10 * lat, atol=2e-3)


def test_across_the_antimeridian(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif", nodes(179.0, 10.0, 0.1, 11), 179.0, 10.0, 0.1)
    raster(tmp_path / "b.tif", nodes(180.0, 10.0, 0.1, 11), -180.0, 10.0, 0.1)
    terrain = Terrain.from_files(tmp_path, None)
    lon = np.array([179.5, 179.99, -179.99, -179.5])
    expected = 20 * (lon % 360) + 10 * 9.5
    np.testing.assert_allclose(terrain.at(lon, np.full(4, 9.5)), expected, atol=2e-3)
    np.testing.assert_allclose(terrain.at(lon[::-1], np.full(4, 9.5)), expected[::-1], atol=2e-3)


def test_where_there_is_no_tile_or_no_value_the_sea_stands_at_the_geoid(tmp_path: Path) -> None:
    values = np.full((11, 11), 700, np.int16)
    values[4:8, 4:8] = -32767
    tile = raster(tmp_path / "a.tif", values, 10.0, 46.0, 0.1, nodata=-32767)
    globe = np.full((721, 1440), 50.0, np.float32)
    geoid = raster(tmp_path / "geoid.tif", globe, -180.0, 90.0, 0.25)
    terrain = Terrain.from_files([tile], geoid)
    found = terrain.at(np.array([10.15, 10.5, 9.5]), np.array([45.85, 45.5, 45.5]))
    np.testing.assert_allclose(found, [750.0, 50.0, 50.0], atol=1e-3)


def test_the_geoid_goes_round_the_globe(tmp_path: Path) -> None:
    lon = -180.0 + 0.25 * np.arange(1440)
    globe = np.broadcast_to(30 * np.cos(np.radians(lon)), (721, 1440)).astype(np.float32)
    geoid = raster(tmp_path / "geoid.tif", globe, -180.0, 90.0, 0.25)
    found = Terrain.from_files([], geoid).at(np.array([179.9, -179.95]), np.array([10.0, 10.0]))
    np.testing.assert_allclose(found, -30.0, atol=1e-3)


def test_dted_and_a_geoid_with_an_envi_header(tmp_path: Path) -> None:
    values = np.full((1201, 1201), 321, np.int16)
    source = raster(tmp_path / "source.tif", values, 7.0, 47.0, 1 / 1200)
    tile = tmp_path / "n46.dt1"
    rasterio.shutil.copy(source, tile, driver="DTED")
    globe = np.full((721, 1440), 40.0, np.float32)
    geoid = raster(tmp_path / "geoid.gtx", globe, -180.0, 90.0, 0.25, driver="ENVI")
    assert Terrain.from_files([tile], geoid).at(np.array([7.5]), np.array([46.5]))[0] == pytest.approx(361.0, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crs": "EPSG:32632", "step": 30.0, "west": 5e5, "north": 5e6}, "longitude and latitude as coordinates"),
        ({"values": np.full((3, 3), 30_000, np.int16)}, r"heights of -12000\.0 to 10000\.0 m"),
        ({"step": (200.0, 1.0)}, "within the globe"),
    ],
)
def test_what_is_no_elevation_is_refused_by_its_name(tmp_path: Path, change: dict[str, object], message: str) -> None:
    options = {"values": np.ones((3, 3), np.int16), "west": 10.0, "north": 46.0, "step": 0.1} | change
    tile = raster(tmp_path / "bad.tif", **options)  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match=message) as refused:
        Terrain.from_files([tile], None).at(np.array([10.1]), np.array([45.9]))
    assert refused.value.what == "bad.tif"


def test_a_file_is_read_as_its_suffix_says_and_never_followed_elsewhere(tmp_path: Path) -> None:
    inner = raster(tmp_path / "inner.tif", np.ones((3, 3), np.int16), 10.0, 46.0, 0.1)
    virtual = tmp_path / "virtual.tif"
    virtual.write_text(
        '<VRTDataset rasterXSize="3" rasterYSize="3"><SRS>EPSG:4326</SRS><GeoTransform>9.95,0.1,0,46.05,0,-0.1'
        '</GeoTransform><VRTRasterBand dataType="Int16" band="1"><SimpleSource><SourceFilename>'
        f"{inner}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(BadInputError, match=r"virtual\.tif: expected a raster of format GTiff"):
        Terrain.from_files([virtual], None)


def ridges(seed: int) -> HeightField:
    """Rough ground with knife edges one node wide, 90 m apart."""
    rng = np.random.default_rng(seed)
    heights = rng.uniform(0, 60, (120, 120)).astype(np.float32)
    heights[rng.integers(0, 120, 40)] += rng.uniform(300, 4000, 40).astype(np.float32)[:, None]
    heights[:, rng.integers(0, 120, 8)] += 900
    return HeightField(heights, 7.0, 46.0, 1 / 1200, 1 / 1200)


def checkerboard() -> HeightField:
    """Saddles: across the middle of each cell runs a crest that its corners on the way do not show."""
    rows, columns = np.indices((120, 120))
    return HeightField((1000.0 * ((rows + columns) % 2)).astype(np.float32), 7.0, 46.0, 1 / 1200, 1 / 1200)


@pytest.mark.parametrize(
    ("field", "slant"), [(ridges(1), 0.05), (ridges(2), 0.21), (ridges(3), 0.9), (checkerboard(), 3.0)]
)
def test_a_ray_ends_where_it_first_meets_the_ground(field: HeightField, slant: float) -> None:
    """Against 200 000 steps down each ray, with erfa's heights: no ridge is passed through."""
    rng = np.random.default_rng(7)
    grid = field.grid
    for _ in range(25):
        lon, lat, turn = rng.uniform(7.03, 7.07), rng.uniform(46.03, 46.07), rng.uniform(0, 2 * np.pi)
        down = np.array([slant * np.cos(turn), slant * np.sin(turn), -1.0])
        direction = frames.local_axes(np.array(lon), np.array(lat)).T @ down
        aimed = frames.to_fixed(lon, lat, grid[5] / 2)
        origin = aimed - 50e3 * direction
        ray = np.concatenate([origin, direction])
        top, bottom = (_rays.reach(ray, height) for height in (grid[5] + 1.0, grid[4] - 1.0))
        found = _terrain._march(ray, top, bottom, field.heights, grid)
        steps = np.linspace(top, bottom, 200_001)
        places = frames.to_geodetic(origin + steps[:, None] * direction)
        first = int(np.argmax(places[2] - field.at(places[0], places[1]) <= 0.0))
        assert found == pytest.approx(steps[first], abs=2 * (steps[1] - steps[0]))


def test_a_crest_within_a_cell_is_met_though_the_ray_clears_its_borders() -> None:
    """Along a diagonal of the saddles the corners lie at 0, the middles between them at 500 m."""
    field = checkerboard()
    corners = [frames.to_fixed(7.0 + n / 1200, 46.0 + n / 1200, height) for n, height in ((60, 405.0), (61, 385.0))]
    direction = corners[1] - corners[0]
    ray = np.concatenate([corners[0] - 600 * direction, direction])
    top, bottom = (_rays.reach(ray, height) for height in (field.grid[5] + 1.0, field.grid[4] - 1.0))
    found = ray[:3] + _terrain._march(ray, top, bottom, field.heights, field.grid) * direction
    _, _, height = frames.to_geodetic(found)
    assert 460.0 < height <= 500.0


def test_the_geodetic_conversion_of_the_kernels_is_that_of_erfa() -> None:
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(-180, 180, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))
    height = rng.uniform(-500, 9000, 500)
    points = frames.to_fixed(lon, lat, height)
    found = np.array([_rays.geodetic(*point) for point in points])
    np.testing.assert_allclose(np.degrees(found[:, 0]), lon, atol=1e-12)
    np.testing.assert_allclose(np.degrees(found[:, 1]), lat, atol=1e-11)
    np.testing.assert_allclose(found[:, 2], height, atol=1e-6)
