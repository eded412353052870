"""When the data of a unit were sensed, from what readies its work: what the choice of auxiliary files asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final

from shared.domain.names import PdiName, SessionId, downlink_of, parse_stamp
from shared.errors import BadInputError
from shared.ledger.provision import UnitFacts
from shared.ledger.records import Artifact, Complete, Order, Outcome
from shared.workflow.granules import STOP, instant_told
from shared.workflow.plan import Source

START: Final = "sensing_start"


def unit_facts(order: Order, sources: Iterable[Source], complete: Complete) -> UnitFacts:
    """Satellite and sensing times of the unit of ``order``.

    Times are those of the inputs' metadata (attributes of artifacts), else the facts that earlier runs told, else those
    of the inputs' names. Of raw data, which do not tell them, it is the time of the downlink; of anything else it is
    the downlink too where nothing tells, and the note says so.
    """
    given = list(sources)
    records = {source.key: source.record for source in given}
    artifacts = list(_inputs(order, records))
    raw = any(isinstance(record, Complete) for record in records.values()) and not artifacts
    for found in (_attributes(artifacts), _facts(order.facts), _names(artifacts)):
        if found:
            return _made(complete, found)
    note = "" if raw else "the inputs do not tell when they were sensed: auxiliary files are those of the downlink time"
    return _made(complete, _downlink(order.session, complete), note)


def _made(complete: Complete, times: list[datetime], note: str = "") -> UnitFacts:
    return UnitFacts(
        station=complete.station, satellite=complete.satellite, start=min(times), stop=max(times), note=note
    )


def _inputs(order: Order, records: Mapping[str, Complete | Outcome]) -> Iterator[Artifact]:
    wanted = {(ref.outcome, ref.name, ref.digest) for ref in order.inputs}
    for outcome in sorted({ref.outcome for ref in order.inputs}):
        record = records.get(outcome)
        if isinstance(record, Outcome):
            yield from (a for a in record.outputs if (outcome, a.name, a.digest) in wanted)


def _attributes(artifacts: list[Artifact]) -> list[datetime]:
    found = [artifact.attributes.get(name, "") for artifact in artifacts for name in (START, STOP)]
    return [when for text in found if (when := instant_told(text)) is not None]


def _facts(facts: Mapping[str, str]) -> list[datetime]:
    return [when for name in (START, STOP) if (when := instant_told(facts.get(name, ""))) is not None]


def _names(artifacts: list[Artifact]) -> list[datetime]:
    found = []
    for artifact in artifacts:
        with suppress(BadInputError):
            name = PdiName.parse(artifact.name)
            stamps = [name.get("S") or "", *(name.get("V") or "").split("_")]
            found += [parse_stamp(stamp, "PDI name") for stamp in stamps if stamp]
    return found


def _downlink(session: str, complete: Complete) -> list[datetime]:
    """Begin and end of the pass, as far as the session's name and its DSIBs tell; else the time of its last byte."""
    found = [] if complete.pass_stop is None else [complete.pass_stop]
    with suppress(BadInputError):
        found.append(SessionId.parse(downlink_of(session)).start)
    return found or [complete.t0]
