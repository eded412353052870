"""How fast the link is decoded, as ratios within one run: against a plain copy of the same octets, and against the
downlink.

Run by hand: ``python tests/benchmarks/cadu_decoding.py [megabytes]``. Processor time of one core, best of five.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from shared.ccsds.decoder import ChannelDecoder
from shared.ccsds.encoder import ChannelEncoder
from shared.ccsds.link import SENTINEL2
from shared.ccsds.spacepackets import SpacePacket

DOWNLINK_MBIT_S = 560.0
BLOCK = 1 << 20


def stream_of(megabytes: int) -> bytearray:
    """CADUs of packets as long as image packets are."""
    rng = np.random.default_rng(1)
    noise = rng.bytes(1 << 20)
    encoder, parts, size, count = ChannelEncoder(0xDA), [], 0, 0
    while size < megabytes << 20:
        packets = []
        for _ in range(64):
            length, at = int(rng.integers(3000, 26_000)), int(rng.integers(0, 1 << 19))
            packets.append(SpacePacket(600, count, 10**18, noise[at : at + length]).encode())
            count += 1
        parts.append(encoder.add(1, packets))
        size += len(parts[-1])
    return bytearray(b"".join(parts))


def decode(stream: bytearray) -> ChannelDecoder:
    """The whole chain: synchronisation, randomiser, Reed-Solomon, frame check, reassembly, packet check."""
    decoder, view = ChannelDecoder(), memoryview(stream)
    for at in range(0, len(stream), BLOCK):
        decoder.feed(view[at : at + BLOCK])
    decoder.finish()
    return decoder


def copy(stream: bytearray) -> None:
    """The same octets from one place in memory to another."""
    bytes(stream)


def rate(work: Callable[[bytearray], object], stream: bytearray) -> float:
    """Mbit/s of one core, best of five."""
    best = float("inf")
    for _ in range(5):
        begin = time.process_time()
        work(stream)
        best = min(best, time.process_time() - begin)
    return len(stream) * 8 / best / 1e6


def main() -> None:
    """Measure and print."""
    stream = stream_of(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
    shifted = bytearray(np.packbits(np.concatenate([[0, 1, 1], np.unpackbits(np.frombuffer(stream, np.uint8))])))
    damaged = bytearray(stream)
    for frame in range(0, len(damaged) // SENTINEL2.cadu_octets, 100):
        damaged[frame * SENTINEL2.cadu_octets + 50] ^= 0xFF
    copied = rate(copy, stream)
    print(f"{len(stream) / 1e6:.0f} MB; plain copy {copied:.0f} Mbit/s")
    for name, octets in (("clean", stream), ("three bits off", shifted), ("1 % of frames damaged", damaged)):
        found = rate(decode, octets)
        ratios = f"{found / DOWNLINK_MBIT_S:.2f} x downlink ({DOWNLINK_MBIT_S:.0f}), {found / copied:.3f} x copy"
        print(f"{name:22s} {found:6.0f} Mbit/s and core = {ratios}")


if __name__ == "__main__":
    main()
