"""Reflectance at the top of the atmosphere from the surface's, and back, by a table of 6SV and LOWTRAN 7 runs.

Scattering, ozone, and the water vapour of B09 are 6S's; all other absorption is that of LOWTRAN 7, which has the
continuum of water vapour. Their product is formed as in 6S over a Lambertian, horizontally uniform ground (Vermote et
al., 1997, doi 10.1109/36.581987)::

    rho_toa = path + transmittance * rho_s / (1 - albedo * rho_s)
    path = (atmosphere - Rayleigh) * gas(water / 2) + Rayleigh * gas(no water)
    transmittance = gas(water) * downward scattering * upward scattering

``toa_from_surface`` and ``surface_from_toa`` are exact inverses of each other for equal arguments. The table
(``tables/atmosphere.npz``, made by ``tables/make_atmosphere_table.py`` and ``tables/make_gas_table.py``) covers Sun
zenith 0 to 81 degrees, view zenith 0 to 12 degrees at any azimuth, aerosol optical thickness 0.01 to 1, altitude 0 to
4.5 km, water vapour above the ground 0.01 to 6.5 cm; arguments beyond are taken at its edge.

Between nodes it is interpolated by polynomials through the four nearest, over quantities that are nearly straight:
transmittances as their exponents, the atmosphere's reflectance freed of its 1 / (mu_s + mu_v), altitude as pressure.

What it is off against direct runs between the nodes is in ``docs/processors.md``; a test compares with such runs.
``SIMPLIFICATIONS`` says what the table itself leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BadInputError
from shared.msi.atmosphere_table import NAMES, pressure, table_of, view_factors, weights

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]

SIMPLIFICATIONS: Final = (
    "Atmosphere: 6SV table of continental aerosol, gases of LOWTRAN 7; other aerosol models are not distinguished.",
    "Atmosphere: spectral responses of Sentinel-2A, 2B and 2C; Sentinel-2D is taken as 2C.",
    "Atmosphere: Lambertian ground, no adjacency effect.",
)
"""What the table leaves out; processors that use it add these to the product's notes."""

_FEW: Final = 32
OZONE_CM_ATM: Final = 0.33
"""Ozone where nothing is known of it: 330 Dobson units."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Path reflectance, two-way transmittance (gases and scattering), spherical albedo; arrays of one shape."""

    path: Floats
    transmittance: Floats
    albedo: Floats


@dataclass(frozen=True, slots=True)
class Beams:
    """What comes straight: ``sun`` the part of the Sun's light that is not scattered on its way down, ``down`` and
    ``up`` the direct part of the downward and upward scattering transmittance, ``aerosol`` the aerosol's part of the
    optical thickness.
    """

    sun: float
    down: float
    up: float
    aerosol: float


@dataclass(frozen=True, slots=True)
class Sight:
    """Where the Sun stands and whence the satellite looks; degrees, arrays that broadcast together.

    ``relative_azimuth`` is that of the Sun less that of the satellite, both as seen from the ground.
    """

    sun_zenith: ArrayLike
    view_zenith: ArrayLike = 5.0
    relative_azimuth: ArrayLike = 90.0


@dataclass(frozen=True, slots=True)
class Air:
    """The air above a place: aerosol optical thickness at 550 nm, water vapour above the ground in cm (= g/cm2),
    altitude of the ground in km, ozone in cm-atm; arrays that broadcast together.
    """

    aot550: ArrayLike = 0.1
    water_cm: ArrayLike = 1.5
    altitude_km: ArrayLike = 0.0
    ozone_cm_atm: ArrayLike = OZONE_CM_ATM


def coefficients(
    band: str,
    sun_zenith_deg: ArrayLike,
    aot550: ArrayLike,
    water_vapour_cm: ArrayLike,
) -> Coefficients:
    """The coefficients of ``band`` for Sentinel-2A at sea level, seen from 5 degrees across the Sun's direction."""
    return coefficients_at(band, Sight(sun_zenith_deg), Air(aot550, water_vapour_cm))


def coefficients_at(band: str, sight: Sight, air: Air, satellite: str = "S2A") -> Coefficients:
    """The coefficients of ``band`` ("B01".."B12", "B8A"), interpolated; BadInputError for any other name.

    The result has the shape that all arguments broadcast to.
    """
    if band not in NAMES:
        raise BadInputError("band", f"one of {', '.join(NAMES)}", band)
    table, index = table_of(satellite), NAMES[band]
    raw = (
        *(sight.sun_zenith, sight.view_zenith, sight.relative_azimuth),
        *(air.aot550, air.water_cm, air.altitude_km, air.ozone_cm_atm),
    )
    shaped = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in raw))
    zenith, view, azimuth, aot, water, altitude, ozone = (value.ravel() for value in shaped)
    cos_sun = np.cos(np.radians(np.clip(zenith, 0.0, 85.0)))
    view = np.clip(view, 0.0, 30.0)
    cos_view = np.cos(np.radians(view))
    sun = weights(table.sun, cos_sun)
    place = weights(table.pressure, pressure(altitude))
    load = weights(table.aot, aot)
    light = np.clip(cos_sun, table.sun[0], 1.0) + 1
    seen = view_factors(view, np.radians(azimuth))
    low = weights(table.view_pressure, pressure(altitude)), weights(table.view_sun, cos_sun)
    tilt = _sum("pvts,np,nv,nt,ns->n", table.views[index], low[0], seen, weights(table.view_aot, aot), low[1])
    clear_tilt = _sum("pvs,np,nv,ns->n", table.rayleigh_views[index], low[0], seen, low[1])
    both = _sum("pts,np,nt,ns->n", table.reflectance[index], place, load, sun) / light * (1 + tilt)
    rayleigh = _sum("ps,np,ns->n", table.rayleigh[index], place, sun) / light * (1 + clear_tilt)
    cosine = np.clip(cos_sun, table.sun[0], 1.0)
    down = np.exp(-_sum("pts,np,nt,ns->n", table.downward[index], place, load, sun) / cosine)
    up = np.exp(-_sum("pts,np,nt,ns->n", table.downward[index], place, load, weights(table.sun, cos_view)) / cos_view)
    albedo = _sum("pt,np,nt->n", table.albedo[index], place, load)

    path_length = 1 / cosine + 1 / cos_view
    dry, half, wet = (
        absorbed(band, path_length, Air(aot, at, altitude, ozone), satellite)
        for at in (np.zeros_like(water), water / 2, water)
    )
    found = (
        np.maximum(both - rayleigh, 0) * half + rayleigh * dry,
        wet * down * up,
        albedo,
    )
    return Coefficients(*(value.reshape(shaped[0].shape) for value in found))


def beams(band: str, sun_zenith_deg: float, view_zenith_deg: float, air: Air, satellite: str = "S2A") -> Beams:
    """Direct and scattered light of a band, for numbers."""
    table, index = table_of(satellite), NAMES[band]
    place = weights(table.pressure, pressure(air.altitude_km).reshape(1))
    load = weights(table.aot, np.asarray(air.aot550, np.float64).reshape(1))
    thickness, aerosol = (
        float(_sum("pt,np,nt->n", values[index], place, load)[0])
        for values in (table.thickness, table.aerosol_thickness)
    )

    def through(zenith: float) -> tuple[float, float]:
        cosine = np.clip(np.cos(np.radians(zenith)), table.sun[0], 1.0)
        sun = weights(table.sun, cosine.reshape(1))
        exponent = _sum("pts,np,nt,ns->n", table.downward[index], place, load, sun)[0]
        return float(np.exp(-thickness / cosine)), float(np.exp(-exponent / cosine))

    (sun, down), (straight, up) = through(sun_zenith_deg), through(view_zenith_deg)
    return Beams(sun, min(sun / down, 1.0), min(straight / up, 1.0), aerosol / thickness)


def _sum(subscripts: str, *operands: Floats) -> Floats:
    # Looking for a good order costs milliseconds: more than a few places take in any order.
    order = "greedy" if len(operands[-1]) > _FEW else False
    return np.asarray(np.einsum(subscripts, *operands, optimize=order), np.float64)


def absorbed(band: str, air_mass: ArrayLike, air: Air, satellite: str = "S2A") -> Floats:
    """What gases let through on both ways together, ``air_mass`` being the sum of both."""
    table, index = table_of(satellite), NAMES[band]
    raw = (air_mass, air.water_cm, air.altitude_km, air.ozone_cm_atm)
    shaped = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in raw))
    mass, water, altitude, ozone = (value.ravel() for value in shaped)
    place = weights(table.gas_pressure, pressure(altitude))
    wet = weights(table.gas_water, np.sqrt(np.maximum(water, 0)))
    exponent = _sum("pws,np,nw,ns->n", table.gas[index], place, wet, weights(table.gas_air, np.sqrt(mass)))
    exponent += table.ozone[index] * mass * (ozone - OZONE_CM_ATM)
    return np.asarray(np.exp(-exponent).reshape(shaped[0].shape), np.float64)


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
