"""The inner loop of scene sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shared.ccsds._jit import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HALF = np.float32(0.5)
_ONE = np.float32(1)
_TWO = np.float32(2)
_THREE = np.float32(3)
_FOUR = np.float32(4)
_FIVE = np.float32(5)


@jit("void(uint16[:, ::1], float64[::1], boolean, float64[::1], float64[::1], float32[::1])")
def sample_cubic(
    values: NDArray[np.uint16],
    place: NDArray[np.float64],
    mirrored: bool,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Cubic convolution (a = -1/2) of a raster at places.

    ``place`` holds left edge, upper edge, pixel size, scale and offset; beyond the raster it is mirrored or repeated.
    """
    rows, columns = values.shape
    left, top, step = place[0], place[1], 1.0 / place[2]
    scale, offset = np.float32(place[3]), np.float32(place[4])
    at_row, at_column = np.empty(4, np.int64), np.empty(4, np.int64)
    wrap_rows, wrap_columns = (2 * rows, 2 * columns) if mirrored else (rows, columns)
    flat, width = values.reshape(-1), np.uint64(columns)
    i1, i2, i3 = np.uint64(1), np.uint64(2), np.uint64(3)
    for point in range(x.size):
        across = (x[point] - left) * step - 0.5
        down = (top - y[point]) * step - 0.5
        floor_column, floor_row = np.floor(across), np.floor(down)
        t, u = np.float32(across - floor_column), np.float32(down - floor_row)
        column, row = np.int64(floor_column) - 1, np.int64(floor_row) - 1
        c0 = _HALF * t * (t * (_TWO - t) - _ONE)
        c1 = _HALF * (_TWO + t * t * (_THREE * t - _FIVE))
        c2 = _HALF * t * (_ONE + t * (_FOUR - _THREE * t))
        c3 = _ONE - c0 - c1 - c2
        r0 = _HALF * u * (u * (_TWO - u) - _ONE)
        r1 = _HALF * (_TWO + u * u * (_THREE * u - _FIVE))
        r2 = _HALF * u * (_ONE + u * (_FOUR - _THREE * u))
        r3 = _ONE - r0 - r1 - r2
        if column < 0 or column >= wrap_columns:
            column %= wrap_columns
        if row < 0 or row >= wrap_rows:
            row %= wrap_rows
        if column < columns - 3 and row < rows - 3:
            a = np.uint64(row * columns + column)  # unsigned: no check for negative indices
            b = a + width
            c = b + width
            d = c + width
            total = (
                r0 * (c0 * flat[a] + c1 * flat[a + i1] + c2 * flat[a + i2] + c3 * flat[a + i3])
                + r1 * (c0 * flat[b] + c1 * flat[b + i1] + c2 * flat[b + i2] + c3 * flat[b + i3])
                + r2 * (c0 * flat[c] + c1 * flat[c + i1] + c2 * flat[c + i2] + c3 * flat[c + i3])
                + r3 * (c0 * flat[d] + c1 * flat[d + i1] + c2 * flat[d + i2] + c3 * flat[d + i3])
            )
        else:
            for k in range(4):
                at_row[k], at_column[k] = (row + k) % wrap_rows, (column + k) % wrap_columns
                if mirrored:
                    at_row[k] = min(at_row[k], 2 * rows - 1 - at_row[k])
                    at_column[k] = min(at_column[k], 2 * columns - 1 - at_column[k])
            total = _ONE - _ONE
            for k in range(4):
                line = values[at_row[k]]
                part = c0 * line[at_column[0]] + c1 * line[at_column[1]]
                part += c2 * line[at_column[2]] + c3 * line[at_column[3]]
                total += (r0 if k == 0 else r1 if k == 1 else r2 if k == 2 else r3) * part
        out[point] = total * scale + offset
