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
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError
from rasterio.windows import Window

from functions.ipf.safe.blocks import blocks_held, require_blocks
from functions.ipf.safe.codestream import Placement, empty_size, enlarge, is_whole
from shared.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import DTypeLike, NDArray
    from rasterio.io import DatasetWriter

    from functions.ipf.safe.blocks import Block
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

PLAIN_ROWS: Final = 512
"""Rows, and columns, of a block of the scratch file: strips that are cut at multiples of it are written fastest."""
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

    def strips(self, rows: int) -> Iterator[slice]:
        """Rows of the part, counted from its own first: ``rows`` at a time, cut at multiples of it in the image."""
        for first in range(self.row // rows * rows, self.row_stop, rows):
            yield slice(max(first - self.row, 0), min(first + rows, self.row_stop) - self.row)

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


class Jp2:
    """One image of a tile that comes in strips of rows; it is coded when the context ends without an error.

    Until then its pixels stand in a scratch file, so that a large image takes no memory. The bytes depend on the
    pixels and the description alone, not on the strips.
    """

    def __init__(
        self,
        path: Path,
        tile: Tile,
        resolution: int,
        at: Extent,
        dtype: DTypeLike,
        *,
        planes: int = 1,
        kind: Kind = "image",
        bits: int | None = None,
    ) -> None:
        """Args:
        path: the .jp2 file.
        tile: gives the reference system and the upper left corner.
        resolution: 10, 20, 60, or 320 (preview) metres.
        at: the part that holds data; all else becomes 0.
        dtype: of the pixels, uint8 or uint16.
        planes: how many there are.
        kind: whose coding to take; images of several planes have that of masks.
        bits: significant bits of a sample, all of the type's where not given. No value may need more.
        """
        coding = CODING["mask" if planes > 1 else kind][resolution]
        options = {**coding.options, **({"NBITS": str(bits)} if bits else {})}
        self._path, self._at, self._coding, self._size = path, at, coding, tile.size(resolution)
        self._what = _Blank(planes, np.dtype(dtype).str, tile, resolution, tuple(options.items()))
        self._part = Extent(0, 0, self._size, self._size)
        if coding.movable:
            self._part = _block_aligned(at, coding.block, self._size)
        self._open = ExitStack()
        self._held: set[Block] = set()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s2ps-jp2-")))
            self._plain = _new_plain(self._scratch / "part.tif", self._what, self._part)
            stack.callback(self._plain.close)
            self._open = stack.pop_all()
        return self

    def write(self, row: int, pixels: NDArray[Any]) -> None:
        """Rows of the part that holds data, from its row ``row`` on: (rows, columns) or (planes, rows, columns)."""
        at, part = self._at, self._part
        planes = pixels if pixels.ndim == 3 else pixels[None]
        if planes.shape[2] != at.shape[1] or row + planes.shape[1] > at.shape[0]:
            raise ValueError(f"{self._path.name}: expected pixels of shape {at.shape}, found {planes.shape[1:]}")
        if planes.size:
            top, left = at.row - part.row + row, at.column - part.column
            with rasterio.Env(**_GDAL):
                self._plain.write(planes, window=Window(left, top, at.shape[1], planes.shape[1]))
            self._held.update(blocks_held(planes, top, left, PLAIN_ROWS))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._open:
            if kind is None:
                self._plain.close()
                self._encode()

    def _encode(self) -> None:
        if self._at.empty:
            coded = self._scratch / "blank.jp2"
            coded.write_bytes(_blank(self._what, *self._part.shape))
        else:
            require_blocks(self._scratch / "part.tif", self._held)
            coded = _encode(self._scratch / "part.tif", dict(self._what.options))
        if self._part.shape == (self._size, self._size):
            shutil.copyfile(coded, self._path)
            return
        block = self._coding.block
        side = empty_size(self._size, block)
        place = Placement(self._size, self._size, block, self._part.column // block, self._part.row // block)
        with coded.open("rb") as file, self._path.open("wb") as whole:
            part = memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
            whole.writelines(enlarge(part, _blank(self._what, side, side), place))


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
    """Write one image of ``tile`` from all its ``pixels``: (rows, columns) or (planes, rows, columns), those at ``at``.

    The rest is as ``Jp2`` has it.
    """
    planes = len(pixels) if pixels.ndim == 3 else 1
    if pixels.shape[-2:] != at.shape:
        raise ValueError(f"{path.name}: expected pixels of shape {at.shape}, found {pixels.shape[-2:]}")
    with Jp2(path, tile, resolution, at, pixels.dtype, planes=planes, kind=kind, bits=bits) as image:
        image.write(0, pixels)


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
    with tempfile.TemporaryDirectory(prefix="s2ps-jp2-") as scratch:
        plain = Path(scratch) / "blank.tif"
        _new_plain(plain, what, Extent(0, 0, rows, columns)).close()
        return _encode(plain, dict(what.options)).read_bytes()


def _encode(plain: Path, options: dict[str, str]) -> Path:
    """The JP2 file of a TIFF's pixels, in its stead. OSError where the disk lacks its end: GDAL tells nobody."""
    coded = plain.with_suffix(".jp2")
    with rasterio.Env(**_GDAL):
        rasterio.shutil.copy(
            plain, coded, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES", YCBCR420="NO", PLT="YES", **options
        )
    if not is_whole(coded):
        raise OSError(f"{coded.name}: its end has not reached the file; is the disk full?")
    plain.unlink()
    return coded


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


def _new_plain(path: Path, what: _Blank, part: Extent) -> DatasetWriter:
    """A TIFF for some internal tiles as an image of their own, which claims the whole image's corner; all 0 yet."""
    rows, columns = part.shape
    with rasterio.Env(**_GDAL):
        return rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=columns,
            height=rows,
            count=what.planes,
            dtype=np.dtype(what.dtype),
            crs=f"EPSG:{what.tile.epsg}",
            transform=rasterio.Affine(what.resolution, 0.0, what.tile.ulx, 0.0, -what.resolution, what.tile.uly),
            tiled=True,
            blockxsize=PLAIN_ROWS,
            blockysize=PLAIN_ROWS,
            interleave="band",  # a plane without a flag takes no space
            photometric="RGB" if what.planes == 3 else "MINISBLACK",
            SPARSE_OK="TRUE",
            BIGTIFF="IF_SAFER",
        )


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
