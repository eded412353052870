"""Work that was ordered, and is made anew by a rerun since: whatever comes of it, no account counts it.

It is not begun any more, and what it made is not brought to the shelf, where it would come after its successor. Whoever
is about to do either asks here; a rerun that is written a moment later finds one Job or product more from before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from shared.ledger import keys
from shared.ledger.attempts import conclude
from shared.ledger.ledger import Ledger
from shared.ledger.provision import place_of
from shared.ledger.records import Order, Outcome, ProductClaim
from shared.workflow.graph import Workflow
from shared.workflow.reruns import Rerun


def superseded_by(ledger: Ledger, workflow: Callable[[str], Workflow], order: Order) -> Rerun | None:
    """The newest rerun that makes the work of ``order`` anew; None where it is still that of its session.

    One request, since reruns are numbered without a gap; more only where something was asked for anew after the order.
    ``workflow``: that of a session, with its reruns; what follows from a step is told by its graph, whichever processor
    set the order is bound to.
    """
    if not ledger.exists(keys.rerun(order.session, order.rerun + 1)):
        return None
    return newer(workflow(order.session), order)


def newer(workflow: Workflow, order: Order) -> Rerun | None:
    """The same, for whoever has the workflow of the session with its reruns."""
    newest = workflow.reruns.of(order.step, order.unit)
    return newest if newest is not None and newest.number > order.rerun else None


def begun(ledger: Ledger, products: Iterable[str]) -> list[str]:
    """Of products that are not on the shelf, by the keys of their records, those that somebody has begun to bring."""
    wanted = list(products)
    claims = ledger.find_many([keys.product_claim(key) for key in wanted], ProductClaim)
    return [key for key, claim in zip(wanted, claims, strict=True) if claim is not None]


def end_superseded(ledger: Ledger, order: Order, number: int, rerun: Rerun, now: datetime, trace: str) -> None:
    """The outcome of work that is not run any more, after attempt ``number`` (0: none): no product, and why.

    It stands in nobody's way: nothing follows from it, and no operator's ``retry`` takes it up.
    """
    outcome = Outcome(
        created=now,
        traceparent=trace,
        step=order.step,
        unit=order.unit,
        attempt=number,
        status="no-product",
        reason=f"superseded, and not run: it is made anew by {rerun}",
        started=now,
        finished=now,
    )
    conclude(ledger, place_of(order), outcome)
