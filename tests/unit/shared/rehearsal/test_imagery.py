from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from shared.errors import BadInputError
from shared.msi.instrument import BANDS, band_named
from shared.rehearsal.imagery import CIRRUS_REFLECTANCE, open_scene
from shared.rehearsal.scenes import rebuild

X, Y = np.array([500_300.0]), np.array([4_999_700.0])


def geotiff(
    path: Path,
    names: list[str],
    *,
    described: bool = False,
    crs: str | None = "EPSG:32632",
    offset: int | None = None,
) -> Path:
    """60 x 60 pixels of 10 m; band k is 1000 k counts everywhere."""
    profile = {"driver": "GTiff", "width": 60, "height": 60, "count": len(names), "dtype": "int16", "crs": crs}
    with rasterio.open(path, "w", transform=Affine(10, 0, 500_000, 0, -10, 5_000_000), **profile) as image:
        for number, name in enumerate(names, 1):
            image.write(np.full((60, 60), 1000 * number, np.int16), number)
            if described:
                image.set_band_description(number, name)
        if offset is not None:
            image.update_tags(offset=offset)
    return path


ALL = [band.name for band in BANDS]


def test_thirteen_bands_are_an_l1c_image_in_order(tmp_path: Path) -> None:
    scene = open_scene(geotiff(tmp_path / "toa.tif", ALL))
    assert (scene.kind, scene.epsg) == ("toa", 32632)
    for number, band in enumerate(BANDS, 1):
        assert scene.reflectance(band, 32632, X, Y) == pytest.approx(number / 10)
    lon, lat = scene.centre() or (0, 0)
    assert lon == pytest.approx(9.0, abs=0.01)
    assert lat == pytest.approx(45.15, abs=0.02)
    again = rebuild(scene.describe())
    assert again.reflectance(BANDS[3], 32632, X, Y) == scene.reflectance(BANDS[3], 32632, X, Y)


def test_twelve_bands_are_an_l2a_image_with_a_faint_b10(tmp_path: Path) -> None:
    scene = open_scene(geotiff(tmp_path / "boa.tif", [name for name in ALL if name != "B10"]))
    assert scene.kind == "surface"
    assert scene.reflectance(band_named("B10"), 32632, X, Y) == pytest.approx(CIRRUS_REFLECTANCE)
    assert scene.reflectance(band_named("B11"), 32632, X, Y) == pytest.approx(1.1)


def test_descriptions_name_the_bands_and_a_tag_the_offset(tmp_path: Path) -> None:
    names = ["B8A", "B12", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B11"]
    scene = open_scene(geotiff(tmp_path / "named.tif", names, described=True, offset=-1000))
    assert scene.reflectance(band_named("B8A"), 32632, X, Y) == pytest.approx(0.0, abs=1e-6)
    assert scene.reflectance(band_named("B01"), 32632, X, Y) == pytest.approx(0.2)
    explicit = open_scene(tmp_path / "named.tif", offset=0, kind="toa")
    assert explicit.kind == "toa"
    assert explicit.reflectance(band_named("B8A"), 32632, X, Y) == pytest.approx(0.1)


def test_fine_pixels_are_averaged_to_the_band_s_own(tmp_path: Path) -> None:
    scene = open_scene(geotiff(tmp_path / "toa.tif", ALL))
    assert [scene.raster(band_named(name)).pixel for name in ("B02", "B05", "B01")] == [10, 20, 60]


def test_beyond_its_edges_the_image_is_mirrored(tmp_path: Path) -> None:
    scene = open_scene(geotiff(tmp_path / "toa.tif", ALL))
    assert scene.reflectance(BANDS[1], 32632, X + 50_000, Y - 70_000) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("names", "crs", "message"),
    [
        (ALL, None, "in a UTM zone"),
        (ALL, "EPSG:3857", "in a UTM zone"),
        (ALL[:5], "EPSG:32632", "13 bands, 12 bands"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_images_that_cannot_be_a_scene_are_refused(
    tmp_path: Path, names: list[str], crs: str | None, message: str
) -> None:
    path = geotiff(tmp_path / "bad.tif", names, crs=crs)
    with pytest.raises(BadInputError, match=message):
        open_scene(path)


def test_named_bands_must_be_complete(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "bad.tif", ["B02", "B03"], described=True)
    with pytest.raises(BadInputError, match="every band but B10"):
        open_scene(path)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("no image")
    with pytest.raises(BadInputError, match="an image that GDAL reads"):
        open_scene(tmp_path / "text.tif")
    with pytest.raises(BadInputError, match=r"MTD_MSIL1C\.xml or MTD_MSIL2A\.xml"):
        open_scene(tmp_path)


@pytest.mark.parametrize("east", [500_200.0, 502_500.0])
def test_a_part_of_an_image_is_the_same_image(tmp_path: Path, east: float) -> None:
    path = tmp_path / "large.tif"
    profile = {"driver": "GTiff", "width": 900, "height": 900, "count": 13, "dtype": "uint16", "crs": "EPSG:32632"}
    values = np.random.default_rng(2).integers(0, 9000, (13, 900, 900)).astype(np.uint16)
    with rasterio.open(path, "w", transform=Affine(10, 0, 500_000, 0, -10, 5_000_000), **profile) as image:
        image.write(values)
    whole = open_scene(path)
    x, y = np.meshgrid(np.linspace(east, east + 3000, 40), np.linspace(4_994_000, 4_997_000, 40))
    part = whole.near(32632, x, y)
    for band in (band_named("B02"), band_named("B05"), band_named("B09")):
        assert np.array_equal(part.reflectance(band, 32632, x, y), whole.reflectance(band, 32632, x, y))
        smaller = part.raster(band).values.size < whole.raster(band).values.size
        assert smaller == (east > 501_000)  # whose surroundings leave the image is read whole


def test_metadata_with_entities_is_refused_or_read_without_them(tmp_path: Path) -> None:
    images = tmp_path / "GRANULE" / "x" / "IMG_DATA"
    images.mkdir(parents=True)
    bomb = (
        '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a><BOA_ADD_OFFSET band_id="1">&c;</BOA_ADD_OFFSET></a>'
    )
    (tmp_path / "MTD_MSIL2A.xml").write_text(bomb)
    with pytest.raises(BadInputError, match="product metadata"):
        open_scene(tmp_path)


def test_a_real_l2a_product_is_a_surface_scene(real_data: Path) -> None:
    (folder,) = (real_data / "l2a_safe").glob("*.SAFE")
    scene = open_scene(folder)
    assert (scene.kind, scene.epsg) == ("surface", 32629)
    band = band_named("B04")
    (path,) = folder.glob("GRANULE/*/IMG_DATA/R60m/*_B04_60m.jp2")
    with rasterio.open(path) as image:
        counts = image.read(1)
        row, column = (index[0] for index in np.nonzero((counts[700:] > 1200) & (counts[700:] < 4000)))
        x, y = image.xy(row + 700, column)
        expected = (int(counts[row + 700, column]) - 1000) / 10_000
    assert scene.reflectance(band, 32629, np.array([x]), np.array([y])) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("offset", [0, -1000])
def test_an_l1c_product_is_a_scene_from_above_the_air(offset: int, tmp_path: Path) -> None:
    """Products before baseline 04.00 have no offsets."""
    folder = tmp_path / "GRANULE" / "L1C" / "IMG_DATA"
    folder.mkdir(parents=True)
    told = "".join(f'<RADIO_ADD_OFFSET band_id="{band.index}">{offset}</RADIO_ADD_OFFSET>' for band in BANDS if offset)
    (tmp_path / "MTD_MSIL1C.xml").write_text(f"<a>{told}</a>")
    for band in BANDS:
        step = band.resolution
        profile = {"width": 600 // step, "height": 600 // step, "count": 1, "dtype": "uint16", "crs": "EPSG:32632"}
        place = Affine(step, 0, 500_000, 0, -step, 5_000_000)
        path = folder / f"T32TMQ_20260621T101559_{band.name}.jp2"
        with rasterio.open(
            path, "w", "JP2OpenJPEG", transform=place, REVERSIBLE="YES", QUALITY=100, **profile
        ) as image:
            image.write(np.full((600 // step, 600 // step), 3000 + band.index, np.uint16), 1)
    scene = open_scene(tmp_path)
    assert (scene.kind, scene.epsg) == ("toa", 32632)
    for band in BANDS:
        expected = (3000 + band.index + offset) / 10_000
        assert scene.reflectance(band, 32632, X, Y) == pytest.approx(expected, abs=1e-5)
