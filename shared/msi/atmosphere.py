"""Reflectance at the top of the atmosphere from the surface's, and back, by a table of 6SV runs.

The model is that of 6S over a Lambertian, horizontally uniform ground (Vermote et al., 1997, doi 10.1109/36.581987)::

    rho_toa = path + transmittance * rho_s / (1 - albedo * rho_s)

``toa_from_surface`` and ``surface_from_toa`` are exact inverses of each other for equal arguments. The table
(``tables/atmosphere_s2a.json``, made by ``tables/make_atmosphere_table.py``) holds the three coefficients for
Sentinel-2A's bands over sun zenith, aerosol optical thickness at 550 nm and water vapour, at one view direction.
Arguments beyond the table are taken at its edge.

Against 6S runs between the nodes (104 at random, sun zenith up to 72 degrees) the interpolated coefficients reproduce
``rho_toa`` within 0.0025, in B09 within 0.004. ``SIMPLIFICATIONS`` says what the table itself leaves out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BadInputError

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]

SIMPLIFICATIONS: Final = (
    "Atmosphere: 6SV table at one view direction (zenith 5 deg, relative azimuth 90 deg), sea level, ozone 330 DU.",
    "Atmosphere: continental aerosol everywhere; Sentinel-2A spectral responses for every satellite.",
    "Atmosphere: Lambertian ground, no adjacency effect, no terrain correction.",
)
"""What the table leaves out; processors that use it add these to the product's notes."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Path reflectance, two-way transmittance (gases and scattering), spherical albedo; arrays of one shape."""

    path: Floats
    transmittance: Floats
    albedo: Floats


@dataclass(frozen=True, slots=True)
class _Table:
    airmass: Floats  # of the sun, ascending
    aot: Floats
    root_water: Floats
    base: dict[str, Floats]  # (sun, aot, 3): log path, log transmittance, albedo
    water: dict[str, Floats]  # (sun, water, 2): logarithms of the ratios of path and transmittance


def _airmass(sun_zenith_deg: ArrayLike) -> Floats:
    return 1.0 / np.cos(np.radians(np.clip(np.asarray(sun_zenith_deg, dtype=np.float64), 0.0, 85.0)))


@cache
def _table() -> _Table:
    document = json.loads(files("shared.msi").joinpath("tables/atmosphere_s2a.json").read_text("utf-8"))
    base: dict[str, Floats] = {}
    for band, rows in document["coefficients"].items():
        values = np.array(rows, dtype=np.float64)
        values[..., :2] = np.log(np.maximum(values[..., :2], 1e-6))
        base[band] = values
    water = {b: np.log(np.maximum(np.array(rows), 1e-6)) for b, rows in document["water_ratios"].items()}
    return _Table(
        airmass=_airmass(document["sun_zenith_deg"]),
        aot=np.array(document["aot550"]),
        root_water=np.sqrt(document["water_vapour_cm"]),
        base=base,
        water=water,
    )


def _position(axis: Floats, value: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Lower node and fraction of each value on an ascending axis, held at its ends."""
    held = np.clip(value, axis[0], axis[-1])
    node = np.clip(np.searchsorted(axis, held, side="right") - 1, 0, len(axis) - 2)
    return node, (held - axis[node]) / (axis[node + 1] - axis[node])


def _bilinear(grid: Floats, row: tuple[NDArray[np.intp], Floats], column: tuple[NDArray[np.intp], Floats]) -> Floats:
    (i, f), (j, g) = row, column
    f, g = f[..., None], g[..., None]
    upper = grid[i, j] * (1 - g) + grid[i, j + 1] * g
    lower = grid[i + 1, j] * (1 - g) + grid[i + 1, j + 1] * g
    found: Floats = upper * (1 - f) + lower * f
    return found


def coefficients(band: str, sun_zenith_deg: ArrayLike, aot550: ArrayLike, water_vapour_cm: ArrayLike) -> Coefficients:
    """The three coefficients of ``band`` ("B01".."B12", "B8A"), interpolated.

    Args:
        band: name of the band; BadInputError for any other.
        sun_zenith_deg: degrees, 0 to 77 in the table.
        aot550: aerosol optical thickness at 550 nm, 0.01 to 0.6 in the table.
        water_vapour_cm: precipitable water in cm (= g/cm2), 0.1 to 6 in the table.

    The three may be numbers or arrays that broadcast together; the result has their common shape.
    """
    table = _table()
    if band not in table.base:
        raise BadInputError("band", f"one of {', '.join(table.base)}", band)
    sun, aot, water = np.broadcast_arrays(
        _airmass(sun_zenith_deg), np.asarray(aot550, np.float64), np.asarray(water_vapour_cm, np.float64)
    )
    at_sun = _position(table.airmass, sun)
    base = _bilinear(table.base[band], at_sun, _position(table.aot, aot))
    wet = _bilinear(table.water[band], at_sun, _position(table.root_water, np.sqrt(np.maximum(water, 0.0))))
    return Coefficients(np.exp(base[..., 0] + wet[..., 0]), np.exp(base[..., 1] + wet[..., 1]), base[..., 2])


def apply_forward(rho_surface: Floats, at: Coefficients) -> Floats:
    """Top-of-atmosphere reflectance for surface reflectance below ``1 / albedo``."""
    found: Floats = at.path + at.transmittance * rho_surface / (1.0 - at.albedo * rho_surface)
    return found


def apply_inverse(rho_toa: Floats, at: Coefficients) -> Floats:
    """Surface reflectance, the inverse of ``apply_forward``."""
    above = (rho_toa - at.path) / at.transmittance
    found: Floats = above / (1.0 + at.albedo * above)
    return found


def toa_from_surface(
    rho_surface: ArrayLike,
    band: str,
    sun_zenith_deg: ArrayLike,
    aot550: ArrayLike = 0.1,
    water_vapour_cm: ArrayLike = 1.5,
) -> Floats:
    """Reflectance at the top of the atmosphere over a ground of reflectance ``rho_surface`` (0..1.5, any shape).

    The other arguments are those of ``coefficients`` and broadcast against ``rho_surface``.
    """
    at = coefficients(band, sun_zenith_deg, aot550, water_vapour_cm)
    return apply_forward(np.asarray(rho_surface, dtype=np.float64), at)


def surface_from_toa(
    rho_toa: ArrayLike,
    band: str,
    sun_zenith_deg: ArrayLike,
    aot550: ArrayLike = 0.1,
    water_vapour_cm: ArrayLike = 1.5,
) -> Floats:
    """Surface reflectance from reflectance at the top of the atmosphere: the inverse of ``toa_from_surface``.

    Without meaning in B10, where next to no light from the ground arrives.
    """
    at = coefficients(band, sun_zenith_deg, aot550, water_vapour_cm)
    return apply_inverse(np.asarray(rho_toa, dtype=np.float64), at)


def water_vapour_from_ratio(ratio: ArrayLike, sun_zenith_deg: float, aot550: float = 0.1) -> Floats:
    """Precipitable water in cm from the ratio of B09 to B8A at the top of the atmosphere.

    The two bands lie 80 nm apart, so their surface reflectances are taken as equal (Gao and Kaufman, 1990); the path
    reflectance is weighed at a ground of reflectance 0.3, so dark ground (water) gives no answer worth having. Ratios
    beyond the table give its edges, 0.1 and 6 cm.
    """
    water = np.linspace(np.sqrt(0.1), np.sqrt(6.0), 120) ** 2
    modelled = toa_from_surface(0.3, "B09", sun_zenith_deg, aot550, water) / toa_from_surface(
        0.3, "B8A", sun_zenith_deg, aot550, water
    )
    return np.interp(np.asarray(ratio, dtype=np.float64), modelled[::-1], water[::-1])
