"""The images of one tile, each a task of its own so that several processes can share them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from functions.ipf.l1c.resample import resample
from functions.ipf.safe.jp2 import PREVIEW_RESOLUTION, Extent, around, write_jp2
from functions.ipf.safe.preview import display, preview
from functions.ipf.safe.working import WorkingFolder
from shared.msi.instrument import band_named
from shared.msi.tiling import tile

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLOUR_BANDS: Final = ("B04", "B03", "B02")
CLASS_BANDS: Final = ("B02", "B03", "B10", "B11")


@dataclass(frozen=True, slots=True)
class BandTask:
    """One band of a tile: where it comes from and where its image, mask and 60 m counts go."""

    working: Path
    band: str
    tile: str
    image: Path
    mask: Path
    scratch: Path


@dataclass(frozen=True, slots=True)
class BandResult:
    """What a band's image holds."""

    band: str
    at: Extent
    valid: int
    residual: float


def make_band(task: BandTask) -> BandResult:
    """Resample a band, write its image and detector footprint; leave what other tasks need in the scratch folder."""
    working = WorkingFolder(task.working)
    resolution = band_named(task.band).resolution
    images = [image for image in working.datastrip().images if image.band == task.band]
    found = resample(working, images, tile(task.tile), resolution)
    write_jp2(task.image, found.counts, tile(task.tile), resolution, found.at)
    write_jp2(task.mask, found.detectors, tile(task.tile), resolution, found.at)
    if task.band in COLOUR_BANDS:
        np.save(task.scratch / f"{task.band}_display.npy", display(found.counts))
    if task.band in CLASS_BANDS:
        full = np.zeros((tile(task.tile).size(60),) * 2, np.uint16)
        at = found.at.scaled(resolution, 60)
        if not at.empty:
            full[at.row : at.row_stop, at.column : at.column_stop] = _at_60m(found.counts, resolution)
        np.save(task.scratch / f"{task.band}_60m.npy", full)
    return BandResult(task.band, found.at, int(np.count_nonzero(found.counts)), found.residual)


def _at_60m(counts: NDArray[np.uint16], resolution: int) -> NDArray[np.uint16]:
    """Area means; 0 where any part has no data."""
    step = 60 // resolution
    if step == 1:
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
    colours *= (colours > 0).all(axis=0)
    write_jp2(task.image, colours, tile(task.tile), 10, at)
    small, place = preview(colours, at, tile(task.tile).size(PREVIEW_RESOLUTION))
    write_jp2(task.preview, small, tile(task.tile), PREVIEW_RESOLUTION, place)
