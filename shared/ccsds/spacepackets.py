"""Space packets (CCSDS 133.0) with the telemetry secondary header that Sentinel-2 uses (ECSS-E-70-41A, times as CUC).

Octets: primary header 6; secondary header 12 (PUS version 0x10, service, subservice, destination, CUC 4+3, time
status); user data; CRC-16 over all that precedes it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Self

from shared.ccsds.crc import crc16
from shared.ccsds.cuc import decode_cuc, encode_cuc
from shared.errors import BadInputError

PRIMARY_OCTETS: Final = 6
SECONDARY_OCTETS: Final = 12
CRC_OCTETS: Final = 2
USER_DATA_AT: Final = PRIMARY_OCTETS + SECONDARY_OCTETS
OVERHEAD_OCTETS: Final = USER_DATA_AT + CRC_OCTETS
MAX_PACKET_OCTETS: Final = 65_542
IDLE_APID: Final = 0x7FF
SEQUENCE_MODULUS: Final = 1 << 14

_PRIMARY: Final = struct.Struct(">HHH")
_HEAD: Final = struct.Struct(">HHHBBBB7sB")
_PUS_VERSION: Final = 0x10
_STAND_ALONE: Final = 0b11 << 14
_SECONDARY_FLAG: Final = 1 << 11
_TIME_SYNCHRONISED: Final = 0x1F


@dataclass(frozen=True, slots=True)
class SpacePacket:
    """A telemetry packet. ``gps_ns`` is the secondary header's time; ``user_data`` ends before the CRC."""

    apid: int
    sequence: int
    gps_ns: int
    user_data: bytes
    service: int = 3
    subservice: int = 25

    def encode(self) -> bytes:
        """The packet's octets, CRC included; ValueError where user data exceeds a packet."""
        length = USER_DATA_AT + len(self.user_data) + CRC_OCTETS
        if length > MAX_PACKET_OCTETS:
            raise ValueError(f"packet of APID {self.apid}: expected at most {MAX_PACKET_OCTETS} octets, found {length}")
        head = _HEAD.pack(
            _SECONDARY_FLAG | self.apid,
            _STAND_ALONE | self.sequence % SEQUENCE_MODULUS,
            length - PRIMARY_OCTETS - 1,
            _PUS_VERSION,
            self.service,
            self.subservice,
            0,
            encode_cuc(self.gps_ns),
            _TIME_SYNCHRONISED,
        )
        body = head + self.user_data
        return body + crc16(body).to_bytes(CRC_OCTETS, "big")

    @classmethod
    def decode(cls, octets: bytes | memoryview) -> Self:
        """Read one whole packet; BadInputError on a false length, version or CRC, or where the secondary header is
        absent.
        """
        if len(octets) < OVERHEAD_OCTETS:
            raise BadInputError("space packet", f"at least {OVERHEAD_OCTETS} octets", len(octets))
        ident, sequence, length, version, service, subservice, _, time, _ = _HEAD.unpack_from(octets)
        if len(octets) != PRIMARY_OCTETS + length + 1:
            raise BadInputError("space packet, length", f"{PRIMARY_OCTETS + length + 1} octets", len(octets))
        if ident >> 13 or not ident & _SECONDARY_FLAG or version != _PUS_VERSION:
            raise BadInputError("space packet, header", "version 0 with a PUS secondary header", hex(ident))
        if crc16(octets):
            raise BadInputError(f"space packet of APID {ident & IDLE_APID}", "a CRC that fits its octets")
        return cls(
            ident & IDLE_APID,
            sequence & (SEQUENCE_MODULUS - 1),
            decode_cuc(time),
            bytes(octets[USER_DATA_AT:-CRC_OCTETS]),
            service,
            subservice,
        )


def idle_packet(octets: int) -> bytes:
    """An idle packet of exactly that many octets, at least 7; it has neither secondary header nor CRC."""
    data = octets - PRIMARY_OCTETS
    return _PRIMARY.pack(IDLE_APID, _STAND_ALONE, data - 1) + bytes(data)
