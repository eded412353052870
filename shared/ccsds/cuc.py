"""CCSDS unsegmented time code (CCSDS 301.0), 4 octets of seconds and 3 of binary fraction, on the GPS time scale.

In Python a time is an integer count of nanoseconds since the GPS epoch, 1980-01-06T00:00:00. The code's unit is 2^-24
s, 59.6 ns: decoding what was encoded is within 30 ns, encoding what was decoded is exact.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

GPS_EPOCH: Final = datetime(1980, 1, 6, tzinfo=UTC)
GPS_MINUS_UTC_S: Final = 18  # since 2017-01-01 (IERS Bulletin C)
CUC_OCTETS: Final = 7
_SECOND: Final = 1_000_000_000
_UNIT: Final = 1 << 24


def encode_cuc(gps_ns: int) -> bytes:
    """Seven octets of a GPS time; ValueError outside the code's 136 years."""
    seconds, rest = divmod(gps_ns, _SECOND)
    ticks = (seconds << 24) + (rest * _UNIT + _SECOND // 2) // _SECOND
    if not 0 <= ticks < 1 << 56:
        raise ValueError(f"GPS time {gps_ns} ns: expected 0 to 2^32 s for a 4+3 octet CUC")
    return ticks.to_bytes(CUC_OCTETS, "big")


def decode_cuc(octets: bytes | memoryview) -> int:
    """GPS nanoseconds of seven octets."""
    ticks = int.from_bytes(octets[:CUC_OCTETS], "big")
    return (ticks >> 24) * _SECOND + ((ticks & (_UNIT - 1)) * _SECOND + _UNIT // 2) // _UNIT


def gps_ns_to_utc(gps_ns: int) -> datetime:
    """UTC, to the nearest microsecond."""
    return GPS_EPOCH + timedelta(seconds=-GPS_MINUS_UTC_S, microseconds=(gps_ns + 500) // 1000)


def utc_to_gps_ns(when: datetime) -> int:
    """GPS nanoseconds of an aware datetime."""
    return ((when - GPS_EPOCH) // timedelta(microseconds=1)) * 1000 + GPS_MINUS_UTC_S * _SECOND
