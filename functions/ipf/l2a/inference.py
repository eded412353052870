"""What a tile's pixels say: classes, shadows, water vapour, aerosol. The maps go to the scratch folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from functions.ipf.l2a.classification import CLOUDS, NOT_CLEAR, SceneClass, smoothed
from functions.ipf.l2a.correction import SATURATED
from functions.ipf.l2a.gaps import complete
from functions.ipf.l2a.images import Bench, toa_reflectance
from functions.ipf.l2a.masks import bad_pixels
from functions.ipf.l2a.retrieval import (
    DEFAULT_WATER_CM,
    Aerosol,
    Bands60,
    dark_vegetation,
    forecast_aerosol,
    water_vapour,
)
from functions.ipf.l2a.shadows import cloud_shadow, dark_ground, shift_per_metre
from functions.ipf.l2a.steps import STRIP_60M, cirrus_map, class_strip, cloud_strip
from functions.ipf.safe.jp2 import write_jp2
from shared.errors import BadInputError
from shared.msi.atmosphere import Air
from shared.msi.instrument import BANDS
from shared.msi.tiling import tile

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.l2a.images import Scaling
    from functions.ipf.l2a.scene import Scene
    from functions.ipf.l2a.source import Level1C

    Floats32: TypeAlias = NDArray[np.float32]
    Mask: TypeAlias = NDArray[np.bool_]

_CIRRUS_SHARE: Final = 0.001
"""Of the pixels, thin cirrus from which it is corrected."""


@dataclass(frozen=True, slots=True)
class Found:
    """Aerosol (the tile's mean, and how it was found), mean water vapour, and whether cirrus is corrected."""

    aerosol: Aerosol
    water_cm: float
    cirrus: bool


def classify(bench: Bench, source: Level1C, scene: Scene, pool: Executor) -> list[str]:
    """Make ``classes``, ``cloud_percent``, ``snow_percent`` at 20 m, and write the images and masks of them.

    Returns:
        A sentence for each mask of the product that cannot be read.
    """
    rows, columns = bench.block.shape
    _new(bench, "cloud", (rows, columns), np.float32)
    for name in ("classes", "cloud_percent", "snow_percent"):
        _new(bench, name, (3 * rows, 3 * columns), np.uint8)
    _strips(pool, cloud_strip, bench, scene)
    cloud = bench.load("cloud")
    bench.save("smooth_cloud", smoothed(cloud, np.isfinite(cloud)))
    _strips(pool, class_strip, bench, scene)
    classes = np.array(bench.load("classes"))
    _shade(bench, scene, classes)
    seen = classes != SceneClass.NODATA
    faulty, remarks = _faulty(bench, source)
    classes[faulty & seen] = SceneClass.SATURATED_DEFECTIVE
    bench.save("classes", classes)
    _write_classes(bench, classes)
    return remarks


def _new(bench: Bench, name: str, shape: tuple[int, int], kind: type[np.generic]) -> None:
    np.lib.format.open_memmap(bench.scratch / f"{name}.npy", "w+", np.dtype(kind), shape).flush()


def _strips(pool: Executor, task: Callable[[Bench, Scaling, int, int], None], bench: Bench, scene: Scene) -> None:
    rows = bench.block.shape[0]
    firsts = range(0, rows, STRIP_60M)
    for future in [pool.submit(task, bench, scene.scaling, k, min(k + STRIP_60M, rows)) for k in firsts]:
        future.result()


def _shade(bench: Bench, scene: Scene, classes: NDArray[np.uint8]) -> None:
    """Shadows of clouds, found at 60 m, and of terrain; water stays water."""
    small = np.ascontiguousarray(classes[1::3, 1::3])
    cloudy = np.isin(small, CLOUDS)
    valid = small != SceneClass.NODATA
    clear = valid & ~cloudy & ~np.isin(small, [SceneClass.WATER, SceneClass.SNOW_ICE])
    toa, _, _ = complete(("B8A", "B11"), lambda band: toa_reflectance(bench, band, 60, scene.scaling))
    nir, swir = (np.nan_to_num(toa[band], nan=1.0) for band in ("B8A", "B11"))
    sun, view = (
        (float(np.mean(zenith)), _mean_azimuth(azimuth))
        for zenith, azimuth in ((scene.sky.sun_zenith, scene.sky.sun_azimuth), scene.sky.views["B8A"])
    )
    dark = dark_ground(nir, swir, clear) & (small != SceneClass.WATER)
    shadow = cloud_shadow(cloudy, dark, valid, shift_per_metre(sun, view))
    wide = np.repeat(np.repeat(shadow, 3, axis=0), 3, axis=1)
    kept = np.isin(classes, [*CLOUDS, SceneClass.NODATA, SceneClass.WATER, SceneClass.SNOW_ICE])
    classes[wide & ~kept] = SceneClass.CLOUD_SHADOW
    if scene.relief:
        classes[(bench.load("beam") <= 0) & ~kept & ~wide] = SceneClass.DARK_FEATURE_SHADOW


def _mean_azimuth(azimuth: NDArray[np.float64]) -> float:
    turn = np.radians(azimuth)
    return float(np.degrees(np.arctan2(np.sin(turn).mean(), np.cos(turn).mean())))


def _faulty(bench: Bench, source: Level1C) -> tuple[Mask, list[str]]:
    """Saturated or defective pixels at 20 m, in any band, by their counts and by the product's masks; and a sentence
    for each mask that cannot be read.
    """
    remarks = []
    rows, columns = bench.extent(20).shape
    found = np.zeros((rows, columns), bool)
    for band in BANDS:
        native = max(band.resolution, 20)
        full = bench.load(f"{band.name}_{native}") == SATURATED
        if full.any():
            step = native // 20
            found |= np.repeat(np.repeat(full, step, axis=0), step, axis=1)
        try:
            bad = bad_pixels(source.granule_folder, band.name, source.tile, bench.extent(20))
        except BadInputError as error:
            remarks.append(f"{error}; not used")
            continue
        if bad is not None:
            found |= bad
    return found, remarks


def _write_classes(bench: Bench, classes: NDArray[np.uint8]) -> None:
    """SCL and the probabilities, at 20 m and, from the middle of three by three pixels, at 60 m."""
    target = tile(bench.names.tile)
    for resolution, step in ((20, slice(None)), (60, slice(1, None, 3))):
        bench.write("SCL", resolution, np.ascontiguousarray(classes[step, step]))
        for kind, name in (("CLDPRB", "cloud_percent"), ("SNWPRB", "snow_percent")):
            path = bench.safe / bench.names.mask(f"{kind}_{resolution}m")
            pixels = np.ascontiguousarray(bench.load(name)[step, step])
            write_jp2(path, pixels, target, resolution, bench.extent(resolution))


def retrieve(bench: Bench, scene: Scene) -> Found:
    """Make ``AOT`` and ``WVP`` at 60 m, and ``cirrus`` where there is some to correct."""
    classes = bench.load("classes")
    hidden = np.isin(classes, NOT_CLEAR).astype(np.uint8)
    rows, columns = bench.block.shape
    clear = np.asarray(cv2.resize(hidden, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8) == 0
    clear &= hidden[1::3, 1::3] == 0
    toa = {band: toa_reflectance(bench, band, 60, scene.scaling) for band in ("B02", "B04", "B8A", "B09", "B12")}
    known = {band: np.isfinite(values) for band, values in toa.items()}
    moist = clear & known["B8A"] & known["B09"]
    clear = np.logical_and.reduce([clear, *known.values()])
    toa = {band: np.nan_to_num(values, nan=0.1) for band, values in toa.items()}
    aot = scene.usual_aot
    if scene.forecast_aot is not None:
        aot = forecast_aerosol(scene.forecast_aot, scene.forecast_km, scene.ground_km)
    first = float(aot.mean())
    water = water_vapour(
        Bands60(toa, moist), scene.satellite, scene.sky, scene.altitude_km, first, scene.forecast_water_cm
    )
    if scene.forecast_aot is not None:
        aerosol = Aerosol(first, "CAMS", "forecast")
    else:
        middle = float(np.median(water[clear])) if clear.any() else DEFAULT_WATER_CM
        usual = Air(first, middle, float(scene.altitude_km.mean()))
        aerosol = dark_vegetation(Bands60(toa, clear), scene.satellite, scene.sky, usual)
        if aerosol.method == "DDV":
            aot = np.full((rows, columns), aerosol.aot550, np.float32)
    bench.save("AOT", aot)
    bench.save("WVP", water)
    thin = float(np.mean(classes == SceneClass.THIN_CIRRUS)) >= _CIRRUS_SHARE
    if thin:
        bench.save("cirrus", cirrus_map(bench, scene.recipe(cirrus=True)))
    valid = bench.load("B02_60") > 0
    mean = float(water[valid].mean()) if valid.any() else float(water.mean())
    return Found(aerosol, mean, thin)
