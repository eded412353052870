"""The user data of the instrument's packets: image blocks, GPS points, attitude, datatake descriptor.

The layout is the service's own: the real instrument's image packets and codec are not public. All numbers are
big-endian.

APIDs: 512 + 16 x detector + band index for image blocks (detector 1..12, band 0..12); 150 GPS point, 151 attitude, 152
descriptor. Sequence counts start at 0 with each session, so that what is lost at its head counts as lost.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

from shared.ccsds.cuc import decode_cuc, encode_cuc
from shared.errors import BadInputError

GPS_APID: Final = 150
ATTITUDE_APID: Final = 151
DATATAKE_APID: Final = 152
ANCILLARY_APIDS: Final = (GPS_APID, ATTITUDE_APID, DATATAKE_APID)
DETECTORS: Final = 12
BAND_COUNT: Final = 13
MAX_SCENES: Final = 1000  # an hour; operational datatakes have at most some 300
COMPRESSION_RAW: Final = 0
COMPRESSION_CCSDS121: Final = 1

_IMAGE_BASE: Final = 512
_IMAGE: Final = struct.Struct(">BBHHBHB")
IMAGE_HEADER_OCTETS: Final = _IMAGE.size
_GPS: Final = struct.Struct(">7s6d")
_ATTITUDE: Final = struct.Struct(">7s4d")
_LOWEST_M: Final = 6.4e6
_HIGHEST_M: Final = 8.5e6
_FASTEST_MS: Final = 1e4
_UNIT: Final = 1e-3
_DATATAKE: Final = struct.Struct(">cIH7s8sHH7sIII")


class ImageSource(NamedTuple):
    """Which detector (1..12) and band (0..12) an image APID stands for."""

    detector: int
    band: int


def image_apid(detector: int, band: int) -> int:
    """APID of the image packets of a detector (1..12) and band index (0..12)."""
    if not (1 <= detector <= DETECTORS and 0 <= band < BAND_COUNT):
        raise ValueError(f"image APID: expected detector 1..12 and band 0..12, found {detector} and {band}")
    return _IMAGE_BASE + 16 * detector + band


def image_source(apid: int) -> ImageSource | None:
    """Detector and band of an image APID, ``None`` for any other."""
    detector, band = divmod(apid - _IMAGE_BASE, 16)
    if 1 <= detector <= DETECTORS and band < BAND_COUNT:
        return ImageSource(detector, band)
    return None


class ImagePlace(NamedTuple):
    """Where an image packet belongs: scene from 1 within the datastrip, block from 0 within the scene."""

    detector: int
    band: int
    scene: int
    block: int


def image_place(user_data: bytes | memoryview) -> ImagePlace:
    """Read where an image packet belongs, without its payload; BadInputError as ``ImageBlock.decode``."""
    if len(user_data) < _IMAGE.size:
        raise BadInputError("image packet", f"at least {_IMAGE.size} octets of user data", len(user_data))
    place = ImagePlace(*_IMAGE.unpack_from(user_data)[:4])
    if not (1 <= place.detector <= DETECTORS and place.band < BAND_COUNT and place.scene):
        raise BadInputError("image packet", "detector 1..12, band 0..12, scene from 1", tuple(place))
    return place


@dataclass(frozen=True, slots=True)
class ImageBlock:
    """Lines of one band of one detector: ``lines`` x ``columns`` samples of 12 bit, compressed.

    ``scene`` counts from 1 within the datastrip, ``block`` from 0 within the scene. Under COMPRESSION_RAW the payload
    is big-endian u16; under COMPRESSION_CCSDS121 it is the bit stream of CCSDS 121.0.
    """

    detector: int
    band: int
    scene: int
    block: int
    lines: int
    columns: int
    compression: int
    payload: bytes

    def encode(self) -> bytes:
        """User data of the packet."""
        return (
            _IMAGE.pack(self.detector, self.band, self.scene, self.block, self.lines, self.columns, self.compression)
            + self.payload
        )

    @classmethod
    def decode(cls, user_data: bytes | memoryview) -> Self:
        """Read user data; BadInputError where it is shorter than its header or its detector or band do not exist."""
        place = image_place(user_data)
        lines, columns, compression = _IMAGE.unpack_from(user_data)[4:]
        payload = bytes(user_data[_IMAGE.size :])
        return cls(*place, lines, columns, compression, payload)


@dataclass(frozen=True, slots=True)
class GpsPoint:
    """Position (m) and velocity (m/s) in the Earth-fixed frame (ITRF) at a GPS time."""

    gps_ns: int
    position: tuple[float, float, float]
    velocity: tuple[float, float, float]

    def encode(self) -> bytes:
        """User data of the packet."""
        return _GPS.pack(encode_cuc(self.gps_ns), *self.position, *self.velocity)

    @classmethod
    def decode(cls, user_data: bytes | memoryview) -> Self:
        """Read user data; BadInputError on a false length, or where no satellite is, or none so fast."""
        time, *values = _unpack("GPS point packet", _GPS, user_data)
        x, y, z, vx, vy, vz = (float(v) for v in values)
        radius, speed = math.hypot(x, y, z), math.hypot(vx, vy, vz)
        if not (_LOWEST_M < radius < _HIGHEST_M and speed < _FASTEST_MS):
            expected = f"{_LOWEST_M:g} to {_HIGHEST_M:g} m from the Earth's centre, at most {_FASTEST_MS:g} m/s"
            raise BadInputError("GPS point packet", expected, (radius, speed))
        return cls(decode_cuc(time), (x, y, z), (vx, vy, vz))


@dataclass(frozen=True, slots=True)
class AttitudePoint:
    """Rotation from the body frame to EME2000 at a GPS time, as a unit quaternion (x, y, z, w)."""

    gps_ns: int
    quaternion: tuple[float, float, float, float]

    def encode(self) -> bytes:
        """User data of the packet."""
        return _ATTITUDE.pack(encode_cuc(self.gps_ns), *self.quaternion)

    @classmethod
    def decode(cls, user_data: bytes | memoryview) -> Self:
        """Read user data; BadInputError on a false length, or a quaternion whose norm is not 1."""
        time, *values = _unpack("attitude packet", _ATTITUDE, user_data)
        x, y, z, w = (float(v) for v in values)
        if not abs(math.hypot(x, y, z, w) - 1.0) < _UNIT:
            raise BadInputError("attitude packet", "a quaternion of norm 1", (x, y, z, w))
        return cls(decode_cuc(time), (x, y, z, w))


@dataclass(frozen=True, slots=True)
class DatatakeDescriptor:
    """What is being acquired, repeated once per second. One descriptor stands for one datastrip.

    ``first_line_ns`` is the line-time origin of scene 1. The last three fields are the counts of ancillary packets
    that the datastrip comprises, this packet's kind included: with them an account of packets closes even where the
    last ones are lost.
    """

    satellite: str
    absolute_orbit: int
    relative_orbit: int
    datatake_start_ns: int
    datatake_type: str
    detectors: tuple[int, ...]
    scenes: int
    first_line_ns: int
    gps_packets: int
    attitude_packets: int
    descriptor_packets: int

    def encode(self) -> bytes:
        """User data of the packet."""
        return _DATATAKE.pack(
            self.satellite[-1].encode("ascii"),
            self.absolute_orbit,
            self.relative_orbit,
            encode_cuc(self.datatake_start_ns),
            self.datatake_type.encode("ascii"),
            sum(1 << (detector - 1) for detector in self.detectors),
            self.scenes,
            encode_cuc(self.first_line_ns),
            self.gps_packets,
            self.attitude_packets,
            self.descriptor_packets,
        )

    @classmethod
    def decode(cls, user_data: bytes | memoryview) -> Self:
        """Read user data; BadInputError on a false length, satellite, type, detector mask or count of scenes."""
        letter, orbit, relative, start, kind, mask, scenes, origin, gps, attitude, own = _unpack(
            "datatake packet", _DATATAKE, user_data
        )
        if letter not in b"ABCD" or not kind.isascii() or mask >> DETECTORS:
            raise BadInputError(
                "datatake packet", "satellite A to D, an ASCII type, 12 detectors", (letter, kind, mask)
            )
        return cls(
            satellite=f"S2{letter.decode('ascii')}",
            absolute_orbit=orbit,
            relative_orbit=relative,
            datatake_start_ns=decode_cuc(start),
            datatake_type=kind.rstrip(b"\0 ").decode("ascii"),
            detectors=tuple(d for d in range(1, DETECTORS + 1) if mask >> (d - 1) & 1),
            scenes=scenes,
            first_line_ns=decode_cuc(origin),
            gps_packets=gps,
            attitude_packets=attitude,
            descriptor_packets=own,
        )


def _unpack(what: str, layout: struct.Struct, user_data: bytes | memoryview) -> tuple[Any, ...]:
    if len(user_data) != layout.size:
        raise BadInputError(what, f"{layout.size} octets of user data", len(user_data))
    return layout.unpack(user_data)
