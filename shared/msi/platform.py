"""The platform's own telemetry: navigation solution, orbit and attitude control, time correlation, temperatures.

As in ``packets``, the layouts are the service's own and all numbers are big-endian; what the fields mean is what the
Level-0 datastrip metadata of PSD 14 call by the same names. APIDs: 153 navigation solution and 154 orbit and attitude
control, each once a second with every GPS point; 155 time correlation and 156 temperatures, with every tenth.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from shared.ccsds.cuc import decode_cuc, encode_cuc
from shared.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

NAVIGATION_APID: Final = 153
CONTROL_APID: Final = 154
TIME_APID: Final = 155
THERMAL_APID: Final = 156
PLATFORM_APIDS: Final = (NAVIGATION_APID, CONTROL_APID, TIME_APID, THERMAL_APID)
HOUSEKEEPING_APID: Final = 3
HOUSEKEEPING_VCID: Final = 3
"""Housekeeping telemetry for the control centre, and the virtual channel of its own on which it comes."""

SLOW: Final = 10
"""Time correlation and temperatures come with every tenth GPS point."""

NAVIGATION_MODES: Final = ("INVALID", "PROPAGATED", "FIRST_FIX", "COLD_FIRST_FIX", "LEAST_SQUARE", "KALMAN_FILTER")
RECEIVERS: Final = ("GPS-A", "GPS-B")
CELSIUS: Final = (
    *("FPA VNIR", "FPA SWIR", "FEE VNIR", "FEE SWIR", "Mirror 1", "Mirror 2", "Mirror 3"),
    *("ThSensor +X-Z", "ThSensor -X-Z", "ThSensor +Y", "ThSensor -Y", "ThSensor +Z"),
    *("Splitter bot+X", "Splitter top-X"),
)
"""Places of the temperatures in degrees Celsius, in the packet's order."""

OHM: Final = (
    *("CSM_Diffuser 0", "CSM_Diffuser 1", "CSM_Diffuser 2", "IMU_Sensorplate"),
    *("STR_Sensorplate 0", "STR_Sensorplate 1", "STR_Sensorplate 2", "STR_Baseplate", "STR_Backplate"),
)
"""Places of the thermistors that are told in Ohm, in the packet's order."""

_NAVIGATION: Final = struct.Struct(">7sBBB11f")
_CONTROL: Final = struct.Struct(">7sBBBBB7d")
_TIME: Final = struct.Struct(">7sBIfQ")
_THERMAL: Final = struct.Struct(f">7s{len(CELSIUS)}f{len(OHM)}H")
_TRACKERS: Final = 3
_MOST_MODE: Final = 4
_MOST_SUBMODE: Final = 6
_MOST_QUALITY: Final = 2


def packets_of_platform(fixes: int) -> dict[int, int]:
    """Packets of each platform APID that come with a number of GPS points."""
    slow = -(-fixes // SLOW)
    return {NAVIGATION_APID: fixes, CONTROL_APID: fixes, TIME_APID: slow, THERMAL_APID: slow}


@dataclass(frozen=True, slots=True)
class NavigationSolution:
    """What the GPS receiver says of the fix at a GPS time.

    Attributes:
        gps_ns: time of the fix.
        mode: one of ``NAVIGATION_MODES``.
        receiver: one of ``RECEIVERS``.
        satellites: tracked.
        quality: position quality index.
        dilution: geometric, position and time dilution of precision.
        time_error_ns: one standard deviation, as the next two.
        position_errors, velocity_errors: m and m/s along the Earth-fixed axes.
    """

    gps_ns: int
    mode: str
    receiver: str
    satellites: int
    quality: float
    dilution: tuple[float, float, float]
    time_error_ns: float
    position_errors: tuple[float, float, float]
    velocity_errors: tuple[float, float, float]

    def encode(self) -> bytes:
        """User data of the packet."""
        return _NAVIGATION.pack(
            encode_cuc(self.gps_ns),
            NAVIGATION_MODES.index(self.mode),
            RECEIVERS.index(self.receiver),
            self.satellites,
            self.quality,
            *self.dilution,
            self.time_error_ns,
            *self.position_errors,
            *self.velocity_errors,
        )

    @classmethod
    def decode(cls, user_data: bytes | memoryview) -> Self:
        """Read user data; BadInputError on a false length, mode or receiver."""
        what = "navigation packet"
        time, mode, receiver, satellites, quality, *rest = _unpack(what, _NAVIGATION, user_data)
        return cls(
            decode_cuc(time),
            _named(what, "a mode", NAVIGATION_MODES, mode),
            _named(what, "a receiver", RECEIVERS, receiver),
            satellites,
            quality,
            (rest[0], rest[1], rest[2]),
            rest[3],
            (rest[4], rest[5], rest[6]),
            (rest[7], rest[8], rest[9]),
        )


@dataclass(frozen=True, slots=True)
class ControlState:
    """What the orbit and attitude control knows at a GPS time.

    Attributes:
        gps_ns: time of the state.
        quality: 0 where the orbit is valid, 1 propagated, 2 where a new position is at hand.
        mode, submode: of the control, 0 to 4 and 0 to 6.
        trackers: for each of the three star trackers, whether its attitude is used.
        valid: whether the orbit holds.
        position, velocity: mean equator and equinox of J2000.0, m and m/s.
        orbit_angle: from the ascending node, radians.
    """

    gps_ns: int
    quality: int
    mode: int
    submode: int
    trackers: tuple[bool, bool, bool]
    valid: bool
    position: tuple[float, float, float]
    velocity: tuple[float, float, float]
    orbit_angle: float

    @property
    def attitude_quality(self) -> str:
        """``TWO_VALID_STR``, ``ONE_VALID_STR``, or ``PROPAGATED`` where no star tracker is used."""
        return ("PROPAGATED", "ONE_VALID_STR")[sum(self.trackers)] if sum(self.trackers) < 2 else "TWO_VALID_STR"

    def encode(self) -> bytes:
        """User data of the packet."""
        used = sum(flag << bit for bit, flag in enumerate(self.trackers))
        values = (*self.position, *self.velocity, self.orbit_angle)
        head = (self.quality, self.mode, self.submode, used, self.valid)
        return _CONTROL.pack(encode_cuc(self.gps_ns), *head, *values)

    @classmethod
    def decode(cls, user_data: bytes | memoryview) -> Self:
        """Read user data; BadInputError on a false length, quality, mode, submode or set of star trackers."""
        what = "control packet"
        time, quality, mode, submode, used, valid, *rest = _unpack(what, _CONTROL, user_data)
        if quality > _MOST_QUALITY or mode > _MOST_MODE or submode > _MOST_SUBMODE or used >> _TRACKERS or valid > 1:
            expected = "quality to 2, mode to 4, submode to 6, three star trackers, a flag"
            raise BadInputError(what, expected, (quality, mode, submode, used, valid))
        return cls(
            decode_cuc(time),
            quality,
            mode,
            submode,
            (bool(used & 1), bool(used & 2), bool(used & 4)),
            bool(valid),
            (rest[0], rest[1], rest[2]),
            (rest[3], rest[4], rest[5]),
            rest[6],
        )


@dataclass(frozen=True, slots=True)
class TimeCorrelation:
    """A GPS time and the instrument's own count at the same instant.

    Attributes:
        gps_ns: GPS time.
        mode: one of ``NAVIGATION_MODES``.
        quality_ns: error of the correlation.
        dilution: of precision in time.
        count: instrument measurement time.
    """

    gps_ns: int
    mode: str
    quality_ns: int
    dilution: float
    count: int

    def encode(self) -> bytes:
        """User data of the packet."""
        mode = NAVIGATION_MODES.index(self.mode)
        return _TIME.pack(encode_cuc(self.gps_ns), mode, self.quality_ns, self.dilution, self.count)

    @classmethod
    def decode(cls, user_data: bytes | memoryview) -> Self:
        """Read user data; BadInputError on a false length or mode."""
        what = "time correlation packet"
        time, mode, quality, dilution, count = _unpack(what, _TIME, user_data)
        return cls(decode_cuc(time), _named(what, "a mode", NAVIGATION_MODES, mode), quality, dilution, count)


@dataclass(frozen=True, slots=True)
class Temperatures:
    """Temperatures at a GPS time: ``celsius`` at the places of ``CELSIUS``, ``ohm`` at those of ``OHM``."""

    gps_ns: int
    celsius: tuple[float, ...]
    ohm: tuple[int, ...]

    def encode(self) -> bytes:
        """User data of the packet."""
        return _THERMAL.pack(encode_cuc(self.gps_ns), *self.celsius, *self.ohm)

    @classmethod
    def decode(cls, user_data: bytes | memoryview) -> Self:
        """Read user data; BadInputError on a false length."""
        time, *values = _unpack("temperature packet", _THERMAL, user_data)
        return cls(decode_cuc(time), tuple(values[: len(CELSIUS)]), tuple(values[len(CELSIUS) :]))


PlatformState = NavigationSolution | ControlState | TimeCorrelation | Temperatures


def decode_platform(apid: int, user_data: bytes | memoryview) -> PlatformState:
    """The content of a packet of one of ``PLATFORM_APIDS``; BadInputError where it breaks its layout."""
    kinds: dict[int, type[PlatformState]] = {
        NAVIGATION_APID: NavigationSolution,
        CONTROL_APID: ControlState,
        TIME_APID: TimeCorrelation,
        THERMAL_APID: Temperatures,
    }
    return kinds[apid].decode(user_data)


def _named(what: str, expected: str, names: Sequence[str], index: int) -> str:
    if index >= len(names):
        raise BadInputError(what, f"{expected} of 0 to {len(names) - 1}", index)
    return names[index]


def _unpack(what: str, layout: struct.Struct, user_data: bytes | memoryview) -> tuple[Any, ...]:
    if len(user_data) != layout.size:
        raise BadInputError(what, f"{layout.size} octets of user data", len(user_data))
    values = layout.unpack(user_data)
    if not all(abs(value) < float("inf") for value in values if isinstance(value, float)):
        raise BadInputError(what, "finite numbers")
    return values
