"""The door to the geometry: a datastrip's sensor model, from its metadata and its satellite's parameter files."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from shared.errors import BadInputError
from shared.geometry import _inverse, _rays, _terrain, frames
from shared.geometry.datastrip import Datastrip
from shared.geometry.gipp import SpacecraftModel, ViewingDirections, focal_plane, mounting
from shared.geometry.heights import Relief, unwrapped
from shared.geometry.iers import earth_orientation
from shared.geometry.sightline import Platform, Sensor
from shared.msi.instrument import band_named
from shared.msi.tiling import tiles_meeting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from shared.geometry.frames import Floats, Numbers
    from shared.msi.tiling import Tile

QUICKLOOK: Final = "QL"
"""The name under which a Level-0 quicklook's display model is asked for; its detector is 0."""

_LOWEST_M: Final = -500.0
_HIGHEST_M: Final = 9000.0
_MARGIN_DEG: Final = 0.005
_WINDOW_STEP_S: Final = 2.0  # 13 km on ground: the track bends by 4 m between


class Ground(NamedTuple):
    """Places: longitude and latitude, degrees WGS 84; height above the ellipsoid, metres."""

    lon: Floats
    lat: Floats
    height: Floats


class SensorModel:
    """Direct and inverse location of one datastrip.

    Bands are named ``B01`` .. ``B12``, ``B8A`` (or ``QUICKLOOK``), detectors 1 to 12. Lines count from the first of the
    datastrip in that band and detector, columns from the first of the Level-1B image (without blind pixels); positions
    are continuous, 0.5 is the centre of the first. ``lines`` and ``columns`` broadcast; results have their shape.
    ``bridged``: gaps in the ancillary data are filled, and lines beyond them located by extrapolation.
    """

    def __init__(
        self,
        strip: Datastrip,
        viewing: Iterable[ViewingDirections] = (),
        spacecraft: SpacecraftModel | None = None,
        *,
        refined: bool = True,
        bridged: bool = False,
    ) -> None:
        self.strip: Final = strip
        self.platform: Final = Platform(strip, strip.refining if refined else None, bridged=bridged)
        self._viewing: Final = {directions.band: directions for directions in viewing}
        self._spacecraft: Final = spacecraft
        for what, satellite in [(f"GIP_VIEDIR of {v.band}", v.satellite) for v in self._viewing.values()] + (
            [("GIP_SPAMOD", spacecraft.satellite)] if spacecraft else []
        ):
            if satellite != strip.satellite:
                raise BadInputError(f"{what}, SATELLITE", f"{strip.satellite}, as the datastrip", satellite)
        self._sensors: dict[tuple[str, int], Sensor] = {}
        self._states: dict[bytes, tuple[float, float, Floats]] = {}

    @classmethod
    def from_files(
        cls,
        datastrip: Path,
        viewing: Sequence[Path] = (),
        spacecraft: Path | None = None,
        bulletin: Path | None = None,
        *,
        refined: bool = True,
    ) -> SensorModel:
        """Args:
        datastrip: metadata of Level 0, 1A or 1B.
        viewing: GIP_VIEDIR files, one for each band that is asked for.
        spacecraft: the GIP_SPAMOD file.
        bulletin: IERS Bulletin A; without it the values in the datastrip's metadata hold.
        refined: whether the datastrip's refining is applied where there is one.
        """
        strip = Datastrip.read(datastrip)
        if bulletin is not None:
            orientation = earth_orientation(bulletin, (strip.start_ns + strip.stop_ns) // 2)
            strip = dataclasses.replace(strip, orientation=orientation)
        directions = [ViewingDirections.read(file) for file in viewing]
        model = None if spacecraft is None else SpacecraftModel.read(spacecraft)
        return cls(strip, directions, model, refined=refined)

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands whose viewing directions are known."""
        return tuple(sorted(self._viewing))

    @property
    def detectors(self) -> tuple[int, ...]:
        """Detectors that have granules."""
        return tuple(sorted({detector for detector, _ in self.strip.granules.values()}))

    def sensor(self, band: str, detector: int) -> Sensor:
        """One detector in one band; BadInputError says what is missing to locate it."""
        if (band, detector) not in self._sensors:
            made = self._quicklook() if band == QUICKLOOK else self._detector(band, detector)
            self._sensors[band, detector] = made
        return self._sensors[band, detector]

    def _detector(self, band: str, detector: int) -> Sensor:
        name = f"{band}/D{detector:02d}"
        if band not in self._viewing or self._spacecraft is None:
            missing = "its GIP_VIEDIR file" if self._spacecraft else "a GIP_SPAMOD file"
            raise BadInputError(name, missing, list(self._viewing))
        if (band, detector) not in self.strip.first_line_ns:
            raise BadInputError(self.strip.name, f"a Band_Time_Stamp of {name}")
        across, along = self._viewing[band].of(detector, self.strip.tdi.get(band))
        times = band_named(band).resolution // 10
        return Sensor(
            name,
            float(self.platform.seconds((self.strip.first_line_ns[band, detector],))[0]),
            self.strip.line_period_ns * 1e-9 * times,
            self.strip.lines_10m // times,
            np.ascontiguousarray(np.stack([along, -across, np.ones_like(along)], -1)),
            self._table(
                focal_plane(band), self._spacecraft.piloting_to_msi, self._spacecraft.detector_to_msi(band, detector)
            ),
        )

    def _quicklook(self) -> Sensor:
        display = self.strip.quicklook
        if display is None:
            raise BadInputError(self.strip.name, "Quicklook_Info/Display_Geometric_Model")
        across, along = display.tan_psi
        first = float(self.platform.seconds((display.first_line_ns,))[0])
        return Sensor(
            QUICKLOOK,
            first,
            display.line_period_ns * 1e-9,
            display.lines,
            np.ascontiguousarray(np.stack([along, -across, np.ones_like(along)], -1)),
            self._table("VNIR", mounting(display.piloting_to_msi), np.eye(3)),
        )

    def _table(self, plane: str, outer: Floats, inner: Floats) -> tuple[float, float, Floats]:
        """States, computed once for all sensors that are mounted alike."""
        key = plane.encode() + outer.tobytes() + inner.tobytes()
        if key not in self._states:
            self._states[key] = self.platform.states(plane, outer, inner)
        return self._states[key]

    def direct(
        self, band: str, detector: int, lines: Numbers, columns: Numbers, terrain: Relief | Numbers = 0.0
    ) -> Ground:
        """Where lines and columns look.

        Args:
            band: name of the band.
            detector: its number.
            lines: line positions.
            columns: column positions.
            terrain: the ground: elevation tiles, or heights above the ellipsoid in metres.
        """
        sensor = self.sensor(band, detector)
        seconds, columns = np.broadcast_arrays(sensor.covered_seconds(lines), np.asarray(columns, np.float64))
        if not isinstance(terrain, Relief):
            return _at_heights(
                sensor, seconds, columns, np.broadcast_to(np.asarray(terrain, np.float64), seconds.shape)
            )
        if not seconds.size:
            return _at_heights(sensor, seconds, columns, np.zeros(seconds.shape))
        field = terrain.field(*_window(sensor, seconds, columns))
        clock, states = _clock(sensor)
        places = np.empty((seconds.size, 3))
        _terrain.to_terrain(
            states, clock, sensor.looks, _flat(seconds), _flat(columns), field.heights, field.grid, places
        )
        return _ground(places, seconds.shape)

    def inverse(
        self, band: str, detector: int, lon: Numbers, lat: Numbers, height: Relief | Numbers = 0.0
    ) -> tuple[Floats, Floats]:
        """Line and column positions that see places; they may lie outside of the image.

        NaN where the place is seen beyond the ancillary data. ``height`` as ``terrain`` of ``direct``.
        """
        sensor = self.sensor(band, detector)
        lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
        heights = height.at(lon, lat) if isinstance(height, Relief) else np.broadcast_to(height, lon.shape)
        points = frames.to_fixed(lon, lat, heights).reshape(-1, 3)
        clock, states = _clock(sensor)
        found = np.empty((len(points), 2))
        _inverse.invert(states, clock, sensor.looks, np.ascontiguousarray(points), found)
        lines = (found[:, 0] - sensor.first_line_s) / sensor.line_s
        return lines.reshape(lon.shape), found[:, 1].reshape(lon.shape)

    def view_angles(
        self, band: str, detector: int, lines: Numbers, columns: Numbers, terrain: Relief | Numbers = 0.0
    ) -> tuple[Floats, Floats]:
        """Zenith and azimuth, degrees, of the satellite as seen from the ground."""
        sensor = self.sensor(band, detector)
        place = self.direct(band, detector, lines, columns, terrain)
        towards = sensor.positions(sensor.seconds(lines)) - frames.to_fixed(*place)
        return frames.zenith_azimuth(place.lon, place.lat, towards)

    def sun_angles(self, lon: Numbers, lat: Numbers, seconds: Numbers = 0.0) -> tuple[Floats, Floats]:
        """Zenith and azimuth, degrees, of the Sun from places, without refraction.

        ``seconds`` since the middle of the datastrip (``Sensor.seconds`` gives them for lines).
        """
        lon, lat, seconds = np.broadcast_arrays(*(np.asarray(part, np.float64) for part in (lon, lat, seconds)))
        towards = self.platform.rotation.sun(seconds) - frames.to_fixed(lon, lat, np.zeros(lon.shape))
        return frames.zenith_azimuth(lon, lat, towards)

    def footprint(
        self, band: str, detector: int, terrain: Relief | float = 0.0, points: int = 16
    ) -> tuple[Floats, Floats]:
        """Outline of what a detector sees: an open ring of longitudes and latitudes, degrees, ``points`` on each side.

        Longitudes are not wrapped at 180 degrees.
        """
        sensor = self.sensor(band, detector)
        part = np.linspace(0.0, 1.0, points, endpoint=False)
        low, high = np.zeros(points), np.ones(points)
        lines = np.concatenate([part, high, 1 - part, low]) * sensor.lines
        columns = np.concatenate([low, part, high, 1 - part]) * sensor.columns
        if not isinstance(terrain, Relief):
            place = self.direct(band, detector, lines, columns, terrain)
            return unwrapped(place.lon), place.lat
        # Point by point: one window around them all holds far more ground than they stand on.
        found = [
            self.direct(band, detector, line, column, terrain) for line, column in zip(lines, columns, strict=True)
        ]
        return unwrapped(np.array([float(place.lon) for place in found])), np.array([float(p.lat) for p in found])

    def tiles(self, band: str = "B02", terrain: Relief | float = 0.0) -> list[Tile]:
        """Tiles of which some part, overlap included, is seen: by a detector in ``band``, or in the quicklook."""
        detectors = (0,) if band == QUICKLOOK else self.detectors
        rings = (self.footprint(band, detector, terrain) for detector in detectors)
        return sorted({tile for ring in rings for tile in tiles_meeting(*ring)})


def _clock(sensor: Sensor) -> tuple[Floats, Floats]:
    start, step, states = sensor.states
    return np.array([start, step]), states


def _flat(values: Floats) -> Floats:
    return np.array(values, dtype=np.float64).reshape(-1)  # a copy: kernels take no read-only views


def _ground(places: Floats, shape: tuple[int, ...]) -> Ground:
    return Ground(*(places[:, part].reshape(shape) for part in range(3)))


def _at_heights(sensor: Sensor, seconds: Floats, columns: Floats, heights: Floats) -> Ground:
    clock, states = _clock(sensor)
    places = np.empty((seconds.size, 3))
    _rays.to_heights(states, clock, sensor.looks, _flat(seconds), _flat(columns), _flat(heights), places)
    return _ground(places, seconds.shape)


def _window(sensor: Sensor, seconds: Floats, columns: Floats) -> tuple[float, float, float, float]:
    """West, south, east and north of all that the rays cross between the lowest and the highest ground."""
    times = np.linspace(seconds.min(), seconds.max(), 9 + int(np.ptp(seconds) / _WINDOW_STEP_S))
    across = np.linspace(columns.min(), columns.max(), 9)
    grid = np.meshgrid(times, across)
    ends = [_at_heights(sensor, *grid, np.full(grid[0].shape, height)) for height in (_LOWEST_M, _HIGHEST_M)]
    lon = unwrapped(np.concatenate([end.lon.reshape(-1) for end in ends]))
    lat = np.concatenate([end.lat.reshape(-1) for end in ends])
    if not np.isfinite(lon).all():
        raise BadInputError(sensor.name, "lines of sight that meet the Earth")
    margin = _MARGIN_DEG / max(float(np.cos(np.radians(np.abs(lat).max()))), 0.05)
    return (
        float(lon.min()) - margin,
        float(lat.min()) - _MARGIN_DEG,
        float(lon.max()) + margin,
        float(lat.max()) + _MARGIN_DEG,
    )
