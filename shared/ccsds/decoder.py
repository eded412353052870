"""The receiving end of a channel: octets in, packets out, and an account of what happened to every frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shared.ccsds.crc_spans import crc16_spans
from shared.ccsds.link import (
    ASM_OCTETS,
    FECF_OCTETS,
    FRAME_HEADER_OCTETS,
    IDLE_VCID,
    MPDU_HEADER_OCTETS,
    SENTINEL2,
    LinkProfile,
)
from shared.ccsds.mpdu import PacketReassembler, PacketSpans
from shared.ccsds.randomiser import randomise
from shared.ccsds.spacepackets import IDLE_APID, SEQUENCE_MODULUS
from shared.ccsds.sync import DEFAULT_TOLERANCE, FrameSynchroniser

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_AT_ONCE: Final = 512  # a megabyte of CADUs: what follows stays in the second-level cache
_ZONE_AT: Final = FRAME_HEADER_OCTETS + MPDU_HEADER_OCTETS


@dataclass(frozen=True, slots=True)
class PacketBatch:
    """Packets of one virtual channel in their order: spans of ``octets``, with what their headers say.

    ``crc_ok`` is false where a packet's own CRC does not fit, although its frames' did.
    """

    vcid: int
    octets: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    apids: NDArray[np.int64]
    sequences: NDArray[np.int64]
    crc_ok: NDArray[np.bool_]


@dataclass
class ChannelStatistics:
    """Counts over one channel. Frames are whole CADUs found; every one is data, idle, uncorrectable, failed or
    foreign.
    """

    frames: int = 0
    data_frames: int = 0
    idle_frames: int = 0
    corrected_frames: int = 0
    corrected_symbols: int = 0
    uncorrectable_frames: int = 0
    frame_crc_errors: int = 0
    foreign_frames: int = 0
    idle_packets: int = 0
    packet_crc_errors: int = 0
    slips: int = 0
    truncated_frames: int = 0
    skipped_octets: int = 0
    virtual_channels: dict[int, dict[str, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Field by field, virtual channels under their number as text."""
        plain = {name: value for name, value in vars(self).items() if name != "virtual_channels"}
        return {**plain, "virtual_channels": {str(vcid): counts for vcid, counts in self.virtual_channels.items()}}


class ChannelDecoder:
    """One physical channel, fed with octets in their order; bounded memory, a few times what one call brings.

    Args:
        profile: the link's coding.
        spacecraft: frames of any other spacecraft id are foreign; ``None`` takes the id of the first good frame.
        tolerance: flipped bits that a sync marker may have.
        recorded: a virtual channel whose frames are kept until ``take_frames``, beside its packets.
    """

    def __init__(
        self,
        profile: LinkProfile = SENTINEL2,
        spacecraft: int | None = None,
        tolerance: int = DEFAULT_TOLERANCE,
        recorded: int | None = None,
    ) -> None:
        self._profile = profile
        self._spacecraft = spacecraft
        self._sync = FrameSynchroniser(profile, tolerance)
        self._channels: dict[int, PacketReassembler] = {}
        self._counts: Counter[str] = Counter()
        self._recorded = recorded
        self._kept: list[NDArray[np.uint8]] = []

    def feed(self, octets: bytes | memoryview) -> list[PacketBatch]:
        """Packets that are whole by now."""
        return self._runs(self._sync.feed(octets))

    def finish(self) -> list[PacketBatch]:
        """The last packets; the stream has ended."""
        batches = self._runs(self._sync.finish())
        for channel in self._channels.values():
            channel.finish()
        return batches

    def take_frames(self) -> NDArray[np.uint8]:
        """Frames of the recorded virtual channel since the last call, (n, frame_octets), as they came."""
        taken = [np.empty((0, self._profile.frame_octets), np.uint8), *self._kept]
        self._kept = []
        return np.concatenate(taken)

    @property
    def good_frames(self) -> int:
        """Frames so far that decoded, idle ones included."""
        return self._counts["data_frames"] + self._counts["idle_frames"]

    @property
    def bad_frames(self) -> int:
        """Frames so far that were found and did not decode."""
        return self._counts["uncorrectable_frames"] + self._counts["frame_crc_errors"]

    @property
    def statistics(self) -> ChannelStatistics:
        """What was counted so far."""
        return ChannelStatistics(
            **self._counts,
            slips=self._sync.slips,
            truncated_frames=self._sync.truncated,
            skipped_octets=-(-self._sync.skipped_bits // 8),
            virtual_channels={
                vcid: {
                    "frames": channel.frames,
                    "lost_frames": channel.lost_frames,
                    "gaps": channel.gaps,
                    "out_of_order": channel.out_of_order,
                    "incomplete_packets": channel.incomplete,
                    "pointer_errors": channel.pointer_errors,
                }
                for vcid, channel in sorted(self._channels.items())
            },
        )

    def _runs(self, runs: list[NDArray[np.uint8]]) -> list[PacketBatch]:
        return [
            batch
            for rows in runs
            for at in range(0, len(rows), _ROWS_AT_ONCE)
            for batch in self._decode(rows[at : at + _ROWS_AT_ONCE])
        ]

    def _decode(self, cadus: NDArray[np.uint8]) -> list[PacketBatch]:
        frames = self._good_frames(cadus)
        vcids = frames[:, 1] & 0x3F
        counts = frames[:, 2].astype(np.int64) << 16 | frames[:, 3].astype(np.int64) << 8 | frames[:, 4]
        pointers = (frames[:, 6].astype(np.int64) & 0x07) << 8 | frames[:, 7]
        zones = frames[:, _ZONE_AT : self._profile.frame_octets - FECF_OCTETS]
        batches: list[PacketBatch] = []
        for vcid in np.unique(vcids):
            own = np.flatnonzero(vcids == vcid)
            if vcid == IDLE_VCID:
                self._counts["idle_frames"] += len(own)
                continue
            self._counts["data_frames"] += len(own)
            if vcid == self._recorded:
                self._kept.append(frames[own, : self._profile.frame_octets])
            channel = self._channels.setdefault(int(vcid), PacketReassembler())
            found = channel.feed(counts[own], pointers[own], zones[own])
            batches.extend(self._batch(int(vcid), spans) for spans in found if len(spans.starts))
        return batches

    def _good_frames(self, cadus: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Decoded blocks (n, block_octets) of frames whose code, checksum, version and spacecraft are right."""
        coded = cadus[:, ASM_OCTETS:]
        blocks = randomise(coded) if self._profile.randomised else coded.copy()
        verdict = self._profile.code.correct(blocks)
        rows = np.arange(len(blocks)) * blocks.shape[1]
        remainders = crc16_spans(blocks.reshape(-1), rows, np.full(len(blocks), self._profile.frame_octets))
        whole = ~verdict.uncorrectable & (remainders == 0)
        spacecraft = (blocks[:, 0].astype(np.int64) & 0x3F) << 2 | blocks[:, 1] >> 6
        if self._spacecraft is None and whole.any():
            self._spacecraft = int(spacecraft[np.argmax(whole)])
        own = whole & (blocks[:, 0] >> 6 == 1) & (spacecraft == self._spacecraft)
        self._counts["frames"] += len(blocks)
        self._counts["corrected_frames"] += int((verdict.corrected > 0).sum())
        self._counts["corrected_symbols"] += int(verdict.corrected.sum())
        self._counts["uncorrectable_frames"] += int(verdict.uncorrectable.sum())
        self._counts["frame_crc_errors"] += int((~verdict.uncorrectable & ~whole).sum())
        self._counts["foreign_frames"] += int((whole & ~own).sum())
        return blocks if own.all() else blocks[own]

    def _batch(self, vcid: int, spans: PacketSpans) -> PacketBatch:
        octets, starts, lengths = spans.octets, spans.starts, spans.lengths
        apids = (octets[starts].astype(np.int64) & 0x07) << 8 | octets[starts + 1]
        busy = apids != IDLE_APID
        self._counts["idle_packets"] += int((~busy).sum())
        if not busy.all():
            starts, lengths, apids = starts[busy], lengths[busy], apids[busy]
        sequences = (octets[starts + 2].astype(np.int64) << 8 | octets[starts + 3]) % SEQUENCE_MODULUS
        crc_ok = crc16_spans(octets, starts, lengths) == 0
        self._counts["packet_crc_errors"] += int((~crc_ok).sum())
        return PacketBatch(vcid, octets, starts, lengths, apids, sequences, crc_ok)
