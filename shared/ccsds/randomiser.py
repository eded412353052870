"""The pseudo-randomiser of CCSDS 131.0, section 10: h(x) = x^8 + x^7 + x^5 + x^3 + 1, preset to ones, period 255
bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@lru_cache(maxsize=8)
def pseudo_noise(octets: int) -> NDArray[np.uint8]:
    """The first ``octets`` bytes of the sequence (FF 48 0E C0 9A ...), read-only."""
    bits = [1] * 8
    while len(bits) < 255:
        bits.append(bits[-8] ^ bits[-5] ^ bits[-3] ^ bits[-1])
    sequence = np.packbits(np.resize(np.array(bits, np.uint8), octets * 8))
    sequence.flags.writeable = False
    return sequence


def randomise(blocks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rows of code blocks, (n, octets), with the sequence added to each; its own inverse."""
    return blocks ^ pseudo_noise(blocks.shape[1])
