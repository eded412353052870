"""Job preparation: what a complete session or an outcome readies is claimed, work item by work item.

What waits for auxiliary files is claimed when they come (``functions.job_preparation.auxiliary``).
"""

from __future__ import annotations

import logging
from typing import Final

from functions.job_preparation.asking import Looks
from functions.job_preparation.auxiliary import claim_with_files, woken
from functions.job_preparation.holding import hold_session, hold_work
from shared.bootstrap import Services
from shared.domain.events import Event
from shared.ledger import keys
from shared.ledger.records import Complete
from shared.parallel import pool_of
from shared.workflow.graph import Workflow
from shared.workflow.orders import make_order
from shared.workflow.plan import Ready, Skipped
from shared.workflow.sources import LedgerRecords, Memory, read_source
from shared.workflow.walk import next_work

_MANY: Final = 12
_log: Final = logging.getLogger(__name__)


def prepare(event: Event, services: Services, memory: Memory | None = None) -> int:
    """Write the order of each work item that the record at ``event.subject`` readies; returns how many were new.

    Its cost grows with the work that follows from this record, not with what else waits. ``memory``: the instance's.
    """
    orders = woken(event, services)
    if orders is not None:
        return orders
    source, records = read_source(services.ledger, event.subject), LedgerRecords(services.ledger, memory=memory)
    records.know(source)
    complete = records.find(keys.complete(source.session))
    if not isinstance(complete, Complete):
        complete = services.ledger.read(keys.complete(source.session), Complete)  # says that it is not there
    workflow = services.workflow_of(complete)
    if isinstance(source.record, Complete):
        hold_session(services, workflow, complete)
    ready: list[Ready] = []
    for item in next_work(workflow, source, records):
        if isinstance(item, Ready):
            ready.append(item)
        elif isinstance(item, Skipped):
            _log.info("%s of %s is left out: %s", item.step.name, item.unit, item.reason)
    if not ready:
        return 0
    looks = Looks(services)
    if len(ready) < _MANY:
        return sum(_order(item, complete, workflow, services, looks) for item in ready)
    # A datastrip has hundreds of tiles, and each claim is a few requests: a function's time is seconds.
    with pool_of(_MANY, len(ready)) as pool:
        return sum(pool.map(lambda item: _order(item, complete, workflow, services, looks), ready))


def _order(item: Ready, complete: Complete, workflow: Workflow, services: Services, looks: Looks) -> bool:
    """Claim one work item; False where it is claimed already, or waits for auxiliary files."""
    ledger, place = services.ledger, item.key(complete.session)
    if ledger.exists(place.order):
        return False
    order = make_order(workflow, item, complete, services.trace(complete.session))
    hold_work(services, workflow, order)
    return claim_with_files(services, order, item.sources, complete, looks)
