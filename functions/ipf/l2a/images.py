"""The images of one L2A tile, each band a task of its own so that several processes can share them.

Everything happens on the block of the tile that holds data, whose edges are multiples of 60 m. Between tasks, arrays
stand in a scratch folder as .npy. Images of 10 m are read, made and written strip by strip: whole ones, as many at a
time as there are processes, would not fit into memory.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from functions.ipf.l2a.correction import BITS, LARGEST
from functions.ipf.safe.jp2 import PLAIN_ROWS, PREVIEW_RESOLUTION, Extent, Jp2, read_window, write_jp2
from functions.ipf.safe.preview import display, preview, preview_extent
from functions.ipf.safe.rows import Rows, rows_of
from shared.errors import BadInputError
from shared.msi.instrument import band_named
from shared.msi.tiling import tile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    from numpy.typing import DTypeLike, NDArray

    from functions.ipf.safe.names import ProductNames

    Counts: TypeAlias = NDArray[np.uint16]
    Floats32: TypeAlias = NDArray[np.float32]

COLOUR_BANDS: Final = ("B04", "B03", "B02")
_ALL: Final = slice(None)
_DECODED_ROWS: Final = 3072
"""Of internal tiles of 10 m, three; a multiple of 6."""
_COLOUR_ROWS: Final = 960
"""A multiple of the preview's pixels (32) and of those of 60 m (6)."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How an L1C product's counts are reflectance: (counts + offset of the band) / quantification."""

    quantification: float
    offsets: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a product is made: its names and folder, the scratch folder, and the block at 60 m."""

    names: ProductNames
    safe: Path
    scratch: Path
    block: Extent

    def extent(self, resolution: int) -> Extent:
        return self.block.scaled(60, resolution)

    def write(self, what: str, resolution: int, pixels: NDArray[Any]) -> None:
        """Write an image of the product."""
        with self.image(what, resolution, pixels.dtype, len(pixels) if pixels.ndim == 3 else 1) as image:
            image.write(0, pixels)

    def image(self, what: str, resolution: int, dtype: DTypeLike, planes: int = 1) -> Jp2:
        """An image of the product, to be written in strips of the block."""
        path = self.safe / self.names.image(what, resolution)
        bits = BITS if np.dtype(dtype) == np.uint16 else None
        target, at = tile(self.names.tile), self.extent(resolution)
        return Jp2(path, target, resolution, at, dtype, planes=planes, bits=bits)

    def rows(self, name: str, first: int, stop: int) -> NDArray[Any]:
        """Rows of what was saved."""
        return rows_of(self.scratch / f"{name}.npy", first, stop)

    def save(self, name: str, values: NDArray[Any]) -> None:
        np.save(self.scratch / f"{name}.npy", values)

    def load(self, name: str) -> NDArray[Any]:
        return np.asarray(np.load(self.scratch / f"{name}.npy", mmap_mode="r"))


def resolutions(band: str) -> tuple[int, ...]:
    """Resolutions at which an L2A product holds a band: B08 at 10 m alone, B01 also at 20 m, B10 not at all."""
    native = band_named(band).resolution
    if band in ("B08", "B10"):
        return (10,) if band == "B08" else ()
    if band == "B01":
        return (20, 60)
    return tuple(r for r in (10, 20, 60) if r >= native)


def decode_band(bench: Bench, band: str, image: Path) -> None:
    """Decode a band's block to the scratch folder, with means at 20 and 60 m."""
    native = band_named(band).resolution
    at, size = bench.extent(native), tile(bench.names.tile).size(native)
    with ExitStack() as stack:
        files = {
            native * step: stack.enter_context(
                Rows(bench.scratch / f"{band}_{native * step}.npy", at.scaled(1, step).shape, np.uint16)
            )
            for step in (1, *(coarse // native for coarse in (20, 60) if coarse > native))
        }
        for rows in at.strips(_DECODED_ROWS):
            part = Extent(at.row + rows.start, at.column, at.row + rows.stop, at.column_stop)
            counts = read_window(image, part, size)
            if counts.dtype != np.uint16:
                raise BadInputError(image.name, "pixels of 16 bits", str(counts.dtype))
            for resolution, file in files.items():
                file.append(counts if resolution == native else area_mean(counts, resolution // native))


def area_mean(counts: Counts, step: int) -> Counts:
    """Means of ``step`` x ``step`` pixels; 0 where any of them has no data."""
    rows, columns = counts.shape[0] // step, counts.shape[1] // step
    means = cv2.resize(counts, (columns, rows), interpolation=cv2.INTER_AREA)
    lowest = counts[::step]
    for offset in range(1, step):
        lowest = np.minimum(lowest, counts[offset::step])
    least = lowest[:, ::step]
    for offset in range(1, step):
        least = np.minimum(least, lowest[:, offset::step])
    return np.where(least > 0, means, 0).astype(np.uint16)


def write_band(bench: Bench, band: str, strips: Iterable[tuple[int, Counts]]) -> None:
    """Write a band's surface reflectance wherever the product holds it; strips are of whole pixels of 60 m."""
    native = band_named(band).resolution
    finer = [resolution for resolution in resolutions(band) if resolution < native]
    kept: list[Counts] = []
    with ExitStack() as stack:
        shown = stack.enter_context(Rows(bench.scratch / f"{band}_display.npy", bench.extent(native).shape))
        images = {
            resolution: stack.enter_context(bench.image(band, resolution, np.uint16))
            for resolution in resolutions(band)
            if resolution >= native
        }
        for first, surface in strips:
            for resolution, image in images.items():
                step = resolution // native
                image.write(first // step, surface if step == 1 else area_mean(surface, step))
            if band in COLOUR_BANDS:
                shown.append(display(surface))
            if finer:
                kept.append(surface)
    for resolution in finer:
        bench.write(band, resolution, _finer(np.concatenate(kept), native // resolution))


def _finer(counts: Counts, step: int) -> Counts:
    """Bicubic to finer pixels; no data where the nearest has none."""
    size = (counts.shape[1] * step, counts.shape[0] * step)
    fine = cv2.resize(counts, size, interpolation=cv2.INTER_CUBIC)
    valid = cv2.resize(counts, size, interpolation=cv2.INTER_NEAREST) > 0
    return np.where(valid, np.clip(fine, 1, LARGEST), 0).astype(np.uint16)


def write_colours(bench: Bench) -> None:
    """The true colour image at 10, 20 and 60 m, and the preview."""
    at, target = bench.extent(10), tile(bench.names.tile)
    size = target.size(PREVIEW_RESOLUTION)
    place = preview_extent(at, size)
    small = np.zeros((3, *place.shape), np.uint8)
    with ExitStack() as stack:
        images = {step: stack.enter_context(bench.image("TCI", 10 * step, np.uint8, 3)) for step in (1, 2, 6)}
        for rows in at.strips(_COLOUR_ROWS):
            colours = np.stack([bench.rows(f"{band}_display", rows.start, rows.stop) for band in COLOUR_BANDS])
            colours *= (colours > 0).all(axis=0)
            for step, image in images.items():
                image.write(rows.start // step, _coarser(colours, step))
            part = Extent(at.row + rows.start, at.column, at.row + rows.stop, at.column_stop)
            seen, there = preview(colours, part, size)
            small[:, there.row - place.row : there.row_stop - place.row] = seen
    write_jp2(bench.safe / bench.names.preview, small, target, PREVIEW_RESOLUTION, place)


def _coarser(colours: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Area means."""
    if step == 1:
        return colours
    size = (colours.shape[2] // step, colours.shape[1] // step)
    return np.stack([np.asarray(cv2.resize(c, size, interpolation=cv2.INTER_AREA), np.uint8) for c in colours])


def write_map(bench: Bench, what: str, resolution: int) -> None:
    """AOT or WVP at one resolution from the map of that name at 60 m, times 1000; 0 where B02 has no data."""
    at = bench.extent(resolution)
    thousands = np.clip(np.rint(bench.load(what) * np.float32(1000)), 1, LARGEST).astype(np.uint16)
    fine = np.asarray(cv2.resize(thousands, at.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint16)
    with bench.image(what, resolution, np.uint16) as image:
        for rows in at.strips(PLAIN_ROWS):
            fine[rows][bench.rows(f"B02_{resolution}", rows.start, rows.stop) == 0] = 0
            image.write(rows.start, fine[rows])


def toa_reflectance(bench: Bench, band: str, resolution: int, scaling: Scaling, rows: slice = _ALL) -> Floats32:
    """TOA reflectance of rows of the block, NaN where there is no data; finer than the band's own by repetition."""
    native = band_named(band).resolution
    step = native // resolution if native > resolution else 1
    counts = bench.load(f"{band}_{max(native, resolution)}")[
        slice(*(None if e is None else e // step for e in (rows.start, rows.stop)))
    ]
    if step > 1:
        size = (counts.shape[1] * step, counts.shape[0] * step)
        counts = cv2.resize(np.ascontiguousarray(counts), size, interpolation=cv2.INTER_NEAREST)
    rho = (counts.astype(np.float32) + np.float32(scaling.offsets[band])) / np.float32(scaling.quantification)
    rho[counts == 0] = np.nan
    return np.asarray(rho, np.float32)
