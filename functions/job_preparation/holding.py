"""What the strategy holds: a record as an operator's ``park`` writes it, before the order, so that no Job starts.

A rule that asks for nothing but what is known of whole sessions holds the session, once; any other each work item that
it matches. ``release`` lets it go on; since the record stays, it is not held again.
"""

from __future__ import annotations

from shared.bootstrap import Services
from shared.ledger import keys
from shared.ledger.provision import place_of
from shared.ledger.records import Complete, Hold, Order
from shared.workflow.graph import Workflow
from shared.workflow.ruling import Ruling


def hold_session(services: Services, workflow: Workflow, complete: Complete) -> None:
    """Hold the session, where a rule says so of all of it."""
    ruling = workflow.ruling
    reason = ruling.whole.decision.hold
    if reason is None:
        return
    record = Hold(
        created=complete.created,
        traceparent=complete.traceparent,
        session=complete.session,
        target=complete.session,
        who=_who(ruling),
        reason=_reason(reason, ruling.whole.by["hold"]),
    )
    services.ledger.create(keys.hold(complete.session), record)


def hold_work(services: Services, workflow: Workflow, order: Order) -> None:
    """Hold the work of ``order``, where a rule says so of it, and not of its session."""
    ruling, decision = workflow.ruling, order.decision
    if decision is None or decision.hold is None or ruling.whole.by.get("hold") == order.rules["hold"]:
        return
    place = place_of(order)
    record = Hold(
        created=order.created,
        traceparent=order.traceparent,
        session=order.session,
        target=place.prefix,
        who=_who(ruling),
        reason=_reason(decision.hold, order.rules["hold"]),
    )
    services.ledger.create(place.hold, record)


def _who(ruling: Ruling) -> str:
    return f"strategy {ruling.name}"


def _reason(text: str, rule: str) -> str:
    return f"{text} (rule {rule})"
