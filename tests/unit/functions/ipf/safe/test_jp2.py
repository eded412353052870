"""Tile images: what is written is read again, wherever the block with data stands."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from functions.ipf.safe.codestream import Placement, empty_size, enlarge
from functions.ipf.safe.footprint import clip_to_tile, extent_in_tile, outline
from functions.ipf.safe.jp2 import Extent, Jp2, Kind, around, read_window, write_jp2
from functions.ipf.safe.preview import preview
from shared.errors import BadInputError, IntegrityError
from shared.msi.tiling import tile

TILE = tile("32TMQ")


@pytest.mark.parametrize(
    ("resolution", "at"),
    [
        (10, Extent(1000, 2040, 1100, 2060)),
        (10, Extent(10_200, 10_000, 10_980, 10_980)),
        (10, Extent(10_300, 10_300, 10_980, 10_980)),
        (10, Extent(5000, 10_900, 6000, 10_980)),
        (10, Extent(10_970, 0, 10_980, 3000)),
        (20, Extent(639, 0, 645, 5490)),
        (60, Extent(0, 0, 1830, 7)),
    ],
)
def test_a_block_comes_back_at_its_place(tmp_path: Path, resolution: int, at: Extent) -> None:
    pixels = np.random.default_rng(3).integers(0, 65_536, at.shape, dtype=np.uint16)
    path = tmp_path / "image.jp2"
    write_jp2(path, pixels, TILE, resolution, at)
    assert np.array_equal(read_window(path, at), pixels)
    around = Extent(max(at.row - 5, 0), max(at.column - 5, 0), at.row_stop, at.column_stop)
    outer = read_window(path, around)
    outer[at.row - around.row :, at.column - around.column :] = 0
    assert not outer.any()
    with rasterio.open(path) as image:
        assert image.shape == (TILE.size(resolution),) * 2
        assert image.crs.to_epsg() == TILE.epsg
        assert image.transform.to_gdal() == (TILE.ulx, resolution, 0, TILE.uly, 0, -resolution)


def test_images_are_coded_by_the_thread_that_asks(tmp_path: Path) -> None:
    def write() -> None:
        write_jp2(tmp_path / "image.jp2", pixels, TILE, 60, at)

    at = Extent(0, 0, 640, 640)
    pixels = np.random.default_rng(3).integers(0, 65_536, at.shape, dtype=np.uint16)
    write()  # libraries are loaded and have their own threads
    before, most = len(list(Path("/proc/self/task").iterdir())), 0
    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        most = max(most, len(list(Path("/proc/self/task").iterdir())))
    assert most <= before + 2  # this one, and that in which GDAL reads what is to be written


@pytest.mark.parametrize(
    ("resolution", "planes", "kind", "block", "code_block", "precinct", "resolutions"),
    [
        (10, 1, "image", 1024, 64, 256, 5),
        (20, 1, "image", 640, 8, 128, 5),
        (60, 1, "image", 192, 4, 64, 5),
        (10, 3, "image", 1024, 64, 256, 5),
        (10, 8, "mask", 1024, 64, 256, 5),
        (20, 1, "mask", 2048, 64, 256, 6),
        (60, 3, "mask", 256, 16, 128, 5),
    ],
)
def test_codestreams_have_the_coding_of_sentinel_2_products(
    tmp_path: Path,
    resolution: int,
    planes: int,
    kind: Kind,
    block: int,
    code_block: int,
    precinct: int,
    resolutions: int,
) -> None:
    path, bits = tmp_path / "image.jp2", 15 if planes == 1 and kind == "image" else None
    pixels = np.full((planes, 60, 60), 7, np.uint16 if bits else np.uint8)
    write_jp2(path, pixels, TILE, resolution, Extent(0, 60, 60, 120), kind=kind, bits=bits)
    octets = path.read_bytes()
    start = octets.index(b"\xff\x4f\xff\x51")
    assert octets[start + 24 : start + 32] == 2 * block.to_bytes(4, "big")
    assert octets[start + 42] == (bits or 8) - 1
    style = octets[octets.index(b"\xff\x52", start) + 4 :]
    exponent = code_block.bit_length() - 3
    assert style[:4] == bytes([1, 0, 0, 1])  # precincts given, no other markers; LRCP; one layer
    assert style[5:10] == bytes([resolutions - 1, exponent, exponent, 0, 1])  # no style; 5-3 reversible
    assert set(style[10 : 10 + resolutions]) == {(precinct.bit_length() - 1) * 0x11}
    tile_part = octets[octets.index(b"\xff\x90\x00\x0a", start) :]
    assert tile_part[12:14] == b"\xff\x58"  # packet lengths


@pytest.mark.parametrize(("resolution", "at"), [(20, Extent(2040, 4090, 2060, 5490)), (60, Extent(250, 5, 260, 1830))])
def test_the_planes_of_a_mask_come_back_at_their_place(tmp_path: Path, resolution: int, at: Extent) -> None:
    pixels = np.random.default_rng(3).integers(0, 2, (8, *at.shape), dtype=np.uint8)
    path = tmp_path / "mask.jp2"
    write_jp2(path, pixels, TILE, resolution, at, kind="mask")
    with rasterio.open(path) as image:
        whole = image.read()
    assert np.array_equal(whole[:, at.row : at.row_stop, at.column : at.column_stop], pixels)
    whole[:, at.row : at.row_stop, at.column : at.column_stop] = 0
    assert not whole.any()


def test_colours_keep_their_planes_and_the_rest_is_black(tmp_path: Path) -> None:
    at = Extent(1020, 1020, 1030, 1040)
    pixels = np.random.default_rng(3).integers(0, 256, (3, *at.shape), dtype=np.uint8)
    path = tmp_path / "colours.jp2"
    write_jp2(path, pixels, TILE, 10, at)
    with rasterio.open(path) as image:
        window = image.read(window=((1000, 1060), (1000, 1060)))
    assert np.array_equal(window[:, 20:30, 20:40], pixels)
    window[:, 20:30, 20:40] = 0
    assert not window.any()


def test_an_image_without_data_is_all_zero(tmp_path: Path) -> None:
    path = tmp_path / "empty.jp2"
    write_jp2(path, np.zeros((0, 0), np.uint16), TILE, 10, Extent(0, 0, 0, 0))
    assert not read_window(path, Extent(0, 0, 2000, 2000)).any()
    assert not read_window(path, Extent(10_000, 10_000, 10_980, 10_980)).any()


def test_the_same_pixels_give_the_same_bytes(tmp_path: Path) -> None:
    at = Extent(100, 100, 160, 160)
    pixels = np.arange(3600, dtype=np.uint16).reshape(60, 60)
    for name in ("a.jp2", "b.jp2"):
        write_jp2(tmp_path / name, pixels, TILE, 20, at)
    assert (tmp_path / "a.jp2").read_bytes() == (tmp_path / "b.jp2").read_bytes()


@pytest.mark.parametrize(("resolution", "planes", "rows"), [(10, 8, 512), (10, 1, 97), (60, 3, 60)])
def test_an_image_that_comes_in_strips_has_the_same_bytes(
    tmp_path: Path, resolution: int, planes: int, rows: int
) -> None:
    at = Extent(1000, 900, 1600, 1800)
    pixels = np.random.default_rng(3).integers(0, 2, (planes, *at.shape), dtype=np.uint8)
    pixels[planes // 2] = 0  # a plane that takes no place
    write_jp2(tmp_path / "whole.jp2", pixels, TILE, resolution, at)
    strips = list(at.strips(rows))
    assert [at.row + strip.stop for strip in strips[:-1]] == [k for k in range(1001, 1600) if k % rows == 0]
    with Jp2(tmp_path / "strips.jp2", TILE, resolution, at, np.uint8, planes=planes) as image:
        for strip in strips:
            image.write(strip.start, pixels[:, strip])
    assert (tmp_path / "strips.jp2").read_bytes() == (tmp_path / "whole.jp2").read_bytes()


def test_an_image_is_not_written_where_its_making_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with Jp2(tmp_path / "a.jp2", TILE, 60, Extent(0, 0, 8, 8), np.uint8) as image:
            image.write(0, np.ones((4, 8), np.uint8))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not (tmp_path / "a.jp2").exists()


def test_pixels_that_do_not_fill_their_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.jp2"):
        write_jp2(tmp_path / "a.jp2", np.zeros((3, 4), np.uint16), TILE, 10, Extent(0, 0, 4, 4))


def test_what_gdal_cannot_read_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "no.jp2").write_bytes(b"no image")
    with pytest.raises(BadInputError, match=r"no\.jp2"):
        read_window(tmp_path / "no.jp2")


@pytest.mark.parametrize("keep", [0, 0.4, 0.99])
def test_an_image_cut_short_is_bad_input(tmp_path: Path, keep: float) -> None:
    at = Extent(0, 0, 600, 600)
    path = tmp_path / "cut.jp2"
    write_jp2(path, np.random.default_rng(3).integers(0, 65_536, at.shape, dtype=np.uint16), TILE, 60, at)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(BadInputError, match=r"cut\.jp2"):
        read_window(path)


def test_an_image_that_is_too_small_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "coarse.jp2"
    write_jp2(path, np.ones((8, 8), np.uint16), TILE, 60, Extent(0, 0, 8, 8))
    with pytest.raises(BadInputError, match=r"coarse\.jp2.*\(2000, 2000\)"):
        read_window(path, Extent(0, 0, 2000, 2000))


def test_an_image_of_another_size_is_bad_input(tmp_path: Path) -> None:
    """One of finer pixels in place of a coarse one reaches far enough, and shows another place."""
    path = tmp_path / "fine.jp2"
    write_jp2(path, np.ones((8, 8), np.uint16), TILE, 20, Extent(0, 0, 8, 8))
    assert read_window(path, Extent(0, 0, 8, 8), 5490).all()
    with pytest.raises(BadInputError, match=r"fine\.jp2.*1830 rows.*\(5490, 5490\)"):
        read_window(path, Extent(0, 0, 8, 8), 1830)


def test_what_is_empty_does_not_widen_an_extent() -> None:
    nothing = Extent(0, 0, 0, 0)
    assert around((Extent(5, 6, 7, 8), nothing, Extent(4, 7, 6, 9))) == Extent(4, 6, 7, 9)
    assert around((nothing, nothing)).empty


def test_the_preview_of_nothing_is_nothing() -> None:
    small, place = preview(np.zeros((3, 0, 0), np.uint8), Extent(0, 0, 0, 0), 343)
    assert small.shape == (3, 0, 0)
    assert place.empty


def test_a_footprint_reaches_some_rows_and_columns() -> None:
    back = Transformer.from_crs(TILE.epsg, 4326, always_xy=True)
    x, y = np.array([100, 400, 400, 100]) * 60 + TILE.ulx, TILE.uly - np.array([-50, -50, 30, 30]) * 60
    ring = list(zip(*back.transform(x, y), strict=True))
    found = extent_in_tile([*ring, ring[0]], TILE, 60)
    assert found.row == 0
    assert found.row_stop == pytest.approx(30, abs=1)
    assert found.column_stop - found.column == pytest.approx(300, abs=2)
    assert extent_in_tile(ring, tile("31TGK"), 60).empty
    assert extent_in_tile(ring, tile("01KAB"), 60).empty


def test_an_outline_is_the_ring_around_what_was_seen() -> None:
    ring = [(8.1, 44.6), (8.9, 44.5), (8.8, 44.2), (8.2, 44.3), (8.1, 44.6)]
    inside = extent_in_tile(ring, TILE, 60)
    seen = np.zeros((1830, 1830), bool)
    seen[inside.row : inside.row_stop, inside.column : inside.column_stop] = True
    seen[inside.row + 20 : inside.row + 24, inside.column + 30 : inside.column + 200] = False  # a hole
    seen[2:4, 2:4] = True  # too little
    found = outline(seen, TILE)
    assert found[0] == found[-1]
    assert len(found) == 5
    assert sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(found)) < 0  # clockwise
    again = extent_in_tile(found, TILE, 60)
    assert (again.row, again.column) == pytest.approx((inside.row, inside.column), abs=1)
    assert again.shape == pytest.approx(inside.shape, abs=1)
    assert outline(np.zeros((1830, 1830), bool), TILE) == []


def test_an_outline_of_the_whole_tile_is_the_tile() -> None:
    far = [(5.0, 40.0), (12.0, 40.0), (12.0, 50.0), (5.0, 50.0)]
    whole = clip_to_tile(far, TILE)
    found = outline(np.ones((1830, 1830), bool), TILE)
    assert {(round(x, 9), round(y, 9)) for x, y in found} == {(round(x, 9), round(y, 9)) for x, y in whole}


@pytest.mark.parametrize("broken", [b"\0\0\0", b"\0\0\0\x20jp2c\xff\x4f", b"\0\0\0\x0cjp2c\xff\x4f\xff\x90"])
def test_a_broken_part_is_refused(broken: bytes) -> None:
    with pytest.raises(IntegrityError):
        enlarge(broken, broken, Placement(10_980, 10_980, 1024, 0, 0))


def test_the_empty_image_has_every_shape_of_tile() -> None:
    assert empty_size(10_980, 1024) == 1024 + 740
    assert empty_size(2048, 1024) == 2048
    assert empty_size(343, 343) == 343
