"""The claim of a work item: its job order, then its order."""

from __future__ import annotations

from shared.bootstrap import Services
from shared.joborder import format_job_order
from shared.ledger.provision import place_of
from shared.ledger.records import Order
from shared.workflow.joborders import job_order_of


def claim(services: Services, order: Order, station: str, satellite: str) -> bool:
    """Write the job order, where the processor takes one, and the order; False where the order was there."""
    place = place_of(order)
    made = job_order_of(services.workflow_for(order), order, station, satellite)
    if made is not None:
        # The job order first: whoever sees the claim finds it. Both are the same whoever writes them.
        services.store.put_new(
            services.ledger.bucket, place.job_order, format_job_order(made), content_type="application/xml"
        )
    return services.ledger.create(place.order, order)
