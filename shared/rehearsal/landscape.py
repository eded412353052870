"""The bundled scene: a plain with fields, woods, lakes, a river, towns and some clouds, made from a seed.

The landscape repeats every 46.08 km in both directions, so it covers any pass at a fixed cost. Each class has one
surface reflectance spectrum; a slow texture varies it by some percent. Each band's raster is smoothed by a Gaussian of
``SMOOTHING`` pixels of that band, which leaves next to nothing beyond a quarter of the sampling frequency: what
resampling adds to it can be bounded.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.geometry.heights import HeightField, Relief
from shared.msi.tiling import to_utm
from shared.rehearsal.scene import BandRaster, Floats, Floats32, in_zone

if TYPE_CHECKING:
    from shared.msi.instrument import Band

PERIOD_M: Final = 46_080
SMOOTHING: Final = 1.5
_PIXELS: Final = PERIOD_M // 10
_COARSE: Final = _PIXELS // 4  # noise is made at 40 m
_BLOCK: Final = 288  # rows worked on at a time
_EDGE: Final = 8  # more than the smoothing reaches
_PAD: Final = 4
_DOWN: Final = 144  # parcels in one period
_ACROSS: Final = 96
_SCALE: Final = 5e-5
_NODE_DEG: Final = 2 / 3600

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
        relief_m: height of its mountains above the ellipsoid, on which its plains stand; 0 for a plain everywhere.
    """

    kind: Final[Literal["surface", "toa"]] = "surface"

    def __init__(self, seed: int = 1, epsg: int = 32632, *, clouds: bool = True, relief_m: float = 0.0) -> None:
        self.seed: Final = seed
        self.epsg: Final = epsg
        self.clouds: Final = clouds
        self.relief_m: Final = relief_m
        self.relief: Final[Relief | None] = _Mountains(seed, epsg, relief_m) if relief_m else None
        self._lock = threading.Lock()
        self._cover: NDArray[np.uint8] | None = None
        self._texture: Final = _Noise(seed + 11, 288, 2)
        self._cloudiness: Final = _Noise(seed + 12, 16, 4)
        self._rasters: dict[str, BandRaster] = {}

    def reflectance(self, band: Band, epsg: int, x: Floats, y: Floats) -> Floats32:
        """See ``Scene.reflectance``."""
        return self.raster(band).sample(*in_zone(x, y, epsg, self.epsg))

    def centre(self) -> tuple[float, float] | None:
        """None: the landscape is everywhere."""
        return None

    def describe(self) -> dict[str, Any]:
        """Seed, zone, clouds and relief."""
        known = {"seed": self.seed, "epsg": self.epsg, "clouds": self.clouds, "relief_m": self.relief_m}
        return {"type": "landscape", **known}

    def cover(self) -> NDArray[np.uint8]:
        """Class of each 10 m pixel (an index of CLASSES; clouds lie above and are not in it), shape (4608, 4608)."""
        if self._cover is None:
            self._cover = _cover_map(self.seed)
        return self._cover

    def raster(self, band: Band) -> BandRaster:
        """The band's raster, made when first asked for and kept (43 MB at 10 m)."""
        with self._lock:
            if band.name not in self._rasters:
                self._rasters[band.name] = self._render(band)
            return self._rasters[band.name]

    def _render(self, band: Band) -> BandRaster:
        spectrum = np.array(_spectra(band), dtype=np.float32)
        pixels, shrink = PERIOD_M // band.resolution, band.resolution // 10
        ground = np.empty((pixels + 2 * _EDGE, pixels + 2 * _EDGE), np.float32)
        for first in range(0, _PIXELS, _BLOCK):
            block = self._ground(spectrum, first)
            if shrink > 1:
                block = np.asarray(cv2.resize(block, (pixels, _BLOCK // shrink), interpolation=cv2.INTER_AREA))
            row = _EDGE + first // shrink
            ground[row : row + len(block), _EDGE:-_EDGE] = block
        _wrap(ground)
        cv2.GaussianBlur(ground, (0, 0), SMOOTHING, dst=ground)
        values = np.empty((pixels, pixels), np.uint16)
        for first in range(0, pixels, _BLOCK):
            rows = slice(first, min(first + _BLOCK, pixels))
            values[rows] = np.rint(ground[_EDGE:-_EDGE, _EDGE:-_EDGE][rows] * np.float32(1 / _SCALE))
        return BandRaster(values, 0.0, 0.0, float(band.resolution), _SCALE, 0.0, mirrored=False)

    def _ground(self, spectrum: Floats32, first: int) -> Floats32:
        """Reflectance of a block of 10 m rows, before smoothing."""
        ground = np.asarray(cv2.LUT(self.cover()[first : first + _BLOCK], np.resize(spectrum, 256)), dtype=np.float32)
        ground *= 1 + np.float32(0.06) * self._texture.rows(first)
        if self.clouds:
            opacity = np.clip((self._cloudiness.rows(first) - np.float32(1.55)) * np.float32(2), 0, 1)
            opacity *= opacity * (3 - 2 * opacity)
            ground += opacity * (spectrum[_CLOUD] - ground)
        return ground


def band_spectrum(name: str) -> tuple[float, ...]:
    """Surface reflectance of a class in the order of ``BANDS``."""
    return tuple(value / 1000 for value in _SPECTRA[name])


def _spectra(band: Band) -> list[float]:
    """A band's reflectance of each class."""
    return [band_spectrum(name)[band.index] for name in CLASSES]


class _Mountains(Relief):
    """The landscape's heights: on nodes of two arc seconds, between which they are bilinear by definition.

    Smooth noise on the metres of the landscape's zone, cells of 7.7, 3.8 and 1.9 km, from 0 to ``highest_m``.
    """

    def __init__(self, seed: int, epsg: int, highest_m: float) -> None:
        self._key: Final = (seed, epsg, highest_m)
        self._heights: BandRaster | None = None
        self._lock = threading.Lock()

    def field(self, west: float, south: float, east: float, north: float) -> HeightField:
        """See ``Relief.field``."""
        first_column, first_row = math.floor(west / _NODE_DEG) - 1, math.floor(south / _NODE_DEG) - 1
        columns = math.ceil(east / _NODE_DEG) + 2 - first_column
        rows = math.ceil(north / _NODE_DEG) + 2 - first_row
        lon, lat = np.meshgrid(
            (first_column + np.arange(columns)) * _NODE_DEG, (first_row + np.arange(rows)) * _NODE_DEG
        )
        x, y = to_utm(self._key[1]).transform(lon, lat)
        heights = self._raster().sample(np.asarray(x, np.float64), np.asarray(y, np.float64))
        return HeightField(heights, first_column * _NODE_DEG, first_row * _NODE_DEG, _NODE_DEG, _NODE_DEG)

    def _raster(self) -> BandRaster:
        with self._lock:
            if self._heights is None:
                seed, _, highest = self._key
                noise = _Noise(seed + 13, 6, 3).coarse
                low, high = float(noise.min()), float(noise.max())
                counts = np.rint((noise - low) / (high - low) * 65_535).astype(np.uint16)
                cell = float(PERIOD_M // _COARSE)
                self._heights = BandRaster(counts, 0.0, 0.0, cell, highest / 65_535, 0.0, mirrored=False)
            return self._heights


class _Noise:
    """Smooth periodic noise of zero mean and unit variance: made at 40 m, enlarged to 10 m a block of rows at a time.

    Args:
        seed: of the random grids.
        cells: of the coarsest grid, in one period; each octave doubles them at half the amplitude.
        octaves: how many.
    """

    def __init__(self, seed: int, cells: int, octaves: int) -> None:
        random = np.random.default_rng(seed)
        total = np.zeros((_COARSE, _COARSE), np.float32)
        for octave in range(octaves):
            count = cells << octave
            total += _enlarge(random.standard_normal((count, count)).astype(np.float32) / 2**octave, _COARSE // count)
        total -= total.mean()
        total /= total.std()
        self.coarse: Final = total

    def rows(self, first: int) -> Floats32:
        """A block of 10 m rows, shape (288, 4608)."""
        factor = _PIXELS // _COARSE
        begin = first // factor - _PAD
        wanted = np.arange(begin, begin + _BLOCK // factor + 2 * _PAD) % _COARSE
        around = cv2.copyMakeBorder(self.coarse[wanted], 0, 0, _PAD, _PAD, cv2.BORDER_WRAP)
        return _resized(np.asarray(around, dtype=np.float32), factor)


def _enlarge(grid: Floats32, factor: int) -> Floats32:
    """A periodic raster, cubic-interpolated to ``factor`` times as many pixels a side."""
    return _resized(np.asarray(cv2.copyMakeBorder(grid, _PAD, _PAD, _PAD, _PAD, cv2.BORDER_WRAP), np.float32), factor)


def _resized(padded: Floats32, factor: int) -> Floats32:
    enlarged = cv2.resize(padded, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    cut = slice(_PAD * factor, -_PAD * factor)
    return np.asarray(enlarged[cut, cut], dtype=np.float32)


def _wrap(bordered: Floats32) -> None:
    """Fill the edges of a periodic raster from its other side."""
    bordered[:_EDGE] = bordered[-2 * _EDGE : -_EDGE]
    bordered[-_EDGE:] = bordered[_EDGE : 2 * _EDGE]
    bordered[:, :_EDGE] = bordered[:, -2 * _EDGE : -_EDGE]
    bordered[:, -_EDGE:] = bordered[:, _EDGE : 2 * _EDGE]


def _cover_map(seed: int) -> NDArray[np.uint8]:
    """The class map, a block of rows at a time: whole-period arrays of numbers would take a gigabyte."""
    relief, woods = _Noise(seed + 1, 6, 6), _Noise(seed + 2, 12, 5)
    built, river = _Noise(seed + 3, 18, 4), _Noise(seed + 4, 4, 4)
    fields = _Fields(seed)
    cover = np.empty((_PIXELS, _PIXELS), np.uint8)
    for first in range(0, _PIXELS, _BLOCK):
        block = cover[first : first + _BLOCK]
        block[:] = fields.rows(first)
        wooded = woods.rows(first) > 0.75
        block[wooded] = CLASSES.index("wood")
        block[(built.rows(first) > 2.15) & ~wooded] = CLASSES.index("town")
        from_river = np.abs(river.rows(first))
        block[from_river < 0.035] = CLASSES.index("sand")
        block[(from_river < 0.025) | (relief.rows(first) < -1.75)] = CLASSES.index("water")
    return cover


class _Fields:
    """Parcels in rows of bricks, bent by noise, each under one crop."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed + 5)
        kinds = np.array([CLASSES.index(name) for name in ("crop", "meadow", "stubble", "soil")], np.uint8)
        self._parcels: Final = kinds[random.choice(4, size=(_DOWN, _ACROSS), p=(0.42, 0.26, 0.17, 0.15))]
        self._shifts: Final = random.random(_DOWN).astype(np.float32)
        self._bend: Final = _Noise(seed + 6, 24, 2)

    def rows(self, first: int) -> NDArray[np.uint8]:
        bend = np.float32(0.9) * self._bend.rows(first)
        line = np.arange(_PIXELS, dtype=np.float32)
        down = line[first : first + _BLOCK, None] * np.float32(_DOWN / _PIXELS) + bend
        which = np.floor(down).astype(np.int16) % _DOWN
        across = line * np.float32(_ACROSS / _PIXELS) + self._shifts[which] + np.float32(0.5) * bend
        return self._parcels[which, np.floor(across).astype(np.int16) % _ACROSS]
