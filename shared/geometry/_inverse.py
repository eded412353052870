"""Compiled loops over places: back to the line and column that see them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds._jit import jit
from shared.geometry._rays import LIST, TABLE

if TYPE_CHECKING:
    from shared.geometry.frames import Floats


_SETTLED_COLUMNS: Final = 1e-7


@jit(f"void({TABLE}, {LIST}, float64, {LIST}, {LIST})")
def _look(states: Floats, clock: Floats, second: float, point: Floats, look: Floats) -> None:
    """The direction to an Earth-fixed point in the detector frame, its z made 1; NaN where it is behind."""
    place = (second - clock[0]) / clock[1]
    row = min(max(int(place), 0), states.shape[0] - 2)
    part = place - row
    s = states[row] * (1 - part) + states[row + 1] * part
    dx, dy, dz = point[0] - s[0], point[1] - s[1], point[2] - s[2]
    # Rows of the inverse are cross products of the columns, over the determinant, which the division cancels.
    u0 = dx * (s[7] * s[11] - s[8] * s[10]) + dy * (s[5] * s[10] - s[4] * s[11]) + dz * (s[4] * s[8] - s[5] * s[7])
    u1 = dx * (s[8] * s[9] - s[6] * s[11]) + dy * (s[3] * s[11] - s[5] * s[9]) + dz * (s[5] * s[6] - s[3] * s[8])
    u2 = dx * (s[6] * s[10] - s[7] * s[9]) + dy * (s[4] * s[9] - s[3] * s[10]) + dz * (s[3] * s[7] - s[4] * s[6])
    look[0], look[1] = (u0 / u2, u1 / u2) if u2 > 0.0 else (math.nan, math.nan)


@jit(f"float64({TABLE}, float64, float64)")
def _column(looks: Floats, across: float, column: float) -> float:
    """The column position whose direction is ``across`` in y, from a first guess; NaN where the search fails."""
    for _ in range(50):
        spot = column - 0.5
        left = min(max(math.floor(spot), 0), looks.shape[0] - 2)
        slope = looks[left + 1, 1] - looks[left, 1]  # never 0: ``gipp`` holds columns to one order
        found: float = left + (across - looks[left, 1]) / slope + 0.5
        if abs(found - column) < _SETTLED_COLUMNS:
            return found
        column = found
    return math.nan


@jit(f"float64({TABLE}, float64)")
def _along(looks: Floats, column: float) -> float:
    """Direction in x at a column position."""
    spot = column - 0.5
    left = min(max(math.floor(spot), 0), looks.shape[0] - 2)
    along: float = looks[left, 0] + (looks[left + 1, 0] - looks[left, 0]) * (spot - left)
    return along


@jit(f"void({TABLE}, {LIST}, {TABLE}, {TABLE}, {TABLE})")
def invert(states: Floats, clock: Floats, looks: Floats, points: Floats, times: Floats) -> None:
    """Second and column at which Earth-fixed ``points`` (n, 3) are seen, into ``times`` (n, 2).

    Newton's method on the along-track direction, from the nearest of some coarse states; NaN where the point is seen
    beyond the states.
    """
    last = states.shape[0] - 1
    coarse = max(int(5.0 / clock[1]), 1)
    end = clock[0] + clock[1] * last
    look, later = np.empty(2), np.empty(2)
    for i in range(len(points)):
        nearest, least = 0, math.inf
        for row in range(0, last + 1, coarse):
            square = 0.0
            for k in range(3):
                square += (points[i, k] - states[row, k]) ** 2
            if square < least:
                nearest, least = row, square
        second, column = clock[0] + clock[1] * nearest, 0.5 * looks.shape[0]
        settled = False
        for _ in range(30):
            _look(states, clock, second, points[i], look)
            column = _column(looks, look[1], column)
            if column != column:  # noqa: PLR0124 - NaN
                break
            miss = look[0] - _along(looks, column)
            _look(states, clock, second + 0.01, points[i], later)
            onward = _column(looks, later[1], column)
            rate = (later[0] - _along(looks, onward) - miss) / 0.01
            if rate == 0.0:
                break
            step = -miss / rate
            second += min(max(step, -10.0), 10.0)
            if abs(step) < 1e-9:
                settled = True
                break
        if settled and clock[0] <= second <= end:
            times[i, 0], times[i, 1] = second, column
        else:
            times[i, 0], times[i, 1] = math.nan, math.nan
