"""Housekeeping telemetry for the control centre: the frames of its virtual channel, as they came, as a product.

The product is a folder ``S2A_TEST_PRD_HKTM___<first>_<last>_<number>`` with one file of that name: transfer frames,
header and error control included, one after the other; and a manifest. The name has no place for the time of creation,
by which what is made anew has another name: the number stands for it. What the packets mean is the control centre's to
know; here they tell the times alone. PSD has no inventory for it: its file names there are those of images.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.ipf.common import l0_metadata as md
from functions.ipf.common import pdi
from functions.ipf.common.identity import FILE_CLASS, Production
from functions.ipf.common.xml import write
from shared.ccsds.cuc import CUC_OCTETS, decode_cuc, gps_ns_to_utc
from shared.ccsds.spacepackets import OVERHEAD_OCTETS, USER_DATA_AT
from shared.domain.names import HktmName

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from functions.ipf.common.strip import StripAccount
    from shared.ccsds.decoder import PacketBatch

_TIME_AT: Final = USER_DATA_AT - CUC_OCTETS - 1
_COUNT_AT: Final = 2
_COUNTS: Final = 1 << 24
_NUMBERS: Final = 9999


@dataclass
class HousekeepingRecorder:
    """Takes frames and packets of the virtual channel in any order of channels; a frame that comes twice is taken
    once. ``spool`` is a file that it makes.
    """

    spool: Path
    packets: int = 0
    times_ns: list[int] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)

    def add_frames(self, frames: NDArray[np.uint8]) -> None:
        """Take frames, (n, octets)."""
        counts = [int.from_bytes(row.tobytes(), "big") for row in frames[:, _COUNT_AT : _COUNT_AT + 3]]
        fresh = []
        for row, count in enumerate(counts):
            if count not in self._seen:
                self._seen.add(count)
                fresh.append(row)
        if not fresh:
            return
        with self.spool.open("ab") as sink:
            sink.write(np.ascontiguousarray(frames[fresh]).tobytes())

    def add_packets(self, batch: PacketBatch) -> None:
        """Take note of whole packets' times."""
        for start, length, whole in zip(batch.starts, batch.lengths, batch.crc_ok, strict=True):
            if whole and length >= OVERHEAD_OCTETS:
                self.packets += 1
                at = int(start) + _TIME_AT
                time = decode_cuc(batch.octets[at : at + CUC_OCTETS].tobytes())
                self.times_ns = [min([*self.times_ns, time]), max([*self.times_ns, time])]

    @property
    def lost(self) -> int:
        """Frames between the first and the last that did not come. The count starts anew after 24 bits: where none came
        for the longest is before the first.
        """
        counts = sorted(self._seen)
        if not counts:
            return 0
        steps = [b - a for a, b in pairwise(counts)]
        return _COUNTS - max([*steps, counts[0] + _COUNTS - counts[-1]]) + 1 - len(counts)

    def account(self) -> dict[str, Any]:
        """What came, for the session's report."""
        return {"frames": len(self._seen), "frames_lost": self.lost, "packets": self.packets}

    def losses(self) -> list[str]:
        """A sentence where frames are missing."""
        lost, seen = self.lost, len(self._seen)
        return [f"housekeeping telemetry: {lost} of {seen + lost} frames lost"] if lost else []

    def write(self, folder: Path, production: Production, strip: StripAccount) -> str:
        """The product below ``folder``, and its name; empty where nothing came. ``strip``: a datastrip of the session,
        which tells satellite and orbit, and the times where no packet is whole.
        """
        if not self._seen:
            return ""
        times = [gps_ns_to_utc(time) for time in self.times_ns] or [strip.start, strip.stop]
        descriptor = strip.descriptor
        number = 1 + int(production.creation.timestamp()) % _NUMBERS
        name = str(HktmName(descriptor.satellite, FILE_CLASS, times[0], times[-1], number))
        product = folder / name
        product.mkdir(parents=True)
        self.spool.replace(product / f"{name}.bin")
        origin = pdi.Origin(
            "0",
            "Housekeeping",
            md.datatake_identifier(descriptor, production.baseline),
            descriptor.datatake_type,
            descriptor.relative_orbit,
            "",
            times[0],
            times[-1],
            (),
        )
        write(product / pdi.MANIFEST, pdi.manifest(product, production, origin))
        return name
