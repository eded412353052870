"""The sending end of a channel: space packets in, CADUs out (CCSDS 732.0 AOS frames with M_PDU, CCSDS 131.0 coding)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from shared.ccsds.crc_spans import crc16_spans
from shared.ccsds.link import (
    ASM,
    ASM_OCTETS,
    FECF_OCTETS,
    FRAME_HEADER_OCTETS,
    IDLE_VCID,
    MPDU_HEADER_OCTETS,
    ONLY_IDLE_DATA,
    SENTINEL2,
    LinkProfile,
)
from shared.ccsds.mpdu import first_header_pointers
from shared.ccsds.randomiser import randomise
from shared.ccsds.spacepackets import PRIMARY_OCTETS, idle_packet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_ZONE_AT = FRAME_HEADER_OCTETS + MPDU_HEADER_OCTETS
_VERSION_AOS = 0b01 << 6
_COUNT_MODULUS = 1 << 24
_IDLE_FILL = 0x55


@dataclass
class _VirtualChannel:
    count: int = 0
    pending: bytes = b""
    starts: list[int] = field(default_factory=list)


class ChannelEncoder:
    """One physical channel. Frames come out in the order of the calls; a virtual channel's rest waits for its next
    packets.

    Several hundred Mbit/s on one core when a call brings some megabytes of packets; memory is a small multiple of the
    call's.
    """

    def __init__(self, spacecraft: int, profile: LinkProfile = SENTINEL2) -> None:
        self.profile = profile
        self._spacecraft = spacecraft
        self._channels: dict[int, _VirtualChannel] = {}

    @property
    def frames_sent(self) -> dict[int, int]:
        """Frames so far, by virtual channel, idle frames under 63."""
        return {vcid: channel.count for vcid, channel in sorted(self._channels.items())}

    def add(self, vcid: int, packets: Iterable[bytes]) -> bytes:
        """CADUs of the frames that these packets fill on virtual channel ``vcid`` (0..62)."""
        if not 0 <= vcid < IDLE_VCID:
            raise ValueError(f"virtual channel: expected 0..62, found {vcid}")
        channel = self._channels.setdefault(vcid, _VirtualChannel())
        pieces = [channel.pending]
        size = len(channel.pending)
        starts = channel.starts
        for packet in packets:
            starts.append(size)
            pieces.append(packet)
            size += len(packet)
        stream = b"".join(pieces)
        zone = self.profile.zone_octets
        full = len(stream) // zone
        zones = np.frombuffer(stream, np.uint8, full * zone).reshape(full, zone)
        channel.pending = stream[full * zone :]
        cadus = self._frames(vcid, zones, first_header_pointers(np.array(starts, np.int64), full, zone))
        channel.starts = [start - full * zone for start in starts if start >= full * zone]
        return cadus

    def flush(self, vcid: int) -> bytes:
        """CADUs of what is left on ``vcid``, its last frame filled up with an idle packet; empty where nothing is
        left.
        """
        channel = self._channels.get(vcid)
        if channel is None or not channel.pending:
            return b""
        fill = self.profile.zone_octets - len(channel.pending)
        if fill <= PRIMARY_OCTETS:
            fill += self.profile.zone_octets
        return self.add(vcid, [idle_packet(fill)])

    def idle(self, frames: int) -> bytes:
        """CADUs of idle frames."""
        self._channels.setdefault(IDLE_VCID, _VirtualChannel())
        zones = np.full((frames, self.profile.zone_octets), _IDLE_FILL, np.uint8)
        return self._frames(IDLE_VCID, zones, np.full(frames, ONLY_IDLE_DATA, np.int64))

    def _frames(self, vcid: int, zones: NDArray[np.uint8], first_headers: NDArray[np.int64]) -> bytes:
        frames = len(zones)
        if not frames:
            return b""
        profile, channel = self.profile, self._channels[vcid]
        counts = (channel.count + np.arange(frames)) % _COUNT_MODULUS
        channel.count += frames
        blocks = np.zeros((frames, profile.code.block_octets), np.uint8)
        blocks[:, 0] = _VERSION_AOS | self._spacecraft >> 2
        blocks[:, 1] = (self._spacecraft & 0b11) << 6 | vcid
        blocks[:, 2:5] = counts.astype(">u4").view(np.uint8).reshape(frames, 4)[:, 1:]
        blocks[:, 6:8] = first_headers.astype(">u2").view(np.uint8).reshape(frames, 2)
        blocks[:, _ZONE_AT : _ZONE_AT + zones.shape[1]] = zones
        covered = profile.frame_octets - FECF_OCTETS
        rows = np.arange(frames) * profile.code.block_octets
        crc = crc16_spans(blocks.reshape(-1), rows, np.full(frames, covered, np.int64))
        blocks[:, covered : covered + FECF_OCTETS] = crc.astype(">u2").view(np.uint8).reshape(frames, 2)
        profile.code.encode(blocks)
        cadus = np.empty((frames, profile.cadu_octets), np.uint8)
        cadus[:, :ASM_OCTETS] = np.frombuffer(ASM.to_bytes(ASM_OCTETS, "big"), np.uint8)
        cadus[:, ASM_OCTETS:] = randomise(blocks) if profile.randomised else blocks
        return cadus.tobytes()
