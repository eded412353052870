"""Areas on the Earth, as strategies name them: GeoJSON polygons against the footprints of products.

Polygons are taken on the plate of longitude and latitude, as GeoJSON (RFC 7946) has them. A footprint that crosses the
antimeridian is unwrapped, and looked at from either side of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.errors import BadInputError

Point = tuple[float, float]
"""Longitude and latitude, degrees."""

_MOST_POINTS = 10_000


class Area(BaseModel):
    """A GeoJSON Polygon or MultiPolygon. Holes are not looked at: an area is where something is decided, not a map."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    type: Literal["Polygon", "MultiPolygon"]
    coordinates: tuple[object, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _closed(self) -> Self:
        for ring in self.rings():
            if len(ring) < 4 or ring[0] != ring[-1]:
                raise ValueError("coordinates: expected rings of four positions or more, the last as the first")
        return self

    def rings(self) -> tuple[tuple[Point, ...], ...]:
        """The outer rings."""
        polygons = (self.coordinates,) if self.type == "Polygon" else self.coordinates
        return tuple(_ring(polygon) for polygon in polygons)

    def meets(self, footprint: Sequence[Point]) -> bool:
        """Whether any of it is within a footprint (a closed ring), or the other way round."""
        rings = self.rings()
        return any(_meet(ring, shifted) for shifted in _seen(footprint) for ring in rings)


def _ring(polygon: object) -> tuple[Point, ...]:
    if not isinstance(polygon, list | tuple) or not polygon or not isinstance(polygon[0], list | tuple):
        raise ValueError("coordinates: expected positions as [longitude, latitude]")
    ring = polygon[0]
    if len(ring) > _MOST_POINTS:
        raise ValueError(f"coordinates: expected at most {_MOST_POINTS} positions")
    return tuple(_position(place) for place in ring)


def _position(place: object) -> Point:
    if isinstance(place, list | tuple) and len(place) >= 2 and all(_is_number(value) for value in place[:2]):
        lon, lat = float(place[0]), float(place[1])
        if -180 <= lon <= 180 and -90 <= lat <= 90:
            return lon, lat
    raise ValueError(f"coordinates: expected a position as [longitude, latitude], found {place!r:.60}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


PositionList = Annotated[str, "latitude and longitude, blank-separated, as EXT_POS_LIST of product metadata"]


def read_footprint(text: PositionList, what: str) -> tuple[Point, ...]:
    """A footprint out of a list of latitudes and longitudes (heights, where it has them, are left out); closed.

    BadInputError naming ``what`` where it is none.
    """
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise BadInputError(what, "numbers", text) from None
    ring = _pairs(values, what)
    return ring if ring[0] == ring[-1] else (*ring, ring[0])


def _pairs(values: Sequence[float], what: str) -> tuple[Point, ...]:
    """Positions of two numbers, or of three with a height: a ring that is closed tells which it is."""
    if len(values) < 6 or len(values) > 3 * _MOST_POINTS:
        raise BadInputError(what, "three positions or more", len(values))
    widths = [width for width in (2, 3) if len(values) % width == 0]
    closed = [width for width in widths if tuple(values[:width]) == tuple(values[-width:])]
    for width in (*closed, *widths):
        found = tuple((values[n + 1], values[n]) for n in range(0, len(values), width))
        if all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in found):
            return found
    raise BadInputError(what, "latitudes and longitudes, blank-separated", values[:6])


def _seen(footprint: Sequence[Point]) -> Iterator[tuple[Point, ...]]:
    """The ring without a jump at the antimeridian, and where it crosses that, as seen from the other side."""
    unwrapped, turn, before = list[Point](), 0.0, footprint[0][0]
    for lon, lat in footprint:
        turn += 360.0 * ((lon - before < -180) - (lon - before > 180))
        unwrapped.append((lon + turn, lat))
        before = lon
    yield tuple(unwrapped)
    if any(lon > 180 for lon, _ in unwrapped):
        yield tuple((lon - 360, lat) for lon, lat in unwrapped)
    if any(lon < -180 for lon, _ in unwrapped):
        yield tuple((lon + 360, lat) for lon, lat in unwrapped)


def _meet(one: Sequence[Point], other: Sequence[Point]) -> bool:
    if _inside(one[0], other) or _inside(other[0], one):
        return True
    return any(_cross(a, b, c, d) for a, b in pairwise(one) for c, d in pairwise(other))


def _inside(place: Point, ring: Sequence[Point]) -> bool:
    """By the number of edges east of it."""
    lon, lat = place
    inside = False
    for (lon1, lat1), (lon2, lat2) in pairwise(ring):
        if (lat1 > lat) != (lat2 > lat) and lon < lon1 + (lat - lat1) / (lat2 - lat1) * (lon2 - lon1):
            inside = not inside
    return inside


def _side(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    one, two, three, four = _side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)
    if ((one > 0) != (two > 0)) and ((three > 0) != (four > 0)):
        return True
    return any(
        side == 0 and _between(p, q, r)
        for side, p, q, r in ((one, a, b, c), (two, a, b, d), (three, c, d, a), (four, c, d, b))
    )


def _between(a: Point, b: Point, c: Point) -> bool:
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])
