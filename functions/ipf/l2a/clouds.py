"""Probability of cloud from TOA reflectance, by the model of s2cloudless.

The model is a sum of decision trees over ten bands (see ``make_cloud_model.py`` for whose it is); it was learnt on
Level-1C reflectance. Its authors take probabilities from 0.4, averaged over the neighbourhood, for cloud.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from shared.ccsds._jit import jit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats32: TypeAlias = NDArray[np.float32]

MODEL_BANDS: Final = ("B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12")
"""The model's inputs, in its order."""


class _Trees(NamedTuple):
    """All trees' nodes and leaves one after another; a child below 0 is leaf ``-1 - child`` of its own tree."""

    feature: NDArray[np.uint8]
    threshold: Floats32
    left: NDArray[np.int16]
    right: NDArray[np.int16]
    leaf: Floats32
    node_at: NDArray[np.int32]
    leaf_at: NDArray[np.int32]


@cache
def _model() -> _Trees:
    with np.load(str(files("functions.ipf.l2a").joinpath("cloud_model.npz")), allow_pickle=False) as found:
        return _Trees(**{name: np.ascontiguousarray(found[name]) for name in _Trees._fields})


def cloud_probability(toa: Mapping[str, Floats32], where: NDArray[np.bool_]) -> Floats32:
    """Probability of cloud, 0 to 1, of the pixels in ``where``, 0 elsewhere; ``toa`` has the ``MODEL_BANDS``."""
    pixels = np.stack([toa[name][where] for name in MODEL_BANDS], axis=-1)
    result = np.zeros(where.shape, np.float32)
    result[where] = _evaluate(np.ascontiguousarray(pixels, np.float32), *_model())
    return result


@jit(
    "float32[::1](float32[:, ::1], uint8[::1], float32[::1], int16[::1], int16[::1], float32[::1],"
    " int32[::1], int32[::1])"
)
def _evaluate(
    pixels: Floats32,
    feature: NDArray[np.uint8],
    threshold: Floats32,
    left: NDArray[np.int16],
    right: NDArray[np.int16],
    leaf: Floats32,
    node_at: NDArray[np.int32],
    leaf_at: NDArray[np.int32],
) -> Floats32:
    """The trees' sum through the logistic function; block by block, so that a tree stays in the cache."""
    block = 2048
    total = np.zeros(len(pixels), np.float64)
    for first in range(0, len(pixels), block):
        stop = min(first + block, len(pixels))
        for tree in range(len(node_at) - 1):
            root, leaves = node_at[tree], leaf_at[tree]
            for pixel in range(first, stop):
                node = 0
                while node >= 0:
                    at = root + node
                    node = left[at] if pixels[pixel, feature[at]] <= threshold[at] else right[at]
                total[pixel] += leaf[leaves - 1 - node]
    return (1 / (1 + np.exp(-total))).astype(np.float32)
