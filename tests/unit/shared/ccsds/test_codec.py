"""Time code, checksums, randomiser, Reed-Solomon, packets: judged by published values and by independent
implementations.
"""

from __future__ import annotations

import io
import struct
import warnings
from datetime import UTC, datetime

import numpy as np
import pytest
import reedsolo
from hypothesis import given
from hypothesis import strategies as st

from shared.ccsds.crc import crc16
from shared.ccsds.crc_spans import crc16_spans
from shared.ccsds.cuc import decode_cuc, encode_cuc, gps_ns_to_utc, utc_to_gps_ns
from shared.ccsds.randomiser import pseudo_noise
from shared.ccsds.rs import ReedSolomon
from shared.ccsds.spacepackets import SpacePacket, idle_packet
from shared.errors import BadInputError

CODES = [
    ReedSolomon(8, 8),
    ReedSolomon(8, 5),
    ReedSolomon(16, 5),
    ReedSolomon(16, 4),
    ReedSolomon(8, 8, dual_basis=True),
    ReedSolomon(16, 1, dual_basis=True),
]


def _beta() -> int:
    value = 1
    for _ in range(11):
        value = (value << 1) ^ (0x187 if value & 0x80 else 0)
    return value


def _blocks(code: ReedSolomon, rows: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    blocks = np.random.default_rng(seed).integers(0, 256, (rows, code.block_octets), np.uint8)
    code.encode(blocks)
    return blocks


@given(st.integers(0, (1 << 56) - 1))
def test_encoding_what_was_decoded_is_exact(ticks: int) -> None:
    octets = ticks.to_bytes(7, "big")
    assert encode_cuc(decode_cuc(octets)) == octets


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_a_time_survives_within_half_a_tick(gps_ns: int) -> None:
    assert abs(decode_cuc(encode_cuc(gps_ns)) - gps_ns) <= 30


def test_a_fraction_that_rounds_up_carries_into_the_second() -> None:
    assert encode_cuc(1_999_999_999) == b"\0\0\0\2\0\0\0"


def test_gps_time_is_eighteen_seconds_ahead_of_utc() -> None:
    when = datetime(2026, 11, 22, 10, 30, 0, 250, tzinfo=UTC)
    assert gps_ns_to_utc(utc_to_gps_ns(when)) == when
    assert utc_to_gps_ns(datetime(1980, 1, 6, tzinfo=UTC)) == 18_000_000_000


def test_the_checksum_has_its_published_check_value() -> None:
    assert crc16(b"123456789") == 0x29B1


@given(st.binary(max_size=70), st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), max_size=5))
def test_checksums_of_spans_are_those_of_their_octets(data: bytes, cuts: list[tuple[int, int]]) -> None:
    spans = [(min(a, b, len(data)), min(max(a, b), len(data))) for a, b in cuts]
    starts = np.array([a for a, _ in spans], np.int64)
    lengths = np.array([b - a for a, b in spans], np.int64)
    found = crc16_spans(np.frombuffer(bytearray(data), np.uint8), starts, lengths)
    assert found.tolist() == [crc16(data[a:b]) for a, b in spans]


def test_the_randomiser_begins_as_the_standard_prints_it_and_repeats() -> None:
    noise = pseudo_noise(600)
    assert noise[:5].tobytes().hex() == "ff480ec09a"
    assert (noise[255:510] == noise[:255]).all()


@pytest.mark.parametrize("code", [code for code in CODES if not code.dual_basis])
def test_parity_is_bit_equal_to_reedsolo(code: ReedSolomon) -> None:
    judge = reedsolo.RSCodec(2 * code.errors, nsize=255, fcr=128 - code.errors, prim=0x187, generator=_beta())
    for block in _blocks(code, 2, seed=3):
        for column in range(code.depth):
            word = block[column :: code.depth].tobytes()
            assert bytes(judge.encode(word[: 255 - 2 * code.errors])) == word


def test_the_dual_basis_is_the_standard_s() -> None:
    # Data of 1 in the conventional basis, seen by a link in the dual basis: 0x7B (CCSDS 131.0, annex F).
    plain, dual = ReedSolomon(8, 1), ReedSolomon(8, 1, dual_basis=True)
    a, b = np.zeros((1, 255), np.uint8), np.zeros((1, 255), np.uint8)
    a[0, 238], b[0, 238] = 0x01, 0x7B
    plain.encode(a)
    dual.encode(b)
    pairs = dict(zip(a[0].tolist(), b[0].tolist(), strict=True))
    assert pairs[0x01] == 0x7B
    known = {0x00: 0x00, 0x02: 0xAF, 0x04: 0x99, 0x08: 0xFA, 0x10: 0x86, 0x20: 0xEC, 0x40: 0xEF, 0x80: 0x8D, 0xFF: 0x42}
    for symbol, image in pairs.items():
        expected = 0
        for bit in range(8):
            expected ^= {**known, 0x01: 0x7B}[1 << bit] if symbol >> bit & 1 else 0
        assert image == expected


@pytest.mark.parametrize("code", CODES)
@given(seed=st.integers(0, 2**32))
def test_up_to_e_wrong_symbols_of_every_word_are_corrected(code: ReedSolomon, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sent = _blocks(code, 2, seed)
    got = sent.copy()
    wrong = np.zeros(2, np.int64)
    for row in range(2):
        for column in range(code.depth):
            hit = rng.choice(255, rng.integers(0, code.errors + 1), replace=False)
            got[row, hit * code.depth + column] ^= rng.integers(1, 256, len(hit), np.uint8)
            wrong[row] += len(hit)
    verdict = code.correct(got)
    assert (got == sent).all()
    assert verdict.corrected.tolist() == wrong.tolist()
    assert not verdict.uncorrectable.any()


def test_reedsolo_corrects_the_same_words_to_the_same_octets() -> None:
    code = ReedSolomon(8, 1)
    sent = _blocks(code, 20, seed=9)
    got = sent.copy()
    rng = np.random.default_rng(10)
    for row in range(20):
        got[row, rng.choice(255, 8, replace=False)] ^= 0x5A
    judge = reedsolo.RSCodec(16, nsize=255, fcr=120, prim=0x187, generator=_beta())
    theirs = [bytes(judge.decode(bytes(word))[1]) for word in got]
    code.correct(got)
    assert [word.tobytes() for word in got] == theirs == [word.tobytes() for word in sent]


def test_a_word_beyond_correction_is_named_and_its_block_left_as_it_came() -> None:
    code = ReedSolomon(8, 8)
    sent = _blocks(code, 3, seed=4)
    got = sent.copy()
    got[1, np.arange(12) * 8] ^= 0x11
    got[1, 3] ^= 1  # correctable, in another word of the same block
    came = got[1].copy()
    verdict = code.correct(got)
    assert verdict.uncorrectable.tolist() == [False, True, False]
    assert verdict.corrected.tolist() == [0, 0, 0]
    assert (got[1] == came).all()


@pytest.mark.parametrize(("errors", "depth"), [(7, 8), (8, 6), (16, 0)])
def test_a_code_that_the_standard_does_not_have_is_refused(errors: int, depth: int) -> None:
    with pytest.raises(ValueError, match="expected E 8 or 16"):
        ReedSolomon(errors, depth)


@given(st.integers(0, 0x7FE), st.integers(0, 16383), st.integers(0, 4 * 10**18), st.binary(max_size=300))
def test_packets_round_trip(apid: int, sequence: int, gps_ns: int, data: bytes) -> None:
    packet = SpacePacket(apid, sequence, decode_cuc(encode_cuc(gps_ns)), data, 128, 1)
    assert SpacePacket.decode(packet.encode()) == packet


@given(st.binary(max_size=80))
def test_octets_that_are_no_packet_are_refused(octets: bytes) -> None:
    # A CRC-16 lets one random packet in 65 536 pass; its header fields must then hold.
    try:
        packet = SpacePacket.decode(octets)
    except BadInputError:
        return
    assert packet.encode()[-2:] == octets[-2:]


def test_a_damaged_packet_names_its_apid() -> None:
    octets = bytearray(SpacePacket(150, 7, 10**18, b"payload").encode())
    octets[-4] ^= 1
    with pytest.raises(BadInputError, match="APID 150"):
        SpacePacket.decode(bytes(octets))


def test_a_packet_too_long_is_refused_at_the_sender() -> None:
    with pytest.raises(ValueError, match="65542"):
        SpacePacket(600, 0, 0, bytes(65_530)).encode()


@pytest.mark.parametrize("octets", [7, 8, 1902, 65_542])
def test_idle_packets_have_the_length_that_was_asked(octets: int) -> None:
    packet = idle_packet(octets)
    assert len(packet) == octets == struct.unpack(">H", packet[4:6])[0] + 7


def test_ccsdspy_reads_our_packets() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ccsdspy  # its imports warn

    sent = [SpacePacket(150, 16380 + i, 10**18 + i, struct.pack(">IH", i, 7 * i)) for i in range(8)]
    layout = ccsdspy.FixedLength(
        [
            ccsdspy.PacketField(name="head", data_type="uint", bit_length=32),
            ccsdspy.PacketField(name="seconds", data_type="uint", bit_length=32),
            ccsdspy.PacketField(name="fraction", data_type="uint", bit_length=24),
            ccsdspy.PacketField(name="status", data_type="uint", bit_length=8),
            ccsdspy.PacketField(name="first", data_type="uint", bit_length=32),
            ccsdspy.PacketField(name="second", data_type="uint", bit_length=16),
            ccsdspy.PacketField(name="crc", data_type="uint", bit_length=16),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = layout.load(io.BytesIO(b"".join(p.encode() for p in sent)), include_primary_header=True)
    assert read["CCSDS_APID"].tolist() == [150] * 8
    assert read["CCSDS_SEQUENCE_COUNT"].tolist() == [(16380 + i) % 16384 for i in range(8)]
    assert read["first"].tolist() == list(range(8))
    assert read["second"].tolist() == [7 * i for i in range(8)]
    assert read["seconds"].tolist() == [10**9] * 8
