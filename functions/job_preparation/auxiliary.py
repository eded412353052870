"""Auxiliary files between what is ready and its order: chosen, waited for, or missed for good.

The first decision to run is written once (``auxiliary.json``), and the order follows from it. While files are awaited,
``waiting.json`` says for which and until when, and the work item is listed with each type that it waits for: a file
that becomes usable wakes those, so many at a time. What one event costs does not depend on how many wait.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice
from typing import Final

from functions.job_preparation.asking import Looks, Question, forget
from functions.job_preparation.claiming import claim
from shared.bootstrap import Services
from shared.domain.events import TIMER_DUE, Event
from shared.errors import BadInputError, ConfigurationError, ObjectAbsentError, PermanentError
from shared.ledger.attempts import read_work
from shared.ledger.keys import WorkKey, parse_work
from shared.ledger.provision import ARRIVALS, Arrival, Awaiter, Waiting, arrival, awaiters, parse_arrival, place_of
from shared.ledger.records import Complete, Order
from shared.workflow.plan import Source
from shared.workflow.sensing import unit_facts

AT_ONCE: Final = 50
"""So many of those that wait for a type are woken by one event; another event wakes the next."""
_log: Final = logging.getLogger(__name__)


def claim_with_files(
    services: Services, order: Order, sources: Iterable[Source], complete: Complete, looks: Looks
) -> bool:
    """Claim the work of ``order``; where it needs auxiliary files, with them, and once they are there.

    ``sources``: what readies it. Returns whether its order is new.
    """
    needs = services.workflow_for(order).processors[order.step].auxiliary
    if needs is None:
        return claim(services, order, complete.station, complete.satellite)
    place = place_of(order)
    if services.ledger.exists(place.waiting):
        return ask_again(services, place)
    return Question(services, needs, order, unit_facts(order, sources, complete), looks).ask()


def woken(event: Event, services: Services) -> int | None:
    """What an event about auxiliary files comes to: how many orders were written. None: it is no such event."""
    if event.type == TIMER_DUE:
        place = parse_work(str(event.data["subject"]))
        if place is None or place[0].waiting != event.data["subject"]:
            raise BadInputError("event, data.subject", "the key of a waiting.json", event.data["subject"])
        claimed = ask_again(services, place[0])
        services.ledger.delete(str(event.data["key"]))
        return int(claimed)
    found = parse_work(event.subject)
    if found is not None and found[0].waiting == event.subject:
        return int(ask_again(services, found[0]))
    return _arrived(services, event.subject) if event.subject.startswith(ARRIVALS) else None


def _arrived(services: Services, key: str) -> int:
    """A file of a type has come: those that wait for the type ask again, ``AT_ONCE`` of them."""
    parsed = parse_arrival(key)
    if parsed is None:
        raise BadInputError("event, subject", "arrivals/<type>.json", key)
    kind, after = parsed
    ledger, prefix = services.ledger, awaiters(kind)
    start = f"{prefix}{after}.json" if after else ""
    found = list(islice(services.store.list(ledger.bucket, prefix, start_after=start), AT_ONCE + 1))
    claimed, looks, wrong = 0, Looks(services), list[PermanentError]()
    for info in found[:AT_ONCE]:
        try:
            claimed += _wake(services, info.key, looks)
        except PermanentError as error:  # one item's trouble keeps no other from its files
            _log.error("auxiliary files, %s: %s", info.key, error)
            wrong.append(error)
    if len(found) > AT_ONCE:
        mark = found[AT_ONCE - 1].key.removeprefix(prefix).removesuffix(".json")
        record = Arrival(created=services.clock.now(), type=kind)
        services.store.put(ledger.bucket, arrival(kind, mark), record.to_json())
    if after:
        ledger.delete(key)
    for first in wrong:
        raise first
    return claimed


def _wake(services: Services, key: str, looks: Looks) -> bool:
    ledger = services.ledger
    entry = ledger.find(key, Awaiter)
    place = None if entry is None else parse_work(f"{entry.work}waiting.json")
    if place is not None:
        try:
            return ask_again(services, place[0], looks)
        except ObjectAbsentError:
            _log.info("auxiliary files, %s: what waited is not in the ledger any more", key)
    ledger.delete(key)
    return False


def ask_again(services: Services, place: WorkKey, looks: Looks | None = None) -> bool:
    """Ask once more for the files of work that waits; returns whether its order is new.

    Nothing is done where it has its order, or has ended; little where nothing that it waits for has come.
    ObjectAbsentError where it never asked.
    """
    ledger, work = services.ledger, read_work(services.ledger, place)
    waiting, etag = ledger.read_with_etag(place.waiting, Waiting)
    if work.order is not None or work.outcome is not None:
        forget(services, place, waiting.types)
        return False
    workflow = services.workflow_for(waiting.order)
    processor = workflow.processors.get(place.step)
    if processor is None:
        known = f"a step of the processor set {workflow.set_name}, which it was when this work came to wait"
        raise ConfigurationError(f"{place.waiting}: expected {known}")
    needs = processor.auxiliary
    if needs is None:  # the set of processors was changed meanwhile
        return claim(services, waiting.order, waiting.unit.station, waiting.unit.satellite)
    asked = looks or Looks(services)
    changed = any(asked.look(kind).mark != waiting.marks.get(kind) for kind in waiting.types)
    if changed or services.clock.now() >= waiting.until or ledger.exists(place.provision):
        return Question(services, needs, waiting.order, waiting.unit, asked, waiting, etag).ask()
    return False
