"""Planned passes: kept when a mission plan is loaded, looked for when their time is over.

A timer for each waits until its session must have been seen at a station.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Literal

from shared.bootstrap import Services
from shared.domain.events import Event, event_id
from shared.domain.expected import Owed, TilesOwed
from shared.domain.mission_plan import Pass, Segment
from shared.ledger import keys
from shared.ledger.records import timer_due
from shared.parallel import pool_of
from shared.sla.planned import MissingPass, PlannedPass, passes_between, seen_as
from shared.telemetry import metrics

Foresight = Callable[[Segment], TilesOwed | None]
"""The tiles that a planned segment will meet; None where that cannot be told."""

EXPECTED_TIMER: Final = "planned-pass"
"""The kind of timer at which a planned pass must have been seen."""

_WRITERS: Final = 8


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
    stale = [key for key, _ in passes_between(services.ledger, satellites, first, last) if key not in records]
    with pool_of(_WRITERS, len(records)) as pool:
        new = sum(pool.map(partial(_keep, services, now), records.values()))
        list(pool.map(services.ledger.delete, stale))
    unforeseen = sum(tiles is None for record in records.values() for tiles in record.tiles)
    return Loaded(new, len(records) - new, len(stale), unforeseen)


def _keep(services: Services, now: datetime, record: PlannedPass) -> bool:
    """The record, and its timer first: a pass that stands has one. One whose scenes were changed is replaced.

    Nobody is alarmed about what was over before the plan was loaded. Tiles that were foreseen of the same pass stand
    where the plan is loaded again by somebody who cannot foresee them.
    """
    due, ledger = record.stop + timedelta(seconds=services.settings.pass_wait_s), services.ledger
    if due > now:
        timer = timer_due(now, due, EXPECTED_TIMER, "", record.key)
        ledger.create(keys.timer(due, EXPECTED_TIMER, event_id(record.key)), timer)
    if ledger.create(record.key, record):
        return True
    standing, etag = ledger.read_with_etag(record.key, PlannedPass)
    known = standing.model_copy(update={"created": now} if record.tiles else {"created": now, "tiles": ()})
    if known != record:
        ledger.replace(record.key, record, etag)
    return False


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
    for key, told in passes_between(services.ledger, satellites, first, last):
        record = services.ledger.find(key, PlannedPass)
        if record is None:
            continue
        session = seen_as(services.ledger, record)
        stands: Literal["planned", "seen", "missing"] = "seen" if session else "missing" if told else "planned"
        yield Standing(record, stands, session, record.owed(levels))
