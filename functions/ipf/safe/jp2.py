"""Tile images as JPEG 2000, written and read through GDAL's OpenJPEG driver.

Codestreams are lossless (5-3 wavelet, one layer, LRCP), with the internal tiles of Sentinel-2 products: 1024, 640 and
192 pixels at 10, 20 and 60 m, five resolutions. Code blocks are 64 x 64 at every resolution. Georeferencing is written
both as GMLJP2 and as GeoJP2.

A tile is often mostly empty: callers give the block that holds data and its place, and the rest is 0. At 10 m only the
internal tiles that the block touches are encoded (see ``codestream``).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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

BLOCK: Final = {10: 1024, 20: 640, 60: 192}
PREVIEW_RESOLUTION: Final = 320
"""Metres to a pixel of the preview image (PVI), 343 x 343."""

_RESOLUTIONS: Final = 5
_MOVABLE: Final = 64 << (_RESOLUTIONS - 1)
"""Internal tiles of a multiple of this many pixels have the same code blocks wherever they stand."""

_GDAL: Final = {"GDAL_PAM_ENABLED": "NO", "GDAL_CACHEMAX": 256}


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


def write_jp2(path: Path, pixels: NDArray[Any], tile: Tile, resolution: int, at: Extent) -> None:
    """Write one image of ``tile``.

    Args:
        path: the .jp2 file.
        pixels: (rows, columns) or (3, rows, columns), uint8 or uint16, the part that holds data.
        tile: gives the reference system and the upper left corner.
        resolution: 10, 20, 60, or 320 (preview) metres.
        at: where ``pixels`` stand in the image; all else becomes 0.

    The bytes depend on the arguments alone.
    """
    planes = pixels if pixels.ndim == 3 else pixels[None]
    if planes.shape[1:] != at.shape:
        raise ValueError(f"{path.name}: expected pixels of shape {at.shape}, found {planes.shape[1:]}")
    size = tile.size(resolution)
    block = min(BLOCK.get(resolution, 1024), size)
    movable = block % _MOVABLE == 0
    part = _block_aligned(at, block, size) if movable else Extent(0, 0, size, size)
    side = empty_size(size, block)
    with rasterio.Env(**_GDAL), tempfile.TemporaryDirectory(prefix="s2ps-jp2-") as scratch:
        coded = _encode(Path(scratch) / "part", planes, tile, resolution, part, at)
        if movable:
            blank = np.zeros((len(planes), 0, 0), planes.dtype)
            nothing, corner = Extent(0, 0, 0, 0), Extent(0, 0, side, side)
            empty = _encode(Path(scratch) / "empty", blank, tile, resolution, corner, nothing)
            place = Placement(size, size, block, part.column // block, part.row // block)
            coded = enlarge(coded, empty, place)
    path.write_bytes(coded)


def _encode(path: Path, planes: NDArray[Any], tile: Tile, resolution: int, part: Extent, at: Extent) -> bytes:
    """The JP2 file of some internal tiles."""
    plain, coded = path.with_suffix(".tif"), path.with_suffix(".jp2")
    _write_part(plain, planes, tile, resolution, part, at)
    block = str(min(BLOCK.get(resolution, 1024), tile.size(resolution)))
    rasterio.shutil.copy(
        plain,
        coded,
        driver="JP2OpenJPEG",
        QUALITY="100",
        REVERSIBLE="YES",
        YCBCR420="NO",
        RESOLUTIONS=str(_RESOLUTIONS),
        BLOCKXSIZE=block,
        BLOCKYSIZE=block,
    )
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


def read_window(path: Path, at: Extent | None = None) -> NDArray[Any]:
    """The first band of an image, or the part of it at ``at``.

    Raises:
        BadInputError: where the file is cut short, GDAL cannot read it, or it does not reach as far as ``at``.
    """
    try:
        if not is_whole(path):
            raise BadInputError(path.name, "a whole JP2 file")
        with rasterio.Env(**_GDAL), rasterio.open(path) as image:
            if at is not None and (at.row_stop > image.height or at.column_stop > image.width):
                raise BadInputError(path.name, f"rows and columns up to {(at.row_stop, at.column_stop)}", image.shape)
            if at is None:
                return np.asarray(image.read(1))
            rows, columns = at.shape
            return np.asarray(image.read(1, window=Window(at.column, at.row, columns, rows)))
    except (RasterioError, OSError, ValueError) as error:
        raise BadInputError(path.name, "an image that GDAL reads", str(error)) from None
