"""The inner loop of the mosaic: pixels of one detector are laid where they are nearer than what lies there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.ccsds._jit import jit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_OF_ONE = "uint16[:, ::1], uint8[:, ::1], float32[:, ::1], uint8"
_OF_ALL = "uint16[:, ::1], uint8[:, ::1], uint8[:, ::1], float32[:, ::1]"


@jit(f"void({_OF_ONE}, uint8, float32, uint16, int64, {_OF_ALL})")
def lay(
    values: NDArray[np.uint16],
    flags: NDArray[np.uint8],
    distance: NDArray[np.float32],
    detector: int,
    lost: int,
    behind: float,
    highest: int,
    left: int,
    counts: NDArray[np.uint16],
    detectors: NDArray[np.uint8],
    all_flags: NDArray[np.uint8],
    nearest: NDArray[np.float32],
) -> None:
    """Lay a detector's ``values`` and ``flags`` (none where the array is empty) on those of all, (rows, columns).

    Its first column is column ``left`` of all. Pixels with a flag of ``lost`` become 0 and count as ``behind`` farther;
    others are held within 1 and ``highest``. ``nearest`` are the distances of what lies there, infinite where nothing
    does.
    """
    for row in range(values.shape[0]):
        if not flags.size:
            for at in range(values.shape[1]):  # without a branch, so that several pixels are done at once
                nearer = distance[row, at] < nearest[row, left + at]
                counts[row, left + at] = min(max(values[row, at], 1), highest) if nearer else counts[row, left + at]
                detectors[row, left + at] = detector if nearer else detectors[row, left + at]
                all_flags[row, left + at] = 0 if nearer else all_flags[row, left + at]
                nearest[row, left + at] = distance[row, at] if nearer else nearest[row, left + at]
            continue
        for at in range(values.shape[1]):
            gone = (flags[row, at] & lost) != 0
            far = distance[row, at] + behind if gone else distance[row, at]
            if far < nearest[row, left + at]:
                counts[row, left + at] = 0 if gone else min(max(values[row, at], 1), highest)
                detectors[row, left + at] = detector
                all_flags[row, left + at] = flags[row, at]
                nearest[row, left + at] = far
