"""What the simulated instrument looks at: a ground whose reflectance is known everywhere and in every band.

A scene is a set of rasters, one for each band, and its value between pixel centres is defined as the cubic convolution
(Keys 1981, a = -1/2) of its raster. So a scene has one exact value at every place, for the simulator and for whoever
judges the products by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from shared.msi.atmosphere import Air, Sight, coefficients_at
from shared.rehearsal._sampling import sample_cubic

if TYPE_CHECKING:
    from shared.geometry.heights import Relief
    from shared.msi.instrument import Band

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]


class Scene(Protocol):
    """A ground of known reflectance.

    Attributes:
        kind: whether reflectances are the surface's, or already those at the top of the atmosphere.
        epsg: the scene's own UTM zone; asking in another costs a projection of every point.
        relief: where its ground is; None where that is the WGS 84 ellipsoid, at height 0.
    """

    @property
    def kind(self) -> Literal["surface", "toa"]: ...
    @property
    def epsg(self) -> int: ...
    @property
    def relief(self) -> Relief | None: ...

    def reflectance(self, band: Band, epsg: int, x: Floats, y: Floats) -> Floats32:
        """Reflectance (1 = white) at places in metres of a UTM zone; ``x`` and ``y`` of one shape, as is the answer."""
        ...

    def centre(self) -> tuple[float, float] | None:
        """Longitude and latitude to aim a pass at, or None where the scene is everywhere."""
        ...

    def describe(self) -> dict[str, Any]:
        """What ``rebuild`` makes the same scene from, as JSON."""
        ...


@runtime_checkable
class Confinable(Protocol):
    """A scene that costs less where it is told what will be asked of it."""

    def near(self, epsg: int, x: Floats, y: Floats) -> Scene:
        """The same scene for places within an outline in metres of a UTM zone."""
        ...


@dataclass(frozen=True, slots=True)
class BandRaster:
    """One band's raster: reflectance = value * scale + offset.

    Attributes:
        values: uint16, C-contiguous, shape (rows, columns).
        left: easting of the left edge; ``top`` the northing of the upper edge; metres.
        pixel: size of a pixel in metres.
        mirrored: beyond its edges the raster is reflected; otherwise it repeats.
    """

    values: NDArray[np.uint16]
    left: float
    top: float
    pixel: float
    scale: float
    offset: float
    mirrored: bool

    def sample(self, x: Floats, y: Floats) -> Floats32:
        """Cubic convolution at places, any shape."""
        out = np.empty(x.shape, dtype=np.float32)
        flat_x, flat_y = np.ascontiguousarray(x).reshape(-1), np.ascontiguousarray(y).reshape(-1)
        place = np.array([self.left, self.top, self.pixel, self.scale, self.offset])
        sample_cubic(self.values, place, self.mirrored, flat_x, flat_y, out.reshape(-1))
        return out


@dataclass(frozen=True, slots=True)
class Atmosphere:
    """The state of the air above a surface scene: aerosol optical thickness at 550 nm, water vapour in g/cm2."""

    aot550: float = 0.10
    water_vapour: float = 1.5


def toa_reflectance(
    scene: Scene,
    band: Band,
    epsg: int,
    x: Floats,
    y: Floats,
    *,
    sun_zenith_deg: float,
    air: Atmosphere,
    satellite: str = "S2A",
) -> Floats32:
    """The scene's top-of-atmosphere reflectance at places, as ``satellite`` sees it, float32.

    A surface scene is lifted by the coefficients of one sun zenith for all places: the scene's own.
    """
    rho = scene.reflectance(band, epsg, x, y)
    if scene.kind == "toa":
        return rho
    at = coefficients_at(band.name, Sight(sun_zenith_deg), Air(air.aot550, air.water_vapour), satellite)
    path, through, albedo = (np.float32(value) for value in (at.path, at.transmittance, at.albedo))
    below = np.float32(1) - albedo * rho
    rho *= through
    rho /= below
    rho += path
    return rho


@lru_cache(maxsize=16)
def reprojection(from_epsg: int, to_epsg: int) -> Transformer:
    """Between two coordinate systems, x before y."""
    return Transformer.from_crs(from_epsg, to_epsg, always_xy=True)


def in_zone(x: Floats, y: Floats, epsg: int, wanted: int) -> tuple[Floats, Floats]:
    """The same places in another zone."""
    if epsg == wanted:
        return x, y
    east, north = reprojection(epsg, wanted).transform(x, y)
    return np.asarray(east, dtype=np.float64), np.asarray(north, dtype=np.float64)
