"""The tile grid against known tiles and its own laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from shared.errors import BadInputError
from shared.msi.tiling import TILE_SIZE_M, Tile, square_at, tile, tiles_meeting, to_utm

# Upper left corners as published tiles state them.
KNOWN = (
    Tile("29UNU", 32629, 499980, 5900040),
    Tile("31TCJ", 32631, 300000, 4900020),
)

places = st.tuples(st.floats(-179.9, 179.9), st.floats(-79.9, 83.9))


@pytest.mark.parametrize("known", KNOWN, ids=lambda t: t.name)
def test_known_tiles_have_their_published_corner(known: Tile) -> None:
    assert tile(known.name) == known
    assert tile("T" + known.name) == known


@given(places)
def test_a_square_holds_its_place_and_is_found_by_name(place: tuple[float, float]) -> None:
    found = square_at(*place)
    x, y = to_utm(found.epsg).transform(*place)
    left, bottom, right, top = found.bounds
    assert left <= x <= right
    assert bottom <= y <= top
    assert tile(found.name) == found
    assert found.ulx % 60 == found.uly % 60 == 0


@given(st.tuples(st.floats(-178, 178), st.floats(-70, 70)), st.floats(0.1, 1.0))
def test_every_place_of_a_footprint_lies_in_one_of_its_tiles(place: tuple[float, float], half: float) -> None:
    lon0, lat0 = place
    lon = np.array([-half, half, half, -half]) + lon0
    lat = np.array([half, half, -half, -half]) + lat0
    tiles = tiles_meeting(lon, lat)
    for u, v in np.random.default_rng(0).uniform(-half, half, (20, 2)):
        held = []
        for candidate in tiles:
            x, y = to_utm(candidate.epsg).transform(lon0 + u, lat0 + v)
            held.append(0 <= x - candidate.ulx <= TILE_SIZE_M and 0 <= candidate.uly - y <= TILE_SIZE_M)
        assert any(held)


def test_overlap_brings_the_neighbours_too() -> None:
    # A few metres at the corner that four squares share belong to four tiles.
    x, y = 400_050.0, 4_799_850.0
    back = Transformer.from_crs(32631, 4326, always_xy=True)
    corners = [back.transform(x + dx, y + dy) for dx, dy in ((0, 0), (90, 0), (90, 90), (0, 90))]
    names = [t.name for t in tiles_meeting(*np.array(corners).T)]
    assert names == ["31TCH", "31TCJ", "31TDH", "31TDJ"]


def test_a_footprint_may_cross_the_antimeridian() -> None:
    names = {t.name[:2] for t in tiles_meeting([179.8, -179.8, -179.8, 179.8], [1.0, 1.0, 0.5, 0.5])}
    assert names == {"60", "01"}


def test_zones_follow_the_exceptions_of_norway_and_svalbard() -> None:
    assert square_at(4.0, 60.0).name.startswith("32V")
    assert square_at(15.0, 78.0).name.startswith("33X")


@pytest.mark.parametrize("name", ["", "31TC", "61TCJ", "31TSJ", "31ICJ", "31TCI", "../31TCJ"])
def test_names_that_no_tile_has_are_refused(name: str) -> None:
    with pytest.raises(BadInputError, match="tile"):
        tile(name)


def test_a_footprint_without_area_is_refused() -> None:
    with pytest.raises(BadInputError, match="footprint"):
        tiles_meeting([1.0, 2.0], [3.0, 4.0])
