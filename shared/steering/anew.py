"""Which work items are no longer those of their session, since a rerun made them anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shared.bootstrap import Services
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords
from shared.ledger.ledger import Ledger
from shared.ledger.provision import Waiting
from shared.ledger.records import Complete, Order
from shared.workflow.reruns import Rerun, read_reruns


def made_anew(services: Services, session: str, work: Sequence[WorkRecords]) -> Mapping[str, Rerun]:
    """By which rerun work items of a session were made anew since they were asked for, by prefix; those that were.

    Whatever comes of them, no account counts it. A listing; where there are reruns, a read for each work item too.
    """
    ledger = services.ledger
    reruns = read_reruns(ledger, session) if work else ()
    complete = ledger.find(keys.complete(session), Complete) if reruns else None
    if complete is None:
        return {}
    bound = services.workflow_of(complete, reruns).reruns
    found = {}
    for each, order in zip(work, _orders(ledger, work), strict=True):
        newest = bound.of(each.place.step, each.place.unit)
        if order is not None and newest is not None and order.rerun < newest.number:
            found[each.place.prefix] = newest
    return found


def _orders(ledger: Ledger, work: Sequence[WorkRecords]) -> Iterator[Order | None]:
    """Their orders; of work that was parked before it was claimed, the one that it would have had."""
    for each, order in zip(work, ledger.find_many([each.place.order for each in work], Order), strict=True):
        waiting = ledger.find(each.place.waiting, Waiting) if order is None and each.waiting is not None else None
        yield waiting.order if waiting is not None else order
