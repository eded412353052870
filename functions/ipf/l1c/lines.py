"""Lines of an image for strips that follow one another: what two of them need is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from functions.ipf.safe.working import IMAGE_BLOCK_LINES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from functions.ipf.safe.working import BandImage, WorkingFolder

    Counts = NDArray[np.uint16]


class Lines:
    """The lines of one image; keeps those read last, whole blocks of the file."""

    def __init__(self, working: WorkingFolder, image: BandImage) -> None:
        self._working, self._image = working, image
        self._first, self._kept = 0, np.zeros((0, image.columns), np.uint16)

    def read(self, first: int, stop: int) -> Counts:
        """Lines ``first`` to ``stop`` (exclusive), all columns; a view."""
        end = self._first + len(self._kept)
        if not (self._first <= first and stop <= end):
            begin = first // IMAGE_BLOCK_LINES * IMAGE_BLOCK_LINES
            until = min(-(-stop // IMAGE_BLOCK_LINES) * IMAGE_BLOCK_LINES, self._image.lines)
            if self._first <= begin < end:  # until > end: what is kept ends with a block, or with the image
                more = self._working.read_lines(self._image, end, until)
                self._kept = np.concatenate([self._kept[begin - self._first :], more])
            else:
                self._kept = self._working.read_lines(self._image, begin, until)
            self._first = begin
        return self._kept[first - self._first : stop - self._first]
