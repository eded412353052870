"""Orbit and attitude at any time of a datastrip, by Lagrange interpolation over the 8 nearest samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BadInputError

if TYPE_CHECKING:
    from shared.geometry.frames import Floats

_POINTS: Final = 8
_WIDEST_GPS_STEP_S: Final = 10.5
_WIDEST_ATTITUDE_STEP_S: Final = 1.05
_BRIDGE_STEP_S: Final = 0.25
_ENDING_S: Final = 1.0


class Series:
    """Values at increasing times, and the polynomial through the 8 nearest of them.

    Args:
        seconds: increasing, at least 8, no two further apart than ``widest_s``.
        values: shape (n, components).
        what: how messages call the source.
    """

    def __init__(self, seconds: Floats, values: Floats, widest_s: float, what: str) -> None:
        if len(seconds) < _POINTS:
            raise BadInputError(what, f"at least {_POINTS} of them", len(seconds))
        widest = float(np.diff(seconds).max())
        if widest > widest_s:
            raise BadInputError(what, f"steps of at most {widest_s} s", f"{widest:.3f} s")
        self.seconds: Final = seconds
        self._values: Final = values

    def at(self, seconds: Floats) -> Floats:
        """Values at times, shape (..., components); beyond the first and last sample they are extrapolated."""
        return self._combine(seconds)[0]

    def rate(self, seconds: Floats) -> Floats:
        """Their derivatives, per second."""
        return self._combine(seconds)[1]

    def _combine(self, seconds: Floats) -> tuple[Floats, Floats]:
        times = np.asarray(seconds, dtype=np.float64)
        start = np.clip(np.searchsorted(self.seconds, times) - _POINTS // 2, 0, len(self.seconds) - _POINTS)
        index = start[..., None] + np.arange(_POINTS)
        nodes = self.seconds[index]
        weights, slopes = np.ones_like(nodes), np.zeros_like(nodes)
        for i in range(_POINTS):
            for j in range(_POINTS):
                if i != j:
                    span = nodes[..., i] - nodes[..., j]
                    factor = (times - nodes[..., j]) / span
                    slopes[..., i] = slopes[..., i] * factor + weights[..., i] / span
                    weights[..., i] *= factor
        chosen = self._values[index]
        return np.einsum("...k,...kc->...c", weights, chosen), np.einsum("...k,...kc->...c", slopes, chosen)


class Orbit(Series):
    """Earth-fixed positions, metres, from GPS points. ``bridged``: of any distance, where some were lost."""

    def __init__(self, seconds: Floats, positions: Floats, what: str, *, bridged: bool = False) -> None:
        super().__init__(seconds, positions, np.inf if bridged else _WIDEST_GPS_STEP_S, f"{what}, GPS_Points_List")


class Attitude(Series):
    """Body to EME2000.

    At 10 Hz the satellite's own motion between samples is no longer linear: linear interpolation is wrong by up to
    0.3 m on ground. ``bridged``: where samples were lost over more than a second, the gap is filled linearly, which
    leaves 0.1 m on ground over one second, 10 m over ten, and what the pointing did meanwhile.
    """

    def __init__(self, seconds: Floats, quaternions: Floats, what: str, *, bridged: bool = False) -> None:
        flips = np.einsum("ij,ij->i", quaternions[1:], quaternions[:-1])
        signs = np.concatenate([[1.0], np.cumprod(np.where(flips < 0, -1.0, 1.0))])  # q and -q are one rotation
        sided = quaternions * signs[: len(quaternions), None]
        if bridged:
            seconds, sided = _bridged(seconds, sided)
        super().__init__(seconds, sided, _WIDEST_ATTITUDE_STEP_S, f"{what}, Corrected_Attitudes")

    def at(self, seconds: Floats) -> Floats:
        """As ``Series.at``; beyond the samples the attitude goes on at the mean rate of the first or last second."""
        times = np.asarray(seconds, dtype=np.float64)
        known = np.clip(times, self.seconds[0], self.seconds[-1])
        inside = super().at(known)
        if np.array_equal(known, times):
            return inside
        before, after = self._rate(0), self._rate(-1)
        beyond = (times - known)[..., None]
        return inside + np.where(beyond < 0, beyond * before, beyond * after)

    def _rate(self, side: int) -> Floats:
        """Mean rate over the first (0) or last (-1) second, or what there is of it."""
        first, last = float(self.seconds[0]), float(self.seconds[-1])
        span = min(_ENDING_S, last - first)
        ends = super().at(np.array([first, first + span] if side == 0 else [last - span, last]))
        return np.asarray((ends[1] - ends[0]) / span)

    def matrices(self, seconds: Floats) -> Floats:
        """Rotations at times, shape (..., 3, 3)."""
        mixed = self.at(seconds)
        return _matrices(mixed / np.linalg.norm(mixed, axis=-1, keepdims=True))


def _bridged(seconds: Floats, quaternions: Floats) -> tuple[Floats, Floats]:
    """Samples with more of them, linear, in gaps that are too wide."""
    gaps = np.flatnonzero(np.diff(seconds) > _WIDEST_ATTITUDE_STEP_S)
    if not gaps.size:
        return seconds, quaternions
    more = [
        np.linspace(a, b, 1 + int(np.ceil((b - a) / _BRIDGE_STEP_S)))[1:-1] for a, b in seconds[gaps[:, None] + [0, 1]]
    ]
    times = np.sort(np.concatenate([seconds, *more]))
    return times, np.stack([np.interp(times, seconds, part) for part in quaternions.T], -1)


def _matrices(quaternion: Floats) -> Floats:
    """Matrices of unit quaternions (x, y, z, w): v' = q v q*."""
    x, y, z, w = np.moveaxis(quaternion, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)
