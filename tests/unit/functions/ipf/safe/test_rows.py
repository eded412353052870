"""Scratch files of rows, and what is kept of saturated samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from functions.ipf.safe.quality import Quality, saturation
from functions.ipf.safe.rows import Rows, rows_of
from shared.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path


def test_rows_come_back_and_those_that_never_came_are_nothing(tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30), dtype=np.uint8)
    pixels[5:10] = 0
    with Rows(tmp_path / "a.npy", (25, 30)) as file:
        for first in range(0, 20, 5):
            file.append(pixels[first : first + 5])
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.pad(pixels, ((0, 5), (0, 0))))
    assert np.array_equal(rows_of(tmp_path / "a.npy", 3, 12), pixels[3:12])
    assert rows_of(tmp_path / "a.npy", 24, 30).shape == (1, 30)


def test_saturated_samples_take_a_bit_each_and_come_back(tmp_path: Path) -> None:
    full = np.random.default_rng(3).random((100, 37)) < 0.01
    full[40:60] = False
    lines, bits = saturation(full, 1000)
    assert bits.nbytes <= 100 * 5
    Quality(np.zeros(7, np.bool_), np.ones(7, np.bool_), lines, bits).save(tmp_path / "q.npz")
    found = Quality.load(tmp_path / "q.npz")
    some = found.saturated_within(1030, 1080, 37)
    assert some is not None
    assert np.array_equal(some, full[30:80])
    assert found.saturated_within(1040, 1060, 37) is None
    assert found.saturated_within(0, 1000, 37) is None


def test_arrays_of_quality_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    none = np.zeros(7, np.bool_)
    Quality(none, none, np.zeros(3, np.int32), np.zeros((2, 5), np.uint8)).save(tmp_path / "q.npz")
    with pytest.raises(BadInputError, match=r"q\.npz: expected arrays of equal length for packets, and for lines"):
        Quality.load(tmp_path / "q.npz")
