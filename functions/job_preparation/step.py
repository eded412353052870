"""Job preparation: what a complete session or an outcome readies is claimed, work item by work item."""

from __future__ import annotations

from shared.bootstrap import Services
from shared.domain.events import Event
from shared.joborder import format_job_order
from shared.ledger import keys
from shared.ledger.records import Complete
from shared.workflow.plan import Ready, make_job_order, make_order, next_work
from shared.workflow.sources import read_source


def prepare(event: Event, services: Services) -> int:
    """Write the order of each work item that the record at ``event.subject`` readies; returns how many were new."""
    ledger, workflow = services.ledger, services.workflow
    source = read_source(ledger, event.subject)
    ready = [item for item in next_work(workflow, source) if isinstance(item, Ready)]
    if not ready:
        return 0
    record = source.record
    complete = record if isinstance(record, Complete) else ledger.read(keys.complete(source.session), Complete)
    claimed = 0
    for item in ready:
        place = item.key(source.session)
        if ledger.exists(place.order):
            continue
        order = make_order(workflow, source, item, complete, services.trace(source.session))
        document = format_job_order(make_job_order(workflow, order, complete.station))
        # The job order first: whoever sees the claim finds it. Both are the same whoever writes them.
        services.store.put_new(ledger.bucket, place.job_order, document, content_type="application/xml")
        claimed += ledger.create(place.order, order)
    return claimed
