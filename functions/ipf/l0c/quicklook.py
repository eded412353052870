"""The preliminary quicklook: five bands, decoded from a part of their packets and laid side by side on one grid.

Its grid is the display model of ``geometry``: one line for 32 lines of a 10 m band, one column for 32 columns. Each
pixel is located on the ellipsoid, found in the band's own image, and takes the mean count of the small block there.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from functions.ipf.common.annotated import ANNOTATION_OCTETS
from shared.ccsds.spacepackets import CRC_OCTETS, USER_DATA_AT
from shared.errors import BadInputError
from shared.geometry.model import QUICKLOOK
from shared.msi.codec import decompress
from shared.msi.instrument import DETECTORS, LINES_PER_PACKET, Band, band_named
from shared.msi.packets import ImageBlock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from functions.ipf.l0c.geometry import StripGeometry

Counts = NDArray[np.float32]

NAMES: Final = ("B02", "B03", "B04", "B10", "B11")
BITS: Final = 12


@dataclass(frozen=True, slots=True)
class Reduction:
    """How a band is made smaller: of every ``stride`` packets one is decoded, in cells of ``lines`` by ``columns``."""

    stride: int
    lines: int
    columns: int

    def rows(self, band: Band, scenes: int) -> int:
        """Rows of cells in a datastrip."""
        return scenes * band.packets_per_scene // self.stride * (LINES_PER_PACKET // self.lines)

    def row(self, lines: NDArray[np.float64]) -> NDArray[np.intp]:
        """The row of cells whose centre is nearest to line positions."""
        pitch = self.lines * (self.stride if self.lines == LINES_PER_PACKET else 1)
        return np.rint((lines - self.lines / 2) / pitch).astype(np.intp)


REDUCTIONS: Final = {10: Reduction(2, 16, 32), 20: Reduction(1, 16, 16), 60: Reduction(1, 4, 4)}
"""Cells of some 320 m at 10 and 20 m, of 240 m at 60 m, by the band's resolution."""


class Reducer:
    """Mean counts of one band's cells, NaN where packets are missing; ``refused`` says which do not decode."""

    def __init__(self, detector: int, band: Band, scenes: int) -> None:
        self._detector, self._band, self._scenes = detector, band, scenes
        self._how: Final = REDUCTIONS[band.resolution]
        shape = (self._how.rows(band, scenes), band.width // self._how.columns)
        self.cells: Final[Counts] = np.full(shape, np.nan, np.float32)
        self.refused: Final[list[str]] = []

    def add(self, packets: Mapping[tuple[int, int], memoryview]) -> None:
        """Take annotated packets by (scene, block)."""
        how, band = self._how, self._band
        inner = LINES_PER_PACKET // how.lines
        for (scene, block), octets in packets.items():
            if block % how.stride or scene > self._scenes:
                continue
            try:
                samples = _samples(octets, self._detector, band)
            except BadInputError as error:
                self.refused.append(f"D{self._detector:02d} scene {scene} {band.name}: {error}")
                continue
            first = ((scene - 1) * band.packets_per_scene + block) // how.stride * inner
            used = samples[:, : self.cells.shape[1] * how.columns].reshape(inner, how.lines, -1)
            # Lines first: sums of whole lines are many times as fast as those of small blocks.
            sums = used.sum(axis=1, dtype=np.uint32).reshape(inner, -1, how.columns).sum(axis=2)
            self.cells[first : first + inner] = sums / (how.lines * how.columns)


def _samples(octets: memoryview, detector: int, band: Band) -> NDArray[np.uint16]:
    block = ImageBlock.decode(octets[ANNOTATION_OCTETS + USER_DATA_AT : -CRC_OCTETS])
    if (block.lines, block.columns) != (LINES_PER_PACKET, band.width):
        expected = f"{LINES_PER_PACKET} lines of {band.width} columns"
        raise BadInputError(f"image packet of detector {detector}, {band.name}", expected, (block.lines, block.columns))
    return decompress(block.payload, block.compression, block.lines, block.columns)


def mosaic(
    geometry: StripGeometry, cells: Mapping[tuple[int, str], Counts], useful: Mapping[str, int], threads: int
) -> dict[str, Counts]:
    """The quicklook of each band: (lines, columns), NaN where there is nothing.

    ``cells`` by (detector, band name); ``useful`` is each band's first column that has a direction.
    """
    display = geometry.quicklook
    images = {name: np.full((display.lines, geometry.columns), np.nan, np.float32) for name in NAMES}
    edges = (0, *geometry.connect, geometry.columns)
    jobs = [
        (detector, name, edges[detector - 1], edges[detector])
        for detector in DETECTORS
        for name in NAMES
        if (detector, name) in cells and edges[detector - 1] < edges[detector]
    ]
    rows = np.arange(display.lines, dtype=np.float64)[:, None] + 0.5
    places = {
        first: geometry.model.direct(QUICKLOOK, 0, rows, np.arange(first, last, dtype=np.float64)[None, :] + 0.5)
        for first, last in sorted({(first, last) for _, _, first, last in jobs})
    }

    def fill(job: tuple[int, str, int, int]) -> None:
        detector, name, first, last = job
        place = places[first]
        lines, columns = geometry.model.inverse(name, detector, place.lon, place.lat)
        images[name][:, first:last] = _taken(cells[detector, name], name, lines, columns + useful[name])

    for detector, name, _, _ in jobs:
        geometry.model.sensor(name, detector)  # made once, before threads ask for it
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, jobs))
    return images


def _taken(cells: Counts, name: str, lines: NDArray[np.float64], columns: NDArray[np.float64]) -> Counts:
    how = REDUCTIONS[band_named(name).resolution]
    seen = np.isfinite(lines) & np.isfinite(columns)
    row = how.row(np.where(seen, lines, -1e6))
    column = np.floor(np.where(seen, columns, -1e6) / how.columns).astype(np.intp)
    # A place in the outer half of an outer cell still is that cell's; beyond, the band did not look there.
    row = np.where(row == -1, 0, np.where(row == len(cells), len(cells) - 1, row))
    inside = (row >= 0) & (row < len(cells)) & (column >= 0) & (column < cells.shape[1])
    taken = cells[np.where(inside, row, 0), np.where(inside, column, 0)]
    return np.where(inside, taken, np.float32(np.nan))


def write_quicklook(path: Path, image: Counts) -> None:
    """One band as lossless JPEG 2000 of 12 bits: rounded counts, 0 where there is nothing."""
    counts = np.nan_to_num(np.rint(image), nan=0.0).astype(np.uint16)
    profile: dict[str, Any] = {"count": 1, "dtype": "uint16", "height": image.shape[0], "width": image.shape[1]}
    coded = {"QUALITY": "100", "REVERSIBLE": "YES", "RESOLUTIONS": "3", "NBITS": str(BITS)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.MemoryFile() as plain, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # it stands in no reference system
        with plain.open(driver="GTiff", **profile) as target:
            target.write(counts, 1)
        with plain.open() as source:
            rasterio.shutil.copy(source, path, driver="JP2OpenJPEG", **coded)


def granule_part(image: NDArray[Any], geometry: StripGeometry, detector: int, scene: int) -> NDArray[Any]:
    """The quicklook's pixels of one granule."""
    edges = (0, *geometry.connect, geometry.columns)
    per_scene = geometry.quicklook.lines // geometry.scenes
    return image[(scene - 1) * per_scene : scene * per_scene, edges[detector - 1] : edges[detector]]
