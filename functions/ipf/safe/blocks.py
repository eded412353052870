"""Whether a TIFF holds what was written to it.

GDAL keeps blocks in memory and writes the last of them when the file is closed. Where that fails, as on a full disk,
rasterio tells nobody: the blocks are absent from the file, and whoever reads them finds 0, which is no data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    from numpy.typing import NDArray

    Block: TypeAlias = tuple[int, int, int]
    """Plane, from 1, and row and column of a block, from 0."""


def blocks_held(planes: NDArray[Any], row: int, column: int, side: int) -> Iterator[Block]:
    """The blocks, ``side`` x ``side`` pixels, in which pixels (planes, rows, columns) at a place are not all 0."""
    for first in range(row // side * side, row + planes.shape[1], side):
        columns = planes[:, max(first - row, 0) : first + side - row].max(axis=1) > 0
        edges = np.arange(side - column % side, planes.shape[2], side)
        for block, part in enumerate(np.split(columns, edges, axis=1), column // side):
            for plane in np.flatnonzero(part.any(axis=1)):
                yield int(plane) + 1, first // side, block


def require_blocks(path: Path, blocks: Iterable[Block]) -> None:
    """OSError where a file lacks one of them."""
    with rasterio.open(path) as image:
        for plane, row, column in blocks:
            if image.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=plane) is None:
                raise OSError(f"{path.name}: not all that was written has reached the file; is the disk full?")
