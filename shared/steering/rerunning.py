"""Retry from a step: work that has ended is made anew out of the inputs that it had, and all that follows from it.

What was made before stays: its work items in the ledger, its products on the shelf. The account counts the newest.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.bootstrap import Services
from shared.errors import BadInputError, RefusedError
from shared.ledger import keys
from shared.ledger.records import Complete, Order
from shared.ledger.standing import account_in_force, active_hold, held_by, reopenings
from shared.parallel import pool_of
from shared.steering.done import Deed, Done, Target, find_target
from shared.steering.inputs import lacking_inputs
from shared.workflow.graph import Step, Workflow
from shared.workflow.parts import without_part
from shared.workflow.plan import Ready
from shared.workflow.reruns import Rerun, belongs, read_reruns
from shared.workflow.sources import LedgerRecords
from shared.workflow.walk import Walk

RETRY: Final = "retry"
_THREADS: Final = 8
_SHOWN: Final = 8
_APART: Final = timedelta(seconds=1)
_APART_PARTS: Final = timedelta(seconds=100)
"""By so much the creation dates of parts of a datastrip may be moved, to be told apart (``shared.workflow.parts``)."""


@dataclass(frozen=True)
class _Asked:
    """What is asked for anew, of which session, and what is there of it."""

    services: Services
    found: Target
    complete: Complete
    workflow: Workflow
    walk: Walk
    step: Step
    units: tuple[str, ...]


def rerun(
    services: Services,
    target: str,
    *,
    step: str,
    units: Collection[str] = (),
    who: str,
    reason: str,
    dry_run: bool = False,
) -> list[Done]:
    """Make the work of ``step`` anew, on ``units`` (none named: all) of a session, and all that follows from it.

    Given twice, it happens once until it has ended. RefusedError where an input of it is gone (the sentence names the
    nearest step that can be run), where the step has not ended yet, or where its outcome was given from outside.
    """
    asked = _asked(services, target, step, tuple(dict.fromkeys(units)))
    items = _chosen(asked)
    _demand_inputs(asked, items)
    deed = Deed(services, RETRY, asked.found.session, who, reason, dry_run)
    record = _standing(asked)
    if record is not None and _is_opened(services, record):
        note = f"it is made anew already, by rerun {record.number} ({record.who}: {record.reason})"
        return [Done(RETRY, asked.found.session, (), note)]
    deed.begin(asked.found.session, tuple(f"{step}/{item.unit}" for item in items))
    record = record or _write(deed, asked, items)
    # After the record: an account that was made without a look at it does not know of this reopening.
    deed.reopen(asked.found)
    sources = dict.fromkeys(item.sources[0].key for item in items)
    with pool_of(_THREADS, len(sources)) as pool:
        list(pool.map(deed.again, sources))
    return _told(deed, asked, record, items)


def _asked(services: Services, target: str, step: str, units: tuple[str, ...]) -> _Asked:
    found = find_target(services, target)
    session = found.session
    if found.place is not None:
        raise BadInputError("target", "a session, where --from names the step, and --unit its units", target)
    complete = services.ledger.find(keys.complete(session), Complete)
    if complete is None:
        raise RefusedError(f"session {session}: it is not complete, so no step of it has run")
    workflow = services.workflow_of(complete)
    known = [each.name for each in workflow.steps]
    if step not in known:
        raise BadInputError("step", f"one of {', '.join(known)}", step)
    if complete.given is not None and complete.given.step not in _before(workflow, step):
        raise RefusedError(
            f"session {session}: {complete.given.step} of {complete.given.unit} was given, and not made here; "
            f"what follows from it can be made anew"
        )
    walk = Walk(workflow, session, LedgerRecords(services.ledger))
    return _Asked(services, found, complete, workflow, walk, workflow.step(step), units)


def _chosen(asked: _Asked) -> list[Ready]:
    """The work items as they stand that are made anew. RefusedError where there are none, or none has ended."""
    session, step = asked.found.session, asked.step
    items = _items(asked, step, asked.units)
    if not items:
        raise RefusedError(f"session {session}: nothing of {step.name} can be made anew: {_why_none(asked)}")
    # By step and unit: under another version of the processors than it was made with, its name is another.
    ended = {(work.place.step, work.place.unit) for work in asked.found.work if work.outcome is not None}
    if ended.isdisjoint((step.name, item.unit) for item in items) and _standing(asked) is None:
        raise RefusedError(f"session {session}: {step.name} has not ended yet, there is nothing of it to be made anew")
    return items


def _items(asked: _Asked, step: Step, units: tuple[str, ...]) -> list[Ready]:
    """The work items of a step whose sources are there; of all units, or of those that belong to one of ``units``."""
    known, session = list(asked.walk.units(step)), asked.found.session
    for unit in units:
        if known and not any(belongs(each, (unit,), session) for each in known):
            shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
            raise BadInputError("unit", f"one that {step.name} runs on, or that they belong to ({shown})", unit)
    wanted = [unit for unit in known if not units or belongs(unit, units, session)]
    asked.walk.expect(step, wanted)
    items = (asked.walk.item(step, unit) for unit in wanted)
    return [item for item in items if isinstance(item, Ready)]


def _why_none(asked: _Asked) -> str:
    if any(True for _ in asked.walk.units(asked.step)):
        return "by rule it does not run on these units; why says by which"
    before = ", ".join(asked.step.after)
    told = f"what comes before it ({before}) has not ended well, or is of another version of the processors now"
    nearest = next((s for s in _before(asked.workflow, asked.step.name) if _known(asked, s)), "")
    return f"{told}; s2ps retry {asked.found.session} --from {nearest} makes that anew" if nearest else told


def _known(asked: _Asked, step: str) -> bool:
    """Whether the step has run, and what it works on is there."""
    ended = any(work.place.step == step and work.outcome is not None for work in asked.found.work)
    return ended and bool(_items(asked, asked.workflow.step(step), ()))


def _before(workflow: Workflow, step: str) -> list[str]:
    """The steps before one, the nearest first."""
    found: set[str] = set()
    for each in reversed(workflow.steps):
        if each.name == step or each.name in found:
            found.update(each.after)
    return [each.name for each in reversed(workflow.steps) if each.name in found]  # without the session


def _demand_inputs(asked: _Asked, items: list[Ready]) -> None:
    session = asked.found.session
    gone = lacking_inputs(asked.services, asked.workflow, session, items)
    if not gone:
        return
    nearest = next(_runnable(asked, items), "")
    remedy = f"s2ps retry {session} --from {nearest} makes all of it anew" if nearest else "no step can be made anew"
    more = f" (and {len(gone) - 1} more)" if len(gone) > 1 else ""
    raise RefusedError(f"session {session}: the inputs of {asked.step.name} are gone: {gone[0]}{more}; {remedy}")


def _runnable(asked: _Asked, items: list[Ready]) -> Iterator[str]:
    """The steps before this one whose inputs are there, the nearest first."""
    for name in _before(asked.workflow, asked.step.name):
        if asked.complete.given is not None and name == asked.complete.given.step:
            return
        step = asked.workflow.step(name)
        session = asked.found.session
        below = [each for each in _items(asked, step, ()) if any(belongs(i.unit, (each.unit,), session) for i in items)]
        if below and not lacking_inputs(asked.services, asked.workflow, asked.found.session, below):
            yield name


def _standing(asked: _Asked, known: tuple[Rerun, ...] | None = None) -> Rerun | None:
    """The newest rerun, where it is the same, and has not come to its end. ``known``: all that there are."""
    found = read_reruns(asked.services.ledger, asked.found.session) if known is None else known
    if not found or (found[-1].step, found[-1].units) != (asked.step.name, asked.units):
        return None
    ended = _is_opened(asked.services, found[-1]) and account_in_force(asked.services.ledger, asked.found.session)
    return None if ended else found[-1]


def _is_opened(services: Services, record: Rerun) -> bool:
    """Whether the session was opened again since: else whoever asked for the rerun was cut off before that."""
    return reopenings(services.ledger, record.session) > record.reopened


def _write(deed: Deed, asked: _Asked, items: list[Ready]) -> Rerun:
    """The record of the rerun, the next one of the session; another's, where somebody asks for the same just now."""
    services, session = asked.services, asked.found.session
    while True:
        before = read_reruns(services.ledger, session)
        standing = _standing(asked, before)
        if standing is not None:
            return standing
        record = Rerun(
            created=deed.now,
            traceparent=deed.trace,
            session=session,
            number=len(before) + 1,
            step=asked.step.name,
            units=asked.units,
            since=_since(deed.now, asked, items, before),
            reopened=reopenings(services.ledger, session),
            who=deed.who,
            reason=deed.reason,
        )
        if deed.write(record.key, record):
            return record


def _since(now: datetime, asked: _Asked, items: list[Ready], before: Iterable[Rerun]) -> datetime:
    """From when its products are dated: later, to the second, than any that there is, whatever the clock here says."""
    apart = _APART_PARTS if any(w.place.unit != without_part(w.place.unit) for w in asked.found.work) else _APART
    listing, ledger = asked.found.listing, asked.services.ledger
    places = [item.key(asked.found.session).order for item in items]
    orders = ledger.find_many([key for key in places if key in listing], Order)
    dated = [order.created for order in orders if order is not None]
    dated += [info.modified for key, info in listing.items() if key.endswith("/order.json")]
    dated += [rerun.since for rerun in before]
    seconds = max([now.timestamp()] + [(each + apart).timestamp() for each in dated])
    return datetime.fromtimestamp(math.ceil(seconds), UTC)


def _told(deed: Deed, asked: _Asked, record: Rerun, items: list[Ready]) -> list[Done]:
    session, step = asked.found.session, asked.step
    after = [each.name for each in asked.workflow.downstream(step.name)[1:]]
    note = f"{len(items)} work items of {step.name} are made anew as rerun {record.number}"
    note += f", and what follows from them ({', '.join(after)})" if after else ""
    note += "; products of before stay on the shelf, its account is made anew when all has ended"
    hold = active_hold(deed.services.ledger, keys.hold(session))
    if hold is not None:
        note += f"; it is {held_by(hold)}, and starts when that is released"
    whole = deed.done(session, note)
    return [
        whole,
        *(Done(RETRY, item.key(session).prefix, (), f"{step.name} of {item.unit} is made anew") for item in items),
    ]
