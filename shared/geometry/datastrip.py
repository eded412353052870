"""What a datastrip's metadata (Level 0, 1A or 1B, PSD 14 and 15) say of its geometry, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BadInputError
from shared.geometry.fields import Fields
from shared.geometry.frames import EarthOrientation
from shared.geometry.refining import Quicklook, Refining
from shared.msi.instrument import BANDS, DETECTORS, band_named

if TYPE_CHECKING:
    from pathlib import Path

    from shared.geometry.frames import Floats

_ROOTS: Final = {f"Level-{level}_DataStrip_ID": level for level in ("0", "1A", "1B")}
_ANCILLARY: Final = "Satellite_Ancillary_Data_Info"
_MOST_LINES: Final = 2304 * 2000
_GEOCENTRIC_M: Final = (6_500_000.0, 8_000_000.0)
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Datastrip:
    """Geometry of one datastrip; GPS times are nanoseconds since 1980-01-06.

    Attributes:
        name: the metadata file's name, for messages.
        level: ``0``, ``1A`` or ``1B``.
        satellite: ``S2A`` and so on.
        start_ns, stop_ns: sensing, GPS nanoseconds.
        line_period_ns: of a 10 m band.
        first_line_ns: when line 1 of each (band name, detector) begins; what the metadata do not name is absent.
        positions_ns, positions, velocities: GPS points, Earth-fixed m and m/s.
        attitudes_ns, quaternions: (x, y, z, w), body to EME2000.
        granules: (detector, first line counted from 0 in 10 m lines), by granule identifier.
        scenes: of 2304 lines of 10 m, of the longest detector.
    """

    name: str
    level: str
    satellite: str
    start_ns: int
    stop_ns: int
    orientation: EarthOrientation
    line_period_ns: float
    first_line_ns: dict[tuple[str, int], int]
    positions_ns: tuple[int, ...]
    positions: Floats
    velocities: Floats
    attitudes_ns: tuple[int, ...]
    quaternions: Floats
    tdi: dict[str, str]
    granules: dict[str, tuple[int, int]]
    refining: Refining | None
    quicklook: Quicklook | None

    @property
    def lines_10m(self) -> int:
        """Lines of a 10 m band, all granules together."""
        return max(first for _, first in self.granules.values()) + 2304

    @classmethod
    def read(cls, file: Path) -> Datastrip:
        """The geometry in a datastrip's metadata file; BadInputError names the field that is absent or wrong."""
        root, level = _document(file)
        orientation = orientation_in(root.one("Auxiliary_Data_Info/IERS_Bulletin"))
        leap = orientation.gps_minus_utc * _NS
        times = root.one("General_Info/Datastrip_Time_Info")
        start, stop = (times.instant(f"DATASTRIP_SENSING_{end}") + leap for end in ("START", "STOP"))
        if not 0 < stop - start < 7200 * _NS:
            raise times.refuse("a sensing stop up to two hours after its start", (stop - start) / _NS)
        stamps = root.one("Image_Data_Info/Sensor_Configuration/Time_Stamp")
        period = stamps.number("LINE_PERIOD", lambda ms: 1.0 < ms < 2.5, "1 to 2.5 ms")
        stamps.unit("LINE_PERIOD", "ms")
        positions_ns, positions, velocities = _gps_points(root)
        attitudes_ns, quaternions = _attitudes(root)
        return cls(
            file.name,
            level,
            _satellite(root),
            start,
            stop,
            orientation,
            period * 1e6,
            _first_lines(stamps, period * 1e6),
            positions_ns,
            positions,
            velocities,
            attitudes_ns,
            quaternions,
            _tdi(root),
            _granules(root),
            Refining.read(root),
            Quicklook.read(root),
        )


def _document(file: Path) -> tuple[Fields, str]:
    for name, level in _ROOTS.items():
        try:
            return Fields.read(file, name), level
        except BadInputError as error:
            if not error.expected.startswith("root element"):
                raise
    raise BadInputError(file.name, f"a root element of {', '.join(_ROOTS)}")


def _satellite(root: Fields) -> str:
    info = root.one("General_Info/Datatake_Info")
    name = info.text("SPACECRAFT_NAME")
    if len(name) != 11 or not name.startswith("Sentinel-2") or not "A" <= name[-1] <= "D":
        raise info.one("SPACECRAFT_NAME").refuse("Sentinel-2A to Sentinel-2D", name)
    return f"S2{name[-1]}"


def orientation_in(bulletin: Fields) -> EarthOrientation:
    """Earth orientation in an element ``IERS_Bulletin``."""
    for name, unit in (("UT1_UTC", "s"), ("GPS_TIME_UTC", "s"), ("POLE_U_ANGLE", "arcsec"), ("POLE_V_ANGLE", "arcsec")):
        bulletin.unit(name, unit)
    return EarthOrientation(
        bulletin.number("UT1_UTC", lambda s: abs(s) < 1.0, "less than 1 s either way"),
        bulletin.number("POLE_U_ANGLE", lambda a: abs(a) < 2.0, "less than 2 arc seconds either way"),
        bulletin.number("POLE_V_ANGLE", lambda a: abs(a) < 2.0, "less than 2 arc seconds either way"),
        bulletin.integer("GPS_TIME_UTC", 0, 60),
    )


def _first_lines(stamps: Fields, line_period_ns: float) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = {}
    for band in stamps.all("Band_Time_Stamp"):
        name = _band(band)
        for entry in band.all("Detector"):
            reference = entry.integer("REFERENCE_LINE", 0, _MOST_LINES)
            # In 10 m lines, 0 meaning the first as well: so Sen2VM reads it. Datastrips in operation have 1.
            passed = max(reference * 10 / band_named(name).resolution, 1.0) - 1.0 if reference > 1 else 0.0
            period_ns = line_period_ns * (band_named(name).resolution // 10)
            found[name, _detector(entry)] = entry.instant("GPS_TIME") - round(passed * period_ns)
    return found


def _band(entry: Fields) -> str:
    number = entry.attribute("bandId")
    if not number.isascii() or not number.isdigit() or int(number[:4]) >= len(BANDS):
        raise entry.refuse("a bandId from 0 to 12", number)
    return BANDS[int(number)].name


def _detector(entry: Fields) -> int:
    number = entry.attribute("detectorId")
    if not number.isascii() or not number.isdigit() or int(number[:4]) not in DETECTORS:
        raise entry.refuse("a detectorId from 01 to 12", number)
    return int(number)


def _gps_points(root: Fields) -> tuple[tuple[int, ...], Floats, Floats]:
    """Sorted by time; of two with one time the first is kept."""
    points: dict[int, tuple[Floats, Floats]] = {}
    for point in root.all(f"{_ANCILLARY}/Ephemeris/GPS_Points_List/GPS_Point"):
        point.unit("POSITION_VALUES", "mm")
        point.unit("VELOCITY_VALUES", "mm/s")
        position, velocity = (point.numbers(f"{kind}_VALUES", 3) * 1e-3 for kind in ("POSITION", "VELOCITY"))
        if not _GEOCENTRIC_M[0] < np.linalg.norm(position) < _GEOCENTRIC_M[1]:
            raise point.refuse("POSITION_VALUES 6500 to 8000 km from the Earth's centre", position.tolist())
        points.setdefault(point.instant("GPS_TIME"), (position, velocity))
    times = tuple(sorted(points))
    return times, np.array([points[t][0] for t in times]), np.array([points[t][1] for t in times])


def _attitudes(root: Fields) -> tuple[tuple[int, ...], Floats]:
    """Sorted by time; those not valid are left out, of two with one time the first is kept."""
    samples: dict[int, Floats] = {}
    list_ = root.one(f"{_ANCILLARY}/Attitudes/Corrected_Attitudes")
    for values in list_.all("Values"):
        if (flag := values.find("QUATERNION_VALIDITY")) is not None and flag.text() == "false":
            continue
        quaternion = values.numbers("QUATERNION_VALUES", 4)
        norm = float(np.linalg.norm(quaternion))
        if abs(norm - 1.0) > 1e-3:
            raise values.refuse("QUATERNION_VALUES of norm 1", quaternion.tolist())
        samples.setdefault(values.instant("GPS_TIME"), quaternion / norm)
    if not samples:
        raise list_.refuse("at least one valid quaternion")
    times = tuple(sorted(samples))
    return times, np.array([samples[t] for t in times])


def _tdi(root: Fields) -> dict[str, str]:
    path = "Image_Data_Info/Sensor_Configuration/Acquisition_Configuration/TDI_Configuration_List"
    found = root.find(path)
    return {_band(entry): entry.text() for entry in found.all("TDI_CONFIGURATION")} if found is not None else {}


def _granules(root: Fields) -> dict[str, tuple[int, int]]:
    granules: dict[str, tuple[int, int]] = {}
    for detector in root.all("Image_Data_Info/Granules_Information/Detector_List/Detector"):
        number = _detector(detector)
        for granule in detector.all("Granule_List/Granule"):
            granules[granule.attribute("granuleId")] = (number, granule.integer("POSITION", 1, _MOST_LINES) - 1)
    return granules
