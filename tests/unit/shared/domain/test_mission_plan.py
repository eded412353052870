"""The mission plan is read as the mission control writes it, refused by line and column, and grouped into passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.mission_plan import Segment, passes, read_mission_plan
from shared.errors import BadInputError

HEADER = (
    '"SatelliteID","AcquisitionID","AbsoluteOrbit","RelativeOrbit","Timeliness","Scenes","AcquisitionStart",'
    '"AcquisitionStop","AcquisitionDuration[msec]","EffectiveDownlinkStart","EffectiveDownlinkStop",'
    '"DownlinkDuration[msec]","Latency[min]","Station","Partial"'
)


def line(scenes: str = "84", **changed: str) -> str:
    values = {
        "satellite": "S2B",
        "id": "30001-1",
        "absolute": "30001",
        "relative": "95",
        "timeliness": "NOMINAL",
        "scenes": scenes,
        "start": "2026-11-22T12:36:52.628",
        "stop": "2026-11-22T12:41:55.700",
        "ms": "303072",
        "down": "2026-11-22T12:52:24.854",
        "up": "2026-11-22T12:57:08.226",
        "duration": "283372",
        "latency": "15",
        "station": "SGS_",
        **changed,
    }
    return ",".join(f'"{value}"' for value in values.values())


def plan(*lines: str) -> bytes:
    return "\r\n".join([HEADER, *lines, ""]).encode()


def test_a_line_without_the_last_value_is_of_a_whole_datatake() -> None:
    whole, part = read_mission_plan(plan(line(), line(partial="P")), "plan.csv")
    assert whole == Segment(
        satellite="S2B",
        datatake="30001-1",
        absolute_orbit=30001,
        relative_orbit=95,
        timeliness="NOMINAL",
        scenes=84,
        start=datetime(2026, 11, 22, 12, 36, 52, 628000, UTC),
        stop=datetime(2026, 11, 22, 12, 41, 55, 700000, UTC),
        downlink_start=datetime(2026, 11, 22, 12, 52, 24, 854000, UTC),
        downlink_stop=datetime(2026, 11, 22, 12, 57, 8, 226000, UTC),
        station="SGS_",
        partial=False,
    )
    assert part.partial


def test_the_column_of_the_datatake_has_had_two_names() -> None:
    old = plan(line()).replace(b'"AcquisitionID"', b'"ID"')
    assert read_mission_plan(old, "plan.csv")[0].datatake == "30001-1"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (plan(line("many")), "plan.csv, line 2, Scenes: expected a whole number, found 'many'"),
        (plan(line(), line(satellite="S3A")), "plan.csv, line 3, SatelliteID: expected one of S2A"),
        (plan(line(start="noon")), "plan.csv, line 2, AcquisitionStart: expected a time"),
        (plan(line(up="2026-11-22T12:50:00")), "EffectiveDownlinkStop: expected a time not before"),
        (plan(line(station="")), "plan.csv, line 2, Station: expected a value"),
        (plan(line(partial="P") + ',"more"'), "plan.csv, line 2: expected at most 15 values"),
        (plan(line()).replace(b'"Scenes"', b'"Scene"'), "plan.csv, header: expected a column Scenes"),
        (plan(line()).replace(b'"AcquisitionID"', b'"Number"'), "plan.csv, header: expected a column AcquisitionID"),
        (b"", "plan.csv, header: expected a column SatelliteID"),
        (b"\xff\xfe", "plan.csv: expected UTF-8 text"),
        (plan(line() + '"x'), ": expected CSV"),
        (plan(line(station="S\x01GS")), "Station: expected a value"),
        (plan(line("٣")), "Scenes: expected a whole number"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(body: bytes, named: str) -> None:
    with pytest.raises(BadInputError) as error:
        read_mission_plan(body, "plan.csv")
    assert named in str(error.value)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for given_body in (body, HEADER.encode() + b"\n" + body):
        refusal = ""
        try:
            read_mission_plan(given_body, "plan.csv")
        except BadInputError as error:
            refusal = str(error)
        assert not refusal or refusal.startswith("plan.csv")


def test_segments_that_come_down_one_after_the_other_are_of_one_pass() -> None:
    start = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def segment(minute: float, minutes: float, station: str, satellite: str = "S2B", scenes: int = 10) -> Segment:
        down = start + timedelta(minutes=minute)
        return Segment(
            satellite=satellite,
            datatake=f"1-{minute:g}",
            absolute_orbit=1,
            relative_orbit=1,
            timeliness="NOMINAL",
            scenes=scenes,
            start=start,
            stop=start,
            downlink_start=down,
            downlink_stop=down + timedelta(minutes=minutes),
            station=station,
            partial=False,
        )

    # Out of order, another station between, another satellite at the same station, and a gap.
    given_plan = [
        segment(5, 3, "SGS_"),
        segment(0, 5, "SGS_"),
        segment(2, 2, "INS_"),
        segment(3, 4, "SGS_", "S2A"),
        segment(11, 1, "SGS_"),
    ]
    found = passes(given_plan)
    told = [(each.satellite, each.station, len(each.segments), each.scenes) for each in found]
    assert told == [("S2B", "SGS_", 2, 20), ("S2B", "INS_", 1, 10), ("S2A", "SGS_", 1, 10), ("S2B", "SGS_", 1, 10)]
    assert (found[0].start, found[0].stop) == (start, start + timedelta(minutes=8))
