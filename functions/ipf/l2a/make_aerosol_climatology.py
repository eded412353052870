"""Make ``aerosol_climatology.npz``, the table behind ``climatology.py``, from three published sets of data.

Run by hand, once, in an environment of its own; the packages that carry the data are only unpacked, not installed::

    python -m venv aerosol && aerosol/bin/pip install numpy scipy h5py
    python -m pip download --no-deps -d wheels pvlib==0.16.1 itur==0.4.0
    python -m pip download --no-deps --python-version 3.12 --only-binary=:all: -d wheels jcm==3.0.0
    for wheel in wheels/*.whl; do unzip -qo $wheel '*/data/*' -d data; done
    aerosol/bin/python functions/ipf/l2a/make_aerosol_climatology.py data functions/ipf/l2a/aerosol_climatology.npz

What each brings:

- ``pvlib`` (BSD-3-Clause): the monthly Linke turbidity of the world for an air mass of 2 and its altitudes (Remund et
  al., "Worldwide Linke turbidity information", ISES Solar World Congress, 2003). With the water vapour it gives the
  aerosol (Ineichen, "Conversion function between the Linke turbidity and the atmospheric water vapor and aerosol
  content", Solar Energy 82, 2008). Its authors state an error of 0.73, which is 0.09 in aerosol: it knows the deserts,
  but makes the air over cities too clean.
- ``itur`` (MIT): the median water vapour of Recommendation ITU-R P.836 and the monthly temperatures of P.1510. The
  months' water vapour is the median, 7 % more for each kelvin that the month is warmer than the year (saturation
  pressure at constant relative humidity).
- ``jcm`` (Apache-2.0): the plumes of MACv2-SP, anthropogenic aerosol with its cycle over the year (Stevens et al.,
  Geosci. Model Dev. 10, 2017, doi 10.5194/gmd-10-433-2017), with the emissions of 1850 to 2023. It knows nothing of
  dust.

Over each cell the greater of two holds: the aerosol of the turbidity, or the plumes and a natural background. That
background is the same everywhere at sea level; it is what makes the world's mean that of MACv2, 0.12 (Kinne, Tellus B
71, 2019, doi 10.1080/16000889.2019.1623639), with the plumes of 2005, for which MACv2 is made. The plumes of the table
are the means of 2015 to 2023, the years of Sentinel-2.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py  # type: ignore[import-not-found]  # of the environment that the script is run in
import numpy as np
from scipy.io import netcdf_file  # type: ignore[import-untyped]  # stubs for a script run by hand

STEP_DEG = 5
LATITUDES = np.arange(-90 + STEP_DEG / 2, 90, STEP_DEG)
LONGITUDES = np.arange(-180 + STEP_DEG / 2, 180, STEP_DEG)
YEARS = (2015, 2023)
WORLD_MEAN, WORLD_YEAR = 0.12, 2005
SCALE_HEIGHT_M = 2000.0
PRESSURE_SCALE_M = 8434.5
WATER_PER_KELVIN = 0.07
LIMITS = (0.01, 1.0)
NO_ALTITUDE = 255
FIRST_PLUME_REACH_DEG = 260.0
"""Longitude up to which the first plume is taken as east of its source; of the others it is 180."""


def cells(values: np.ndarray) -> np.ndarray:
    """Means over the cells, south first, of a raster that begins at 90 north, 180 west; further axes stay."""
    rows, columns = values.shape[0] // len(LATITUDES), values.shape[1] // len(LONGITUDES)
    blocks = values.reshape(len(LATITUDES), rows, len(LONGITUDES), columns, *values.shape[2:])
    return np.asarray(blocks.mean(axis=(1, 3))[::-1])


def nodes_in_cells(folder: Path, name: str, latitude: str, longitude: str) -> np.ndarray:
    """Means over the cells of a set of the ITU's, which stands on nodes."""
    values, lat, lon = (np.load(folder / file)["arr_0"] for file in (name, latitude, longitude))
    found = np.empty((len(LATITUDES), len(LONGITUDES)))
    for i, middle in enumerate(LATITUDES):
        rows = np.abs(lat[:, 0] - middle) <= STEP_DEG / 2
        for j, centre in enumerate(LONGITUDES):
            columns = np.abs((lon[0] - centre + 180) % 360 - 180) <= STEP_DEG / 2
            found[i, j] = np.nanmean(values[np.ix_(rows, columns)])
    return found


def water_cm(itu: Path) -> np.ndarray:
    """Water vapour above the ground in cm: (months, latitudes, longitudes)."""
    median = nodes_in_cells(itu / "836", "v4_v_50.npz", "v4_lat.npz", "v4_lon.npz") / 10
    year, *months = (
        nodes_in_cells(itu / "1510", f"v1_t_{name}.npz", "v1_lat.npz", "v1_lon.npz")
        for name in ("annual", *(f"month{number:02d}" for number in range(1, 13)))
    )
    return np.stack([median * np.exp(WATER_PER_KELVIN * (month - year)) for month in months])


def turbid_aot(turbidity: np.ndarray, water: np.ndarray, altitude_m: np.ndarray) -> np.ndarray:
    """Aerosol at 550 nm of a Linke turbidity: Ineichen's function the other way round."""
    p = np.exp(altitude_m / PRESSURE_SCALE_M)
    clean = 2 + 0.54 * p - 0.5 * p**2 + 0.16 * p**3 + 0.376 * np.log(np.maximum(water, 0.05))
    return np.asarray((turbidity - clean) / (3.91 * np.exp(0.689 * p)))


def plumes_aot(path: Path, years: tuple[int, int]) -> np.ndarray:
    """Anthropogenic aerosol at 550 nm and sea level, the mean of some years: (months, latitudes, longitudes)."""
    with netcdf_file(path, mmap=False) as file:
        data = {name: np.array(item[:], np.float64) for name, item in file.variables.items()}
    counted = (data["years"] >= years[0]) & (data["years"] <= years[1])
    month = ((np.arange(52) + 0.5) / 52 * 12).astype(int)
    lat, lon = np.meshgrid(LATITUDES, LONGITUDES % 360, indexing="ij")
    found = np.zeros((12, *lat.shape))
    for plume in range(len(data["plume_lat"])):
        north, east = lat - data["plume_lat"][plume], lon - data["plume_lon"][plume]
        reach = FIRST_PLUME_REACH_DEG if plume == 0 else 180.0
        east = np.where(np.abs(east) > reach, east - np.copysign(360, east), east)
        amount = data["aod_spmx"][plume] * data["year_weight"][plume, counted].mean()
        for feature in range(data["theta"].shape[1]):
            width, height = (
                np.where(east > 0, data[f"sig_{axis}_E"][plume, feature], data[f"sig_{axis}_W"][plume, feature])
                for axis in ("lon", "lat")
            )
            cosine, sine = np.cos(data["theta"][plume, feature]), np.sin(data["theta"][plume, feature])
            along, across = cosine * east + sine * north, cosine * north - sine * east
            shape = np.exp(-0.5 * ((along / width) ** 2 + (across / height) ** 2))
            weekly = data["ann_cycle"][plume, :, feature] * data["ftr_weight"][plume, feature] * amount
            found += np.array([weekly[month == k].mean() for k in range(12)])[:, None, None] * shape
    return found


def joined(turbid: np.ndarray, plumes: np.ndarray, background: float, thinner: np.ndarray) -> np.ndarray:
    """The greater of the two, within the limits."""
    return np.asarray(np.clip(np.maximum(turbid, thinner * (plumes + background)), *LIMITS))


def background_of(turbid: np.ndarray, plumes: np.ndarray, thinner: np.ndarray) -> float:
    """The background that makes the mean of the world and year what it is."""
    weight = np.cos(np.radians(LATITUDES))[:, None] * np.ones(len(LONGITUDES))
    low, high = 0.0, 0.2
    for _ in range(40):
        middle = (low + high) / 2
        mean = np.average(joined(turbid, plumes, middle, thinner).mean(axis=0), weights=weight)
        low, high = (middle, high) if mean < WORLD_MEAN else (low, middle)
    return low


def main() -> int:
    """Read the three sets, write the table."""
    source, target = map(Path, sys.argv[1:3])
    with h5py.File(source / "pvlib/data/LinkeTurbidities.h5") as file:
        turbidity = np.moveaxis(cells(file["LinkeTurbidity"][:] / 20.0), -1, 0)
    with h5py.File(source / "pvlib/data/Altitude.h5") as file:
        steps = file["Altitude"][:]
    altitude = np.maximum(cells(np.where(steps == NO_ALTITUDE, 0.0, steps * 28.0 - 450.0)), 0)
    turbid = turbid_aot(turbidity, water_cm(source / "itur/data"), altitude)
    thinner = np.exp(-altitude / SCALE_HEIGHT_M)
    plumes = source / "jcm/data/bc/SPv2.1_18502023_CMIP7.nc"
    background = background_of(turbid, plumes_aot(plumes, (WORLD_YEAR, WORLD_YEAR)), thinner)
    sys.stdout.write(f"natural background {background:.4f}\n")
    found = joined(turbid, plumes_aot(plumes, YEARS), background, thinner)
    np.savez_compressed(
        target,
        allow_pickle=False,
        aot550_thousandths=np.rint(found * 1000).astype(np.uint16),
        altitude_m=np.rint(altitude).astype(np.int16),
        latitude=LATITUDES,
        longitude=LONGITUDES,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
