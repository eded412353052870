"""The table behind ``atmosphere``: reading it, and interpolating in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BadInputError
from shared.msi.instrument import BANDS
from shared.msi.spectra import NEAREST

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]

TABLE: Final = "atmosphere.npz"
NAMES: Final = {band.name: band.index for band in BANDS}
_STENCIL: Final = 4


@dataclass(frozen=True, slots=True)
class Table:
    """One satellite's arrays. The first axis is the band's; then altitude, view, aerosol, Sun, as far as each has
    them.
    """

    sun: Floats
    aot: Floats
    pressure: Floats
    view_sun: Floats
    view_aot: Floats
    view_pressure: Floats
    gas_air: Floats
    gas_water: Floats
    gas_pressure: Floats
    reflectance: Floats
    rayleigh: Floats
    downward: Floats
    albedo: Floats
    thickness: Floats
    aerosol_thickness: Floats
    views: Floats
    rayleigh_views: Floats
    gas: Floats
    ozone: Floats


def pressure(altitude_km: ArrayLike) -> Floats:
    """Air pressure in units of that at sea level (standard atmosphere), up to 11 km."""
    return np.asarray((1 - 0.0225577 * np.asarray(altitude_km, np.float64)) ** 5.25588, np.float64)


@cache
def table_of(satellite: str) -> Table:
    """The table for ``S2A`` to ``S2D``; BadInputError for any other name."""
    with np.load(str(files("shared.msi").joinpath(f"tables/{TABLE}")), allow_pickle=False) as found:
        data = {name: found[name] for name in found.files}
    satellites = [str(name) for name in data.pop("satellites")]
    if NEAREST.get(satellite, satellite) not in satellites:
        raise BadInputError("satellite", f"one of {', '.join((*satellites, *NEAREST))}", satellite)
    own = satellites.index(NEAREST.get(satellite, satellite))
    bands = [NAMES[str(name)] for name in data.pop("bands")]
    run, side = (
        [bands.index(NAMES[str(name)]) for name in data.pop(key)] for key in ("scattering_bands", "view_bands")
    )
    data = {name: values.astype(np.float64) for name, values in data.items()}
    made_for, wanted = data["wavelength_nm"][0], data["wavelength_nm"][own]
    ends = made_for[side].min(), made_for[side].max()
    cosine = np.cos(np.radians(data["sun_zenith_deg"]))
    gas, air = data["gas"][own], 1 / np.cos(np.radians(data["gas_zenith_deg"])) + 1
    spectra = {
        "reflectance": data["reflectance"] * (cosine + 1),
        "rayleigh": data["rayleigh"] * (cosine + 1),
        "downward": -np.log(data["downward"]) * cosine,
        "albedo": data["albedo"],
        "thickness": data["thickness"],
        "aerosol_thickness": data["aerosol_thickness"],
    }
    ascending = {  # pressure and cosine fall where altitude and zenith rise
        name: np.exp(_at_wavelengths(np.log(np.maximum(values, 1e-6)), made_for[run], wanted))[:, ::-1]
        for name, values in spectra.items()
    }
    for name in ("reflectance", "rayleigh", "downward"):
        ascending[name] = ascending[name][..., ::-1]
    sides = {
        name: _at_wavelengths(
            _harmonics(data[f"view_{source}"], data["views_deg"]), made_for[side], np.clip(wanted, *ends)
        )[:, ::-1, ..., ::-1]
        for name, source in (("views", "reflectance"), ("rayleigh_views", "rayleigh"))
    }
    return Table(
        sun=cosine[::-1],
        aot=data["aot550"],
        pressure=pressure(data["altitude_km"])[::-1],
        view_sun=np.cos(np.radians(data["view_sun_zenith_deg"]))[::-1],
        view_aot=data["view_aot550"],
        view_pressure=pressure(data["view_altitude_km"])[::-1],
        gas_air=np.sqrt(air),
        gas_water=np.sqrt(data["gas_water_cm"]),
        gas_pressure=pressure(data["gas_altitude_km"])[::-1],
        gas=-np.log(np.maximum(gas[..., 0], 1e-5))[:, ::-1],
        ozone=(-np.log(gas[..., 1]) / air / data["ozone_cm_atm"])[:, 0, 0].mean(axis=-1),
        **ascending,
        **sides,
    )


def _at_wavelengths(values: Floats, run: Floats, wanted: Floats) -> Floats:
    """From the bands that were run to all, linear over the logarithm of wavelength; the band's axis is the first."""
    at, wanted = np.log(run), np.log(wanted)
    below = np.clip(np.searchsorted(at, wanted) - 1, 0, len(at) - 2)
    part = ((wanted - at[below]) / (at[below + 1] - at[below])).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[below] * (1 - part) + values[below + 1] * part, np.float64)


def _harmonics(values: Floats, views_deg: Floats) -> Floats:
    """How reflectance changes with the view, relative to that from above, by ``view_factors``. The view's axis is the
    third, its first entry the view from above.
    """
    ratios = values[:, :, 1:] / values[:, :, :1] - 1
    fit = np.linalg.inv(view_factors(views_deg[1:, 0], np.radians(views_deg[1:, 1])))
    return np.moveaxis(np.tensordot(ratios, fit, axes=(2, 1)), -1, 2)


def weights(axis: Floats, values: Floats) -> Floats:
    """Weights of the nodes of an ascending axis, shape (*values.shape, nodes): Lagrange's through the nearest four."""
    held = np.clip(values, axis[0], axis[-1])
    count = min(_STENCIL, len(axis))
    first = np.clip(np.searchsorted(axis, held, side="right") - count // 2, 0, len(axis) - count)
    index = first[..., None] + np.arange(count)
    nodes = axis[index]
    factors = np.ones(nodes.shape)
    for k in range(count):
        for other in range(count):
            if other != k:
                factors[..., k] *= (held - nodes[..., other]) / (nodes[..., k] - nodes[..., other])
    found = np.zeros((*held.shape, len(axis)))
    np.put_along_axis(found, index, factors, axis=-1)
    return found


def view_factors(view_deg: Floats, azimuth: Floats) -> Floats:
    """Smooth functions of the view: powers of s, the sine of its zenith in units of that at 12 degrees, where the table
    ends, with the cosines of the relative azimuth (radians) that each can have.
    """
    side = np.sin(np.radians(np.minimum(view_deg, 12.0))) / np.sin(np.radians(12.0))
    turn, twice = np.cos(azimuth), np.cos(2 * azimuth)
    return np.stack([side * turn, side**2, side**2 * twice, side**3 * turn, side**4], axis=-1)
