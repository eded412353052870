"""Reed-Solomon arithmetic over rows of interleaved code words, compiled.

A row is one code block: symbol i of code word j stands at ``i * depth + j``. A parity register of 2E symbols is kept
as 64-bit words, first symbol uppermost, so that dividing by the generator costs one table row per symbol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shared.ccsds._jit import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@jit("void(uint8[:, ::1], int64, int64, uint64[:, ::1], uint8[:, ::1])")
def parity_two_words(
    rows: NDArray[np.uint8], depth: int, data: int, table: NDArray[np.uint64], out: NDArray[np.uint8]
) -> None:
    """Parity of E = 8 where depth is a multiple of 4: four code words side by side keep the processor's pipeline
    full.
    """
    eight, top, low = np.uint64(8), np.uint64(56), np.uint64(255)
    zero = np.uint64(0)
    for r in range(rows.shape[0]):
        for j in range(0, depth, 4):
            h0, h1, h2, h3 = zero, zero, zero, zero
            l0, l1, l2, l3 = zero, zero, zero, zero
            p = j
            for _ in range(data):
                f0 = (h0 >> top) ^ np.uint64(rows[r, p])
                f1 = (h1 >> top) ^ np.uint64(rows[r, p + 1])
                f2 = (h2 >> top) ^ np.uint64(rows[r, p + 2])
                f3 = (h3 >> top) ^ np.uint64(rows[r, p + 3])
                p += depth
                h0 = ((h0 << eight) | (l0 >> top)) ^ table[f0, 0]
                l0 = (l0 << eight) ^ table[f0, 1]
                h1 = ((h1 << eight) | (l1 >> top)) ^ table[f1, 0]
                l1 = (l1 << eight) ^ table[f1, 1]
                h2 = ((h2 << eight) | (l2 >> top)) ^ table[f2, 0]
                l2 = (l2 << eight) ^ table[f2, 1]
                h3 = ((h3 << eight) | (l3 >> top)) ^ table[f3, 0]
                l3 = (l3 << eight) ^ table[f3, 1]
            for b in range(8):
                q = np.uint64(56 - 8 * b)
                high, lower = b * depth + j, (8 + b) * depth + j
                out[r, high] = (h0 >> q) & low
                out[r, high + 1] = (h1 >> q) & low
                out[r, high + 2] = (h2 >> q) & low
                out[r, high + 3] = (h3 >> q) & low
                out[r, lower] = (l0 >> q) & low
                out[r, lower + 1] = (l1 >> q) & low
                out[r, lower + 2] = (l2 >> q) & low
                out[r, lower + 3] = (l3 >> q) & low


@jit("void(uint8[:, ::1], int64, int64, uint64[:, ::1], uint8[:, ::1])")
def parity_any(
    rows: NDArray[np.uint8], depth: int, data: int, table: NDArray[np.uint64], out: NDArray[np.uint8]
) -> None:
    """Parity of any depth and of E = 8 or 16."""
    eight, top = np.uint64(8), np.uint64(56)
    words = table.shape[1]
    state = np.zeros(words + 1, np.uint64)
    for r in range(rows.shape[0]):
        for j in range(depth):
            state[:] = 0
            for i in range(data):
                f = (state[0] >> top) ^ np.uint64(rows[r, i * depth + j])
                for w in range(words):
                    state[w] = ((state[w] << eight) | (state[w + 1] >> top)) ^ table[f, w]
            for b in range(8 * words):
                out[r, b * depth + j] = (state[b // 8] >> np.uint64(56 - 8 * (b % 8))) & np.uint64(255)


@jit("boolean(uint8[::1], int64, int64[:, ::1], int64[::1])")
def _syndromes(word: NDArray[np.uint8], first_root: int, field: NDArray[np.int64], out: NDArray[np.int64]) -> bool:
    """The word as a polynomial at each root, by Horner; true where any is not zero."""
    exp, log = field[0], field[1]
    dirty = False
    for i in range(len(out)):
        s = np.int64(0)
        for symbol in range(255):
            if s:
                s = exp[log[s] + (first_root + i) % 255]
            s ^= np.int64(word[symbol])
        out[i] = s
        dirty = dirty or s != 0
    return dirty


@jit("int64(int64[::1], int64[:, ::1], int64[::1])")
def _locate(syndromes: NDArray[np.int64], field: NDArray[np.int64], out: NDArray[np.int64]) -> int:
    """The error locator polynomial by Berlekamp and Massey, lowest power first; its degree."""
    exp, log = field[0], field[1]
    size = len(syndromes) + 1
    previous = np.zeros(size, np.int64)
    saved = np.zeros(size, np.int64)
    out[:] = 0
    out[0] = 1
    previous[0] = 1
    degree = 0
    shift = 1
    scale = np.int64(1)
    for n in range(size - 1):
        delta = syndromes[n]
        for i in range(1, degree + 1):
            if out[i] and syndromes[n - i]:
                delta ^= exp[log[out[i]] + log[syndromes[n - i]]]
        if delta == 0:
            shift += 1
            continue
        factor = (log[delta] - log[scale]) % 255
        saved[:] = out
        for i in range(size - shift):
            if previous[i]:
                out[i + shift] ^= exp[log[previous[i]] + factor]
        if 2 * degree <= n:
            degree = n + 1 - degree
            previous[:] = saved
            scale = delta
            shift = 1
        else:
            shift += 1
    return degree


@jit("int64(int64[::1], int64, int64, int64, int64[:, ::1])")
def _value(polynomial: NDArray[np.int64], first: int, step: int, power: int, field: NDArray[np.int64]) -> int:
    """Sum of every ``step``-th term from ``first``, term i at base^(power (i - first)): the polynomial, or its
    derivative.
    """
    exp, log = field[0], field[1]
    total = np.int64(0)
    for i in range(first, len(polynomial), step):
        if polynomial[i]:
            total ^= exp[(log[polynomial[i]] + (i - first) * power) % 255]
    return int(total)


@jit("void(int64[::1], int64[::1], int64[:, ::1], int64[::1])")
def _product(a: NDArray[np.int64], b: NDArray[np.int64], field: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """The product of two polynomials, its terms up to the length of ``out``."""
    exp, log = field[0], field[1]
    for i in range(len(out)):
        for j in range(i + 1):
            if a[j] and b[i - j]:
                out[i] ^= exp[log[a[j]] + log[b[i - j]]]


@jit("int64(uint8[::1], int64, int64, int64[:, ::1])")
def correct_word(word: NDArray[np.uint8], parity: int, first_root: int, field: NDArray[np.int64]) -> int:
    """Correct one code word of 255 symbols in place; the number of symbols corrected, or -1 where there are more than
    E.

    ``field`` holds powers and logarithms to the base of the code's root step, (2, 510), powers twice round. Roots of
    the locator by trial of all positions, values by Forney (Blahut, Algebraic Codes for Data Transmission, 2003,
    chapter 7).
    """
    exp, log = field[0], field[1]
    syndromes = np.zeros(parity, np.int64)
    if not _syndromes(word, first_root, field, syndromes):
        return 0
    locator = np.zeros(parity + 1, np.int64)
    degree = _locate(syndromes, field, locator)
    if degree > parity // 2:
        return -1
    evaluator = np.zeros(parity, np.int64)
    _product(locator, syndromes, field, evaluator)
    positions = np.zeros(parity + 1, np.int64)
    values = np.zeros(parity + 1, np.int64)
    found = 0
    for position in range(255):
        inverse = (255 - position) % 255
        if _value(locator, 0, 1, inverse, field) != 0:
            continue
        numerator = _value(evaluator, 0, 1, inverse, field)
        # In characteristic 2 the derivative keeps the odd terms, each one power lower.
        derivative = _value(locator, 1, 2, inverse, field)
        if found == degree or derivative == 0 or numerator == 0:
            return -1
        positions[found] = position
        values[found] = exp[(log[numerator] - log[derivative] + (1 - first_root) * position) % 255]
        found += 1
    if found != degree:
        return -1
    for i in range(found):
        word[254 - positions[i]] ^= np.uint8(values[i])
    return found
