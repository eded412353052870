"""Packets as they come from the link, put where they belong: image packets on disk, ancillary packets in memory.

An image packet says its detector, band, scene and block, but not its datastrip; the descriptor that names it may come
later. So packets are spooled by the line-time origin that their own time implies: time less what scene, block and the
dating of detector and band account for. It is the same, within microseconds, for all packets of a datastrip.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from functions.ipf.common.annotated import Annotation
from shared.ccsds.cuc import CUC_OCTETS, decode_cuc
from shared.ccsds.spacepackets import CRC_OCTETS, OVERHEAD_OCTETS, SEQUENCE_MODULUS, USER_DATA_AT
from shared.errors import BadInputError
from shared.msi.instrument import BANDS, LINES_PER_PACKET, SCENE_NS
from shared.msi.packets import (
    ATTITUDE_APID,
    DATATAKE_APID,
    GPS_APID,
    IMAGE_HEADER_OCTETS,
    AttitudePoint,
    DatatakeDescriptor,
    GpsPoint,
    image_place,
    image_source,
)
from shared.msi.platform import PLATFORM_APIDS, PlatformState, decode_platform

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from shared.ccsds.decoder import PacketBatch

_TIME_AT: Final = USER_DATA_AT - CUC_OCTETS - 1
_SAME_ORIGIN_NS: Final = 500_000_000
_SPOOL_OCTETS: Final = 32 << 20
Content = GpsPoint | AttitudePoint | DatatakeDescriptor | PlatformState

_ANCILLARY: Final[dict[int, Callable[[bytes], Content]]] = {
    GPS_APID: GpsPoint.decode,
    ATTITUDE_APID: AttitudePoint.decode,
    DATATAKE_APID: DatatakeDescriptor.decode,
    **{apid: partial(decode_platform, apid) for apid in PLATFORM_APIDS},
}


class GranuleBand(NamedTuple):
    """One band of one granule; its datastrip is known by the line-time origin that the packets' times imply."""

    origin_ns: int
    detector: int
    band: int
    scene: int


@dataclass(frozen=True, slots=True)
class AncillaryPacket:
    """One ancillary packet, as received and as read."""

    apid: int
    gps_ns: int
    annotated: bytes
    content: Content


@dataclass
class ApidCount:
    """Packets of one APID. ``missing`` counts numbers skipped between the first and the last packet received."""

    received: int = 0
    crc_errors: int = 0
    malformed: int = 0
    duplicates: int = 0
    gaps: int = 0
    missing: int = 0
    last: int | None = None

    def sequence(self, number: int) -> None:
        """Note the sequence count of the next packet; a step back is no gap, but a packet out of order or repeated."""
        if self.last is not None:
            step = (number - self.last - 1) % SEQUENCE_MODULUS
            if step >= SEQUENCE_MODULUS // 2:
                return
            self.gaps += step > 0
            self.missing += step
        self.last = number


@dataclass
class PacketSorter:
    """Takes batches in any order of channels; ``finish`` must be called before the spooled files are read."""

    spool: Path
    counts: defaultdict[int, ApidCount] = field(default_factory=lambda: defaultdict(ApidCount))
    blocks: defaultdict[GranuleBand, set[int]] = field(default_factory=lambda: defaultdict(set))
    ancillary: list[AncillaryPacket] = field(default_factory=list)
    unknown: Counter[int] = field(default_factory=Counter)
    _origins: dict[int, int] = field(default_factory=dict)
    _waiting: defaultdict[GranuleBand, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _waiting_octets: int = 0
    _seen: set[tuple[int, int, int]] = field(default_factory=set)

    def add(self, batch: PacketBatch, received: datetime) -> None:
        """Sort the packets of one batch."""
        view = memoryview(batch.octets.data)
        spans = zip(
            batch.apids.tolist(),
            batch.sequences.tolist(),
            batch.starts.tolist(),
            batch.lengths.tolist(),
            batch.crc_ok.tolist(),
            strict=True,
        )
        for apid, sequence, start, length, whole in spans:
            source = image_source(apid)
            if source is None and apid not in _ANCILLARY:
                self.unknown[apid] += 1
                continue
            count = self.counts[apid]
            if not whole:
                count.crc_errors += 1
                continue
            count.sequence(sequence)
            octets = bytes(view[start : start + length])
            annotated = Annotation(received, length - 7, batch.vcid).encode() + octets
            try:
                fresh = self._image(source, octets, annotated) if source else self._ancillary(apid, octets, annotated)
            except BadInputError:
                count.malformed += 1
                continue
            count.received += fresh
            count.duplicates += not fresh

    @property
    def refused(self) -> Counter[int]:
        """Packets by APID that are of this service's numbers, and not of its layouts; or damaged."""
        return Counter(
            {apid: bad for apid, count in self.counts.items() if (bad := count.malformed + count.crc_errors)}
        )

    def finish(self) -> None:
        """Write what still waits in memory."""
        for key, packets in self._waiting.items():
            path = self.path(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as sink:
                sink.writelines(packets)
        self._waiting.clear()
        self._waiting_octets = 0

    def path(self, key: GranuleBand) -> Path:
        """Where the packets of ``key`` are spooled."""
        return self.spool / f"{key.origin_ns}-{key.detector:02d}-{key.band:02d}-{key.scene:05d}.bin"

    def _image(self, source: tuple[int, int], octets: bytes, annotated: bytes) -> bool:
        if len(octets) < OVERHEAD_OCTETS + IMAGE_HEADER_OCTETS:
            raise BadInputError("image packet", "a whole header", len(octets))
        place = image_place(octets[USER_DATA_AT : USER_DATA_AT + IMAGE_HEADER_OCTETS])
        band = BANDS[place.band]
        if (place.detector, place.band) != source or place.block >= band.packets_per_scene:
            raise BadInputError("image packet", "detector and band of its APID, a block of its scene", place)
        lines = place.block * LINES_PER_PACKET - band.dating_lines(place.detector)
        elapsed = (place.scene - 1) * SCENE_NS + lines * band.line_period_ns
        origin_ns = self._origin(decode_cuc(octets[_TIME_AT:]) - round(elapsed))
        key = GranuleBand(origin_ns, place.detector, place.band, place.scene)
        if place.block in self.blocks[key]:
            return False
        self.blocks[key].add(place.block)
        self._waiting[key].append(annotated)
        self._waiting_octets += len(annotated)
        if self._waiting_octets > _SPOOL_OCTETS:
            self.finish()
        return True

    def _origin(self, implied_ns: int) -> int:
        place = implied_ns // _SAME_ORIGIN_NS
        for near in (place, place - 1, place + 1):
            known = self._origins.get(near)
            if known is not None and abs(known - implied_ns) < _SAME_ORIGIN_NS:
                return known
        return self._origins.setdefault(place, implied_ns)

    def _ancillary(self, apid: int, octets: bytes, annotated: bytes) -> bool:
        content = _ANCILLARY[apid](octets[USER_DATA_AT:-CRC_OCTETS])
        gps_ns = decode_cuc(octets[_TIME_AT:])
        identity = (apid, gps_ns, int.from_bytes(octets[2:4], "big"))
        if identity in self._seen:
            return False
        self._seen.add(identity)
        self.ancillary.append(AncillaryPacket(apid, gps_ns, annotated, content))
        return True
