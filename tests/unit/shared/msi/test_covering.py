"""Tiles of many points are those that the footprint of the points meets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.msi.covering import tiles_of_points, zones_of
from shared.msi.tiling import tiles_meeting, zone_of

PLACES = {
    "within a zone": (9.0, 47.0),
    "between zones": (12.0, 47.0),
    "equator": (9.0, 0.0),
    "southern seam": (-72.0, -33.0),
    "Norway": (3.5, 60.0),
    "Svalbard": (21.0, 78.0),
    "antimeridian": (179.9, -17.0),
    "north": (-40.0, 83.6),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_block_of_points_meets_what_its_outline_meets(place: tuple[float, float]) -> None:
    east, north = place
    lon, lat = np.meshgrid(east + np.linspace(-1.2, 1.2, 97), north + np.linspace(-0.6, 0.6, 97))
    outline = tiles_meeting(east + np.array([-1.2, 1.2, 1.2, -1.2]), north + np.array([-0.6, -0.6, 0.6, 0.6]))
    assert set(tiles_of_points(lon, lat, np.ones(lon.shape, int))) == {tile.name for tile in outline}


def test_flags_of_a_tile_are_those_of_all_its_points() -> None:
    lon, lat = np.array([9.0, 9.1, 12.5]), np.array([47.0, 47.1, 47.0])
    found = tiles_of_points(lon, lat, np.array([1, 4, 2]))
    assert found["32TMT"] == 5
    assert {name for name, flags in found.items() if flags & 2} == {"33TUN", "32TQT"}


def test_beyond_utm_there_is_no_tile() -> None:
    assert tiles_of_points([0.0, 0.0, 0.0], [84.0, -80.1, 89.0], [1, 1, 1]) == {}


@given(st.floats(-180, 180), st.floats(-80, 83.99))
def test_zones_are_those_of_single_places(lon: float, lat: float) -> None:
    assert int(zones_of(lon, lat)) == zone_of(lon, lat)
