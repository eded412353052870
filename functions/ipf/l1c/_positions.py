"""The inner loop of inverse location: positions in an image for a tile's pixels, by nodes and heights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds._jit import jit
from shared.geometry._terrain import height_at

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Floats32: TypeAlias = NDArray[np.float32]

_SIGNATURE: Final = (
    "void(float64[:, :, ::1], float64[::1], float32[:, ::1], float64[::1], float64, int64, "
    "float32[:, ::1], float32[:, ::1])"
)


@jit(_SIGNATURE)
def positions(
    nodes: Floats,
    heights: Floats,
    field: NDArray[np.float32],
    grid: Floats,
    base: float,
    step: int,
    line: Floats32,
    column: Floats32,
) -> None:
    """Line (less ``base``) and column at the centres of pixels, into ``line`` and ``column`` (rows, columns).

    ``nodes`` (rows, columns, 8), ``step`` pixels apart, the first at the first pixel's centre, hold longitude and
    latitude, then line and column at each of three ``heights``. Between nodes all are bilinear; in height, positions
    are the parabola through the three. Heights of the ground are bilinear in ``field``.
    """
    low, middle, high = heights[0], heights[1], heights[2]
    scale_low = 1.0 / ((low - middle) * (low - high))
    scale_middle = 1.0 / ((middle - low) * (middle - high))
    scale_high = 1.0 / ((high - low) * (high - middle))
    left, right = np.empty(8), np.empty(8)
    for row in range(line.shape[0]):
        i = row // step
        u = (row - i * step) / step
        for j in range(nodes.shape[1] - 1):
            first = j * step
            for k in range(8):
                left[k] = (1 - u) * nodes[i, j, k] + u * nodes[i + 1, j, k]
                right[k] = (1 - u) * nodes[i, j + 1, k] + u * nodes[i + 1, j + 1, k]
            for at in range(first, min(first + step, line.shape[1])):
                v = (at - first) / step
                h = height_at(field, grid, (1 - v) * left[0] + v * right[0], (1 - v) * left[1] + v * right[1])
                a = (h - middle) * (h - high) * scale_low
                b = (h - low) * (h - high) * scale_middle
                c = (h - low) * (h - middle) * scale_high
                before = a * left[2] + b * left[4] + c * left[6]
                after = a * right[2] + b * right[4] + c * right[6]
                line[row, at] = (1 - v) * before + v * after - base
                before = a * left[3] + b * left[5] + c * left[7]
                after = a * right[3] + b * right[5] + c * right[7]
                column[row, at] = (1 - v) * before + v * after
