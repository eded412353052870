"""Which rule decided what of a session: of the session as a whole, and of each unit of each step, as far as known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from shared.domain.strategy import Decided, Subject
from shared.errors import ObjectAbsentError
from shared.ledger import keys
from shared.ledger.records import FINISHED, Complete, OpenMarker, Outcome
from shared.workflow.plan import NotOwed, Skipped, Source
from shared.workflow.ruling import Ruling
from shared.workflow.sources import LedgerRecords
from shared.workflow.walk import next_work

if TYPE_CHECKING:
    from shared.bootstrap import Services


@dataclass(frozen=True, slots=True)
class Explained:
    """One matter that was decided. ``step`` is ``session`` for what is decided of the whole; ``rule`` by which."""

    step: str
    units: tuple[str, ...]
    matter: str
    value: str
    rule: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """``bound``: the session is complete, so that its strategy does not change any more."""

    session: str
    strategy: str
    version: str
    work_class: str
    bound: bool
    decided: tuple[Explained, ...]


def explain(services: Services, session: str) -> Explanation:
    """What the strategy of ``session`` decides. ObjectAbsentError where there is no such session.

    Of one that is not complete it is the strategy that is active now.
    """
    records = LedgerRecords(services.ledger)
    complete = records.find(keys.complete(session))
    if not isinstance(complete, Complete):
        marker = services.ledger.find(keys.open_marker(session), OpenMarker)
        if marker is None:
            raise ObjectAbsentError(f"session {session}: there is none, or it was never complete")
        subject = Subject(session, marker.satellite, marker.station, when=services.clock.now())
        ruling = services.active_ruling(subject)
        return _made(ruling, session, _of(ruling.whole, "session", session), bound=False)
    workflow = services.workflow_of(complete)
    found = [*_of(workflow.ruling.whole, "session", session)]
    for source in _sources(services, complete):
        records.know(source)
        for item in next_work(workflow, source, records):
            if isinstance(item, NotOwed):
                found.append(Explained(item.step.name, (item.unit,), "not asked for", item.cause, ""))
            elif isinstance(item, Skipped):
                found.append(Explained(item.step.name, (item.unit,), item.ended, item.reason, ""))
            else:
                found += _of(item.decided, item.step.name, item.unit)
    order = {name: n for n, name in enumerate(("session", *(step.name for step in workflow.steps)))}
    found.sort(key=lambda each: (order[each.step], each.matter, each.rule, each.units))
    return _made(workflow.ruling, session, found, bound=True)


def _made(ruling: Ruling, session: str, found: list[Explained], *, bound: bool) -> Explanation:
    strategy, known = ruling.strategy, ruling.session
    return Explanation(session, strategy.name, strategy.version, known.work_class, bound, tuple(_together(found)))


def _sources(services: Services, complete: Complete) -> Iterator[Source]:
    session = complete.session
    yield Source(keys.complete(session), complete, session)
    listed = services.ledger.list(f"{keys.session(session)}work/")
    wanted = [info.key for info in listed if info.key.endswith("/outcome.json")]
    for key, outcome in zip(wanted, services.ledger.read_many(wanted, Outcome), strict=True):
        if outcome.status in FINISHED:
            yield Source(key, outcome, session)


def _of(decided: Decided, step: str, unit: str) -> list[Explained]:
    return [
        Explained(step, (unit,), matter, _shown(getattr(decided.decision, matter)), rule)
        for matter, rule in sorted(decided.by.items())
    ]


def _shown(value: object) -> str:
    return value.model_dump_json(exclude_none=True) if isinstance(value, BaseModel) else json.dumps(value)


def _together(found: list[Explained]) -> Iterator[Explained]:
    """Units of a step of which the same was decided, in one."""
    grouped: dict[tuple[str, str, str, str], dict[str, None]] = {}
    for each in found:
        units = grouped.setdefault((each.step, each.matter, each.value, each.rule), {})
        units.update(dict.fromkeys(each.units))
    for (step, matter, value, rule), units in grouped.items():
        yield Explained(step, tuple(units), matter, value, rule)
