"""What L1B knows of an image's samples, a file beside each image of the working folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from shared.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known of an image's samples: packets that are missing or damaged, samples that are saturated.

    ``lost`` and ``degraded`` tell for each packet of 16 lines whether none came, or only one that does not decode;
    ``saturated_lines`` (ascending, from 0) have samples at the highest count, and ``saturated_bits`` tells which: a row
    for each such line, a bit for each column, as ``np.packbits`` lays them. An image that is all saturated takes less
    than a sixteenth of its counts.
    """

    lost: NDArray[np.bool_]
    degraded: NDArray[np.bool_]
    saturated_lines: NDArray[np.int32]
    saturated_bits: NDArray[np.uint8]

    def saturated_within(self, first: int, stop: int, columns: int) -> NDArray[np.bool_] | None:
        """Saturated samples of lines ``first`` to ``stop``, (lines, columns); ``None`` where there are none."""
        begin, end = np.searchsorted(self.saturated_lines, [first, stop])
        if begin == end:
            return None
        found = np.zeros((stop - first, columns), np.bool_)
        bits = np.unpackbits(self.saturated_bits[begin:end], axis=1, count=columns)
        found[self.saturated_lines[begin:end] - first] = bits.view(np.bool_)
        return found

    def save(self, path: Path) -> None:
        """Write the arrays as ``path`` (.npz)."""
        np.savez_compressed(path, **{name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def load(cls, path: Path) -> Quality:
        """Read the arrays; BadInputError where one is missing or they do not fit together."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                found = cls(
                    np.asarray(archive["lost"], np.bool_),
                    np.asarray(archive["degraded"], np.bool_),
                    np.asarray(archive["saturated_lines"], np.int32),
                    np.asarray(archive["saturated_bits"], np.uint8),
                )
        except (OSError, KeyError, ValueError, BadZipFile) as error:
            raise BadInputError(path.name, "the four arrays of an image's quality", str(error)) from None
        lines, bits = found.saturated_lines, found.saturated_bits
        if found.lost.shape != found.degraded.shape or bits.ndim != 2 or lines.shape != bits.shape[:1]:
            raise BadInputError(path.name, "arrays of equal length for packets, and for lines")
        return found


def saturation(samples: NDArray[np.bool_], first: int = 0) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """The fields of ``Quality`` for saturated samples (lines, columns), of which the first line is ``first``."""
    lines = np.flatnonzero(samples.any(axis=1))
    return (lines + first).astype(np.int32), np.packbits(samples[lines], axis=1)
