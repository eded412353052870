"""Fifteen telemetry packets of Sentinel-2B, received on 2022-10-11, read by our code."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.ccsds.cuc import GPS_MINUS_UTC_S, gps_ns_to_utc
from shared.ccsds.spacepackets import SpacePacket

DATA = Path(os.environ.get("S2PS_TEST_DATA") or Path(__file__).parents[5] / "shared/data")
ANNOTATION = 20


def _real_packets() -> list[bytes]:
    found = list(DATA.glob("l0_datastrip/*/ANC_DATA/*S09123*.bin"))
    if not found:
        pytest.skip("no real telemetry: set S2PS_TEST_DATA to a folder with l0_datastrip/")
    octets, packets = found[0].read_bytes(), []
    while octets:
        length = int.from_bytes(octets[10:12], "big")
        packets.append(octets[ANNOTATION : ANNOTATION + length + 7])
        octets = octets[ANNOTATION + length + 7 :]
    return packets


def test_all_are_whole_and_in_sequence() -> None:
    packets = [SpacePacket.decode(octets) for octets in _real_packets()]
    assert len(packets) == 15
    assert {(p.apid, p.service, p.subservice, p.user_data[0]) for p in packets} == {(150, 3, 25, 123)}
    assert [p.sequence for p in packets] == list(range(11027, 11042))


def test_the_time_is_the_one_that_the_product_names() -> None:
    first = SpacePacket.decode(_real_packets()[0])
    # GPS_TIME of the product's thermal data is written in GPS time.
    gps = gps_ns_to_utc(first.gps_ns) + timedelta(seconds=GPS_MINUS_UTC_S)
    assert gps == datetime(2022, 10, 11, 6, 40, 17, 24763, tzinfo=UTC)


def test_written_again_they_are_the_same_octets() -> None:
    for octets in _real_packets():
        assert SpacePacket.decode(octets).encode() == octets
