"""The link end to end: what was sent arrives, or is counted, whatever happened on the way."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ccsds.crc import crc16
from shared.ccsds.decoder import ChannelDecoder, PacketBatch
from shared.ccsds.encoder import ChannelEncoder
from shared.ccsds.link import SENTINEL2, LinkProfile
from shared.ccsds.randomiser import randomise
from shared.ccsds.rs import ReedSolomon
from shared.ccsds.spacepackets import SpacePacket
from shared.errors import BadInputError

SIZE = SENTINEL2.cadu_octets


def _packets(apid: int, count: int, seed: int = 1, longest: int = 6000) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [SpacePacket(apid, i, 10**18 + i, rng.bytes(int(rng.integers(1, longest)))).encode() for i in range(count)]


def _channel(packets: list[bytes], profile: LinkProfile = SENTINEL2) -> bytes:
    encoder = ChannelEncoder(0xB5, profile)
    third = len(packets) // 3
    return b"".join(
        [
            encoder.add(1, packets[:third]),
            encoder.idle(2),
            encoder.add(2, packets[third : 2 * third]),
            encoder.add(1, packets[2 * third :]),
            encoder.flush(1),
            encoder.flush(2),
            encoder.idle(2),
        ]
    )


def _spans(batches: list[PacketBatch]) -> list[bytes]:
    return [
        batch.octets[start : start + length].tobytes()
        for batch in batches
        for start, length, whole in zip(batch.starts, batch.lengths, batch.crc_ok, strict=True)
        if whole
    ]


def _receive(
    stream: bytes, profile: LinkProfile = SENTINEL2, step: int = 1 << 20
) -> tuple[list[bytes], ChannelDecoder]:
    decoder = ChannelDecoder(profile)
    batches = [batch for at in range(0, len(stream), step) for batch in decoder.feed(stream[at : at + step])]
    return _spans(batches + decoder.finish()), decoder


def _shift(stream: bytes, bits: int) -> bytes:
    """The stream after ``bits`` bits of noise."""
    plain = np.unpackbits(np.frombuffer(stream, np.uint8))
    noise = np.random.default_rng(bits).integers(0, 2, bits, np.uint8)
    return np.packbits(np.concatenate([noise, plain])).tobytes()


@pytest.mark.parametrize(
    "profile",
    [
        SENTINEL2,
        LinkProfile(ReedSolomon(16, 5)),
        LinkProfile(ReedSolomon(16, 4, dual_basis=True)),
        LinkProfile(ReedSolomon(8, 1), randomised=False),
    ],
)
def test_every_packet_arrives_once_in_order(profile: LinkProfile) -> None:
    sent = _packets(600, 90)
    got, decoder = _receive(_channel(sent, profile), profile)
    assert got == sent[:30] + sent[60:] + sent[30:60] or sorted(got) == sorted(sent)
    counts = decoder.statistics
    assert counts.idle_frames == 4
    assert counts.frames == counts.idle_frames + counts.data_frames
    assert counts.skipped_octets == counts.slips == counts.uncorrectable_frames == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9000), st.integers(0, 40))
def test_the_size_of_the_pieces_does_not_matter(step: int, seed: int) -> None:
    sent = _packets(600, 12, seed)
    got, decoder = _receive(_channel(sent), step=step)
    assert sorted(got) == sorted(sent)
    assert decoder.statistics.slips == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 20_000), st.integers(500, 50_000))
def test_frames_are_found_at_any_bit(offset: int, step: int) -> None:
    sent = _packets(600, 12)
    got, decoder = _receive(_shift(_channel(sent), offset), step=step)
    assert sorted(got) == sorted(sent)
    assert decoder.statistics.skipped_octets in (-(-offset // 8), -(-offset // 8) + 1)


@settings(max_examples=40, deadline=None)
@given(at=st.floats(0, 1), removed=st.integers(1, 3 * SIZE), step=st.integers(1000, 200_000))
def test_octets_cut_out_cost_only_the_packets_that_they_touch(at: float, removed: int, step: int) -> None:
    sent = _packets(600, 60)
    stream = _channel(sent)
    begin = int(at * (len(stream) - removed))
    got, decoder = _receive(stream[:begin] + stream[begin + removed :], step=step)
    assert not Counter(got) - Counter(sent)
    touched = removed // SIZE + 2
    # Each frame touched may end one long packet and hold many short ones; none of the others may be missed.
    lost = sum(len(packet) for packet in sent) - sum(len(packet) for packet in got)
    assert lost <= touched * SENTINEL2.zone_octets + 2 * 2 * 6020
    assert decoder.statistics.uncorrectable_frames <= 2


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.integers(1, 70), st.integers(0, 1000))
def test_bits_slipped_in_are_passed_over(at: float, bits: int, seed: int) -> None:
    sent = _packets(600, 40)
    stream = np.unpackbits(np.frombuffer(_channel(sent), np.uint8))
    begin = int(at * len(stream))
    noise = np.random.default_rng(seed).integers(0, 2, bits, np.uint8)
    slipped = np.packbits(np.concatenate([stream[:begin], noise, stream[begin:]])).tobytes()
    got, _ = _receive(slipped)
    assert not Counter(got) - Counter(sent)
    assert sum(map(len, got)) >= sum(map(len, sent)) - 2 * SENTINEL2.zone_octets - 4 * 6020


def test_flipped_bits_in_markers_and_data_are_corrected() -> None:
    sent = _packets(600, 60)
    stream = bytearray(_channel(sent))
    for frame in range(1, len(stream) // SIZE, 2):
        stream[frame * SIZE + 1] ^= 0xFF  # a marker beyond tolerance: its neighbours keep the step
        for symbol in range(6):
            stream[frame * SIZE + 4 + 97 * symbol] ^= 0x3C
    got, decoder = _receive(bytes(stream))
    assert sorted(got) == sorted(sent)
    assert decoder.statistics.corrected_frames == len(range(1, len(stream) // SIZE, 2))
    assert decoder.statistics.corrected_symbols == 6 * decoder.statistics.corrected_frames


def test_an_uncorrectable_frame_is_counted_and_the_rest_arrives() -> None:
    sent = _packets(600, 60)
    stream = bytearray(_channel(sent))
    for octet in range(400):
        stream[5 * SIZE + 4 + octet] ^= 0xA5
    got, decoder = _receive(bytes(stream))
    counts = decoder.statistics
    assert counts.uncorrectable_frames == 1
    assert counts.virtual_channels[1]["lost_frames"] == 1
    assert counts.virtual_channels[1]["gaps"] == 1
    assert not Counter(got) - Counter(sent)
    assert len(got) >= len(sent) - 4


def test_lost_frames_are_counted_by_virtual_channel() -> None:
    sent = _packets(600, 90)
    stream = _channel(sent)
    _, decoder = _receive(stream[: 3 * SIZE] + stream[7 * SIZE :])
    assert decoder.statistics.virtual_channels[1]["lost_frames"] == 4
    assert decoder.statistics.virtual_channels[2]["lost_frames"] == 0


def test_a_chunk_repeated_is_out_of_order_and_loses_nothing_twice() -> None:
    sent = _packets(600, 90)
    stream = _channel(sent)
    got, decoder = _receive(stream[: 20 * SIZE] + stream[10 * SIZE :])
    assert set(got) == set(sent)
    assert decoder.statistics.virtual_channels[1]["out_of_order"] == 1
    assert decoder.statistics.virtual_channels[1]["lost_frames"] == 0


def test_frames_of_another_spacecraft_are_foreign() -> None:
    sent = _packets(600, 9)
    stranger = ChannelEncoder(0x11)
    _, decoder = _receive(_channel(sent) + stranger.add(1, sent) + stranger.flush(1))
    assert decoder.statistics.foreign_frames == stranger.frames_sent[1]


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=6000))
def test_noise_gives_no_packets(noise: bytes) -> None:
    got, decoder = _receive(noise)
    assert got == []
    assert decoder.statistics.data_frames == 0


def test_a_stream_without_markers_is_skipped_whole() -> None:
    noise = np.random.default_rng(0).bytes(100_000)
    got, decoder = _receive(noise)
    assert got == []
    assert decoder.statistics.skipped_octets == len(noise)


def test_a_rest_too_small_for_an_idle_packet_spills_into_the_next_frame() -> None:
    zone = SENTINEL2.zone_octets
    for rest in range(1, 9):
        encoder = ChannelEncoder(0xB5)
        packet = SpacePacket(600, 0, 0, bytes(zone - rest - 20)).encode()
        got, _ = _receive(encoder.add(1, [packet]) + encoder.flush(1) + encoder.idle(1))
        assert got == [packet]


@pytest.mark.parametrize("period", [4, 5, 2044, 2045, 4089])
def test_markers_everywhere_end_in_an_account_not_in_a_hang(period: int) -> None:
    stream = (b"\x1a\xcf\xfc\x1d" + bytes(period - 4)) * (400_000 // period)
    got, decoder = _receive(stream)
    assert got == []
    assert decoder.statistics.data_frames == 0


def _with_pointers(packets: list[bytes], pointer: int) -> bytes:
    """A channel whose frames are sound, but all their first header pointers are ``pointer``."""
    blocks = np.frombuffer(_channel(packets), np.uint8).reshape(-1, SIZE)[:, 4:]
    blocks = randomise(blocks)
    busy = np.flatnonzero(blocks[:, 1] & 0x3F != 63)
    blocks[busy, 6:8] = pointer >> 8, pointer & 0xFF
    for row in busy:
        blocks[row, 1910:1912] = list(crc16(blocks[row, :1910].tobytes()).to_bytes(2, "big"))
    SENTINEL2.code.encode(blocks)
    markers = np.tile(np.frombuffer(b"\x1a\xcf\xfc\x1d", np.uint8), (len(blocks), 1))
    return np.concatenate([markers, randomise(blocks)], axis=1).tobytes()


@pytest.mark.parametrize("pointer", [0, 3, 1901, 1902, 0x7FD])
def test_false_pointers_are_counted_and_cost_only_packets(pointer: int) -> None:
    sent = _packets(600, 60, longest=200)
    got, decoder = _receive(_with_pointers(sent, pointer))
    assert not Counter(got) - Counter(sent)
    counts = decoder.statistics
    assert counts.uncorrectable_frames == counts.frame_crc_errors == 0
    assert sum(channel["pointer_errors"] for channel in counts.virtual_channels.values()) > 0


def test_pointers_that_say_no_packet_starts_give_none() -> None:
    got, _ = _receive(_with_pointers(_packets(600, 30), 0x7FF))
    assert got == []


def test_one_frame_alone_is_found() -> None:
    packet = SpacePacket(600, 0, 0, bytes(100)).encode()
    encoder = ChannelEncoder(0xB5)
    got, decoder = _receive(b"noise" + encoder.add(1, [packet]) + encoder.flush(1))
    assert got == [packet]
    assert decoder.statistics.skipped_octets == 5


@pytest.mark.parametrize("name", ["rs239-i8", "rs223-i5-dual", "rs223-i4-plain", "rs239-i1-dual-plain"])
def test_profiles_have_names(name: str) -> None:
    assert str(LinkProfile.parse(name)) == name


@pytest.mark.parametrize("name", ["", "rs239", "rs239-i6", "rs239-i8-plain-dual", "rs239-i8 ", "rs239-i\u0668"])
def test_other_names_are_no_profiles(name: str) -> None:
    with pytest.raises(BadInputError, match="link profile"):
        LinkProfile.parse(name)
