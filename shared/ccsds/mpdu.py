"""Packets out of the frames of one virtual channel (M_PDU service of CCSDS 732.0), and the pointers that find them
again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds.link import NO_PACKET_START, ONLY_IDLE_DATA
from shared.ccsds.spacepackets import PRIMARY_OCTETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

COUNT_MODULUS: Final = 1 << 24
_BACKWARDS: Final = COUNT_MODULUS // 2
_STRETCH: Final = 8


@dataclass(frozen=True, slots=True)
class PacketSpans:
    """Whole packets: span i is ``octets[starts[i] : starts[i] + lengths[i]]``."""

    octets: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]


class PacketReassembler:
    """Packets of one virtual channel, across frames and calls.

    At a gap in the frame count the packet under way is given up (``incomplete``) and the next one is found by the
    first header pointer. A pointer that contradicts the packets' lengths (``pointer_errors``) is treated as a gap: the
    pointer is under the frame's checksum.
    """

    def __init__(self) -> None:
        self._pending: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._in_step = False
        self._expected: int | None = None
        self.frames = 0
        self.lost_frames = 0
        self.gaps = 0
        self.out_of_order = 0
        self.incomplete = 0
        self.pointer_errors = 0

    def feed(
        self, counts: NDArray[np.int64], pointers: NDArray[np.int64], zones: NDArray[np.uint8]
    ) -> list[PacketSpans]:
        """Packets that end in these frames: frame counts (n,), first header pointers (n,), packet zones (n, octets)."""
        if not len(counts):
            return []
        self.frames += len(counts)
        first = int(counts[0]) if self._expected is None else self._expected
        steps = (counts - np.append(first, (counts[:-1] + 1) % COUNT_MODULUS)) % COUNT_MODULUS
        self._expected = (int(counts[-1]) + 1) % COUNT_MODULUS
        breaks = np.flatnonzero(steps)
        self.gaps += len(breaks)
        backwards = steps[breaks] >= _BACKWARDS
        self.out_of_order += int(backwards.sum())
        self.lost_frames += int(steps[breaks][~backwards].sum())
        found = []
        for begin, end in zip(np.append(0, breaks), np.append(breaks, len(counts)), strict=True):
            if begin < len(steps) and steps[begin]:
                self._lose_step()
            if begin < end:
                found.extend(self._run(pointers[begin:end], zones[begin:end]))
        return found

    def finish(self) -> None:
        """The stream has ended: a packet under way is incomplete."""
        self._lose_step()

    def _lose_step(self) -> None:
        self.incomplete += bool(len(self._pending))
        self._pending = np.empty(0, np.uint8)
        self._in_step = False

    def _run(self, pointers: NDArray[np.int64], zones: NDArray[np.uint8]) -> list[PacketSpans]:
        """Packets of frames without a gap between them."""
        data = pointers != ONLY_IDLE_DATA
        if not data.all():
            pointers, zones = pointers[data], zones[data]
        found: list[PacketSpans] = []
        window = len(pointers)
        while len(pointers):
            taken = self._stretch(pointers[:window], zones[:window], found)
            if taken < min(window, len(pointers)):
                # Pointers are false here: go on in small stretches, so that the same octets are not walked again and
                # again.
                window = _STRETCH
            pointers, zones = pointers[taken:], zones[taken:]
        return found

    def _stretch(self, pointers: NDArray[np.int64], zones: NDArray[np.uint8], found: list[PacketSpans]) -> int:
        """Packets of some frames, up to the first false pointer; how many frames were used up."""
        skipped = skip = 0
        if not self._in_step:
            begins = np.flatnonzero(pointers != NO_PACKET_START)
            if not len(begins):
                return len(pointers)
            skipped = int(begins[0])
            pointers, zones = pointers[skipped:], zones[skipped:]
            skip = int(pointers[0])
            if skip >= zones.shape[1]:
                self.pointer_errors += 1
                return skipped + 1
        octets = np.concatenate([self._pending, zones.reshape(-1)[skip:]])
        origin = len(self._pending) - skip
        starts, lengths, rest = _walk(octets)
        promised = first_header_pointers(np.append(starts, rest) - origin, *zones.shape)
        wrong = np.flatnonzero(promised != pointers)
        if not len(wrong):
            found.append(PacketSpans(octets, starts, lengths))
            self._pending, self._in_step = octets[rest:], True
            return skipped + len(pointers)
        cut = int(wrong[0])
        whole = starts + lengths <= origin + cut * zones.shape[1]
        found.append(PacketSpans(octets, starts[whole], lengths[whole]))
        self.pointer_errors += 1
        self.incomplete += 1
        self._pending, self._in_step = octets[:0], False
        return skipped + cut


def _walk(octets: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Starts and lengths of the whole packets that follow one another from 0, and where the first that is not whole
    begins.
    """
    view = memoryview(octets)  # type: ignore[arg-type]
    starts, at, size = [], 0, len(view)
    while at + PRIMARY_OCTETS <= size:
        end = at + PRIMARY_OCTETS + 1 + (view[at + 4] << 8 | view[at + 5])
        if end > size:
            break
        starts.append(at)
        at = end
    begins = np.array(starts, np.int64)
    return begins, np.diff(np.append(begins, at)), at


def first_header_pointers(starts: NDArray[np.int64], frames: int, zone: int) -> NDArray[np.int64]:
    """For each of ``frames`` zones in a row, the offset of the first packet that starts in it, 7FF where none does.

    ``starts`` are ascending offsets of packets from the first zone's beginning.
    """
    begins = np.arange(frames) * zone
    padded = np.append(starts, np.iinfo(np.int64).max)
    first = padded[np.searchsorted(starts, begins)]
    return np.where(first < begins + zone, first - begins, NO_PACKET_START)
