"""Tile images as JPEG 2000, written and read through GDAL's OpenJPEG driver.

Codestreams are lossless (5-3 wavelet, one layer, LRCP, packet lengths in the tile headers) and have the internal tiles,
code blocks, precincts and resolutions of Sentinel-2 products (baseline 04.00), by kind of image: ``CODING``. What
differs: two guard bits for one, no component transform in images of eight planes, the preview as one internal tile for
1849, and boxes of GeoJP2 beside those of GMLJP2.

A tile is often mostly empty: callers give the block that holds data and its place, and the rest is 0. Where internal
tiles are powers of two, only those that the block touches are encoded (see ``codestream``).
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError
from rasterio.windows import Window

from functions.ipf.safe.codestream import Placement, empty_size, enlarge, is_whole
from shared.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from shared.msi.tiling import Tile

PREVIEW_RESOLUTION: Final = 320
"""Metres to a pixel of the preview image (PVI), 343 x 343."""


@dataclass(frozen=True, slots=True)
class Coding:
    """Sides of internal tiles, code blocks and precincts in pixels, and the number of resolutions."""

    block: int
    code_block: int
    precinct: int
    resolutions: int

    @property
    def movable(self) -> bool:
        """Whether internal tiles have the same code blocks and precincts wherever they stand: powers of two do."""
        return self.block & (self.block - 1) == 0

    @property
    def options(self) -> dict[str, str]:
        """Creation options of GDAL's driver."""
        return {
            "BLOCKXSIZE": str(self.block),
            "BLOCKYSIZE": str(self.block),
            "CODEBLOCK_WIDTH": str(self.code_block),
            "CODEBLOCK_HEIGHT": str(self.code_block),
            "PRECINCTS": ",".join([f"{{{self.precinct},{self.precinct}}}"] * self.resolutions),
            "RESOLUTIONS": str(self.resolutions),
        }


Kind = Literal["image", "mask"]
CODING: Final[dict[Kind, dict[int, Coding]]] = {
    "image": {10: Coding(1024, 64, 256, 5), 20: Coding(640, 8, 128, 5), 60: Coding(192, 4, 64, 5)},
    "mask": {
        10: Coding(1024, 64, 256, 5),
        20: Coding(2048, 64, 256, 6),
        60: Coding(256, 16, 128, 5),
        PREVIEW_RESOLUTION: Coding(343, 16, 128, 5),
    },
}
"""Counts and maps of one plane by resolution in metres; masks and colours."""

# OpenJPEG hands each code block to a thread, for one thread as for many. Blocks of 8 x 8 are coded faster than they are
# handed over: a third of the CPU time at 20 m. 0 is "no threads", which GDAL's own option cannot say; the steps share
# their work by processes. An operator's value stands.
os.environ.setdefault("OPJ_NUM_THREADS", "0")

_GDAL: Final = {"GDAL_PAM_ENABLED": "NO", "GDAL_CACHEMAX": 64}


@dataclass(frozen=True, slots=True)
class Extent:
    """Rows and columns, from 0, of the part of an image that holds data; ``stop`` is exclusive."""

    row: int
    column: int
    row_stop: int
    column_stop: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.row_stop - self.row, self.column_stop - self.column

    @property
    def empty(self) -> bool:
        return self.row_stop <= self.row or self.column_stop <= self.column

    def scaled(self, numerator: int, denominator: int) -> Extent:
        """The same ground at another resolution: exact where the edges are multiples of the ratio."""
        return Extent(
            *(edge * numerator // denominator for edge in (self.row, self.column, self.row_stop, self.column_stop))
        )


def around(extents: Iterable[Extent]) -> Extent:
    """The extent that holds all of them; empty ones do not count."""
    held = [extent for extent in extents if not extent.empty]
    if not held:
        return Extent(0, 0, 0, 0)
    return Extent(
        min(extent.row for extent in held),
        min(extent.column for extent in held),
        max(extent.row_stop for extent in held),
        max(extent.column_stop for extent in held),
    )


def write_jp2(
    path: Path,
    pixels: NDArray[Any],
    tile: Tile,
    resolution: int,
    at: Extent,
    *,
    kind: Kind = "image",
    bits: int | None = None,
) -> None:
    """Write one image of ``tile``.

    Args:
        path: the .jp2 file.
        pixels: (rows, columns) or (planes, rows, columns), uint8 or uint16, the part that holds data.
        tile: gives the reference system and the upper left corner.
        resolution: 10, 20, 60, or 320 (preview) metres.
        at: where ``pixels`` stand in the image; all else becomes 0.
        kind: whose coding to take; images of several planes have that of masks.
        bits: significant bits of a sample, all of the type's where not given. No value may need more.

    The bytes depend on the arguments alone.
    """
    planes = pixels if pixels.ndim == 3 else pixels[None]
    if planes.shape[1:] != at.shape:
        raise ValueError(f"{path.name}: expected pixels of shape {at.shape}, found {planes.shape[1:]}")
    size = tile.size(resolution)
    coding = CODING["mask" if len(planes) > 1 else kind][resolution]
    block = coding.block
    options = {**coding.options, **({"NBITS": str(bits)} if bits else {})}
    part = _block_aligned(at, block, size) if coding.movable else Extent(0, 0, size, size)
    side = empty_size(size, block)
    kind_of = _Blank(len(planes), planes.dtype.str, tile, resolution, tuple(options.items()))
    with rasterio.Env(**_GDAL), tempfile.TemporaryDirectory(prefix="s2ps-jp2-") as scratch:
        if at.empty:
            coded = _blank(kind_of, *part.shape)
        else:
            _write_part(Path(scratch) / "part.tif", planes, tile, resolution, part, at)
            coded = _encode(Path(scratch) / "part.tif", options)
        if coding.movable and part.shape != (size, size):
            place = Placement(size, size, block, part.column // block, part.row // block)
            coded = enlarge(coded, _blank(kind_of, side, side), place)
    path.write_bytes(coded)


@dataclass(frozen=True, slots=True)
class _Blank:
    """What an image of zeros depends on, its size apart."""

    planes: int
    dtype: str
    tile: Tile
    resolution: int
    options: tuple[tuple[str, str], ...]


@lru_cache(maxsize=16)
def _blank(what: _Blank, rows: int, columns: int) -> bytes:
    """The JP2 file of an image of zeros; a product has many alike."""
    nothing, whole = Extent(0, 0, 0, 0), Extent(0, 0, rows, columns)
    none = np.zeros((what.planes, 0, 0), np.dtype(what.dtype))
    with tempfile.TemporaryDirectory(prefix="s2ps-jp2-") as scratch:
        _write_part(Path(scratch) / "blank.tif", none, what.tile, what.resolution, whole, nothing)
        return _encode(Path(scratch) / "blank.tif", dict(what.options))


def _encode(plain: Path, options: dict[str, str]) -> bytes:
    """The JP2 file of a TIFF's pixels."""
    coded = plain.with_suffix(".jp2")
    rasterio.shutil.copy(
        plain, coded, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES", YCBCR420="NO", PLT="YES", **options
    )
    plain.unlink()
    return coded.read_bytes()


def _block_aligned(at: Extent, block: int, size: int) -> Extent:
    """The internal tiles that ``at`` touches, at least one."""
    if at.empty:
        return Extent(0, 0, min(block, size), min(block, size))
    return Extent(
        at.row // block * block,
        at.column // block * block,
        min(-(-at.row_stop // block) * block, size),
        min(-(-at.column_stop // block) * block, size),
    )


def _write_part(path: Path, planes: NDArray[Any], tile: Tile, resolution: int, part: Extent, at: Extent) -> None:
    """Some internal tiles as an image of their own, which claims the whole image's corner."""
    rows, columns = part.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=columns,
        height=rows,
        count=len(planes),
        dtype=planes.dtype,
        crs=f"EPSG:{tile.epsg}",
        transform=rasterio.Affine(resolution, 0.0, tile.ulx, 0.0, -resolution, tile.uly),
        tiled=True,
        blockxsize=512,
        blockysize=512,
        interleave="pixel",
        photometric="RGB" if len(planes) == 3 else "MINISBLACK",
        SPARSE_OK="TRUE",
        BIGTIFF="IF_SAFER",
    ) as image:
        if not at.empty:
            image.write(planes, window=Window(at.column - part.column, at.row - part.row, at.shape[1], at.shape[0]))


def read_window(path: Path, at: Extent | None = None, size: int | None = None) -> NDArray[Any]:
    """The first band of an image, or the part of it at ``at``.

    Raises:
        BadInputError: where the file is cut short, GDAL cannot read it, it does not reach as far as ``at``, or has not
            ``size`` rows and columns where these are told.
    """
    try:
        if not is_whole(path):
            raise BadInputError(path.name, "a whole JP2 file")
        with rasterio.Env(**_GDAL), rasterio.open(path) as image:
            if size is not None and image.shape != (size, size):
                raise BadInputError(path.name, f"{size} rows and columns", image.shape)
            if at is not None and (at.row_stop > image.height or at.column_stop > image.width):
                raise BadInputError(path.name, f"rows and columns up to {(at.row_stop, at.column_stop)}", image.shape)
            if at is None:
                return np.asarray(image.read(1))
            rows, columns = at.shape
            return np.asarray(image.read(1, window=Window(at.column, at.row, columns, rows)))
    except (RasterioError, OSError, ValueError) as error:
        raise BadInputError(path.name, "an image that GDAL reads", str(error)) from None
