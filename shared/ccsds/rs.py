"""Reed-Solomon of CCSDS 131.0, section 4: RS(255, 239) with E = 8 and RS(255, 223) with E = 16, interleaved.

Field polynomial x^8 + x^7 + x^2 + x + 1; generator with roots alpha^(11 j), j = 128 - E .. 127 + E. The arithmetic is
done in the conventional basis; a link in Berlekamp's dual basis is converted on the way in and out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds._rs_kernels import correct_word, parity_any, parity_two_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

SYMBOLS: Final = 255
_FIELD: Final = 0x187
_STEP: Final = 11


@dataclass(frozen=True, slots=True)
class RsVerdict:
    """Per code block (row): symbols corrected, and whether a code word in it had more errors than the code can
    correct.
    """

    corrected: NDArray[np.int64]
    uncorrectable: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ReedSolomon:
    """A code of ``errors`` correctable symbols (8 or 16) at an interleaving ``depth`` (1, 2, 3, 4, 5 or 8)."""

    errors: int = 8
    depth: int = 8
    dual_basis: bool = False

    def __post_init__(self) -> None:
        if self.errors not in (8, 16) or self.depth not in (1, 2, 3, 4, 5, 8):
            raise ValueError(f"Reed-Solomon: expected E 8 or 16, depth 1..5 or 8, found {self.errors} and {self.depth}")

    @property
    def data_octets(self) -> int:
        """Octets of data in a code block."""
        return (SYMBOLS - 2 * self.errors) * self.depth

    @property
    def block_octets(self) -> int:
        """Octets of a code block: data, then parity."""
        return SYMBOLS * self.depth

    def encode(self, blocks: NDArray[np.uint8]) -> None:
        """Fill in the parity of rows (n, block_octets), in place."""
        data = blocks[:, : self.data_octets]
        if self.dual_basis:
            parity = self._parity(np.ascontiguousarray(_from_dual()[data]))
            blocks[:, self.data_octets :] = _to_dual()[parity]
        else:
            blocks[:, self.data_octets :] = self._parity(blocks)

    def correct(self, blocks: NDArray[np.uint8]) -> RsVerdict:
        """Check rows (n, block_octets) and correct them in place; a row that cannot be corrected is left as it came."""
        conventional = _from_dual()[blocks] if self.dual_basis else blocks
        differs = self._parity(conventional) != conventional[:, self.data_octets :]
        corrected = np.zeros(len(blocks), np.int64)
        uncorrectable = np.zeros(len(blocks), np.bool_)
        for row in np.flatnonzero(differs.any(axis=1)):
            repaired = conventional[row].copy()
            for column in np.flatnonzero(differs[row].reshape(2 * self.errors, self.depth).any(axis=0)):
                word = np.ascontiguousarray(repaired[column :: self.depth])
                found = correct_word(word, 2 * self.errors, 128 - self.errors, _logarithms())
                if found < 0:
                    uncorrectable[row] = True
                    break
                corrected[row] += found
                repaired[column :: self.depth] = word
            if uncorrectable[row]:
                corrected[row] = 0
            else:
                blocks[row] = _to_dual()[repaired] if self.dual_basis else repaired
        return RsVerdict(corrected, uncorrectable)

    def _parity(self, rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        out = np.empty((len(rows), 2 * self.errors * self.depth), np.uint8)
        kernel = parity_two_words if self.errors == 8 and self.depth % 4 == 0 else parity_any
        kernel(rows, self.depth, SYMBOLS - 2 * self.errors, _division_table(self.errors), out)
        return out


def _field() -> tuple[list[int], list[int]]:
    """Powers of alpha twice round, and logarithms."""
    exp, log, value = [0] * 510, [0] * 256, 1
    for power in range(255):
        exp[power] = exp[power + 255] = value
        log[value] = power
        value = (value << 1) ^ (_FIELD if value & 0x80 else 0)
    return exp, log


@lru_cache(maxsize=1)
def _logarithms() -> NDArray[np.int64]:
    """Powers of beta = alpha^11 twice round, and logarithms to that base: (2, 510)."""
    alpha, _ = _field()
    field = np.zeros((2, 510), np.int64)
    field[0] = [alpha[_STEP * power % 255] for power in range(510)]
    field[1, field[0, :255]] = np.arange(255)
    return field


@lru_cache(maxsize=2)
def _division_table(errors: int) -> NDArray[np.uint64]:
    """Table (256, 2E / 8): what a symbol leaving the register adds to it, the generator times that symbol."""
    exp, log = _field()

    def times(a: int, b: int) -> int:
        return exp[log[a] + log[b]] if a and b else 0

    generator = [1]
    for j in range(128 - errors, 128 + errors):
        root = exp[_STEP * j % 255]
        generator = [a ^ times(b, root) for a, b in zip([*generator, 0], [0, *generator], strict=True)]
    rows = [bytes(times(symbol, g) for g in generator[1:]) for symbol in range(256)]
    return np.frombuffer(b"".join(rows), ">u8").reshape(256, -1).astype(np.uint64)


@lru_cache(maxsize=1)
def _to_dual() -> NDArray[np.uint8]:
    """Conventional to dual basis: bit i of z, uppermost first, is the trace of u times alpha^(117 i) (CCSDS 131.0,
    annex F).
    """
    exp, log = _field()

    def trace(value: int) -> int:
        total = 0
        for power in range(8):
            total ^= exp[(log[value] << power) % 255] if value else 0
        return total & 1

    def dual(u: int) -> int:
        products = [exp[(log[u] + 117 * i) % 255] if u else 0 for i in range(8)]
        return sum(trace(product) << (7 - i) for i, product in enumerate(products))

    return np.array([dual(u) for u in range(256)], np.uint8)


@lru_cache(maxsize=1)
def _from_dual() -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    table[_to_dual()] = np.arange(256)
    return table
