"""The layers of flags."""

from __future__ import annotations

import tracemalloc

import numpy as np

from functions.ipf.l1c.flags import LAYERS, planes


def test_each_bit_is_a_layer_and_nothing_as_large_is_held_beside_them() -> None:
    flags = np.random.default_rng(3).integers(0, 256, (400, 300), dtype=np.uint8)
    tracemalloc.start()
    layers = planes(flags)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert layers.dtype == np.uint8
    assert np.array_equal(np.packbits(layers, axis=0, bitorder="little")[0], flags)
    assert most < 1.2 * LAYERS * flags.nbytes
