"""From counts to surface reflectance: the inverse of 6S, the light on slopes, the ground around.

On flat, even ground y = (counts * gain + offset), rho = y / (1 + albedo * y). On a slope y is divided by the light
there relative to flat ground. Light that the neighbourhood sends into the view by scattering is taken away by the
environment function of 6S (Vermote et al., 1997): rho + share * (rho - around), ``share`` the diffuse part of the
upward transmittance over its direct part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from functions.ipf.safe.working import OFFSET, QUANTIFICATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from numpy.typing import NDArray

    Counts: TypeAlias = NDArray[np.uint16]
    Floats32: TypeAlias = NDArray[np.float32]

SATURATED: Final = 65_535
"""Count of L1C."""
BITS: Final = 15
LARGEST: Final = (1 << BITS) - 1
"""Greatest count of L2A, whose images have 15 bits as ESA's have: a reflectance of 3.18."""
LEAST_LIGHT: Final = 0.25
"""The least light, of that on flat ground, that a slope is corrected for: against over-correction."""
STRIP_ROWS: Final = 240
"""A multiple of 6, so that pixels of 60 m lie in one strip."""
_AROUND_STEP: Final = 5
_AROUND_RADIUS_KM: Final = 12.0
_RAYLEIGH: Final = ((0.930, 0.08), (0.070, 1.10))
_AEROSOL: Final = ((0.448, 0.27), (0.552, 2.83))
"""Environment functions 1 - sum(a exp(-b r)), r in km, of 6S."""


@dataclass(frozen=True, slots=True)
class Light:
    """Light on the ground over that on flat ground: direct * beam + sky * open_sky + ground * (1 - open_sky).

    ``beam`` and ``open_sky`` are maps of the block, the three factors one band's.
    """

    beam: Floats32
    open_sky: Floats32
    direct: float
    sky: float
    ground: float

    def at(self, first: int, count: int, rows: int, columns: int) -> Floats32:
        """Rows of the light stretched to an image of the block."""
        beam = stretched(self.beam, first, count, rows, columns)
        open_sky = stretched(self.open_sky, first, count, rows, columns)
        light = np.float32(self.direct) * beam + np.float32(self.sky - self.ground) * open_sky + np.float32(self.ground)
        return np.asarray(np.maximum(light, np.float32(LEAST_LIGHT)), np.float32)


@dataclass(frozen=True, slots=True)
class Around:
    """The ground's mean reflectance around each place, a map of the block, and the share of it that comes into view."""

    mean: Floats32
    share: float


@dataclass(frozen=True, slots=True)
class Correction:
    """How counts of one band become surface reflectance. The three maps are over the block, of any size: their cells
    are equal, and between the cells' centres they are linear.
    """

    gain: Floats32
    offset: Floats32
    albedo: Floats32
    light: Light | None = None
    around: Around | None = None
    cirrus: Floats32 | None = None

    def apply(self, counts: Counts) -> Counts:
        """Counts of surface reflectance (x 10000 + 1000, 1 to ``LARGEST``), 0 where there is no data."""
        strips = self.strips(counts.shape, lambda first, stop: counts[first:stop])
        return np.concatenate([strip for _, strip in strips])

    def strips(self, shape: tuple[int, ...], read: Callable[[int, int], Counts]) -> Iterator[tuple[int, Counts]]:
        """As ``apply``, strip after strip: each one's first row, and it; ``read`` gives the counts of some rows."""
        rows, columns = shape
        for first in range(0, rows, STRIP_ROWS):
            part = read(first, min(first + STRIP_ROWS, rows))
            rho = self._chunk(part, first, rows, columns)
            rho *= np.float32(QUANTIFICATION)
            rho += np.float32(OFFSET)
            np.rint(rho, out=rho)
            np.clip(rho, 1, LARGEST, out=rho)
            rho[part == 0] = 0
            yield first, rho.astype(np.uint16)

    def reflectance(self, counts: Counts) -> Floats32:
        """Surface reflectance, without meaning where there is no data."""
        return self._chunk(counts, 0, *counts.shape)

    def _chunk(self, part: Counts, first: int, rows: int, columns: int) -> Floats32:
        count = len(part)
        gain, offset, albedo = (
            stretched(grid, first, count, rows, columns) for grid in (self.gain, self.offset, self.albedo)
        )
        rho = part * gain
        rho += offset
        if self.cirrus is not None:
            rho -= stretched(self.cirrus, first, count, rows, columns) * gain
        if self.light is not None:
            rho /= self.light.at(first, count, rows, columns)
        albedo *= rho
        albedo += np.float32(1)
        rho /= albedo
        if self.around is not None and self.around.share:
            mean = stretched(self.around.mean, first, count, rows, columns)
            rho += np.float32(self.around.share) * (rho - mean)
        return np.asarray(rho, np.float32)


def stretched(grid: Floats32, first: int, count: int, rows: int, columns: int) -> Floats32:
    """``count`` rows from ``first`` of a map stretched to ``rows`` x ``columns``, linearly."""
    if grid.shape == (rows, columns):
        return np.array(grid[first : first + count], np.float32)
    nodes = grid.shape[0]
    at = np.clip((np.arange(first, first + count) + 0.5) * nodes / rows - 0.5, 0, nodes - 1)
    above = np.minimum(at.astype(np.intp), max(nodes - 2, 0))
    part = (at - above).astype(np.float32)[:, None]
    lines = grid[above] * (1 - part) + grid[np.minimum(above + 1, nodes - 1)] * part
    return np.asarray(cv2.resize(lines, (columns, count), interpolation=cv2.INTER_LINEAR), np.float32)


def surroundings(reflectance: Floats32, valid: NDArray[np.bool_], aerosol_part: float) -> Floats32:
    """The mean reflectance around each pixel of 60 m as diffuse light weighs it, on cells of 300 m.

    Args:
        reflectance: of the ground, at 60 m.
        valid: where it is known.
        aerosol_part: of the scattering on the way up, the rest is Rayleigh's.

    Weights reach 12 km; what lies further, or beyond the block, counts as the known ground's mean within reach.
    """
    size = tuple(max(n // _AROUND_STEP, 1) for n in reflectance.shape[::-1])
    weight = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    total = cv2.resize(np.where(valid, reflectance, np.float32(0)), size, interpolation=cv2.INTER_AREA)
    kernel = _kernel(aerosol_part)
    whole = cv2.filter2D(weight, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
    found = cv2.filter2D(total, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(found / np.maximum(whole, np.float32(1e-6)), np.float32)


def _kernel(aerosol_part: float) -> Floats32:
    """Weights of cells by distance: the environment function's slope over the ring's length."""
    step = _AROUND_STEP * 0.06
    reach = round(_AROUND_RADIUS_KM / step)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1] * step
    distance = np.maximum(np.hypot(x, y), step / 3)
    density = np.zeros(distance.shape)
    for part, terms in ((aerosol_part, _AEROSOL), (1 - aerosol_part, _RAYLEIGH)):
        for factor, rate in terms:
            density += part * factor * rate * np.exp(-rate * distance) / (2 * np.pi * distance)
    return np.asarray(density / density.sum(), np.float32)
