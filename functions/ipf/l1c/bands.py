"""The images of one tile, each a task of its own so that several processes can share them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import cv2
import numpy as np

from functions.ipf.l1c.flags import LAYERS, planes
from functions.ipf.l1c.resample import Mosaic
from functions.ipf.l1c.tally import Tally
from functions.ipf.safe.jp2 import PLAIN_ROWS, PREVIEW_RESOLUTION, Extent, Jp2, around, write_jp2
from functions.ipf.safe.preview import display, preview, preview_extent
from functions.ipf.safe.rows import Rows, rows_of
from functions.ipf.safe.working import WorkingFolder
from shared.msi.instrument import band_named
from shared.msi.tiling import tile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shared.msi.tiling import Tile

T = TypeVar("T", bound=np.generic)

COLOUR_BANDS: Final = ("B04", "B03", "B02")
CLASS_BANDS: Final = ("B01", "B03", "B10", "B11")


@dataclass(frozen=True, slots=True)
class BandTask:
    """One band of a tile: where it comes from and where its image, mask and 60 m counts go."""

    working: Path
    band: str
    tile: str
    image: Path
    footprint: Path
    quality: Path
    scratch: Path


@dataclass(frozen=True, slots=True)
class BandResult:
    """What a band's image holds: pixels inside the swath, those with data, those with each flag, by bit.

    ``lost`` are those whose own packet did not come or does not decode: more have the flag of damaged packets.
    """

    band: str
    at: Extent
    seen: int
    valid: int
    flagged: tuple[int, ...]
    lost: int
    residual: float


def make_band(task: BandTask) -> BandResult:
    """Resample a band, write its image and its masks; leave what other tasks need in the scratch folder."""
    working, target = WorkingFolder(task.working), tile(task.tile)
    resolution = band_named(task.band).resolution
    mosaic = Mosaic(working, working.datastrip(), task.band, target)
    at, step = mosaic.at, 60 // resolution
    tally, coarse = Tally(), at.scaled(resolution, 60)
    looked, means = np.zeros(coarse.shape, np.bool_), np.zeros(coarse.shape, np.uint16)
    with (
        Rows(task.scratch / f"{task.band}_flags.npy", at.shape) as flags,
        Rows(task.scratch / f"{task.band}_display.npy", at.shape) as shown,
        Jp2(task.image, target, resolution, at, np.uint16, bits=15) as image,
        Jp2(task.footprint, target, resolution, at, np.uint8, kind="mask") as footprint,
    ):
        for strip in mosaic.strips():
            image.write(strip.row, strip.counts)
            footprint.write(strip.row, strip.detectors)
            flags.append(strip.flags)
            tally.add(strip)
            rows = slice(strip.row // step, (strip.row + len(strip.counts)) // step)
            looked[rows] = strip.detectors[::step, ::step] > 0
            if task.band in COLOUR_BANDS:
                shown.append(display(strip.counts))
            if task.band in CLASS_BANDS:
                means[rows] = _at_60m(strip.counts, resolution)
    _write_quality(task, at, tally)
    np.save(task.scratch / f"{task.band}_seen.npy", _whole(looked, coarse, target))
    if task.band in CLASS_BANDS:
        np.save(task.scratch / f"{task.band}_60m.npy", _whole(means, coarse, target))
    return BandResult(task.band, at, tally.seen, tally.valid, tuple(tally.flagged), tally.lost, mosaic.residual)


def _write_quality(task: BandTask, at: Extent, tally: Tally) -> None:
    """MSK_QUALIT from the scratch folder's flags; only the rows and columns that hold one are encoded."""
    target, resolution, there = tile(task.tile), band_named(task.band).resolution, tally.extent
    held = Extent(at.row + there.row, at.column + there.column, at.row + there.row_stop, at.column + there.column_stop)
    held = there if there.empty else held
    flags = task.scratch / f"{task.band}_flags.npy"
    with Jp2(task.quality, target, resolution, held, np.uint8, planes=LAYERS, kind="mask") as image:
        for rows in held.strips(PLAIN_ROWS):
            found = rows_of(flags, there.row + rows.start, there.row + rows.stop)
            image.write(rows.start, planes(found[:, there.column : there.column_stop]))
    flags.unlink()


def _whole(part: NDArray[T], at: Extent, target: Tile) -> NDArray[T]:
    """The tile's 60 m grid with ``part`` at its place, 0 around it."""
    full = np.zeros((target.size(60),) * 2, part.dtype)
    full[at.row : at.row_stop, at.column : at.column_stop] = part
    return full


def _at_60m(counts: NDArray[np.uint16], resolution: int) -> NDArray[np.uint16]:
    """Area means; 0 where any part has no data."""
    step = 60 // resolution
    if step == 1 or not counts.size:
        return counts
    size = (counts.shape[1] // step, counts.shape[0] // step)
    means = np.rint(cv2.resize(counts.astype(np.float32), size, interpolation=cv2.INTER_AREA))
    whole = counts.reshape(size[1], step, size[0], step).min(axis=(1, 3)) > 0
    return np.where(whole, means, 0).astype(np.uint16)


@dataclass(frozen=True, slots=True)
class ColourTask:
    """The true colour image and the preview of a tile, from the displays of its three bands."""

    tile: str
    scratch: Path
    extents: tuple[Extent, Extent, Extent]
    image: Path
    preview: Path


def make_colours(task: ColourTask) -> None:
    """Write both images; a pixel lacks data in all three colours where it lacks it in one."""
    target, at = tile(task.tile), around(task.extents)
    size = target.size(PREVIEW_RESOLUTION)
    place = preview_extent(at, size)
    small = np.zeros((len(COLOUR_BANDS), *place.shape), np.uint8)
    with Jp2(task.image, target, 10, at, np.uint8, planes=len(COLOUR_BANDS)) as image:
        for rows in at.strips(PLAIN_ROWS):  # a multiple of the preview's pixels
            part = Extent(at.row + rows.start, at.column, at.row + rows.stop, at.column_stop)
            colours = _colours(task, part)
            image.write(rows.start, colours)
            seen, there = preview(colours, part, size)
            small[:, there.row - place.row : there.row_stop - place.row] = seen
    write_jp2(task.preview, small, target, PREVIEW_RESOLUTION, place)


def _colours(task: ColourTask, at: Extent) -> NDArray[np.uint8]:
    """The three colours of a part of the tile at 10 m."""
    colours = np.zeros((len(COLOUR_BANDS), *at.shape), np.uint8)
    for plane, band, extent in zip(colours, COLOUR_BANDS, task.extents, strict=True):
        first, stop = max(extent.row, at.row), min(extent.row_stop, at.row_stop)
        if first < stop and not extent.empty:
            column = extent.column - at.column
            found = rows_of(task.scratch / f"{band}_display.npy", first - extent.row, stop - extent.row)
            plane[first - at.row : stop - at.row, column : column + found.shape[1]] = found
    lacking = np.minimum(np.minimum(colours[0], colours[1]), colours[2]) == 0
    if lacking.any():
        colours[:, lacking] = 0
    return colours
