"""Earth orientation from IERS Bulletin A, the text that the auxiliary file AUX_UT1UTC holds, or a table of ours."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

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


def default_orientation(gps_ns: int) -> EarthOrientation:
    """Earth orientation without a bulletin, from a table that comes with the code: every tenth day of 2015 to 2027.

    Between its days it is linear, by which UT1 errs up to 3 ms (1.3 m on ground) and the pole 0.005 arc seconds; after
    its last observed day (``tables/earth_orientation.json``) it is a forecast. Before and after it, its ends hold.
    """
    table = _table()
    leap = _leap_seconds(gps_ns)
    day = _GPS_EPOCH_MJD + (gps_ns - leap * 1_000_000_000) / _DAY_NS
    days = table["first_mjd"] + table["step_days"] * np.arange(len(table["ut1_minus_tai_s"]))
    names = ("ut1_minus_tai_s", "pole_x_arcsec", "pole_y_arcsec")
    ut1, pole_x, pole_y = (float(np.interp(day, days, table[name])) for name in names)
    return EarthOrientation(ut1 + leap + _TAI_MINUS_GPS_S, pole_x, pole_y, leap)


@cache
def _table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files("shared.geometry") / "tables" / "earth_orientation.json").read_bytes())
    return found


def _leap_seconds(gps_ns: int) -> int:
    """GPS minus UTC at an instant of GPS time (erfa's table of leap seconds)."""
    leap = 0
    for _ in range(2):  # the table is by UTC
        instant = np.datetime64("1980-01-06", "ns") + np.timedelta64(gps_ns - leap * 1_000_000_000, "ns")
        year, month, day = (int(part) for part in str(instant)[:10].split("-"))
        leap = int(erfa.dat(year, month, day, 0.0)) - _TAI_MINUS_GPS_S
    return leap
