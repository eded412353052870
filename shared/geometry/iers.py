"""Earth orientation from IERS Bulletin A, the text that the auxiliary file AUX_UT1UTC holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import erfa
import numpy as np

from shared.errors import BadInputError
from shared.geometry.frames import EarthOrientation

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES: Final = 4 * 1024 * 1024
_NUMBER: Final = r"([+-]?\d*\.\d+)"
_OBSERVED: Final = re.compile(
    rf"\s*\d\d\s+\d\d?\s+\d\d?\s+(\d{{5}})\s+{_NUMBER}\s+\.\d+\s+{_NUMBER}\s+\.\d+\s+{_NUMBER}\s+\d*\.\d+\s*", re.ASCII
)
_PREDICTED: Final = re.compile(
    rf"\s*\d{{4}}\s+\d\d?\s+\d\d?\s+(\d{{5}})\s+{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}\s*", re.ASCII
)
_GPS_EPOCH_MJD: Final = 44_244
_TAI_MINUS_GPS_S: Final = 19
_DAY_NS: Final = 86_400_000_000_000


def earth_orientation(file: Path, gps_ns: int) -> EarthOrientation:
    """Earth orientation at an instant of GPS time, linear between the days of the bulletin.

    Observed days go before predicted ones. BadInputError where the bulletin has no such days.
    """
    if file.stat().st_size > _MOST_BYTES:
        raise BadInputError(file.name, f"at most {_MOST_BYTES} bytes", file.stat().st_size)
    days: dict[int, tuple[float, float, float]] = {}
    text = file.read_text("ascii", errors="replace")
    for pattern in (_PREDICTED, _OBSERVED):
        for line in text.splitlines():
            if match := pattern.fullmatch(line[:200]):
                days[int(match[1])] = (float(match[2]), float(match[3]), float(match[4]))
    leap = _leap_seconds(gps_ns)
    utc_ns = gps_ns - leap * 1_000_000_000
    day, part = _GPS_EPOCH_MJD + utc_ns // _DAY_NS, utc_ns % _DAY_NS / _DAY_NS
    if day not in days or day + 1 not in days:
        held = f"{min(days)} to {max(days)}" if days else "no days"
        raise BadInputError(file.name, f"the days {day} and {day + 1} (MJD) of Bulletin A", held)
    before, after = np.array(days[day]), np.array(days[day + 1])
    after[2] -= round(after[2] - before[2])  # a leap second between the two
    pole_x, pole_y, ut1 = ((1 - part) * before + part * after).tolist()
    if abs(ut1) > 1.0 or max(abs(pole_x), abs(pole_y)) > 2.0:
        raise BadInputError(file.name, "a pole within 2 arc seconds and UT1-UTC within 1 s", (pole_x, pole_y, ut1))
    return EarthOrientation(ut1, pole_x, pole_y, leap)


def _leap_seconds(gps_ns: int) -> int:
    """GPS minus UTC at an instant of GPS time (erfa's table of leap seconds)."""
    leap = 0
    for _ in range(2):  # the table is by UTC
        instant = np.datetime64("1980-01-06", "ns") + np.timedelta64(gps_ns - leap * 1_000_000_000, "ns")
        year, month, day = (int(part) for part in str(instant)[:10].split("-"))
        leap = int(erfa.dat(year, month, day, 0.0)) - _TAI_MINUS_GPS_S
    return leap
