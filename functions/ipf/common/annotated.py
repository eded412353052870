"""Packets as L0 products store them: each after a 20-octet annotation of its reception.

Layout as in Sentinel-2 L0 products: bits 0-2 ignore, incomplete, invalid; octets 2-9 reception as days since
2000-01-01, milliseconds of the day, microseconds of the millisecond; octets 10-11 the packet's length field. Octets
12-19 are this service's own use: frames (u16) = 1, missing (u16) = 0, virtual channel (u8), spare.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from shared.ccsds.crc_spans import crc16_spans
from shared.ccsds.spacepackets import PRIMARY_OCTETS
from shared.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANNOTATION_OCTETS: Final = 20
_LAYOUT: Final = struct.Struct(">HHIHHHHB3x")
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_IGNORE, _INCOMPLETE, _INVALID = 1 << 15, 1 << 14, 1 << 13


@dataclass(frozen=True, slots=True)
class Annotation:
    """Reception of one packet on ground. ``length`` is the packet's length field, its octets less 7."""

    received: datetime
    length: int
    vcid: int = 0
    ignore: bool = False
    incomplete: bool = False
    invalid: bool = False

    def encode(self) -> bytes:
        """Twenty octets."""
        flags = self.ignore * _IGNORE | self.incomplete * _INCOMPLETE | self.invalid * _INVALID
        since = self.received - _EPOCH
        milliseconds, microseconds = divmod(since.seconds * 1_000_000 + since.microseconds, 1000)
        return _LAYOUT.pack(flags, since.days, milliseconds, microseconds, self.length, 1, 0, self.vcid)

    @classmethod
    def decode(cls, octets: bytes | memoryview) -> Self:
        """Read twenty octets; BadInputError where there are fewer."""
        if len(octets) < ANNOTATION_OCTETS:
            raise BadInputError("packet annotation", f"{ANNOTATION_OCTETS} octets", len(octets))
        flags, days, milliseconds, microseconds, length, _, _, vcid = _LAYOUT.unpack_from(octets)
        received = _EPOCH + timedelta(days=days, milliseconds=milliseconds, microseconds=microseconds)
        return cls(received, length, vcid, bool(flags & _IGNORE), bool(flags & _INCOMPLETE), bool(flags & _INVALID))


@dataclass(frozen=True, slots=True)
class AnnotatedPacket:
    """One stored packet: ``stored`` is annotation and packet as the file has them; ``intact`` tells that the CRC fits
    and that the annotation calls nothing wrong.
    """

    annotation: Annotation
    stored: memoryview
    intact: bool

    @property
    def octets(self) -> memoryview:
        """The packet itself."""
        return self.stored[ANNOTATION_OCTETS:]


def read_checked(path: Path) -> list[AnnotatedPacket]:
    """All packets of a file, their CRCs computed in one go; BadInputError as of ``read_annotated``."""
    content = np.fromfile(path, np.uint8)
    spans = list(_walk(path.name, content.data))
    begins = np.array([begin for _, begin, _ in spans], np.int64)
    ends = np.array([end for _, _, end in spans], np.int64)
    starts = begins + ANNOTATION_OCTETS
    fits = (crc16_spans(content, starts, ends - starts) == 0).tolist()
    return [
        AnnotatedPacket(a, content.data[begin:end], crc and not (a.ignore or a.incomplete or a.invalid))
        for (a, begin, end), crc in zip(spans, fits, strict=True)
    ]


def read_annotated(path: Path) -> Iterator[tuple[Annotation, bytes]]:
    """Annotation and octets of each packet in a file; BadInputError naming the file and octet where it ends inside
    one.
    """
    octets = memoryview(path.read_bytes())
    for annotation, begin, end in _walk(path.name, octets):
        yield annotation, bytes(octets[begin + ANNOTATION_OCTETS : end])


def _walk(name: str, octets: memoryview) -> Iterator[tuple[Annotation, int, int]]:
    """Annotation, begin and end of each annotated packet."""
    at = 0
    while at < len(octets):
        begin = at + ANNOTATION_OCTETS
        if begin + PRIMARY_OCTETS > len(octets):
            raise BadInputError(f"{name}, octet {at}", "an annotation and a packet", f"{len(octets) - at} octets")
        annotation = Annotation.decode(octets[at:begin])
        end = begin + PRIMARY_OCTETS + 1 + annotation.length
        if end > len(octets) or octets[begin + 4 : begin + 6] != octets[at + 10 : at + 12]:
            raise BadInputError(f"{name}, octet {at}", "a whole packet as long as its annotation says")
        yield annotation, at, end
        at = end
