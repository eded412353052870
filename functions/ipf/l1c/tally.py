"""What a band's pixels add up to, strip after strip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from functions.ipf.l1c.flags import LAYERS, MSI_DEGRADED, MSI_LOST, NO_DATA
from functions.ipf.safe.jp2 import Extent, around

if TYPE_CHECKING:
    from functions.ipf.l1c.resample import Strip


@dataclass(slots=True)
class Tally:
    """Pixels inside the swath, those with data, those with each flag, by bit; and which part has flags.

    ``lost`` are pixels whose own packet did not come or does not decode.
    """

    seen: int = 0
    valid: int = 0
    flagged: list[int] = field(default_factory=lambda: [0] * LAYERS)
    lost: int = 0
    extent: Extent = field(default_factory=lambda: Extent(0, 0, 0, 0))

    def add(self, strip: Strip) -> None:
        """Count a strip."""
        flags = strip.flags
        self.seen += int(np.count_nonzero(strip.detectors))
        self.valid += int(np.count_nonzero(strip.counts))
        rows = np.flatnonzero(flags.any(axis=1))
        if not rows.size:
            return
        columns = np.flatnonzero(flags.any(axis=0))
        edges = (strip.row + rows[0], columns[0], strip.row + rows[-1] + 1, columns[-1] + 1)
        self.extent = around((self.extent, Extent(*map(int, edges))))
        for bit in range(LAYERS):
            self.flagged[bit] += int(np.count_nonzero(flags & (1 << bit)))
        lost = ((flags & (MSI_LOST | MSI_DEGRADED)) > 0) & ((flags & NO_DATA) > 0)
        self.lost += int(np.count_nonzero(lost))
