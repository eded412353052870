"""Arrays in scratch files, written and read some rows at a time.

They are not mapped into memory: what a process holds is the rows at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray


class Rows:
    """A .npy file to which rows are appended; those of 0 take no space. Rows that never come are 0."""

    def __init__(self, path: Path, shape: tuple[int, int], dtype: DTypeLike = np.uint8) -> None:
        self._path, self._shape, self._dtype = path, shape, np.dtype(dtype)

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": self._shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._begin = self._file.tell()
        return self

    def append(self, rows: NDArray[Any]) -> None:
        """The next rows, (rows, columns)."""
        if rows.any():
            self._file.write(np.ascontiguousarray(rows).data)
        else:
            self._file.seek(rows.nbytes, 1)

    def __exit__(self, *_: object) -> None:
        with self._file:
            self._file.truncate(self._begin + self._shape[0] * self._shape[1] * self._dtype.itemsize)


def rows_of(path: Path, first: int, stop: int) -> NDArray[Any]:
    """Rows ``first`` to ``stop`` (exclusive) of such a file, or of one that ``np.save`` wrote."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        rows, columns = max(min(stop, shape[0]) - first, 0), shape[1]
        file.seek(first * columns * dtype.itemsize, 1)
        return np.fromfile(file, dtype, rows * columns).reshape(rows, columns)
