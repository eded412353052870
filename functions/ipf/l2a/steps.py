"""The work of one L2A tile as tasks that several processes share; arrays pass between them by the scratch folder.

Names in it: ``<band>_<resolution>`` counts of L1C; ``cloud``, ``cirrus``, ``classes`` and the like as ``inference.py``
makes them; ``AOT``, ``WVP``, ``altitude`` and ``low`` at 60 m; ``beam`` and ``open_sky`` at 20 m where there is an
elevation model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.l2a.air import AirMaps, coefficient_maps
from functions.ipf.l2a.classification import GROUND_BANDS, SceneClass, ground_classes, percent, with_clouds
from functions.ipf.l2a.clouds import MODEL_BANDS, cloud_probability
from functions.ipf.l2a.correction import Around, Correction, Light, surroundings
from functions.ipf.l2a.gaps import complete
from functions.ipf.l2a.images import toa_reflectance, write_band
from functions.ipf.safe.working import OFFSET
from shared.msi.atmosphere import Air, beams
from shared.msi.instrument import band_named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.l2a.air import Sky
    from functions.ipf.l2a.images import Bench, Scaling

    Floats32: TypeAlias = NDArray[np.float32]

STRIP_60M: Final = 120
"""Rows of 60 m that one task classifies."""

CIRRUS_BANDS: Final = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09")
"""Bands whose cirrus reflectance is that of B10: ice is white below 1 micrometre, and absorbs beyond."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What every band's correction needs beside the maps. ``relief`` and ``cirrus``: their maps are there;
    ``adjacency``: light from the surroundings is taken away; ``sides``: directions of even and of odd detectors.
    """

    satellite: str
    scaling: Scaling
    sky: Sky
    ozone: float
    relief: bool
    cirrus: bool
    adjacency: bool = True
    sides: tuple[Sky, Sky] | None = None


def cloud_strip(bench: Bench, scaling: Scaling, first: int, stop: int) -> None:
    """Rows of ``cloud``, the model's probability at 60 m, NaN where too many bands are lost for one."""
    rows = slice(first, stop)
    toa, _, known = complete(MODEL_BANDS, lambda band: toa_reflectance(bench, band, 60, scaling, rows))
    probability = np.where(known, cloud_probability(toa, known), np.float32(np.nan))
    np.load(bench.scratch / "cloud.npy", mmap_mode="r+")[rows] = probability


def class_strip(bench: Bench, scaling: Scaling, first: int, stop: int) -> None:
    """Rows (of 60 m) of ``classes``, ``cloud_percent`` and ``snow_percent`` at 20 m; faults come later.

    No data is where none of the bands has any; where too many are lost for a class, there is data without a class.
    """
    rows = slice(3 * first, 3 * stop)
    wanted = (*GROUND_BANDS, "B10")
    toa, seen, known = complete(wanted, lambda band: toa_reflectance(bench, band, 20, scaling, rows))
    for values in toa.values():
        values[~known] = 0.1
    ground = ground_classes(toa)
    probability = np.repeat(np.repeat(bench.load("smooth_cloud")[first:stop], 3, axis=0), 3, axis=1)
    low = np.repeat(np.repeat(bench.load("low")[first:stop], 3, axis=0), 3, axis=1)
    classes, cloud = with_clouds(ground, probability, toa["B10"], low)
    classes[~known] = SceneClass.UNCLASSIFIED
    classes[~seen] = SceneClass.NODATA
    for name, found in (
        ("classes", classes),
        ("cloud_percent", percent(cloud, known)),
        ("snow_percent", percent(ground.snow, known)),
    ):
        np.load(bench.scratch / f"{name}.npy", mmap_mode="r+")[rows] = found


def correct_band(bench: Bench, band: str, recipe: Recipe) -> float:
    """Correct a band at its own resolution and write it wherever the product holds it.

    Returns:
        The percentage of its pixels whose surface reflectance is below 0.
    """
    native = band_named(band).resolution
    seen = below = 0

    def counted() -> Iterator[tuple[int, NDArray[np.uint16]]]:
        nonlocal seen, below
        how = correction(bench, band, recipe)
        for first, strip in how.strips(bench.extent(native).shape, partial(bench.rows, f"{band}_{native}")):
            valid = int(np.count_nonzero(strip))
            seen += valid
            below += int(np.count_nonzero(strip < OFFSET)) - (strip.size - valid)
            yield first, strip

    write_band(bench, band, counted())
    return 100.0 * below / max(seen, 1)


def correction(bench: Bench, band: str, recipe: Recipe) -> Correction:
    """How the band's counts become surface reflectance, from the maps in the scratch folder."""
    air = _air(bench, recipe)
    path, through, albedo = _coefficients(bench, band, recipe, air)
    scale, offset = recipe.scaling.quantification, recipe.scaling.offsets[band]
    cirrus = bench.load("cirrus") * np.float32(scale) if recipe.cirrus and band in CIRRUS_BANDS else None
    gain = np.asarray(1 / (scale * through), np.float32)
    flat = Correction(gain, np.asarray((offset / scale - path) / through, np.float32), albedo, cirrus=cirrus)
    return lit(flat, bench, band, recipe, air)


def _coefficients(bench: Bench, band: str, recipe: Recipe, air: AirMaps) -> tuple[Floats32, Floats32, Floats32]:
    """By the directions of the detector that saw, where the masks tell it, else by their mean."""
    if recipe.sides is None or not (bench.scratch / f"detector_{band}.npy").is_file():
        return coefficient_maps(band, recipe.satellite, (recipe.sky,), air)
    parity = np.asarray(bench.load(f"detector_{band}") % 2, np.uint8)
    return coefficient_maps(band, recipe.satellite, recipe.sides, air, parity)


def _air(bench: Bench, recipe: Recipe) -> AirMaps:
    aot, water, altitude = (np.array(bench.load(name), np.float32) for name in ("AOT", "WVP", "altitude"))
    return AirMaps(aot, water, altitude, recipe.ozone)


def lit(flat: Correction, bench: Bench, band: str, recipe: Recipe, air: AirMaps) -> Correction:
    """The correction with the ground's surroundings, and its slopes where they are known."""
    counts = bench.load(f"{band}_60")
    valid = counts > 0
    if not valid.any():
        return flat
    ground = flat.reflectance(counts)
    mean = Air(float(air.aot.mean()), float(air.water_cm.mean()), float(air.altitude_km.mean()), recipe.ozone)
    sun, view = float(np.mean(recipe.sky.sun_zenith)), float(np.mean(recipe.sky.views[band][0]))
    straight = beams(band, sun, view, mean, recipe.satellite)
    around = None
    if recipe.adjacency:
        around = Around(surroundings(ground, valid, straight.aerosol), (1 - straight.up) / straight.up)
    light = None
    if recipe.relief:
        direct = straight.down + (1 - straight.down) * straight.sun
        sky = (1 - straight.down) * (1 - straight.sun)
        light = Light(bench.load("beam"), bench.load("open_sky"), direct, sky, max(float(ground[valid].mean()), 0.0))
    return Correction(flat.gain, flat.offset, flat.albedo, light, around, flat.cirrus)


def cirrus_map(bench: Bench, recipe: Recipe) -> Floats32:
    """Reflectance of thin cirrus at 60 m: B10 less what ground of reflectance 0.3 would show there, from 0.008 on."""
    air = _air(bench, recipe)
    path, through, _ = coefficient_maps("B10", recipe.satellite, (recipe.sky,), air)
    seen = np.nan_to_num(toa_reflectance(bench, "B10", 60, recipe.scaling), nan=0.0)
    above = np.asarray(seen - path - np.float32(0.3) * through, np.float32)
    return np.asarray(above * np.clip((above - 0.008) / 0.004, 0, 1), np.float32)
