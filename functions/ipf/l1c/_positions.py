"""The inner loops of inverse location: positions in an image for a tile's pixels, by nodes and heights.

``nodes`` (rows, columns, 8), ``step`` pixels apart, hold column and row in the field of heights, then for line and for
column the three coefficients of a parabola in the height above ``middle``. Between nodes all are bilinear, and so are
heights between those of ``field``, (rows, columns); where it is ``flat`` at ``middle``, the first coefficient is all.
The first pixel is ``skip`` (rows, columns) after the first node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds._jit import jit

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Floats32: TypeAlias = NDArray[np.float32]

FAR: Final = np.inf
_LAID: Final = "float64[:, :, ::1], float32[:, ::1], float64, boolean, int64"


@jit(f"void({_LAID}, int64, int64, float64[::1], float64[::1])")
def _row(
    nodes: Floats,
    field: Floats32,
    middle: float,
    flat: bool,
    step: int,
    row: int,
    skip: int,
    line: Floats,
    column: Floats,
) -> None:
    """Line and column at the centres of one row of pixels, ``row`` after the first node's."""
    i = row // step
    u = (row - i * step) / step
    left, right = np.empty(8), np.empty(8)
    last_x, last_y = field.shape[1] - 1.000001, field.shape[0] - 1.000001
    for j in range(nodes.shape[1] - 1):
        first, stop = max(j * step, skip), min((j + 1) * step, skip + len(line))
        if first >= stop:
            continue
        for k in range(8):
            left[k] = (1 - u) * nodes[i, j, k] + u * nodes[i + 1, j, k]
            right[k] = (1 - u) * nodes[i, j + 1, k] + u * nodes[i + 1, j + 1, k] - left[k]
        if flat:
            for at in range(first, stop):
                v = (at - j * step) / step
                line[at - skip] = left[2] + v * right[2]
                column[at - skip] = left[5] + v * right[5]
            continue
        for at in range(first, stop):
            v = (at - j * step) / step
            x = min(max(left[0] + v * right[0], 0.0), last_x)
            y = min(max(left[1] + v * right[1], 0.0), last_y)
            east, north = int(x), int(y)
            x -= east
            y -= north
            south = field[north, east] * (1 - x) + field[north, east + 1] * x
            above = field[north + 1, east] * (1 - x) + field[north + 1, east + 1] * x
            h = south * (1 - y) + above * y - middle
            line[at - skip] = left[2] + v * right[2] + h * (left[3] + v * right[3] + h * (left[4] + v * right[4]))
            column[at - skip] = left[5] + v * right[5] + h * (left[6] + v * right[6] + h * (left[7] + v * right[7]))


@jit(f"void({_LAID}, int64[::1], float64, float32[:, ::1], float32[:, ::1])")
def positions(
    nodes: Floats,
    field: Floats32,
    middle: float,
    flat: bool,
    step: int,
    skip: NDArray[np.int64],
    base: float,
    line: Floats32,
    column: Floats32,
) -> None:
    """Line (less ``base``) and column at the centres of pixels, into ``line`` and ``column`` (rows, columns)."""
    lines, columns = np.empty(line.shape[1]), np.empty(line.shape[1])
    for row in range(line.shape[0]):
        _row(nodes, field, middle, flat, step, row + skip[0], skip[1], lines, columns)
        for at in range(line.shape[1]):
            line[row, at] = lines[at] - base
            column[row, at] = columns[at]


@jit(f"int64({_LAID}, int64[::1], int64, int64[::1], float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def samples(
    nodes: Floats,
    field: Floats32,
    middle: float,
    flat: bool,
    step: int,
    skip: NDArray[np.int64],
    first: int,
    size: NDArray[np.int64],
    x: Floats32,
    y: Floats32,
    distance: Floats32,
) -> int:
    """Where pixels lie among an image's samples, as OpenCV's remap takes it, and how far from its middle.

    ``size``: lines and columns of the image. ``x`` and ``y``: column, and line less ``first``, counted from the centre
    of the first sample; 0 where ``distance`` is infinite.
    ``distance``: from the middle column, in widths of the image; infinite outside of the centres of the outermost
    samples, for there nothing is extrapolated.

    Returns:
        how many pixels lie inside.
    """
    lines, columns = np.empty(x.shape[1]), np.empty(x.shape[1])
    bottom, right, half, inside = size[0] - 0.5, size[1] - 0.5, 0.5 * size[1], 0
    for row in range(x.shape[0]):
        _row(nodes, field, middle, flat, step, row + skip[0], skip[1], lines, columns)
        for at in range(x.shape[1]):
            line, column = lines[at], columns[at]
            if 0.5 <= line <= bottom and 0.5 <= column <= right:
                x[row, at], y[row, at] = column - 0.5, line - 0.5 - first
                distance[row, at] = abs(column - half) / size[1]
                inside += 1
            else:
                x[row, at] = y[row, at] = 0.0
                distance[row, at] = FAR
    return inside
