"""The platform's packets: what goes in comes out, what cannot be is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from shared.errors import BadInputError
from shared.msi.platform import (
    CELSIUS,
    CONTROL_APID,
    NAVIGATION_APID,
    OHM,
    PLATFORM_APIDS,
    THERMAL_APID,
    TIME_APID,
    ControlState,
    NavigationSolution,
    PlatformState,
    Temperatures,
    TimeCorrelation,
    decode_platform,
    packets_of_platform,
)
from shared.rehearsal.flight import fly
from shared.rehearsal.housekeeping import housekeeping, orbit_angles
from shared.rehearsal.plan import Datatake

TIME = 1_466_072_400_125_000_000
STATES: dict[int, PlatformState] = {
    NAVIGATION_APID: NavigationSolution(
        TIME, "LEAST_SQUARE", "GPS-B", 7, 6.5, (2.0, 1.5, 0.5), 9.0, (1.0, 2.0, 3.0), (0.25, 0.5, 0.75)
    ),
    CONTROL_APID: ControlState(TIME, 1, 2, 3, (True, False, True), False, (7e6, 1.0, -2.0), (3.0, 7.4e3, 5.0), 3.1778),
    TIME_APID: TimeCorrelation(TIME, "INVALID", 77, 1.0, 679_793_776_337),
    THERMAL_APID: Temperatures(TIME, tuple(float(n) / 4 for n in range(len(CELSIUS))), tuple(range(20, 20 + len(OHM)))),
}


@pytest.mark.parametrize("apid", PLATFORM_APIDS)
def test_packets_say_what_was_put_in(apid: int) -> None:
    assert decode_platform(apid, STATES[apid].encode()) == STATES[apid]


@pytest.mark.parametrize("apid", PLATFORM_APIDS)
def test_packets_of_another_length_are_refused(apid: int) -> None:
    with pytest.raises(BadInputError, match=r"packet: expected \d+ octets"):
        decode_platform(apid, STATES[apid].encode()[:-1])


@pytest.mark.parametrize(
    ("apid", "octet", "value", "expected"),
    [
        (NAVIGATION_APID, 7, 6, "a mode of 0 to 5"),
        (NAVIGATION_APID, 8, 2, "a receiver of 0 to 1"),
        (CONTROL_APID, 7, 3, "quality to 2"),
        (CONTROL_APID, 10, 8, "three star trackers"),
        (TIME_APID, 7, 255, "a mode of 0 to 5"),
        (THERMAL_APID, 7, 0x7F, None),
    ],
)
def test_values_that_no_field_has_are_refused(apid: int, octet: int, value: int, expected: str | None) -> None:
    data = bytearray(STATES[apid].encode())
    data[octet] = value
    if expected is None:
        data[octet + 1] = 0x80  # infinity
        data[octet + 2 : octet + 4] = b"\0\0"
    with pytest.raises(BadInputError, match=expected or "finite numbers"):
        decode_platform(apid, bytes(data))


@pytest.mark.parametrize(
    ("trackers", "quality"),
    [
        ((False, False, False), "PROPAGATED"),
        ((False, True, False), "ONE_VALID_STR"),
        ((True, False, True), "TWO_VALID_STR"),
        ((True, True, True), "TWO_VALID_STR"),
    ],
)
def test_attitude_is_as_good_as_its_star_trackers(trackers: tuple[bool, bool, bool], quality: str) -> None:
    state = ControlState(TIME, 0, 2, 3, trackers, True, (7e6, 0.0, 0.0), (0.0, 7e3, 0.0), 0.0)
    assert state.attitude_quality == quality


def test_the_simulated_platform_flies_the_flight() -> None:
    fixes = fly(Datatake(datetime(2026, 6, 21, 10, 20, tzinfo=UTC), scenes=1, detectors=(6,)), "S2A").gps
    entries = housekeeping(fixes)
    assert {apid: sum(a == apid for _, a, _ in entries) for apid in PLATFORM_APIDS} == packets_of_platform(len(fixes))
    states = [decode_platform(CONTROL_APID, data) for _, apid, data in entries if apid == CONTROL_APID]
    for fix, state in zip(fixes, states, strict=True):
        assert isinstance(state, ControlState)
        assert np.linalg.norm(state.position) == pytest.approx(np.linalg.norm(fix.position), abs=1e-3)
        assert np.dot(state.position, state.velocity) == pytest.approx(np.dot(fix.position, fix.velocity), abs=1e3)
        # In inertial space the satellite moves at 7.46 km/s; over ground the Earth's turning adds some 40 m/s.
        assert 7_400 < np.linalg.norm(state.velocity) < 7_520
        assert np.degrees(state.orbit_angle) == pytest.approx(180 - 44.6, abs=3.0)  # descending, at 44.6 degrees north


def test_orbit_angles_count_from_the_ascending_node() -> None:
    position = np.array([[1.0, 0, 0], [0, 0, 1], [-1, 0, 0], [0, 0, -1]]) * 7e6
    velocity = np.array([[0.0, 0, 1], [-1, 0, 0], [0, 0, -1], [1, 0, 0]]) * 7e3
    assert np.degrees(orbit_angles(position, velocity)) == pytest.approx([0, 90, 180, 270])
