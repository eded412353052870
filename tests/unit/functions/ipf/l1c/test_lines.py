"""Lines of an image: what is asked for comes, and nothing is read twice but the blocks at the seams."""

from __future__ import annotations

from typing import Any

import numpy as np

from functions.ipf.l1c.lines import Lines
from functions.ipf.safe.working import IMAGE_BLOCK_LINES, BandImage

LINES, COLUMNS = 1900, 3


class _Folder:
    def __init__(self) -> None:
        self.counts = np.arange(LINES * COLUMNS, dtype=np.uint16).reshape(LINES, COLUMNS)
        self.asked: list[int] = []

    def read_lines(self, image: BandImage, first: int, stop: int) -> Any:
        assert 0 <= first < stop <= image.lines
        assert first % IMAGE_BLOCK_LINES == 0
        self.asked += range(first, stop)
        return self.counts[first:stop]


def image() -> BandImage:
    return BandImage(
        detector=1,
        band="B02",
        lines=LINES,
        columns=COLUMNS,
        first_line_ns=0,
        packets_expected=0,
        packets_received=0,
    )


def test_strips_that_overlap_read_each_line_once() -> None:
    folder: Any = _Folder()
    lines = Lines(folder, image())
    for first in range(0, LINES - 1, 300):
        stop = min(first + 900, LINES)
        assert np.array_equal(lines.read(first, stop), folder.counts[first:stop])
    assert folder.asked == list(range(LINES))


def test_any_order_comes_right() -> None:
    folder: Any = _Folder()
    lines = Lines(folder, image())
    for first, stop in ((1000, 1200), (10, 20), (1899, 1900), (0, 1900), (500, 600), (250, 1300), (1290, 1310)):
        assert np.array_equal(lines.read(first, stop), folder.counts[first:stop])
