"""A processor as one work item has it: bound by its set, and by what the strategy decided of resources and waits."""

from __future__ import annotations

from typing import Any

from shared.domain.strategy import Decision
from shared.ledger.records import Order
from shared.settings import Settings
from shared.workflow.graph import Processor, Workflow


def bound(workflow: Workflow, step: str, decision: Decision | None) -> Workflow:
    """``workflow`` with the processor of ``step`` as a strategy decided; itself where nothing of it was decided."""
    processor = workflow.processors.get(step)
    if decision is None or processor is None:
        return workflow
    changed = _changes(processor, decision)
    if not changed:
        return workflow
    processors = {**workflow.processors, step: processor.model_copy(update=changed)}
    return workflow.model_copy(update={"processors": processors})


def _changes(processor: Processor, decision: Decision) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if decision.resources is not None:
        changed |= decision.resources.model_dump(exclude_none=True)
    if decision.waits is not None and processor.auxiliary is not None:
        changed["auxiliary"] = processor.auxiliary.model_copy(update={"waits": decision.waits})
    return changed


def attempts_allowed(order: Order | None, settings: Settings) -> int:
    """How often the work of ``order`` is tried before it is parked."""
    retries = order.decision.retries if order is not None and order.decision is not None else None
    return settings.max_attempts if retries is None else retries.attempts


def first_pause_s(order: Order | None, settings: Settings) -> float:
    """The pause before its second attempt, s."""
    retries = order.decision.retries if order is not None and order.decision is not None else None
    return settings.retry_delay_s if retries is None else retries.delay_s
