"""Footprints and areas: what lies in what, across the antimeridian too."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.domain.areas import Area, read_footprint
from shared.errors import BadInputError


def box(west: float, south: float, east: float, north: float) -> tuple[tuple[float, float], ...]:
    return ((west, south), (east, south), (east, north), (west, north), (west, south))


def area(*boxes: tuple[float, float, float, float]) -> Area:
    if len(boxes) == 1:
        return Area(type="Polygon", coordinates=(box(*boxes[0]),))
    return Area(type="MultiPolygon", coordinates=tuple((box(*each),) for each in boxes))


@pytest.mark.parametrize(
    ("footprint", "expected"),
    [
        (box(11, 46, 12, 47), True),  # within
        (box(0, 40, 30, 60), True),  # around
        (box(14, 44, 16, 46), True),  # over a corner
        (box(9, 46, 16, 46.5), True),  # across, with no corner inside
        (box(15, 45, 20, 50), True),  # they touch
        (box(16, 45, 20, 50), False),
        (box(10, 51, 15, 55), False),
    ],
)
def test_a_footprint_meets_an_area(footprint: tuple[tuple[float, float], ...], expected: bool) -> None:
    assert area((10, 45, 15, 50)).meets(footprint) is expected


def test_one_polygon_of_several_is_enough() -> None:
    assert area((10, 45, 15, 50), (-60, -10, -50, 0)).meets(box(-55, -5, -54, -4))


def test_across_the_antimeridian() -> None:
    fiji = ((178.5, -18.0), (-179.5, -18.0), (-179.5, -17.0), (178.5, -17.0), (178.5, -18.0))
    assert area((179, -19, 180, -16)).meets(fiji)
    assert area((-180, -19, -179.8, -16)).meets(fiji)
    assert not area((-170, -19, -160, -16)).meets(fiji)
    assert not area((0, -19, 10, -16)).meets(fiji)


@given(
    st.tuples(*[st.floats(-170, 170)] * 2, *[st.floats(0.1, 5)] * 2),
    st.tuples(*[st.floats(-170, 170)] * 2, *[st.floats(0.1, 5)] * 2),
)
def test_boxes_meet_as_their_spans_do(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    def spans(values: tuple[float, ...]) -> tuple[float, float, float, float]:
        lon, lat, width, height = values
        return lon, lat / 2, lon + width, lat / 2 + height

    a, b = spans(one), spans(other)
    apart = a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
    near = any(math.isclose(p, q, abs_tol=1e-9) for p, q in ((a[2], b[0]), (b[2], a[0]), (a[3], b[1]), (b[3], a[1])))
    if not near:
        assert area(a).meets(box(*b)) is not apart
        assert area(b).meets(box(*a)) is not apart


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("46 11 47 11 47 12 46 11", ((11, 46), (11, 47), (12, 47), (11, 46))),
        ("46 11 47 11 47 12", ((11, 46), (11, 47), (12, 47), (11, 46))),
        ("46 11 200 47 11 210 47 12 220 46 11 200", ((11, 46), (11, 47), (12, 47), (11, 46))),
        ("46,11 47,11 47,12 46,12 46,11", ((11, 46), (11, 47), (12, 47), (12, 46), (11, 46))),
    ],
)
def test_a_footprint_of_product_metadata(text: str, expected: tuple[tuple[float, float], ...]) -> None:
    assert read_footprint(text, "footprint") == expected


@pytest.mark.parametrize(
    "text", ["", "46 11", "46 11 x 12 46 11", "95 11 95 12 96 12 95 11", "nan nan nan nan nan nan"]
)
def test_what_is_no_footprint_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="footprint of DT35: expected"):
        read_footprint(text, "footprint of DT35")


@pytest.mark.parametrize(
    "document",
    [
        {"type": "Point", "coordinates": [1, 2]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [200, 0], [1, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[["0", 0], [1, 0], [1, 1], ["0", 0]]]},
        {"type": "MultiPolygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]], "crs": "moon"},
    ],
)
def test_what_is_no_area_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Area.model_validate(document)
