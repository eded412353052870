from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from shared.errors import BadInputError
from shared.msi.codec import compress, decompress
from shared.msi.packets import COMPRESSION_CCSDS121, COMPRESSION_RAW

SAMPLES = arrays(np.uint16, st.tuples(st.integers(1, 16), st.integers(1, 80)), elements=st.integers(0, 4095))


@given(SAMPLES)
def test_samples_come_back_exactly(samples: NDArray[np.uint16]) -> None:
    lines, columns = samples.shape
    assert np.array_equal(decompress(compress(samples), COMPRESSION_CCSDS121, lines, columns), samples)


@given(SAMPLES)
def test_raw_samples_are_big_endian(samples: NDArray[np.uint16]) -> None:
    payload = samples.astype(">u2").tobytes()
    assert np.array_equal(decompress(payload, COMPRESSION_RAW, *samples.shape), samples)


def test_smooth_lines_shrink() -> None:
    samples = np.tile(np.linspace(100, 900, 2592).astype(np.uint16), (16, 1))
    assert len(compress(samples)) < samples.size * 12 / 8 / 2


@given(st.binary(max_size=300), st.sampled_from([COMPRESSION_RAW, COMPRESSION_CCSDS121, 7]))
def test_any_octets_give_samples_of_12_bits_or_a_clear_refusal(payload: bytes, compression: int) -> None:
    try:
        samples = decompress(payload, compression, 16, 48)
    except BadInputError:
        return
    assert samples.shape == (16, 48)
    assert samples.max() < 4096


@pytest.mark.parametrize(("lines", "columns"), [(0, 10), (65_535, 65_535)])
def test_absurd_sizes_are_refused_before_any_memory_is_taken(lines: int, columns: int) -> None:
    with pytest.raises(BadInputError, match="1 to 1048576 samples"):
        decompress(b"", COMPRESSION_CCSDS121, lines, columns)


def test_a_cut_stream_is_refused() -> None:
    samples = np.random.default_rng(1).integers(0, 4096, (16, 432)).astype(np.uint16)
    with pytest.raises(BadInputError, match="bit stream of 6912 samples"):
        decompress(compress(samples)[:-40], COMPRESSION_CCSDS121, 16, 432)
