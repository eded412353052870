"""The image codec of the rehearsed instrument: CCSDS 121.0-B lossless compression of 12-bit samples (libaec).

Parameters are fixed for both ends: 12 bits for each sample, blocks of 16 samples, 128 blocks between reference samples,
unit-delay predictor. Samples run line after line within a packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import imagecodecs
import numpy as np

from shared.errors import BadInputError
from shared.msi.instrument import MAX_DN
from shared.msi.packets import COMPRESSION_CCSDS121, COMPRESSION_RAW

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BITS: Final = 12
_BLOCK: Final = 16
_REFERENCE_INTERVAL: Final = 128
_FLAGS: Final = imagecodecs.AEC.FLAG.DATA_PREPROCESS
_MAX_SAMPLES: Final = 1 << 20


def compress(samples: NDArray[np.uint16]) -> bytes:
    """The CCSDS 121 bit stream of samples (0..4095) of shape (lines, columns), C-contiguous."""
    encoded = imagecodecs.aec_encode(
        samples, bitspersample=_BITS, flags=_FLAGS, blocksize=_BLOCK, rsi=_REFERENCE_INTERVAL
    )
    return bytes(encoded)


def decompress(payload: bytes | memoryview, compression: int, lines: int, columns: int) -> NDArray[np.uint16]:
    """Samples of an image block's payload, shape (lines, columns).

    Raises:
        BadInputError: where the payload is damaged, too short, of unknown compression, or claims an absurd size.
    """
    what = "image block, payload"
    count = lines * columns
    if not 0 < count <= _MAX_SAMPLES:
        raise BadInputError(what, f"1 to {_MAX_SAMPLES} samples", (lines, columns))
    if compression == COMPRESSION_RAW:
        if len(payload) != 2 * count:
            raise BadInputError(what, f"{2 * count} octets of raw samples", len(payload))
        samples = np.frombuffer(payload, ">u2").astype(np.uint16)
    elif compression == COMPRESSION_CCSDS121:
        samples = _decode(bytes(payload), count)
    else:
        raise BadInputError("image block, compression", "0 (raw) or 1 (CCSDS 121)", compression)
    if samples.max() > MAX_DN:
        raise BadInputError(what, f"samples up to {MAX_DN}", int(samples.max()))
    return samples.reshape(lines, columns)


def _decode(payload: bytes, count: int) -> NDArray[np.uint16]:
    unset = np.iinfo(np.uint16).max  # no 12-bit sample: what keeps it, the stream did not reach
    samples = np.full(-(-count // _BLOCK) * _BLOCK, unset, np.uint16)  # the decoder ends with whole blocks
    try:
        imagecodecs.aec_decode(
            payload, bitspersample=_BITS, flags=_FLAGS, blocksize=_BLOCK, rsi=_REFERENCE_INTERVAL, out=samples
        )
    except (imagecodecs.AecError, ValueError) as error:
        raise BadInputError("image block, payload", "a CCSDS 121 bit stream", str(error)) from None
    if samples[count - 1] == unset:
        raise BadInputError("image block, payload", f"a bit stream of {count} samples", "an earlier end")
    return samples[:count]
