"""The record of a planned pass, and which session is which pass.

``plan/<satellite>/<day>/<time>-<station>.json`` is a pass of the newest plan that was loaded, ``....missing.json`` says
that it was never seen.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import ClassVar, Final

from pydantic import AwareDatetime

from shared.domain.events import Event, event_id
from shared.domain.expected import NOTHING, Owed, Planned, TilesOwed, owed
from shared.domain.names import SessionId, downlink_of
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Complete, OpenMarker, Record

MISSING: Final = "org.s2ps.pass.missing"
PLAN: Final = "plan/"
_MISSING: Final = ".missing.json"
_BEFORE: Final = timedelta(minutes=10)
_AFTER: Final = timedelta(minutes=5)
"""A session is a pass's where its name's time lies between so long before its start, and so long after its end."""

_LONGEST: Final = timedelta(minutes=30)
"""That a pass takes."""

_SOON: Final = frozenset({"NRT", "RT"})
_log: Final = logging.getLogger(__name__)


class PlannedPass(Record):
    """A pass as it was planned. ``scenes``: of each segment of a datatake that it brings.

    ``datatakes``, ``sensed`` and ``tiles``, beside them: the plan's number of the datatake, when its sensing starts,
    and the tiles that it will meet; None where its orbit and its time do not agree, nothing where nobody foresaw them.
    ``timeliness``: the plan's word for how soon each is wanted.
    """

    kind: ClassVar[str] = "planned-pass"
    satellite: str
    station: str
    start: AwareDatetime
    stop: AwareDatetime
    scenes: tuple[int, ...]
    datatakes: tuple[str, ...] = ()
    sensed: tuple[AwareDatetime, ...] = ()
    tiles: tuple[TilesOwed | None, ...] = ()
    timeliness: tuple[str, ...] = ()

    @property
    def near_real_time(self) -> bool:
        """Whether anything of it is wanted sooner than the rest."""
        return not _SOON.isdisjoint(self.timeliness)

    @property
    def segments(self) -> tuple[Planned, ...]:
        """What it brings, in the order in which it comes down."""
        count = len(self.scenes)
        beside = zip_longest(self.scenes, self.datatakes[:count], self.sensed[:count], self.tiles[:count])
        return tuple(
            Planned(name or f"number {place}", scenes, start, tiles)
            for place, (scenes, name, start, tiles) in enumerate(beside, 1)
        )

    @property
    def key(self) -> str:
        return f"{PLAN}{self.satellite}/{self.start:%Y%m%d/%H%M%S}-{keys.safe_name(self.station)}.json"

    @property
    def missing_key(self) -> str:
        return self.key.removesuffix(".json") + _MISSING

    def owed(self, levels: tuple[str, ...]) -> Owed:
        """What it owes where its datatakes ask for these levels: the plan does not tell their type.

        Of the tiles it is an estimate: the middle of what may be, where they were foreseen.
        """
        each = (owed(one.scenes, levels, tiles=one.tiles.middle if one.tiles else None) for one in self.segments)
        whole = sum(each, NOTHING)
        return replace(whole, exact=whole.exact and not any(one.tiles and one.tiles.may for one in self.segments))

    @property
    def tiles_owed(self) -> tuple[int, int] | None:
        """How many it owes at least and at most, those of each segment; None where those of any were not foreseen."""
        known = [one.tiles for one in self.segments if one.tiles is not None]
        if len(known) < len(self.scenes):
            return None
        return sum(tiles.least for tiles in known), sum(tiles.most for tiles in known)

    def event(self, now: datetime) -> Event:
        """The CloudEvent of a pass that was never seen."""
        data = {
            "plan": self.key,
            "satellite": self.satellite,
            "station": self.station,
            "start": self.start.isoformat(),
            "stop": self.stop.isoformat(),
            "scenes": sum(self.scenes),
        }
        return Event(event_id("pass", self.key), "plan", MISSING, self.key, now, data)


class MissingPass(Record):
    """A planned pass was never seen: told."""

    kind: ClassVar[str] = "missing-pass"
    plan: str


def passes_between(
    ledger: Ledger, satellites: list[str], first: datetime, last: datetime
) -> Iterator[tuple[str, bool]]:
    """(key, whether it was told to be missing) of the passes that begin between two instants."""
    for satellite in satellites:
        day = first.date()
        while day <= last.date():
            listed = {info.key for info in ledger.list(f"{PLAN}{satellite}/{day:%Y%m%d}/")}
            for key in sorted(key for key in listed if not key.endswith(_MISSING)):
                at = key.split("/")[-1][:6]
                if f"{first:%Y%m%d%H%M%S}" <= f"{day:%Y%m%d}{at}" <= f"{last:%Y%m%d%H%M%S}":
                    yield key, key.removesuffix(".json") + _MISSING in listed
            day += timedelta(days=1)


def seen_as(ledger: Ledger, planned: PlannedPass) -> str:
    """The session by which a planned pass came down; empty where none was seen."""
    first, last = planned.start - _BEFORE, planned.stop + _AFTER
    for day in sorted({first.date(), last.date()}):
        for begin in (f"{planned.satellite}_{day:%Y%m%d}", f"L{day:%Y%m%d}"):
            for folder in ledger.store.folders(ledger.bucket, f"sessions/{begin}"):
                session = folder.removeprefix("sessions/").rstrip("/")
                try:
                    named = SessionId.parse(session)
                except BadInputError:
                    continue
                if first <= named.start <= last and _satellite(ledger, session, named) == planned.satellite:
                    return session
    return ""


def _satellite(ledger: Ledger, session: str, named: SessionId) -> str:
    if named.satellite is not None:
        return named.satellite
    record = ledger.find(keys.complete(session), Complete) or ledger.find(keys.open_marker(session), OpenMarker)
    return record.satellite if record is not None else ""


def planned_as(ledger: Ledger, session: str) -> PlannedPass | None:
    """The planned pass of a session, whether it is complete or not; None where its satellite is not known yet."""
    try:
        satellite = _satellite(ledger, session, SessionId.parse(downlink_of(session)))
    except BadInputError:
        return None
    return planned_for(ledger, session, satellite) if satellite else None


def planned_for(ledger: Ledger, session: str, satellite: str) -> PlannedPass | None:
    """The planned pass that a session is of; None where none is planned for its time.

    A session does not hang on its plan: of passes, one that cannot be read is passed over, and one that is withdrawn
    meanwhile is none.
    """
    try:
        named = SessionId.parse(downlink_of(session))
    except BadInputError:
        return None
    first, last = named.start - _LONGEST, named.start + _BEFORE
    found = [_readable(ledger, key) for key, _ in passes_between(ledger, [satellite], first, last)]
    fits = [each for each in found if each and each.start - _BEFORE <= named.start <= each.stop + _AFTER]
    return min(fits, key=lambda each: abs(each.start - named.start), default=None)


def _readable(ledger: Ledger, key: str) -> PlannedPass | None:
    try:
        return ledger.find(key, PlannedPass)
    except BadInputError as error:
        _log.warning("the plan is not looked at: %s", error)
        return None
