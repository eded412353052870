"""Resampling of one band to the tile grid, and the mosaic of its detectors.

Bicubic (OpenCV, kernel a = -0.75). The block that holds data is worked off in strips of rows, each reading only the
lines it needs, and none is kept: what a tile takes in memory does not depend on how much of it is seen or flagged.
Where detectors overlap, the one whose centre is nearer gives the pixel, unless it has no data there and the other has.
A pixel has data when the nearest sample has, and that sample's flags: lost lines are filled from their neighbours only
so that the kernel does not ring. A pixel whose kernel reached into such lines is degraded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from functions.ipf.l1c._mosaic import lay
from functions.ipf.l1c._positions import samples
from functions.ipf.l1c.flags import MSI_DEGRADED, MSI_LOST, NO_DATA, SATURATED, line_flags
from functions.ipf.l1c.inverse import SeenImage, block_of, locate, nodes_over
from functions.ipf.l1c.lines import Lines
from functions.ipf.safe.jp2 import Extent
from functions.ipf.safe.working import HIGHEST_COUNT
from shared.msi.instrument import band_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.safe.quality import Quality
    from functions.ipf.safe.working import BandImage, Datastrip, WorkingFolder
    from shared.msi.tiling import Tile

    Floats32: TypeAlias = NDArray[np.float32]

_STRIP_ROWS: Final = 510
"""A multiple of 6, so that pixels of 60 m lie in one strip."""
_KERNEL_MARGIN: Final = 4
_LOOK_STEP: Final = 32
_FAR: Final = np.float32(np.inf)
_BEHIND: Final = 10.0
"""Added to the distance (at most 1) of a pixel without data: any detector that has some comes before."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Some rows of a band, all columns of its block; ``row`` is the first one's place in the block.

    ``counts`` are 0 where there is no data. ``detectors`` are the numbers of those that looked there, also where their
    data are lost, 0 outside the swath; ``flags`` as ``flags`` has them.
    """

    row: int
    counts: NDArray[np.uint16]
    detectors: NDArray[np.uint8]
    flags: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Source:
    image: BandImage
    model: SeenImage
    rows: range
    columns: range
    line_flags: NDArray[np.uint8]
    quality: Quality
    lines: Lines


@dataclass(frozen=True, slots=True)
class _Canvas:
    """The rows of a strip in the three results, and how far from its detector's middle each pixel is."""

    counts: NDArray[np.uint16]
    detectors: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    nearest: Floats32


class Mosaic:
    """One band of a tile from the images of its detectors: the block at ``at``, empty where none meets the tile."""

    def __init__(self, working: WorkingFolder, datastrip: Datastrip, band: str, tile: Tile) -> None:
        self._tile, self._resolution = tile, band_named(band).resolution
        self._sources = _sources(working, datastrip, band, tile, self._resolution)
        self.at = _common(self._sources, tile, self._resolution) if self._sources else Extent(0, 0, 0, 0)
        self.residual = max((source.model.residual for source in self._sources), default=0.0)
        """Of inverse location, pixels."""

    def strips(self) -> Iterator[Strip]:
        """From north to south. The arrays of a strip are those of the one before."""
        at = self.at
        shape = (_STRIP_ROWS, at.shape[1])
        counts, nearest = np.empty(shape, np.uint16), np.empty(shape, np.float32)
        detectors, flags = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        for first in range(at.row, at.row_stop, _STRIP_ROWS):
            rows = range(first, min(first + _STRIP_ROWS, at.row_stop))
            n = len(rows)
            canvas = _Canvas(counts[:n], detectors[:n], flags[:n], nearest[:n])
            _strip(self._sources, self._tile, self._resolution, rows, at.column, canvas)
            yield Strip(first - at.row, canvas.counts, canvas.detectors, canvas.flags)


def _sources(working: WorkingFolder, datastrip: Datastrip, band: str, tile: Tile, resolution: int) -> list[_Source]:
    found = []
    for image in datastrip.images:
        model = locate(working, image, tile) if image.band == band else None
        if model is not None:
            rows, columns = block_of(model, tile, resolution)
            if len(rows) and len(columns):
                quality = working.quality(image)
                flags = line_flags(datastrip, image, quality)
                found.append(_Source(image, model, rows, columns, flags, quality, Lines(working, image)))
    return found


def _common(sources: Sequence[_Source], tile: Tile, resolution: int) -> Extent:
    """The block around all sources, its edges on multiples of 60 m so that the three resolutions have the same one."""
    step = 60 // resolution
    size = tile.size(resolution)
    return Extent(
        min(s.rows.start for s in sources) // step * step,
        min(s.columns.start for s in sources) // step * step,
        min(-(-max(s.rows.stop for s in sources) // step) * step, size),
        min(-(-max(s.columns.stop for s in sources) // step) * step, size),
    )


def _strip(
    sources: Sequence[_Source],
    tile: Tile,
    resolution: int,
    rows: range,
    left: int,
    canvas: _Canvas,
) -> None:
    for part, empty in ((canvas.counts, 0), (canvas.detectors, 0), (canvas.flags, 0), (canvas.nearest, _FAR)):
        part.fill(empty)
    for source in sources:
        if rows.stop <= source.rows.start or rows.start >= source.rows.stop:
            continue
        columns = _reached(source, tile, resolution, rows)
        if not columns:
            continue
        places = _places(source, tile, resolution, rows, columns)
        if places is None:
            continue
        values, flags = _sample(source, places)
        given = (values, flags, places.distance, source.image.detector)
        below = (canvas.counts, canvas.detectors, canvas.flags, canvas.nearest)
        lay(*given, NO_DATA, _BEHIND, HIGHEST_COUNT, columns.start - left, *below)


def _reached(source: _Source, tile: Tile, resolution: int, rows: range) -> range:
    """Columns of the tile that the image reaches in some rows: a detector's swath crosses the tile aslant."""
    steps = np.arange(source.columns.start, source.columns.stop + _LOOK_STEP, _LOOK_STEP)
    x, y = np.meshgrid(tile.ulx + steps * resolution, tile.uly - np.array([rows.start, rows.stop]) * resolution)
    line, column = source.model.at(tile, x, y, float(source.model.heights[1]))
    image, margin = source.image, 2 * _LOOK_STEP + source.model.spread
    # A strip is low and the swath's edges nearly straight: what lies outside at both its edges on one side is outside.
    outside = ((column < -margin).all(0)) | ((column > image.columns + margin).all(0))
    outside |= ((line < -margin).all(0)) | ((line > image.lines + margin).all(0)) | np.isnan(line).all(0)
    found = np.flatnonzero(~outside)
    if not found.size:
        return range(0)
    first = max(int(steps[found[0]]) - _LOOK_STEP, source.columns.start)
    return range(first, min(int(steps[found[-1]]) + _LOOK_STEP, source.columns.stop))


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a block of pixels lies among the lines ``first`` to ``stop`` of an image, as ``samples`` tells it."""

    first: int
    stop: int
    x: Floats32
    y: Floats32
    distance: Floats32


def _places(source: _Source, tile: Tile, resolution: int, rows: range, columns: range) -> _Places | None:
    """``None`` where no pixel lies in the image."""
    image, nodes = source.image, nodes_over(source.model, tile, resolution, rows, columns)
    if nodes.lines is None:
        return None
    first = max(int(nodes.lines[0]) - _KERNEL_MARGIN, 0)
    stop = min(int(nodes.lines[1]) + _KERNEL_MARGIN + 1, image.lines)
    if first >= stop:
        return None
    shape = (len(rows), len(columns))
    found = _Places(first, stop, *(np.empty(shape, np.float32) for _ in range(3)))
    size = np.array([image.lines, image.columns], np.int64)
    laid = (nodes.table, nodes.field, nodes.middle, nodes.flat, nodes.step, nodes.skip)
    return found if samples(*laid, first, size, found.x, found.y, found.distance) else None


def _sample(source: _Source, places: _Places) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Counts and flags; the latter of size 0 where there are none."""
    lines = source.lines.read(places.first, places.stop)
    lost = np.asarray(~lines.any(axis=1), np.bool_)
    flags = _flags(source, places, lost)
    if lost.any():
        lines = _filled(lines, lost)
    values = cv2.remap(lines, places.x, places.y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, np.uint16), flags


def _flags(source: _Source, places: _Places, lost: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Flags of the nearest samples, and of kernels that reach into packets without data."""
    of_lines = source.line_flags[places.first : places.stop] | lost.astype(np.uint8) * np.uint8(NO_DATA)
    saturated = source.quality.saturated_within(places.first, places.stop, source.image.columns)
    if saturated is None and not of_lines.any():
        return np.zeros((0, 0), np.uint8)
    row = _nearest(places.y, len(of_lines))
    flags = np.asarray(of_lines[row], np.uint8)
    if saturated is not None:
        at = _nearest(places.x, source.image.columns)
        flags |= saturated[row, at].astype(np.uint8) * np.uint8(SATURATED)
    reached = _reached_by_kernel((of_lines & (MSI_LOST | MSI_DEGRADED)) > 0)
    if reached.any():
        beside = reached[places.y.astype(np.intp)] & ((flags & NO_DATA) == 0)
        flags |= beside.astype(np.uint8) * np.uint8(MSI_DEGRADED)
    return flags


def _reached_by_kernel(lines: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the kernel at places from line i to i + 1 takes one of ``lines``: it takes i - 1 to i + 2."""
    around = np.pad(lines, (1, 2))
    return np.asarray(around[:-3] | around[1:-2] | around[2:-1] | around[3:], np.bool_)


def _nearest(place: Floats32, size: int) -> NDArray[np.intp]:
    return np.asarray(np.clip(place + np.float32(0.5), 0, size - 1), np.intp)


def _filled(lines: NDArray[np.uint16], lost: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Lost lines replaced by the nearest one that is there; all as they were where none is."""
    kept = np.flatnonzero(~lost)
    if not kept.size:
        return lines
    wanted = np.arange(len(lines))
    after = np.clip(np.searchsorted(kept, wanted), 0, kept.size - 1)
    before = np.maximum(after - 1, 0)
    closer = np.abs(kept[before] - wanted) <= np.abs(kept[after] - wanted)
    return lines[np.where(closer, kept[before], kept[after])]
