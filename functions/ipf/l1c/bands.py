"""The images of one tile, each a task of its own so that several processes can share them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import cv2
import numpy as np

from functions.ipf.l1c.flags import LAYERS, MSI_DEGRADED, MSI_LOST, NO_DATA, planes
from functions.ipf.l1c.resample import Resampled, resample
from functions.ipf.safe.jp2 import PREVIEW_RESOLUTION, Extent, around, write_jp2
from functions.ipf.safe.preview import display, preview
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
    found = resample(working, working.datastrip(), task.band, target)
    write_jp2(task.footprint, found.detectors, target, resolution, found.at, kind="mask")
    _write_quality(task.quality, found, target, resolution)
    flagged, lost = _counted(found.flags)
    whole = _whole(found.detectors[:: 60 // resolution, :: 60 // resolution] > 0, found.at, target, resolution)
    np.save(task.scratch / f"{task.band}_seen.npy", whole)
    seen, valid = int(np.count_nonzero(found.detectors)), int(np.count_nonzero(found.counts))
    counts, at, residual = found.counts, found.at, found.residual
    del found  # detectors and flags are as large as the counts, and these are still to be coded
    if task.band in COLOUR_BANDS:
        np.save(task.scratch / f"{task.band}_display.npy", display(counts))
    if task.band in CLASS_BANDS:
        means = _whole(_at_60m(counts, resolution), at, target, resolution)
        np.save(task.scratch / f"{task.band}_60m.npy", means)
    write_jp2(task.image, counts, target, resolution, at, bits=15)
    return BandResult(task.band, at, seen, valid, flagged, lost, residual)


def _counted(flags: NDArray[np.uint8]) -> tuple[tuple[int, ...], int]:
    """Pixels with each flag, and those whose own packets are lost or damaged."""
    if not flags.any():
        return (0,) * LAYERS, 0
    lost = ((flags & (MSI_LOST | MSI_DEGRADED)) > 0) & ((flags & NO_DATA) > 0)
    return tuple(int(np.count_nonzero(flags & (1 << bit))) for bit in range(LAYERS)), int(np.count_nonzero(lost))


def _write_quality(path: Path, found: Resampled, target: Tile, resolution: int) -> None:
    """MSK_QUALIT; only the rows and columns that hold a flag are encoded."""
    rows, columns = np.flatnonzero(found.flags.any(axis=1)), np.flatnonzero(found.flags.any(axis=0))
    if not rows.size:
        write_jp2(path, np.zeros((LAYERS, 0, 0), np.uint8), target, resolution, Extent(0, 0, 0, 0), kind="mask")
        return
    top, left, bottom, right = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
    at = Extent(found.at.row + top, found.at.column + left, found.at.row + bottom, found.at.column + right)
    write_jp2(path, planes(found.flags[top:bottom, left:right]), target, resolution, at, kind="mask")


def _whole(part: NDArray[T], at: Extent, target: Tile, resolution: int) -> NDArray[T]:
    """The tile's 60 m grid with ``part`` at its place, 0 around it."""
    full = np.zeros((target.size(60),) * 2, part.dtype)
    at = at.scaled(resolution, 60)
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
    at = around(task.extents)
    colours = np.zeros((3, *at.shape), np.uint8)
    for plane, band, extent in zip(colours, COLOUR_BANDS, task.extents, strict=True):
        part = np.load(task.scratch / f"{band}_display.npy", mmap_mode="r")
        row, column = extent.row - at.row, extent.column - at.column
        plane[row : row + part.shape[0], column : column + part.shape[1]] = part
    lacking = np.minimum(np.minimum(colours[0], colours[1]), colours[2]) == 0
    if lacking.any():
        colours[:, lacking] = 0
    write_jp2(task.image, colours, tile(task.tile), 10, at)
    small, place = preview(colours, at, tile(task.tile).size(PREVIEW_RESOLUTION))
    write_jp2(task.preview, small, tile(task.tile), PREVIEW_RESOLUTION, place)
