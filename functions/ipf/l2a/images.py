"""The images of one L2A tile, each band a task of its own so that several processes can share them.

Everything happens on the block of the tile that holds data, whose edges are multiples of 60 m. Between tasks, arrays
stand in a scratch folder as .npy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from functions.ipf.safe.jp2 import PREVIEW_RESOLUTION, Extent, read_window, write_jp2
from functions.ipf.safe.preview import display, preview
from functions.ipf.safe.working import OFFSET, QUANTIFICATION
from shared.errors import BadInputError
from shared.msi.instrument import band_named
from shared.msi.tiling import tile

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.safe.names import ProductNames

    Counts: TypeAlias = NDArray[np.uint16]
    Floats32: TypeAlias = NDArray[np.float32]

SATURATED: Final = 65_535
COLOUR_BANDS: Final = ("B04", "B03", "B02")
_CHUNK_ROWS: Final = 240


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
        path = self.safe / self.names.image(what, resolution)
        write_jp2(path, pixels, tile(self.names.tile), resolution, self.extent(resolution))

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


def decode_band(bench: Bench, band: str, image: Path) -> bool:
    """Decode a band's block to the scratch folder, with means at 20 and 60 m; whether any pixel is saturated."""
    native = band_named(band).resolution
    counts = read_window(image, bench.extent(native))
    if counts.dtype != np.uint16:
        raise BadInputError(image.name, "pixels of 16 bits", str(counts.dtype))
    bench.save(f"{band}_{native}", counts)
    for coarse in (20, 60):
        if coarse > native:
            bench.save(f"{band}_{coarse}", area_mean(counts, coarse // native))
    return bool((counts == SATURATED).any())


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


@dataclass(frozen=True, slots=True)
class Correction:
    """How counts become surface reflectance: y = counts * gain + offset, rho = y / (1 + albedo * y).

    Each is a grid over the block, its nodes the centres of equal cells; between them it is linear.
    """

    gain: Floats32
    offset: Floats32
    albedo: Floats32

    def apply(self, counts: Counts) -> Counts:
        """Counts of surface reflectance (x 10000 + 1000, at least 1), 0 where there is no data."""
        rows, columns = counts.shape
        wide = [_stretched(grid, columns) for grid in (self.gain, self.offset, self.albedo)]
        result = np.zeros(counts.shape, np.uint16)
        for first in range(0, rows, _CHUNK_ROWS):
            part = counts[first : first + _CHUNK_ROWS]
            gain, offset, albedo = (_rows(grid, first, len(part), rows) for grid in wide)
            rho = part * gain
            rho += offset
            albedo *= rho
            albedo += np.float32(1)
            rho /= albedo
            rho *= np.float32(QUANTIFICATION)
            rho += np.float32(OFFSET)
            np.rint(rho, out=rho)
            np.clip(rho, 1, SATURATED - 1, out=rho)
            rho[part == 0] = 0
            result[first : first + _CHUNK_ROWS] = rho
        return result


def _stretched(grid: Floats32, columns: int) -> Floats32:
    return np.asarray(cv2.resize(grid, (columns, grid.shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _rows(grid: Floats32, first: int, count: int, total: int) -> Floats32:
    """Rows of a grid stretched to ``total`` rows, linearly."""
    nodes = grid.shape[0]
    at = np.clip((np.arange(first, first + count) + 0.5) * nodes / total - 0.5, 0, nodes - 1)
    above = np.minimum(at.astype(np.intp), max(nodes - 2, 0))
    part = (at - above).astype(np.float32)[:, None]
    below = np.minimum(above + 1, nodes - 1)
    return np.asarray(grid[above] * (1 - part) + grid[below] * part, np.float32)


def correct_band(bench: Bench, band: str, correction: Correction) -> None:
    """Correct a band at its own resolution and write it wherever the product holds it."""
    native = band_named(band).resolution
    surface = correction.apply(bench.load(f"{band}_{native}"))
    for resolution in resolutions(band):
        if resolution == native:
            bench.write(band, resolution, surface)
        elif resolution > native:
            bench.write(band, resolution, area_mean(surface, resolution // native))
        else:
            bench.write(band, resolution, _finer(surface, native // resolution))
    if band in COLOUR_BANDS:
        bench.save(f"{band}_display", display(surface))


def _finer(counts: Counts, step: int) -> Counts:
    """Bicubic to finer pixels; no data where the nearest has none."""
    size = (counts.shape[1] * step, counts.shape[0] * step)
    fine = cv2.resize(counts, size, interpolation=cv2.INTER_CUBIC)
    valid = cv2.resize(counts, size, interpolation=cv2.INTER_NEAREST) > 0
    return np.where(valid, np.maximum(fine, 1), 0).astype(np.uint16)


def write_colours(bench: Bench) -> None:
    """The true colour image at 10, 20 and 60 m, and the preview."""
    colours = np.stack([bench.load(f"{band}_display") for band in COLOUR_BANDS])
    colours *= (colours > 0).all(axis=0)
    bench.write("TCI", 10, colours)
    for resolution in (20, 60):
        size = (colours.shape[2] * 10 // resolution, colours.shape[1] * 10 // resolution)
        bench.write("TCI", resolution, np.stack([cv2.resize(c, size, interpolation=cv2.INTER_AREA) for c in colours]))
    target = tile(bench.names.tile)
    small, place = preview(colours, bench.extent(10), target.size(PREVIEW_RESOLUTION))
    write_jp2(bench.safe / bench.names.preview, small, target, PREVIEW_RESOLUTION, place)


def write_map(bench: Bench, what: str, resolution: int, values: Floats32) -> None:
    """AOT or WVP at one resolution: ``values`` on the 60 m block, times 1000; 0 where B02 has no data."""
    valid = bench.load(f"B02_{resolution}") > 0
    fine = cv2.resize(values * np.float32(1000), (valid.shape[1], valid.shape[0]), interpolation=cv2.INTER_LINEAR)
    bench.write(what, resolution, np.where(valid, np.maximum(np.rint(fine), 1), 0).astype(np.uint16))
