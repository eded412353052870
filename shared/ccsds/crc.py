"""CRC-16/CCITT (x^16 + x^12 + x^5 + 1, preset FFFF), of transfer frames (CCSDS 732.0) and packets (ECSS-E-70-41A,
annex A).
"""

from __future__ import annotations

import binascii


def crc16(data: bytes | memoryview) -> int:
    """The CRC of one span; 0 over a span that ends with its own CRC."""
    return binascii.crc_hqx(data, 0xFFFF)
