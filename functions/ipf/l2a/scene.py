"""What is known of a tile before its pixels speak: directions, terrain, forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from pyproj import Transformer

from functions.ipf.l2a.air import Sky, spread
from functions.ipf.l2a.climatology import usual_aerosol
from functions.ipf.l2a.detectors import detectors
from functions.ipf.l2a.retrieval import WATER_SCALE_KM, forecast_aerosol
from functions.ipf.l2a.sky import node_grid, sky_over
from functions.ipf.l2a.steps import Recipe
from functions.ipf.l2a.terrain import files_over, read_altitude, relief
from functions.ipf.safe.angles import STEP_M
from shared.errors import BadInputError
from shared.msi.atmosphere import OZONE_CM_ATM
from shared.msi.instrument import BANDS
from shared.msi.tiling import to_degrees

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.l2a.ancillary import Field, Forecast
    from functions.ipf.l2a.images import Bench, Scaling
    from functions.ipf.l2a.source import Level1C

    Floats: TypeAlias = NDArray[np.float64]
    Floats32: TypeAlias = NDArray[np.float32]

_KM_PER_HPA: Final = 0.00832
"""Altitude that lowers the pressure by 1 hPa, near sea level."""
_FLAT_M: Final = 1.0
_LOW_KM: Final = 1.5
"""Ground below has enough water vapour above it that snow reflects less than 0.035 in B10."""
_LOWEST_SUN_DEG: Final = 81.0
"""Sun zenith at which the atmosphere's table ends."""
_NO_ADJACENCY: Final = "L2A: the order asked for no adjacency correction."


@dataclass(frozen=True, slots=True)
class Scene:
    """Directions (of all detectors; of the even and odd ones), and the maps at 60 m that forecasts and terrain give:
    ``forecast_aot`` with the altitude in km of its ground, ``forecast_water_cm``, each None without a forecast;
    ``usual_aot``, the climatology's, above the real ground, or above the climatology's own where that is not known.
    ``altitude_km`` is what the table takes; ``unread`` has a sentence for each mask that cannot be read.
    """

    satellite: str
    scaling: Scaling
    sky: Sky
    sides: tuple[Sky, Sky]
    altitude_km: Floats32
    ground_km: Floats32
    relief: bool
    adjacency: bool
    usual_aot: Floats32
    forecast_aot: Floats32 | None
    forecast_km: Floats32
    forecast_water_cm: Floats32 | None
    ozone: float
    ozone_source: str
    terrain_files: tuple[str, ...]
    remarks: tuple[str, ...]
    unread: tuple[str, ...]
    simplifications: tuple[str, ...]

    def recipe(self, *, cirrus: bool) -> Recipe:
        return Recipe(
            *(self.satellite, self.scaling, self.sky, self.ozone, self.relief, cirrus, self.adjacency, self.sides)
        )


def prepare(
    bench: Bench,
    source: Level1C,
    scaling: Scaling,
    forecast: Forecast,
    elevations: Sequence[Path],
    *,
    adjacency: bool,
) -> Scene:
    """The scene; ``altitude``, ``low`` and, over relief, ``beam`` and ``open_sky`` go to the scratch folder."""
    block = bench.block
    sky = sky_over(source.angles, block)
    near = files_over(elevations, source.tile, bench.extent(20))
    metres = read_altitude(near, source.tile, bench.extent(20)) if near else None
    uneven = metres is not None and float(metres.max() - metres.min()) > _FLAT_M
    ground_km = np.zeros(block.shape, np.float32)
    if metres is not None:
        ground_km = np.asarray(cv2.resize(metres / 1000, block.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
    if metres is not None and uneven:
        found = relief(metres, spread(sky.sun_zenith, metres.shape), _azimuths(sky, metres.shape))
        bench.save("beam", found.beam)
        bench.save("open_sky", found.open_sky)
    lon, lat = _node_degrees(source, bench)

    def mapped(field: Field | None) -> Floats32 | None:
        return None if field is None else spread(field.at(lon, lat), block.shape)

    heavier = mapped(forecast.sea_level_hpa)
    altitude = ground_km if heavier is None else ground_km - np.float32(_KM_PER_HPA) * (heavier - np.float32(1013.25))
    altitude = np.maximum(altitude, np.float32(0)).astype(np.float32)
    bench.save("altitude", altitude)
    unread = _save_detectors(bench, source)
    bench.save("low", (ground_km < _LOW_KM) & (metres is not None))
    ozone = forecast.ozone_cm_atm
    forecast_ground = mapped(forecast.ground_m)
    forecast_km = ground_km if forecast_ground is None else forecast_ground / np.float32(1000)
    moist = mapped(forecast.water_cm)
    if moist is not None:
        moist = np.asarray(moist * np.exp((forecast_km - ground_km) / np.float32(WATER_SCALE_KM)), np.float32)
    return Scene(
        satellite=source.acquisition.satellite,
        scaling=scaling,
        sky=sky,
        sides=(sky_over(source.angles, block, 0), sky_over(source.angles, block, 1)),
        altitude_km=altitude,
        ground_km=ground_km,
        relief=uneven,
        adjacency=adjacency,
        usual_aot=_usual_aot(source, block.shape, None if metres is None else ground_km),
        forecast_aot=mapped(forecast.aot),
        forecast_km=forecast_km,
        forecast_water_cm=moist,
        ozone=OZONE_CM_ATM if ozone is None else float(ozone.at(lon, lat).mean()),
        ozone_source="CONFIG" if ozone is None else "AUX_ECMWFT",
        terrain_files=tuple(path.name for path in near) if metres is not None else (),
        remarks=_remarks(forecast, elevations, near, metres),
        unread=tuple(unread),
        simplifications=(
            *_simplifications(forecast, metres),
            *low_sun(float(sky.sun_zenith.max())),
            *([] if adjacency else [_NO_ADJACENCY]),
        ),
    )


def _usual_aot(source: Level1C, shape: tuple[int, int], ground_km: Floats32 | None) -> Floats32:
    """The climatology's aerosol at the tile's centre and the time of sensing, above the ground where that is known."""
    west, south, east, north = source.tile.bounds
    lon, lat = to_degrees(source.tile.epsg, (west + east) / 2, (south + north) / 2)
    usual = usual_aerosol(float(lon), float(lat), source.acquisition.tile_sensing)
    own = np.full(shape, usual.ground_km, np.float32)
    return forecast_aerosol(np.full(shape, usual.aot550, np.float32), own, own if ground_km is None else ground_km)


def _save_detectors(bench: Bench, source: Level1C) -> list[str]:
    """``detector_<band>`` for each band of which a mask tells it; a sentence for each mask that cannot be read."""
    remarks = []
    for band in BANDS:
        try:
            found = detectors(source.granule_folder, band.name, bench.block)
        except BadInputError as error:
            remarks.append(f"{error}; the band's mean direction is taken")
            continue
        if found is not None:
            bench.save(f"detector_{band.name}", found)
    return remarks


def _remarks(
    forecast: Forecast, elevations: Sequence[Path], near: Sequence[Path], metres: Floats32 | None
) -> tuple[str, ...]:
    terrain = "no elevation model is given: flat ground at sea level"
    if metres is not None:
        terrain = f"terrain of {float(metres.min()):.0f} to {float(metres.max()):.0f} m from {len(near)} files"
    elif elevations:
        terrain = f"{len(elevations)} elevation files, none of which meets the tile: flat ground at sea level"
    return terrain, f"forecasts: {', '.join(forecast.files) or 'none'}"


def _simplifications(forecast: Forecast, metres: Floats32 | None) -> tuple[str, ...]:
    found = []
    if metres is None:
        found.append("L2A: no elevation model was given: flat ground at sea level, no terrain correction.")
    if forecast.aot is None:
        found.append("L2A: no aerosol forecast was given: from dark vegetation, or as is usual there (climatology).")
    if forecast.ozone_cm_atm is None:
        found.append("L2A: no weather forecast was given: ozone 330 DU, standard pressure.")
    return tuple(found)


def low_sun(zenith_deg: float) -> tuple[str, ...]:
    """What is to be said of a tile whose Sun stands lower than the table knows."""
    if zenith_deg <= _LOWEST_SUN_DEG:
        return ()
    return (
        f"L2A: the Sun's zenith is up to {zenith_deg:.1f} degrees; the atmosphere is that of {_LOWEST_SUN_DEG:.0f}.",
    )


def _azimuths(sky: Sky, shape: tuple[int, ...]) -> Floats32:
    """The Sun's azimuth at the pixels of 20 m; unwrapped, so that it may be interpolated."""
    wide = (shape[0], shape[1])
    turns = np.unwrap(np.unwrap(np.radians(sky.sun_azimuth), axis=0), axis=1)
    return np.asarray(spread(np.degrees(turns), wide), np.float32)


def _node_degrees(source: Level1C, bench: Bench) -> tuple[Floats, Floats]:
    y, x = node_grid(bench.block)
    back = Transformer.from_crs(source.tile.epsg, 4326, always_xy=True)
    lon, lat = back.transform(source.tile.ulx + x * STEP_M, source.tile.uly - y * STEP_M)
    return np.asarray(lon, np.float64), np.asarray(lat, np.float64)
