"""Why a work item that was never ordered is not there yet: what it waits for, and what keeps that."""

from __future__ import annotations

from functions.cli.items import workflow_of
from functions.cli.why import Cause
from shared.bootstrap import Services
from shared.errors import S2psError
from shared.ledger import keys
from shared.ledger.records import Complete, Outcome
from shared.workflow.graph import Step, Workflow
from shared.workflow.parts import unit_above
from shared.workflow.plan import Item, NotOwed, Ready, Skipped
from shared.workflow.sources import LedgerRecords
from shared.workflow.walk import Walk


def why_unordered(services: Services, session: str, text: str) -> Cause | None:
    """The cause of ``step/unit`` of a session; None where the graph has no such step, or the unit is none of it."""
    name, _, unit = text.partition("/")
    records = LedgerRecords(services.ledger)
    complete = records.find(keys.complete(session))
    workflow = workflow_of(services, complete if isinstance(complete, Complete) else None)
    step = next((each for each in workflow.steps if each.name == name), None)
    if step is None or not unit:
        return None
    walk = Walk(workflow, session, records)
    try:
        item = walk.item(step, unit)
    except S2psError as error:
        return _cause(text, "waiting", f"{name} of {unit} cannot be told: {error}.")
    if isinstance(item, NotOwed):
        return _cause(text, "not-owed", f"{name} of {unit} is not asked for: {item.cause}.")
    if isinstance(item, Skipped):
        return _cause(text, item.ended, f"{name} of {unit} is left out: {item.reason}.")
    if isinstance(item, Ready):
        return _cause(text, "waiting", f"{name} of {unit} is ready, and its order is about to be written.")
    return _waits(workflow, walk, records, session, step, unit)


def _waits(workflow: Workflow, walk: Walk, records: LedgerRecords, session: str, step: Step, unit: str) -> Cause | None:
    """What of all before it has not finished: what failed first, for that is to be mended."""
    found = []
    for before in workflow.steps:
        if before.name not in step.after:
            continue
        above = unit_above(unit, workflow.unit(before.name), session)
        if walk.source(before.name, above) is not None:
            continue
        item = walk.item(before, above)
        if item is None:
            found.append(_waits(workflow, walk, records, session, before, above))
        else:
            found.append(_lacks(records, session, f"{step.name}/{unit}", item))
    known = [cause for cause in found if cause is not None]
    return min(known, key=lambda cause: (cause.fix[:1] != ("retry",), cause.stands == "waiting"), default=None)


def _lacks(records: LedgerRecords, session: str, target: str, item: Item) -> Cause:
    """Why ``target`` waits for ``item``, all of whose own is there."""
    name, _, unit = target.partition("/")
    told = f"{name} of {unit} waits for {item.step.name} of {item.unit}, which"
    if isinstance(item, Skipped):
        return _cause(target, item.ended, f"{told} is left out: {item.reason}.")
    if isinstance(item, NotOwed):
        return _cause(target, "not-owed", f"{told} is not asked for.")
    place = item.key(session)
    outcome = records.find(place.outcome)
    if not isinstance(outcome, Outcome):
        return _cause(target, "waiting", f"{told} has not ended.", "why", place.prefix)
    reason = outcome.reason or "no reason was told"
    if outcome.status == "no-product":
        return _cause(target, "absent", f"{told} ended without a product: {reason}.")
    return _cause(target, "waiting", f"{told} failed: {reason}.", "retry", place.prefix)


def _cause(target: str, stands: str, sentence: str, *fix: str) -> Cause:
    return Cause("work", target, stands, sentence, None, fix)
