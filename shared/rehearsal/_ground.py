"""The inner loop of imaging: what each sample of a granule sees, by nodes of its lines of sight and the relief."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds._jit import jit
from shared.geometry._terrain import height_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shared.geometry.frames import Floats

_STEPS: Final = 60
_SETTLED_M: Final = 1e-3
_CUBE: Final = "float64[:, :, ::1]"


@jit(
    f"void({_CUBE}, {_CUBE}, float32[:, ::1], float64[::1], int64, float64, float64, float64[:, ::1], float64[:, ::1])"
)
def places_on_relief(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    field: NDArray[np.float32],
    grid: Floats,
    first: int,
    line_step: float,
    column_step: float,
    x: Floats,
    y: Floats,
) -> None:
    """Where samples see the relief, into ``x`` and ``y`` (lines, columns).

    ``low`` and ``high`` (nodes of lines, nodes of columns, 4) hold easting, northing, longitude and latitude of the
    lines of sight at the relief's lowest and highest height; between nodes they are bilinear, in height linear. A
    sample is followed down to the relief by the secant of its clearance; slopes must stay below the line of sight's
    own (78 degrees at the swath's edge), as those of elevation models do.
    """
    bottom, top = grid[4], grid[5]
    span = top - bottom
    at, rise = np.empty(4), np.empty(4)
    for row in range(x.shape[0]):
        down = (first + row + 0.5) / line_step
        i = min(int(down), low.shape[0] - 2)
        u = down - i
        height = 0.5 * (bottom + top)
        for column in range(x.shape[1]):
            along = (column + 0.5) / column_step
            j = min(int(along), low.shape[1] - 2)
            v = along - j
            a, b, c, d = (1 - u) * (1 - v), (1 - u) * v, u * (1 - v), u * v
            for k in range(4):
                at[k] = a * low[i, j, k] + b * low[i, j + 1, k] + c * low[i + 1, j, k] + d * low[i + 1, j + 1, k]
                rise[k] = a * high[i, j, k] + b * high[i, j + 1, k] + c * high[i + 1, j, k] + d * high[i + 1, j + 1, k]
                rise[k] = (rise[k] - at[k]) / span
            above = height - bottom
            before = height
            miss = height_at(field, grid, at[2] + above * rise[2], at[3] + above * rise[3]) - height
            height += miss
            for _ in range(_STEPS):
                above = height - bottom
                now = height_at(field, grid, at[2] + above * rise[2], at[3] + above * rise[3]) - height
                if abs(now) < _SETTLED_M:
                    break
                step = height - before
                before = height
                slope = (now - miss) / step if step != 0.0 else -1.0
                height += -now / slope if slope < -0.2 else now
                miss = now
            above = height - bottom
            x[row, column] = at[0] + above * rise[0]
            y[row, column] = at[1] + above * rise[1]


@jit(f"void({_CUBE}, int64, float64, float64, float64[:, ::1], float64[:, ::1])")
def places_at_height(
    nodes: NDArray[np.float64], first: int, line_step: float, column_step: float, x: Floats, y: Floats
) -> None:
    """As ``places_on_relief`` where the ground has one height, at which ``nodes`` are given."""
    for row in range(x.shape[0]):
        down = (first + row + 0.5) / line_step
        i = min(int(down), nodes.shape[0] - 2)
        u = down - i
        for column in range(x.shape[1]):
            along = (column + 0.5) / column_step
            j = min(int(along), nodes.shape[1] - 2)
            v = along - j
            a, b, c, d = (1 - u) * (1 - v), (1 - u) * v, u * (1 - v), u * v
            for k, out in ((0, x), (1, y)):
                out[row, column] = (
                    a * nodes[i, j, k] + b * nodes[i, j + 1, k] + c * nodes[i + 1, j, k] + d * nodes[i + 1, j + 1, k]
                )
