"""Arrays of bytes in scratch files, written and read some rows at a time.

They are not mapped into memory: what a process holds is the rows at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class Rows:
    """A .npy file of uint8 to which rows are appended; those of 0 take no space. Rows that never come are 0."""

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self._path, self._shape = path, shape

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        header = {"descr": "|u1", "fortran_order": False, "shape": self._shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._begin = self._file.tell()
        return self

    def append(self, rows: NDArray[np.uint8]) -> None:
        """The next rows, (rows, columns)."""
        if rows.any():
            self._file.write(np.ascontiguousarray(rows).data)
        else:
            self._file.seek(rows.size, 1)

    def __exit__(self, *_: object) -> None:
        with self._file:
            self._file.truncate(self._begin + self._shape[0] * self._shape[1])


def rows_of(path: Path, first: int, stop: int) -> NDArray[np.uint8]:
    """Rows ``first`` to ``stop`` (exclusive) of such a file."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
        rows, columns = max(min(stop, shape[0]) - first, 0), shape[1]
        file.seek(first * columns, 1)
        return np.fromfile(file, np.uint8, rows * columns).reshape(rows, columns)
