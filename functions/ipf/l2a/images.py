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

from functions.ipf.l2a.correction import BITS, LARGEST
from functions.ipf.safe.jp2 import PREVIEW_RESOLUTION, Extent, read_window, write_jp2
from functions.ipf.safe.preview import display, preview
from shared.errors import BadInputError
from shared.msi.instrument import band_named
from shared.msi.tiling import tile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.safe.names import ProductNames

    Counts: TypeAlias = NDArray[np.uint16]
    Floats32: TypeAlias = NDArray[np.float32]

COLOUR_BANDS: Final = ("B04", "B03", "B02")
_ALL: Final = slice(None)


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
        path = self.safe / self.names.image(what, resolution)
        bits = BITS if pixels.dtype == np.uint16 else None
        write_jp2(path, pixels, tile(self.names.tile), resolution, self.extent(resolution), bits=bits)

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
    counts = read_window(image, bench.extent(native), tile(bench.names.tile).size(native))
    if counts.dtype != np.uint16:
        raise BadInputError(image.name, "pixels of 16 bits", str(counts.dtype))
    bench.save(f"{band}_{native}", counts)
    for coarse in (20, 60):
        if coarse > native:
            bench.save(f"{band}_{coarse}", area_mean(counts, coarse // native))


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


def write_band(bench: Bench, band: str, surface: Counts) -> None:
    """Write a band's surface reflectance wherever the product holds it."""
    native = band_named(band).resolution
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
    return np.where(valid, np.clip(fine, 1, LARGEST), 0).astype(np.uint16)


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


def write_map(bench: Bench, what: str, resolution: int) -> None:
    """AOT or WVP at one resolution from the map of that name at 60 m, times 1000; 0 where B02 has no data."""
    valid = bench.load(f"B02_{resolution}") > 0
    thousands = np.clip(np.rint(bench.load(what) * np.float32(1000)), 1, LARGEST).astype(np.uint16)
    fine = cv2.resize(thousands, (valid.shape[1], valid.shape[0]), interpolation=cv2.INTER_LINEAR)
    bench.write(what, resolution, np.where(valid, fine, 0).astype(np.uint16))


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
