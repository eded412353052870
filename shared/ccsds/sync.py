"""Frame synchronisation: CADUs out of a stream of bits, at whatever bit they begin, again after every slip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds._jit import jit
from shared.ccsds.link import ASM, ASM_OCTETS, SENTINEL2, LinkProfile

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_TOLERANCE: Final = 3
_FIRST_WINDOW: Final = 4
_LAST_WINDOW: Final = 512


class FrameSynchroniser:
    """Feed it octets as they come; it returns runs of whole CADUs, each (n, cadu_octets).

    A position is taken for a marker when it matches within ``tolerance`` bits and so does the next one, or exactly
    where the stream ends before the next. Once in step, a CADU with a damaged marker is kept while the marker after it
    stands where it should; two in a row mean a slip: the CADU before them is dropped if a marker stands inside it, and
    the search begins anew. Memory: what was fed, plus three CADUs; time: linear, whatever the octets.
    """

    def __init__(self, profile: LinkProfile = SENTINEL2, tolerance: int = DEFAULT_TOLERANCE) -> None:
        self._size = profile.cadu_octets
        self._tolerance = tolerance
        self._raw: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._phase = 0
        self._locked = False
        self._window = _FIRST_WINDOW
        self.slips = 0
        self.truncated = 0
        self.skipped_bits = 0

    def feed(self, octets: bytes | memoryview) -> list[NDArray[np.uint8]]:
        """Runs of CADUs that are certain by now."""
        self._raw = np.concatenate([self._raw, np.frombuffer(octets, np.uint8)])
        return self._drain(final=False)

    def finish(self) -> list[NDArray[np.uint8]]:
        """The last CADUs; what cannot be one is counted in ``skipped_bits``."""
        runs = self._drain(final=True)
        self.skipped_bits += max(0, 8 * len(self._raw) - self._phase)
        self._raw, self._phase, self._locked = np.empty(0, np.uint8), 0, False
        return runs

    def _drain(self, *, final: bool) -> list[NDArray[np.uint8]]:
        runs = []
        while self._locked or self._acquire(final=final):
            # A lock just found may be lost at once: look at few CADUs first, so that false ones cost little.
            part = self._raw[: self._window * self._size + ASM_OCTETS + 1]
            last = len(part) == len(self._raw)
            rows = self._track(part, final=final and last)
            if len(rows):
                runs.append(rows)
            self._window = min(2 * self._window, _LAST_WINDOW) if self._locked else _FIRST_WINDOW
            if self._locked and last:
                break
        return runs

    def _acquire(self, *, final: bool) -> bool:
        """Find the next marker from the current bit on; what was passed over is dropped."""
        needed = self._size if final else 2 * self._size + ASM_OCTETS
        end = 8 * (len(self._raw) - needed) + 1
        found = _find(self._raw, self._phase, end, ASM, 8 * self._size, self._tolerance)
        reached = found if found >= 0 else max(end, self._phase)
        self._skip_to(reached)
        self._locked = found >= 0
        return self._locked

    def _skip_to(self, bit: int) -> None:
        self.skipped_bits += bit - self._phase
        self._raw, self._phase = self._raw[bit // 8 :], bit % 8

    def _track(self, part: NDArray[np.uint8], *, final: bool) -> NDArray[np.uint8]:
        """CADUs in step in ``part``, the octets from the current bit on; leaves the lock at a slip."""
        octets, size = _aligned(part, self._phase), self._size
        whole, rest = divmod(len(octets), size)
        rows = octets[: whole * size].reshape(whole, size)
        markers = rows[:, :ASM_OCTETS]
        if rest >= ASM_OCTETS:
            markers = np.concatenate([markers, octets[whole * size : whole * size + ASM_OCTETS].reshape(1, -1)])
        words = np.ascontiguousarray(markers).view(">u4").reshape(-1).astype(np.uint32)
        good = np.bitwise_count(words ^ np.uint32(ASM)) <= self._tolerance
        known = whole if final else len(good) - 1
        # At the very end nothing can follow: whether that is a frame is the code's to say.
        follows = np.append(good, [final, False])[1 : known + 1]
        doubtful = np.flatnonzero(~(good[:known] | follows)) if known > 0 else np.empty(0, np.int64)
        if len(doubtful):
            return self._slip(rows, int(doubtful[0]))
        # Before the end, the last CADU stays until the marker behind it is seen to be good: a slip might lie inside it.
        sure = known if known > 0 and good[known:].all() else known - 1
        count = whole if final else max(0, sure)
        self._raw = self._raw[count * size :]
        return rows[:count]

    def _slip(self, rows: NDArray[np.uint8], lost: int) -> NDArray[np.uint8]:
        """Lose the lock at row ``lost``: resume inside the row before it, where a marker stands there, else at row
        ``lost``.
        """
        self.slips += 1
        self._locked = False
        size = self._size
        if lost == 0:
            self._skip_to(self._phase + 1)
            return rows[:0]
        before = self._phase + 8 * (lost - 1) * size
        inside = _find(self._raw, before + 8 * ASM_OCTETS, before + 8 * size, ASM, 8 * size, self._tolerance)
        if inside < 0:
            self._raw = self._raw[lost * size :]
            return rows[:lost]
        self.truncated += 1
        self._raw, self._phase = self._raw[inside // 8 :], inside % 8
        return rows[: lost - 1]


def _aligned(raw: NDArray[np.uint8], phase: int) -> NDArray[np.uint8]:
    if phase == 0:
        return raw
    return (raw[:-1] << np.uint8(phase)) | (raw[1:] >> np.uint8(8 - phase))


@jit("uint32(uint8[::1], int64)")
def _word_at(raw: NDArray[np.uint8], bit: int) -> np.uint32:
    at = bit // 8
    word = np.uint64(0)
    for i in range(5):
        word = (word << np.uint64(8)) | np.uint64(raw[at + i] if at + i < len(raw) else 0)
    return np.uint32((word >> np.uint64(8 - bit % 8)) & np.uint64(0xFFFFFFFF))


@jit("int64(uint32)")
def _ones(word: np.uint32) -> int:
    v = np.uint32(word)
    v = v - ((v >> np.uint32(1)) & np.uint32(0x55555555))
    v = (v & np.uint32(0x33333333)) + ((v >> np.uint32(2)) & np.uint32(0x33333333))
    v = (v + (v >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
    return int(np.uint32(v * np.uint32(0x01010101)) >> np.uint32(24))


@jit("int64(uint8[::1], int64, int64, int64, int64, int64)")
def _find(raw: NDArray[np.uint8], start: int, end: int, marker: int, spacing: int, tolerance: int) -> int:
    """First bit in [start, end) where a marker stands, or -1."""
    target = np.uint32(marker)
    bits = 8 * len(raw)
    at = start // 8
    window = np.uint64(0)
    for i in range(4):
        window = (window << np.uint64(8)) | np.uint64(raw[at + i] if at + i < len(raw) else 0)
    bit = start - start % 8
    while bit < end:
        window = (window << np.uint64(8)) | np.uint64(raw[at + 4] if at + 4 < len(raw) else 0)
        at += 1
        for shift in range(8):
            word = np.uint32((window >> np.uint64(8 - shift)) & np.uint64(0xFFFFFFFF))
            errors = _ones(word ^ target)
            if errors > tolerance:
                continue
            here = bit + shift
            if here < start or here >= end or here + 32 > bits:
                continue
            following = here + spacing
            second = following + spacing
            if following + 32 <= bits and _ones(_word_at(raw, following) ^ target) <= tolerance:
                return here
            if second + 32 <= bits:
                if _ones(_word_at(raw, second) ^ target) <= tolerance:
                    return here
            elif errors == 0:
                return here
        bit += 8
    return -1
