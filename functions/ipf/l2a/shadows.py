"""Shadows of clouds: dark ground that lies where a cloud's shadow falls for one height of that cloud.

Each connected cloud is tried at heights of 0.2 to 10 km; the height at which most of its shadow falls on dark ground
is taken, if enough does (the matching of Zhu and Woodcock, 2012, doi 10.1016/j.rse.2011.10.028, in a plain form). The
cloud itself stands, for its height, displaced against the view.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from shared.ccsds._jit import jit

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Floats32: TypeAlias = NDArray[np.float32]
    Mask: TypeAlias = NDArray[np.bool_]

HEIGHTS_M: Final = np.concatenate([np.arange(200.0, 3000.0, 100.0), np.arange(3000.0, 10_001.0, 250.0)])
DARKER: Final = 0.72
"""Reflectance in the shadow over that of clear ground around, at most."""
LEAST_MATCH: Final = 0.3
"""Of a shadow, the part that must fall on dark ground."""
_NEIGHBOURHOOD: Final = 101


def dark_ground(nir: Floats32, swir: Floats32, clear: Mask) -> Mask:
    """Pixels of 60 m darker in both bands than the clear ground within 3 km."""
    weight = cv2.blur(clear.astype(np.float32), (_NEIGHBOURHOOD, _NEIGHBOURHOOD))
    found = np.ones(nir.shape, bool)
    for band in (nir, swir):
        total = cv2.blur(np.where(clear, band, np.float32(0)), (_NEIGHBOURHOOD, _NEIGHBOURHOOD))
        found &= band < np.float32(DARKER) * total / np.maximum(weight, np.float32(1e-3))
    return np.asarray(found & (weight > 0.01))


def shift_per_metre(sun: tuple[float, float], view: tuple[float, float]) -> tuple[float, float]:
    """Metres down (south) and right (east) from a cloud in the image to its shadow, for a metre of the cloud's height.

    ``sun`` and ``view`` are zenith and azimuth in degrees. The image shows a cloud on the ground behind it as seen
    from the satellite; its shadow lies away from the Sun.
    """
    (sun_tan, sun_turn), (view_tan, view_turn) = (
        (np.tan(np.radians(min(zenith, 80.0))), np.radians(azimuth)) for zenith, azimuth in (sun, view)
    )
    north = view_tan * np.cos(view_turn) - sun_tan * np.cos(sun_turn)
    east = view_tan * np.sin(view_turn) - sun_tan * np.sin(sun_turn)
    return float(-north), float(east)


def cloud_shadow(cloudy: Mask, dark: Mask, valid: Mask, per_metre: tuple[float, float]) -> Mask:
    """Shadow on pixels of 60 m; ``per_metre`` from ``shift_per_metre``."""
    count, labels = cv2.connectedComponents(cloudy.astype(np.uint8), connectivity=8)
    if count < 2:
        return np.zeros(cloudy.shape, bool)
    places = np.flatnonzero(labels)
    order = places[np.argsort(labels.ravel()[places], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(labels.ravel()[places], minlength=count)[1:])])
    steps = np.rint(np.outer(HEIGHTS_M / 60.0, per_metre)).astype(np.int64)
    zone = np.zeros(cloudy.shape, np.uint8)
    _match(order.astype(np.int64), starts.astype(np.int64), steps, cloudy, dark, valid, zone)
    wide = np.asarray(cv2.dilate(zone, np.ones((3, 3), np.uint8)), np.uint8) > 0
    return np.asarray(wide & dark & valid & ~cloudy)


@jit("void(int64[::1], int64[::1], int64[:, ::1], boolean[:, ::1], boolean[:, ::1], boolean[:, ::1], uint8[:, ::1])")
def _match(
    places: NDArray[np.int64],
    starts: NDArray[np.int64],
    steps: NDArray[np.int64],
    cloudy: Mask,
    dark: Mask,
    valid: Mask,
    zone: NDArray[np.uint8],
) -> None:
    """Mark the best shadow of each cloud; clouds are runs of ``places`` between ``starts``."""
    rows, columns = cloudy.shape
    for cloud in range(len(starts) - 1):
        best, best_step = 0.0, -1
        stride = max(1, (starts[cloud + 1] - starts[cloud]) // 20_000)
        for step in range(len(steps)):
            seen, hit = 0, 0
            for k in range(starts[cloud], starts[cloud + 1], stride):
                row = places[k] // columns + steps[step, 0]
                column = places[k] % columns + steps[step, 1]
                if 0 <= row < rows and 0 <= column < columns and valid[row, column] and not cloudy[row, column]:
                    seen += 1
                    hit += dark[row, column]
            if seen * stride * 20 > starts[cloud + 1] - starts[cloud] and hit / seen > best:
                best, best_step = hit / seen, step
        if best >= LEAST_MATCH:
            for k in range(starts[cloud], starts[cloud + 1]):
                row = places[k] // columns + steps[best_step, 0]
                column = places[k] % columns + steps[best_step, 1]
                if 0 <= row < rows and 0 <= column < columns:
                    zone[row, column] = 1
