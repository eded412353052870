"""Tiles that a plan owes are those that were made: by real products' names, telemetry, and a real datastrip's list.

``real_tiles.txt`` holds facts of public product names: satellite, start of the datatake, relative orbit, tile; of some
also the tile's sensing time, which their metadata tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from defusedxml import ElementTree

from shared.domain.expected import TilesOwed
from shared.domain.mission_plan import Segment
from shared.geometry.groundtrack import (
    ASIDE_KM,
    LATE_S,
    ORBIT_S,
    SWATH_KM,
    TRACKS,
    ground,
    node_longitude,
    seconds_from_node,
    tiles_owed,
)
from shared.msi.tiling import tile, to_degrees

SCENE_S = 3.608
PIECES_S = ((0.0, 650.0), (600.0, 950.0), (900.0, 2100.0))
"""From the start of a datatake, in pieces that overlap: they last half an hour."""


def segment(orbit: int, start: datetime, seconds: float) -> Segment:
    stop = start + timedelta(seconds=seconds)
    scenes = round(seconds / SCENE_S)
    return Segment("S2B", "1-1", 1, orbit, "NOMINAL", scenes, start, stop, start, stop, "SGS_", partial=False)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def owed(orbit: int, start: datetime, seconds: float) -> TilesOwed:
    found = tiles_owed(segment(orbit, start, seconds))
    assert found is not None, (orbit, start)
    return found


def products() -> Iterator[tuple[str, int, datetime, str, datetime | None]]:
    """Name, relative orbit, start of the datatake, tile, and when the tile was sensed."""
    for line in (Path(__file__).parent / "real_tiles.txt").read_text().splitlines():
        name, _, sensed = line.partition(" ")
        _, start, orbit, place = name.split("_")
        yield name, int(orbit[1:]), instant(start), place[1:], instant(sensed) if sensed else None


def test_tiles_of_real_products_are_among_those_that_the_plan_allows() -> None:
    sure = 0
    for name, orbit, start, place, _ in products():
        for first, last in PIECES_S:
            found = owed(orbit, start + timedelta(seconds=first), last - first)
            if place in {*found.must, *found.may}:
                break
        assert place in {*found.must, *found.may}, name
        sure += place in found.must
    assert sure >= 0.9 * len(list(products()))


def test_tiles_are_owed_by_a_segment_about_their_sensing_time() -> None:
    timed = [each for each in products() if each[4] is not None]
    assert len(timed) > 9
    for name, orbit, _, place, sensed in timed:
        assert sensed is not None
        begin = sensed - timedelta(seconds=25)
        assert place in owed(orbit, begin, 50).must, name
        # Not by segments that end before or begin after it, and not by the next track but one (500 km aside).
        for other, shift in ((orbit, -90), (orbit, 90), ((orbit + 101) % TRACKS + 1, 0)):
            found = tiles_owed(segment(other, begin + timedelta(seconds=shift), 50)) or TilesOwed()
            assert place not in {*found.must, *found.may}, (name, shift)


def test_the_tiles_of_a_real_datastrip(real_data: Path) -> None:
    listed = ElementTree.parse(real_data / "l1c_datastrip" / "tile_list_file.xml").findall(".//Tile_Id")
    real = {str(each.text) for each in listed}
    found = owed(34, instant("2022-10-11T06:40:25.456"), 54.117)
    assert len(real) == 18
    assert set(found.must) < real < {*found.must, *found.may}


@pytest.mark.parametrize(
    ("folder", "orbit"), [("l0_datastrip", 34), ("geometry/l1b_datastrip", 23)], ids=["S2B-2022", "S2A-2020"]
)
def test_satellites_are_where_the_track_says(real_data: Path, folder: str, orbit: int) -> None:
    """To 10 s along the track of GPS positions and 3 km across it: what is allowed for is more."""
    (file,) = (real_data / folder).glob("*/*MTD*.xml")
    points = re.findall(r"(?s)<GPS_Point>\s*<POSITION_VALUES[^>]*>([^<]*)<.*?<GPS_TIME>([^<]*)<", file.read_text())
    for position, gps in points[::40]:
        place = np.array([float(each) for each in position.split()])
        since = seconds_from_node(orbit, instant(gps) - timedelta(seconds=18))
        assert since is not None
        late = np.arange(-LATE_S, LATE_S, 0.25)
        lon, lat = (np.radians(each[:, 0]) for each in ground(orbit, since + late, np.zeros(1)))
        lat = np.arctan(0.993_305_62 * np.tan(lat))
        track = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)
        apart = 6371 * np.linalg.norm(track - place / np.linalg.norm(place), axis=-1)
        assert apart.min() < 3
        assert abs(late[apart.argmin()]) < 10
    assert ASIDE_KM > 3
    assert LATE_S > 10


def test_orbit_and_time_of_a_real_plan_agree_and_others_do_not() -> None:
    # Three segments of the mission plan of July 2021, S2B, relative orbit 95.
    for start, seconds in (("12:36:52.628", 303.072), ("12:42:58.560", 82.984), ("12:50:30.675", 72.160)):
        found = owed(95, instant(f"2021-07-22T{start}"), seconds)
        assert 0.6 < found.middle / (seconds / SCENE_S * 1.2) < 1.7  # ten granules make a tile
    begin = instant("2021-07-22T12:36:52.628")
    assert tiles_owed(segment(40, begin, 100)) is None
    for orbit in (0, 144):
        assert tiles_owed(segment(orbit, begin, 100)) is None
    # Nor does any orbit hold so many scenes.
    assert tiles_owed(replace(segment(95, begin, 100), scenes=999_999_999)) is None
    # Ten orbits of the 143 have their node 604 s apart within one revolution: on the others it is not at that time.
    assert 9 <= sum(seconds_from_node(orbit, begin) is not None for orbit in range(1, TRACKS + 1)) <= 11


def test_fewer_than_three_scenes_owe_no_tile() -> None:
    begin = instant("2021-07-22T12:36:52.628")
    assert owed(95, begin, 2 * SCENE_S) == TilesOwed()
    assert owed(95, begin, 3 * SCENE_S) != TilesOwed()


def test_tracks_close_after_ten_days() -> None:
    nodes = sorted(node_longitude(orbit) % 360 for orbit in range(1, TRACKS + 1))
    assert np.allclose(np.diff(nodes), 360 / TRACKS)
    step = node_longitude(2) - node_longitude(1)
    assert step == pytest.approx(-ORBIT_S / 240)  # the Earth turns a degree in 240 s of mean solar time


def test_tiles_lie_in_the_swath_from_pole_to_pole() -> None:
    """No tile that is owed has its centre farther from the track than a tile and half the swath reach."""
    begin = instant("2021-07-22T12:36:52.628")
    found = owed(95, begin, 600)
    assert {name[2] for name in found.must} == set("XWVU")
    since = seconds_from_node(95, begin)
    assert since is not None
    lon, lat = (np.radians(each) for each in ground(95, np.arange(since - 60, since + 660, 2.0), np.zeros(1)))
    for name in (*found.must, *found.may):
        square = tile(name)
        place = [np.radians(each) for each in to_degrees(square.epsg, square.ulx + 54_900, square.uly - 54_900)]
        cosine = np.sin(lat) * np.sin(place[1]) + np.cos(lat) * np.cos(place[1]) * np.cos(lon - place[0])
        assert 6371 * np.arccos(cosine.max()) < SWATH_KM / 2 + ASIDE_KM + 79, name
