"""Tile images as JPEG 2000, written and read through GDAL's OpenJPEG driver.

Codestreams are lossless (5-3 wavelet, one layer, LRCP), with the internal tiles of Sentinel-2 products: 1024, 640 and
192 pixels at 10, 20 and 60 m, five resolutions. Code blocks are 64 x 64 at every resolution. Georeferencing is written
both as GMLJP2 and as GeoJP2.

A tile is often mostly empty: callers give the block that holds data and its place, and the rest is 0. The full image
never stands in memory; it goes through a sparse GeoTIFF of the same blocks.
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
from rasterio.transform import from_origin
from rasterio.windows import Window

from shared.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shared.msi.tiling import Tile

BLOCK: Final = {10: 1024, 20: 640, 60: 192}
PREVIEW_RESOLUTION: Final = 320
"""Metres to a pixel of the preview image (PVI), 343 x 343."""

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
    block = BLOCK.get(resolution, 1024)
    with rasterio.Env(**_GDAL), tempfile.TemporaryDirectory(prefix="s2ps-jp2-") as scratch:
        sparse = Path(scratch) / "image.tif"
        _write_sparse(sparse, planes, tile, resolution, at)
        rasterio.shutil.copy(
            sparse,
            path,
            driver="JP2OpenJPEG",
            QUALITY="100",
            REVERSIBLE="YES",
            YCBCR420="NO",
            RESOLUTIONS="5",
            BLOCKXSIZE=str(min(block, size)),
            BLOCKYSIZE=str(min(block, size)),
        )


def _write_sparse(path: Path, planes: NDArray[Any], tile: Tile, resolution: int, at: Extent) -> None:
    size = tile.size(resolution)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=size,
        height=size,
        count=len(planes),
        dtype=planes.dtype,
        crs=f"EPSG:{tile.epsg}",
        transform=from_origin(tile.ulx, tile.uly, resolution, resolution),
        tiled=True,
        blockxsize=512,
        blockysize=512,
        interleave="pixel",
        photometric="RGB" if len(planes) == 3 else "MINISBLACK",
        SPARSE_OK="TRUE",
        BIGTIFF="IF_SAFER",
    ) as image:
        if not at.empty:
            rows, columns = at.shape
            image.write(planes, window=Window(at.column, at.row, columns, rows))


def read_window(path: Path, at: Extent | None = None) -> NDArray[Any]:
    """The first band of an image, or the part of it at ``at``; BadInputError where GDAL cannot read it."""
    try:
        with rasterio.Env(**_GDAL), rasterio.open(path) as image:
            if at is None:
                return np.asarray(image.read(1))
            rows, columns = at.shape
            return np.asarray(image.read(1, window=Window(at.column, at.row, columns, rows)))
    except RasterioError as error:
        raise BadInputError(path.name, "an image that GDAL reads", str(error)) from None
