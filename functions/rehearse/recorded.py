"""What a ledger tells of sessions that ran: their work items that succeeded, with the attempts that made them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from shared.bootstrap import Services
from shared.domain.names import PdiName
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.records import FINISHED, Attempt, Complete, Order, Outcome
from shared.workflow.granules import GRANULES


@dataclass(frozen=True, slots=True)
class Recorded:
    """One work item that succeeded."""

    order: Order
    attempt: Attempt
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Session:
    """What a ledger tells of a session."""

    complete: Complete
    items: tuple[Recorded, ...]


def read_session(services: Services, session: str) -> Session | None:
    """What succeeded of a session, without what was given; None where it was never complete."""
    ledger = services.ledger
    complete = ledger.find(keys.complete(session), Complete)
    if complete is None:
        return None
    work = sort_work(ledger.list(f"{keys.session(session)}work/"))
    ended = [each.place for each in work.values() if each.outcome is not None and each.order is not None]
    outcomes = ledger.read_many([place.outcome for place in ended], Outcome)
    done = [(place, o) for place, o in zip(ended, outcomes, strict=True) if o.status in FINISHED and o.attempt > 0]
    orders = ledger.read_many([place.order for place, _ in done], Order)
    attempts = ledger.read_many([place.attempt(outcome.attempt) for place, outcome in done], Attempt)
    items = zip(orders, attempts, (outcome for _, outcome in done), strict=True)
    return Session(complete, tuple(Recorded(*item) for item in items))


def strip_of(unit: str) -> str:
    """The datastrip that a unit belongs to."""
    return unit.partition("-T")[0].partition("-P")[0]


def scenes_of(session: Session) -> dict[str, int]:
    """Of each datastrip: the most granules that one of its detectors has."""
    found: dict[str, int] = {}
    for item in session.items:
        detectors: Counter[str] = Counter()
        for artifact in item.outcome.outputs:
            if artifact.file_type == GRANULES:
                try:
                    detectors[PdiName.parse(artifact.name).get("D") or ""] += 1
                except BadInputError:
                    continue
        if detectors:
            found[item.order.unit] = max(detectors.values())
    return found
