"""The mission plan: which segments of which datatakes come down when, and where.

Source: the master timeline that the mission control publishes (``MP_ALL__MTL``, CSV with a header line; one line for
each segment of a datatake that one downlink brings: what will be a datastrip). Times are UTC.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.domain.names import SATELLITES
from shared.errors import BadInputError

MOST_LINES: Final = 100_000
_COLUMNS: Final = (
    "SatelliteID",
    "AbsoluteOrbit",
    "RelativeOrbit",
    "Timeliness",
    "Scenes",
    "AcquisitionStart",
    "AcquisitionStop",
    "EffectiveDownlinkStart",
    "EffectiveDownlinkStop",
    "Station",
)
# The plan has called it by both names.
_IDENTIFIER: Final = ("AcquisitionID", "ID")
_WITHIN: Final = timedelta(minutes=2)
"""Two downlinks to one station that are no further apart are of one pass."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a datatake as one downlink brings it.

    ``datatake`` is the plan's number for it (``22858-4``: orbit and count), ``partial`` says that another downlink
    brings more of it, ``station`` has four characters.
    """

    satellite: str
    datatake: str
    absolute_orbit: int
    relative_orbit: int
    timeliness: str
    scenes: int
    start: datetime
    stop: datetime
    downlink_start: datetime
    downlink_stop: datetime
    station: str
    partial: bool


@dataclass(frozen=True, slots=True)
class Pass:
    """One downlink session as it is planned: its segments come down one after the other."""

    satellite: str
    station: str
    segments: tuple[Segment, ...]

    @property
    def start(self) -> datetime:
        return self.segments[0].downlink_start

    @property
    def stop(self) -> datetime:
        return max(segment.downlink_stop for segment in self.segments)

    @property
    def scenes(self) -> int:
        return sum(segment.scenes for segment in self.segments)


def read_mission_plan(body: bytes, name: str) -> tuple[Segment, ...]:
    """The segments of a plan, in its order. BadInputError names file, line, column and what was expected."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInputError(name, "UTF-8 text") from None
    rows = csv.DictReader(io.StringIO(text), restkey="more", strict=True)
    try:
        return tuple(_segments(rows, name))
    except csv.Error as error:
        raise BadInputError(f"{name}, line {rows.line_num}", "CSV", str(error)) from None


def _segments(rows: csv.DictReader[str], name: str) -> Iterator[Segment]:
    columns = tuple(rows.fieldnames or ())
    identifier = next((column for column in _IDENTIFIER if column in columns), "")
    missing = [column for column in _COLUMNS if column not in columns] or ([] if identifier else [_IDENTIFIER[0]])
    if missing:
        raise BadInputError(f"{name}, header", f"a column {missing[0]}", ",".join(columns))
    for row in rows:
        if rows.line_num > MOST_LINES:
            raise BadInputError(name, f"at most {MOST_LINES} lines")
        if "more" in row:
            raise BadInputError(f"{name}, line {rows.line_num}", f"at most {len(columns)} values")
        yield _segment(_Row(row, f"{name}, line {rows.line_num}"), identifier)


@dataclass(frozen=True, slots=True)
class _Row:
    values: Mapping[str, str | None]
    where: str

    def text(self, column: str, most: int = 32) -> str:
        value = (self.values[column] or "").strip()
        if not value or len(value) > most or not value.isprintable():
            raise BadInputError(f"{self.where}, {column}", "a value", value)
        return value

    def number(self, column: str) -> int:
        value = self.text(column, 9)
        if not (value.isascii() and value.isdigit()):
            raise BadInputError(f"{self.where}, {column}", "a whole number", value)
        return int(value)

    def time(self, column: str) -> datetime:
        value = self.text(column)
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            raise BadInputError(f"{self.where}, {column}", "a time as 2021-07-22T12:36:52.628", value) from None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

    def span(self, first: str, last: str) -> tuple[datetime, datetime]:
        start, stop = self.time(first), self.time(last)
        if stop < start:
            raise BadInputError(f"{self.where}, {last}", f"a time not before {first}", self.values[last])
        return start, stop


def _segment(row: _Row, identifier: str) -> Segment:
    satellite = row.text("SatelliteID")
    if satellite not in SATELLITES:
        raise BadInputError(f"{row.where}, SatelliteID", f"one of {', '.join(SATELLITES)}", satellite)
    start, stop = row.span("AcquisitionStart", "AcquisitionStop")
    downlink_start, downlink_stop = row.span("EffectiveDownlinkStart", "EffectiveDownlinkStop")
    return Segment(
        satellite=satellite,
        datatake=row.text(identifier),
        absolute_orbit=row.number("AbsoluteOrbit"),
        relative_orbit=row.number("RelativeOrbit"),
        timeliness=row.text("Timeliness"),
        scenes=row.number("Scenes"),
        start=start,
        stop=stop,
        downlink_start=downlink_start,
        downlink_stop=downlink_stop,
        station=row.text("Station", 16),
        partial=(row.values.get("Partial") or "").strip() == "P",
    )


def passes(segments: Iterable[Segment]) -> tuple[Pass, ...]:
    """The downlink sessions of a plan, in the order of their starts.

    Segments of one satellite that come down to one station, one within two minutes of the other, are of one pass.
    """
    found: list[list[Segment]] = []
    latest: dict[tuple[str, str], list[Segment]] = {}
    for segment in sorted(segments, key=lambda each: (each.downlink_start, each.downlink_stop, each.satellite)):
        place = (segment.satellite, segment.station)
        open_pass = latest.get(place)
        if open_pass is not None and segment.downlink_start <= open_pass[-1].downlink_stop + _WITHIN:
            open_pass.append(segment)
        else:
            latest[place] = [segment]
            found.append(latest[place])
    return tuple(Pass(group[0].satellite, group[0].station, tuple(group)) for group in found)
