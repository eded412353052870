"""The bundled scene: a plain with fields, woods, lakes, a river, towns and some clouds, made from a seed.

The landscape repeats every 46.08 km in both directions, so it covers any pass at a fixed cost. Each class has one
surface reflectance spectrum; a slow texture varies it by some percent. Each band's raster is smoothed by a Gaussian of
``SMOOTHING`` pixels of that band, which leaves next to nothing beyond a quarter of the sampling frequency: what
resampling adds to it can be bounded.
"""

from __future__ import annotations

import threading
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.msi.instrument import BANDS, Band
from shared.rehearsal.scene import BandRaster, Floats, Floats32, in_zone

PERIOD_M: Final = 46_080
SMOOTHING: Final = 1.5
_PIXELS: Final = PERIOD_M // 10
_COARSE: Final = _PIXELS // 4  # noise is made at 40 m
_BLOCK: Final = 256
_SCALE: Final = 5e-5

CLASSES: Final = ("water", "wood", "meadow", "crop", "stubble", "soil", "town", "sand", "cloud")
_CLOUD: Final = CLASSES.index("cloud")
# Surface reflectance in per mille for B01..B08, B8A, B09..B12: typical of each cover (values of the order of published
# spectral libraries; exact by definition here).
_SPECTRA: Final = {
    "water": (52, 48, 44, 28, 24, 18, 16, 13, 11, 9, 6, 5, 3),
    "wood": (18, 22, 42, 26, 62, 190, 245, 265, 280, 285, 200, 135, 62),
    "meadow": (32, 42, 78, 60, 112, 245, 300, 325, 340, 345, 280, 225, 118),
    "crop": (24, 30, 64, 34, 92, 310, 395, 420, 435, 440, 330, 190, 88),
    "stubble": (78, 92, 128, 162, 192, 226, 248, 268, 282, 290, 330, 362, 275),
    "soil": (62, 74, 98, 132, 152, 168, 182, 196, 208, 216, 260, 290, 252),
    "town": (102, 114, 132, 148, 160, 172, 184, 198, 206, 212, 230, 240, 218),
    "sand": (150, 176, 232, 282, 308, 324, 336, 350, 358, 364, 400, 428, 392),
    "cloud": (640, 650, 655, 660, 665, 668, 670, 672, 670, 660, 560, 480, 400),
}


class ProceduralLandscape:
    """The landscape of a seed, its pattern fixed to the metres of one UTM zone.

    Args:
        seed: any integer; the same seed gives the same landscape.
        epsg: the zone in whose metres the pattern lies (32601..32660, 32701..32760).
        clouds: whether there are any.
    """

    kind: Final[Literal["surface", "toa"]] = "surface"

    def __init__(self, seed: int = 1, epsg: int = 32632, *, clouds: bool = True) -> None:
        self.seed: Final = seed
        self.epsg: Final = epsg
        self.clouds: Final = clouds
        self._lock = threading.Lock()
        self._cover: NDArray[np.uint8] | None = None
        self._texture: Floats32 | None = None
        self._opacity: Floats32 | None = None
        self._rasters: dict[str, BandRaster] = {}

    def reflectance(self, band: Band, epsg: int, x: Floats, y: Floats) -> Floats32:
        """See ``Scene.reflectance``."""
        return self.raster(band).sample(*in_zone(x, y, epsg, self.epsg))

    def centre(self) -> tuple[float, float] | None:
        """None: the landscape is everywhere."""
        return None

    def describe(self) -> dict[str, Any]:
        """Seed, zone and clouds."""
        return {"type": "landscape", "seed": self.seed, "epsg": self.epsg, "clouds": self.clouds}

    def cover(self) -> NDArray[np.uint8]:
        """Class of each 10 m pixel (an index of CLASSES; clouds lie above and are not in it), shape (4608, 4608)."""
        if self._cover is None:
            self._cover = _cover(self.seed)
        return self._cover

    def raster(self, band: Band) -> BandRaster:
        """The band's raster, made when first asked for and kept (43 MB at 10 m)."""
        with self._lock:
            if band.name not in self._rasters:
                self._rasters[band.name] = self._render(band)
            return self._rasters[band.name]

    def _render(self, band: Band) -> BandRaster:
        if self._texture is None or self._opacity is None:
            self._texture = 1 + 0.06 * _noise(self.seed + 11, 288, 2)
            cloudiness = _noise(self.seed + 12, 16, 4) if self.clouds else np.full((2, 2), -9, np.float32)
            opacity = np.clip((cloudiness - 1.55) / 0.5, 0, 1)
            self._opacity = opacity * opacity * (3 - 2 * opacity)
        spectra = np.array([_SPECTRA[name][band.index] for name in CLASSES], dtype=np.float32) / 1000
        ground = np.asarray(cv2.LUT(self.cover(), np.resize(spectra, 256)), dtype=np.float32)
        ground *= self._texture
        if self.clouds:
            ground += self._opacity * (spectra[_CLOUD] - ground)
        pixels = PERIOD_M // band.resolution
        if pixels != _PIXELS:
            ground = np.asarray(cv2.resize(ground, (pixels, pixels), interpolation=cv2.INTER_AREA), dtype=np.float32)
        edge = 8
        bordered: Floats32 = np.asarray(cv2.copyMakeBorder(ground, edge, edge, edge, edge, cv2.BORDER_WRAP), np.float32)
        cv2.GaussianBlur(bordered, (0, 0), SMOOTHING, dst=bordered)
        bordered *= 1 / _SCALE
        values = np.rint(bordered, out=bordered)[edge:-edge, edge:-edge].astype(np.uint16)
        return BandRaster(values, 0.0, 0.0, float(band.resolution), _SCALE, 0.0, mirrored=False)


def band_spectrum(name: str) -> tuple[float, ...]:
    """Surface reflectance of a class in the order of ``BANDS``."""
    return tuple(_SPECTRA[name][band.index] / 1000 for band in BANDS)


def _noise(seed: int, cells: int, octaves: int) -> Floats32:
    """Smooth periodic noise of zero mean and unit variance over the period, coarsest cells first."""
    random = np.random.default_rng(seed)
    total = np.zeros((_COARSE, _COARSE), np.float32)
    for octave in range(octaves):
        count = cells << octave
        total += _enlarge(random.standard_normal((count, count)).astype(np.float32) / 2**octave, _COARSE)
    total -= total.mean()
    total /= total.std()
    return _enlarge(total, _PIXELS)


def _enlarge(grid: Floats32, size: int) -> Floats32:
    """A periodic square raster, cubic-interpolated to ``size`` pixels a side."""
    factor = size // len(grid)
    pad = 4
    padded = cv2.copyMakeBorder(grid, pad, pad, pad, pad, cv2.BORDER_WRAP)
    enlarged = cv2.resize(padded, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(enlarged[pad * factor : -pad * factor, pad * factor : -pad * factor])


def _cover(seed: int) -> NDArray[np.uint8]:
    """The class map."""
    cover = _fields(seed)
    relief = _noise(seed + 1, 6, 6)
    woods = _noise(seed + 2, 12, 5)
    built = _noise(seed + 3, 18, 4)
    cover[woods > 0.75] = CLASSES.index("wood")
    cover[(built > 2.15) & (woods < 0.75)] = CLASSES.index("town")
    river = np.abs(_noise(seed + 4, 4, 4))
    cover[river < 0.035] = CLASSES.index("sand")
    cover[(river < 0.025) | (relief < -1.75)] = CLASSES.index("water")
    return cover


def _fields(seed: int) -> NDArray[np.uint8]:
    """Parcels in rows of bricks, bent by noise, each under one crop."""
    random = np.random.default_rng(seed + 5)
    across, down = 96, 144
    kinds = np.array([CLASSES.index(name) for name in ("crop", "meadow", "stubble", "soil")], np.uint8)
    parcels = kinds[random.choice(4, size=(down, across), p=(0.42, 0.26, 0.17, 0.15))]
    shifts = random.random(down).astype(np.float32)
    bend = 0.9 * _noise(seed + 6, 24, 2)
    line = np.arange(_PIXELS, dtype=np.float32)
    cover = np.empty((_PIXELS, _PIXELS), np.uint8)
    for first in range(0, _PIXELS, _BLOCK):  # in blocks of rows: index arrays of the whole period would take a gigabyte
        rows = slice(first, first + _BLOCK)
        which = np.floor(line[rows, None] * (down / _PIXELS) + bend[rows]).astype(np.int16) % down
        column = np.floor(line * (across / _PIXELS) + shifts[which] + 0.5 * bend[rows]).astype(np.int16) % across
        cover[rows] = parcels[which, column]
    return cover
