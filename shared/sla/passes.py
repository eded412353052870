"""Planned passes: kept when a mission plan is loaded, looked for when their time is over.

``plan/<satellite>/<day>/<time>-<station>.json`` is a pass of the newest plan that was loaded, ``....missing.json`` says
that it was never seen. A timer for each waits until its session must have been seen at a station.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import zip_longest
from typing import ClassVar, Final, Literal

from pydantic import AwareDatetime

from shared.bootstrap import Services
from shared.domain.events import Event, event_id
from shared.domain.expected import NOTHING, Owed, Planned, TilesOwed, owed
from shared.domain.mission_plan import Pass, Segment
from shared.domain.names import SessionId
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Complete, OpenMarker, Record, timer_due
from shared.parallel import pool_of
from shared.telemetry import metrics

Foresight = Callable[[Segment], TilesOwed | None]
"""The tiles that a planned segment will meet; None where that cannot be told."""

MISSING: Final = "org.s2ps.pass.missing"
EXPECTED_TIMER: Final = "planned-pass"
"""The kind of timer at which a planned pass must have been seen."""

PLAN: Final = "plan/"
_MISSING: Final = ".missing.json"
_BEFORE: Final = timedelta(minutes=10)
_AFTER: Final = timedelta(minutes=5)
"""A session is a pass's where its name's time lies between so long before its start, and so long after its end."""

_LONGEST: Final = timedelta(minutes=30)
"""That a pass takes."""

_SOON: Final = frozenset({"NRT", "RT"})
_WRITERS: Final = 8


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


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading a plan did: passes that are new, that stood already, and that are planned no longer.

    ``unforeseen``: segments whose orbit and time do not agree, so that nothing is foreseen of their tiles.
    """

    new: int
    known: int
    withdrawn: int
    unforeseen: int = 0


def load_plan(services: Services, planned: tuple[Pass, ...], foresee: Foresight | None = None) -> Loaded:
    """Keep the passes of a plan. In the time that it spans, passes that it does not hold are planned no longer.

    ``foresee`` tells the tiles of a segment.
    """
    now = services.clock.now()
    records = {
        record.key: record
        for record in (
            PlannedPass(
                created=now,
                satellite=one.satellite,
                station=one.station,
                start=one.start,
                stop=one.stop,
                scenes=tuple(segment.scenes for segment in one.segments),
                datatakes=tuple(segment.datatake for segment in one.segments),
                sensed=tuple(segment.start for segment in one.segments),
                timeliness=tuple(segment.timeliness for segment in one.segments),
                tiles=tuple(map(foresee, one.segments)) if foresee is not None else (),
            )
            for one in planned
        )
    }
    if not records:
        return Loaded(0, 0, 0)
    first, last = min(r.start for r in records.values()), max(r.start for r in records.values())
    satellites = sorted({record.satellite for record in records.values()})
    stale = [key for key, _ in _standing(services.ledger, satellites, first, last) if key not in records]
    with pool_of(_WRITERS, len(records)) as pool:
        new = sum(pool.map(partial(_keep, services, now), records.values()))
        list(pool.map(services.ledger.delete, stale))
    unforeseen = sum(tiles is None for record in records.values() for tiles in record.tiles)
    return Loaded(new, len(records) - new, len(stale), unforeseen)


def _keep(services: Services, now: datetime, record: PlannedPass) -> bool:
    """The record, and its timer first: a pass that stands has one. One whose scenes were changed is replaced.

    Nobody is alarmed about what was over before the plan was loaded.
    """
    due, ledger = record.stop + timedelta(seconds=services.settings.pass_wait_s), services.ledger
    if due > now:
        timer = timer_due(now, due, EXPECTED_TIMER, "", record.key)
        ledger.create(keys.timer(due, EXPECTED_TIMER, event_id(record.key)), timer)
    if ledger.create(record.key, record):
        return True
    standing, etag = ledger.read_with_etag(record.key, PlannedPass)
    if standing.model_copy(update={"created": now}) != record:
        ledger.replace(record.key, record, etag)
    return False


def _standing(ledger: Ledger, satellites: list[str], first: datetime, last: datetime) -> Iterator[tuple[str, bool]]:
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
        satellite = _satellite(ledger, session, SessionId.parse(session))
    except BadInputError:
        return None
    return planned_for(ledger, session, satellite) if satellite else None


def planned_for(ledger: Ledger, session: str, satellite: str) -> PlannedPass | None:
    """The planned pass that a session is of; None where none is planned for its time."""
    try:
        named = SessionId.parse(session)
    except BadInputError:
        return None
    first, last = named.start - _LONGEST, named.start + _BEFORE
    found = ledger.read_many([key for key, _ in _standing(ledger, [satellite], first, last)], PlannedPass)
    fits = [each for each in found if each.start - _BEFORE <= named.start <= each.stop + _AFTER]
    return min(fits, key=lambda each: abs(each.start - named.start), default=None)


def look_for(services: Services, key: str, tell: Callable[[Event], bool]) -> bool:
    """The time of the planned pass at ``key`` is over: tell where it was never seen. False: to be told again later."""
    ledger = services.ledger
    planned = ledger.find(key, PlannedPass)
    if planned is None or ledger.exists(planned.missing_key) or seen_as(ledger, planned):
        return True
    now = services.clock.now()
    if not tell(planned.event(now)):
        return False
    if ledger.create(planned.missing_key, MissingPass(created=now, plan=key)):
        metrics.measure(metrics.MISSING, satellite=planned.satellite)
    return True


@dataclass(frozen=True, slots=True)
class Standing:
    """How a planned pass stands, and what it owes. ``session``: by which it came, where it did."""

    planned: PlannedPass
    stands: Literal["planned", "seen", "missing"]
    session: str
    owed: Owed


def standing(services: Services, satellites: list[str], first: datetime, last: datetime) -> Iterator[Standing]:
    """The passes that begin between two instants. One that was told to be missing and came after all was seen."""
    levels = services.workflow.datatakes.levels("NOBS")
    for key, told in _standing(services.ledger, satellites, first, last):
        record = services.ledger.find(key, PlannedPass)
        if record is None:
            continue
        session = seen_as(services.ledger, record)
        stands: Literal["planned", "seen", "missing"] = "seen" if session else "missing" if told else "planned"
        yield Standing(record, stands, session, record.owed(levels))
