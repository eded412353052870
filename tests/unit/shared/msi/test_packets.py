"""Packet layouts round-trip; octets from outside are refused with a reason."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ccsds.cuc import decode_cuc
from shared.errors import BadInputError
from shared.msi.packets import (
    AttitudePoint,
    DatatakeDescriptor,
    GpsPoint,
    ImageBlock,
    image_apid,
    image_source,
)

times = st.binary(min_size=7, max_size=7).map(decode_cuc)
blocks = st.builds(
    ImageBlock,
    detector=st.integers(1, 12),
    band=st.integers(0, 12),
    scene=st.integers(1, 65535),
    block=st.integers(0, 65535),
    lines=st.integers(0, 255),
    columns=st.integers(0, 65535),
    compression=st.integers(0, 255),
    payload=st.binary(max_size=40),
)
descriptors = st.builds(
    DatatakeDescriptor,
    satellite=st.sampled_from(["S2A", "S2B", "S2C", "S2D"]),
    absolute_orbit=st.integers(0, 2**32 - 1),
    relative_orbit=st.integers(0, 65535),
    datatake_start_ns=times,
    datatake_type=st.sampled_from(["INS-NOBS", "INS-DASC", "INS"]),
    detectors=st.sets(st.integers(1, 12)).map(lambda chosen: tuple(sorted(chosen))),
    scenes=st.integers(1, 1000),
    first_line_ns=times,
    gps_packets=st.integers(0, 2**32 - 1),
    attitude_packets=st.integers(0, 2**32 - 1),
    descriptor_packets=st.integers(0, 2**32 - 1),
)


sideways, upwards, speeds = st.floats(-2e6, 2e6), st.floats(6.5e6, 7.5e6), st.floats(-5e3, 5e3)
angles = st.floats(-math.pi, math.pi)


def _turned(a: float, b: float, c: float) -> tuple[float, float, float, float]:
    """A unit quaternion by three angles."""
    return (
        math.sin(a) * math.cos(b),
        math.sin(a) * math.sin(b),
        math.cos(a) * math.cos(c),
        math.cos(a) * math.sin(c),
    )


@given(blocks)
def test_image_blocks_round_trip(block: ImageBlock) -> None:
    assert ImageBlock.decode(block.encode()) == block


@given(st.builds(GpsPoint, times, st.tuples(sideways, sideways, upwards), st.tuples(speeds, speeds, speeds)))
def test_gps_points_round_trip(point: GpsPoint) -> None:
    assert GpsPoint.decode(point.encode()) == point


@given(st.builds(AttitudePoint, times, st.builds(_turned, angles, angles, angles)))
def test_attitudes_round_trip(point: AttitudePoint) -> None:
    assert AttitudePoint.decode(point.encode()) == point


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300, 0.0])
def test_where_no_satellite_is_there_is_no_point_and_what_is_no_rotation_is_no_attitude(value: float) -> None:
    place, motion = (7e6, 0.0, 0.0), (0.0, 7e3, 0.0)
    assert GpsPoint.decode(GpsPoint(0, place, motion).encode()).position == place
    for point in (GpsPoint(0, (value, 0.0, 0.0), motion), GpsPoint(0, place, (value or 2e4, 0.0, 0.0))):
        with pytest.raises(BadInputError, match="GPS point packet: expected 6"):
            GpsPoint.decode(point.encode())
    with pytest.raises(BadInputError, match="attitude packet: expected a quaternion of norm 1"):
        AttitudePoint.decode(AttitudePoint(0, (value, 0.0, 0.0, 0.0)).encode())


@given(descriptors)
def test_descriptors_round_trip(descriptor: DatatakeDescriptor) -> None:
    assert DatatakeDescriptor.decode(descriptor.encode()) == descriptor


@pytest.mark.parametrize("kind", [ImageBlock, GpsPoint, AttitudePoint, DatatakeDescriptor])
@given(octets=st.binary(max_size=70))
def test_other_octets_are_refused_or_read(kind: type[ImageBlock], octets: bytes) -> None:
    try:
        read = kind.decode(octets)
    except BadInputError:
        return
    assert len(read.encode()) == len(octets)


def test_apids_name_detector_and_band_and_nothing_else() -> None:
    apids = {image_apid(d, b): (d, b) for d in range(1, 13) for b in range(13)}
    assert len(apids) == 156
    assert {apid: image_source(apid) for apid in range(2048)} == {apid: apids.get(apid) for apid in range(2048)}


@pytest.mark.parametrize(("detector", "band"), [(0, 0), (13, 0), (1, 13), (1, -1)])
def test_an_image_apid_off_the_instrument_is_refused(detector: int, band: int) -> None:
    with pytest.raises(ValueError, match=r"detector 1\.\.12"):
        image_apid(detector, band)
