"""Crops of real L1C and L2A products side by side, and the correction of one by the service's own code.

The crops carry no date. Of the Sun only its declination is therefore unknown: at the latitude and the local solar time
at which Sentinel-2 passes, it gives zenith and azimuth; and the climatology of aerosol is that of the whole year.
Everything else is as for any product.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer

from functions.ipf.l2a.air import Sky
from functions.ipf.l2a.climatology import usual_aerosol
from functions.ipf.l2a.images import Bench, Scaling, area_mean, toa_reflectance
from functions.ipf.l2a.retrieval import Aerosol, Bands60, dark_vegetation, forecast_aerosol, water_vapour
from functions.ipf.l2a.steps import Recipe, correction
from functions.ipf.l2a.terrain import relief
from functions.ipf.safe.jp2 import Extent
from shared.msi.atmosphere import Air
from shared.msi.instrument import BANDS

SIDE = 222
"""Pixels of 10 m that are whole pixels of 60 m, of the crops' 224."""

OFFSETS = {"282D": (1000, 0), "38D": (0, 0), "433D": (1000, 1000)}
"""Of the counts of L1C and of L2A, from the data's own description."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Reflectance by band at its own resolution: at the top of the atmosphere, and ESA's at the surface; elevation."""

    toa: dict[str, Floats]
    surface: dict[str, Floats]
    elevation: NDArray[np.float32]
    latitude: float
    longitude: float


def load(data: Path, key: str) -> Pair:
    """The crop whose name begins with ``key``."""
    (name,) = (path.name for path in (data / "l1c_l2a_pairs" / "S2L1C").glob(f"{key}_*.tif"))
    with rasterio.open(data / "l1c_l2a_pairs" / "S2L1C" / name) as file:
        top = file.read().astype(np.float64)
        corner, crs = file.transform, file.crs
    with rasterio.open(data / "l1c_l2a_pairs" / "S2L2A" / name) as file:
        ground = file.read().astype(np.float64)
    with rasterio.open(data / "l1c_l2a_pairs" / "DEM" / name) as file:
        elevation = file.read(1).astype(np.float32)[:SIDE, :SIDE]
    offset, ground_offset = OFFSETS[key]
    longitude, latitude = Transformer.from_crs(crs, 4326, always_xy=True).transform(corner.c, corner.f)
    held = [band for band in BANDS if band.name != "B10"]
    return Pair(
        {b.name: own_pixels((layer - offset) / 10_000, b.resolution) for b, layer in zip(BANDS, top, strict=True)},
        {b.name: own_pixels((v - ground_offset) / 10_000, b.resolution) for b, v in zip(held, ground, strict=True)},
        elevation,
        latitude,
        longitude,
    )


def own_pixels(layer: Floats, resolution: int) -> Floats:
    """Area means of a band that was stretched to 10 m."""
    k, n = resolution // 10, SIDE * 10 // resolution
    return np.asarray(layer[:SIDE, :SIDE].reshape(n, k, n, k).mean(axis=(1, 3)), np.float64)


def sun_at(latitude: float, declination: float) -> tuple[float, float]:
    """Zenith and azimuth in degrees as Sentinel-2 passes: 10:30 mean solar time at the descending node, inclination
    98.6 degrees.
    """
    hour = np.radians((10.5 + np.degrees(np.arcsin(np.tan(np.radians(latitude)) / 6.64)) / 15 - 12) * 15)
    lat, dec = np.radians(latitude), np.radians(declination)
    up = np.sin(lat) * np.sin(dec) + np.cos(lat) * np.cos(dec) * np.cos(hour)
    east = -np.cos(dec) * np.sin(hour)
    north = np.cos(lat) * np.sin(dec) - np.sin(lat) * np.cos(dec) * np.cos(hour)
    return float(np.degrees(np.arccos(up))), float(np.degrees(np.arctan2(east, north)) % 360)


def correct(scratch: Path, pair: Pair, declination: float, *, terrain: bool = True) -> tuple[dict[str, float], Aerosol]:
    """Root mean square of ours less ESA's by band, and the aerosol that was found."""
    cells = SIDE // 6
    bench = Bench(None, scratch, scratch, Extent(0, 0, cells, cells))  # type: ignore[arg-type]  # no product is written
    for band in BANDS:
        counts = np.clip(np.rint(pair.toa[band.name] * 10_000 + 1000), 1, 65_535).astype(np.uint16)
        bench.save(f"{band.name}_{band.resolution}", counts)
        for coarse in (20, 60):
            if coarse > band.resolution:
                bench.save(f"{band.name}_{coarse}", area_mean(counts, coarse // band.resolution))
    zenith, azimuth = (np.full((2, 2), angle) for angle in sun_at(pair.latitude, declination))
    views = {band.name: (np.full((2, 2), 5.0), np.full((2, 2), 100.0)) for band in BANDS}
    recipe = Recipe(
        "S2A",
        Scaling(10_000, {band.name: -1000.0 for band in BANDS}),
        Sky(zenith, azimuth, views),
        0.33,
        relief=terrain and float(np.ptp(pair.elevation)) > 1,
        cirrus=False,
    )
    found = _retrieve(bench, pair, recipe, cells)
    errors = {}
    for band in BANDS:
        if band.name != "B10":
            counts = correction(bench, band.name, recipe).apply(bench.load(f"{band.name}_{band.resolution}"))
            difference = (counts.astype(np.float64) - 1000) / 10_000 - pair.surface[band.name]
            errors[band.name] = float(np.sqrt((difference**2).mean()))
    return errors, found


def _retrieve(bench: Bench, pair: Pair, recipe: Recipe, cells: int) -> Aerosol:
    """The maps that the correction reads."""
    altitude = np.asarray(cv2.resize(pair.elevation / 1000, (cells, cells), interpolation=cv2.INTER_AREA), np.float32)
    bench.save("altitude", altitude)
    if recipe.relief:
        at_20m = np.asarray(
            cv2.resize(pair.elevation, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA), np.float32
        )
        sun = (float(recipe.sky.sun_zenith[0, 0]), float(recipe.sky.sun_azimuth[0, 0]))
        slopes = relief(at_20m, *sun)
        bench.save("beam", slopes.beam)
        bench.save("open_sky", slopes.open_sky)
    names = ("B02", "B03", "B04", "B8A", "B09", "B11", "B12")
    toa = {name: toa_reflectance(bench, name, 60, recipe.scaling) for name in names}
    seen = Bands60(toa, (toa["B03"] - toa["B11"]) / (toa["B03"] + toa["B11"]) < 0.1)  # no water
    usual = usual_aerosol(pair.longitude, pair.latitude, None)
    aot = forecast_aerosol(np.full_like(altitude, usual.aot550), np.full_like(altitude, usual.ground_km), altitude)
    first = float(aot.mean())
    water = water_vapour(seen, recipe.satellite, recipe.sky, altitude, first, None)
    middle = float(np.median(water[seen.clear]))
    aerosol = dark_vegetation(seen, recipe.satellite, recipe.sky, Air(first, middle, float(altitude.mean())))
    if aerosol.method == "DDV":
        aot = np.full_like(altitude, aerosol.aot550)
    bench.save("AOT", aot)
    bench.save("WVP", water)
    return aerosol
