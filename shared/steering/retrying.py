"""Retry: work that failed for good gets new attempts, and its session an account that knows of them."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.bootstrap import Services
from shared.errors import RefusedError
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords, failed_outcome
from shared.ledger.records import Grant, Order, Outcome
from shared.ledger.standing import account_in_force, active_hold, held_by
from shared.steering.anew import made_anew
from shared.steering.done import Deed, Done, Target, find_target
from shared.workflow.binding import attempts_allowed
from shared.workflow.reruns import Rerun

RETRY: Final = "retry"
_READERS: Final = 8


@dataclass(frozen=True, slots=True)
class _Failed:
    """A work item whose outcome, of this etag, is a failure."""

    work: WorkRecords
    outcome: Outcome
    etag: str


def retry(
    services: Services,
    target: str,
    *,
    who: str,
    reason: str,
    dry_run: bool = False,
    only: Collection[str] | None = None,
) -> list[Done]:
    """New attempts for a work item that failed, or for all that failed of a session: of those, ``only`` these prefixes.

    A session of which nothing failed, but the processor set parked something, is asked again: the set may have changed.
    RefusedError where nothing of it has failed, or what did was made anew since (``rerun``).
    """
    found = find_target(services, target)
    deed = Deed(services, RETRY, found.session, who, reason, dry_run)
    failed = [item for item in _failed(services, found) if only is None or item.work.place.prefix in only]
    anew = made_anew(services, found.session, [item.work for item in failed])
    failed = [item for item in failed if item.work.place.prefix not in anew]
    # An interrupted retry is taken up again: granted, but not begun.
    waiting = [work for work in found.work if work.superseded and work.newest <= work.granted]
    if only is not None and not failed:
        raise RefusedError(f"session {found.session}: none of the {len(only)} work items is parked any more")
    if not (failed or waiting or _outdated(services, found) or _left_out(services, found)):
        raise RefusedError(_why_not(services, found, next(iter(anew.values()), None)))
    deed.begin(found.name, tuple(item.work.place.prefix for item in failed))
    deed.all(partial(_grant, deed, {item.work.place.prefix: item for item in failed}), [item.work for item in failed])
    deed.reopen(found)
    items = [*(item.work for item in failed), *waiting]
    deed.all(partial(_announce, deed), items)
    if not items:
        _announce_end(deed, found)
    return _told(deed, found, items)


def _failed(services: Services, found: Target) -> list[_Failed]:
    work = found.work
    with ThreadPoolExecutor(_READERS) as pool:
        outcomes = list(pool.map(partial(failed_outcome, services.ledger), work))
    return [_Failed(item, *outcome) for item, outcome in zip(work, outcomes, strict=True) if outcome is not None]


def _grant(deed: Deed, failed: dict[str, _Failed], work: WorkRecords) -> None:
    item = failed[work.place.prefix]
    after = max(item.outcome.attempt, work.newest)
    record = Grant(
        created=deed.now,
        traceparent=deed.trace,
        after=after,
        etag=item.etag,
        outcome=item.outcome,
        who=deed.who,
        reason=deed.reason,
    )
    deed.write(work.place.grant(after, item.etag), record)


def _announce(deed: Deed, work: WorkRecords) -> None:
    """Wake who goes on with it: by its order, or, where it was parked before that, by the record of its wait."""
    deed.again(work.place.order if work.order is not None else work.place.waiting)


def _outdated(services: Services, found: Target) -> bool:
    """Whether the account in force is older than a grant: a retry was interrupted before it opened the account."""
    account = account_in_force(services.ledger, found.session)
    granted = [key for key in found.listing if "/grants/" in key]
    if account is None or not granted:
        return False
    return account.created < max(record.created for record in services.ledger.read_many(granted, Grant))


def _left_out(services: Services, found: Target) -> bool:
    """Whether the account parks work that was never ordered: by a rule of the set, or for want of an input."""
    account = account_in_force(services.ledger, found.session) if found.place is None else None
    return account is not None and account.parked > 0 and account.t0 is not None and not account.held


def _announce_end(deed: Deed, found: Target) -> None:
    """All work has its outcome again: whoever makes the account is to be woken."""
    outcomes = [work.outcome for work in found.work if work.outcome is not None]
    if outcomes:
        deed.again(max(outcomes, key=lambda info: info.modified).key)


def _told(deed: Deed, found: Target, items: list[WorkRecords]) -> list[Done]:
    of_work = {work.place.prefix: [key for key in deed.changes if key.startswith(work.place.prefix)] for work in items}
    taken = {key for changes in of_work.values() for key in changes}
    deed.changes = [key for key in deed.changes if key not in taken]
    whole = deed.done(found.session, "its account is open, and is made anew when all of this has ended")
    session_hold = active_hold(deed.services.ledger, keys.hold(found.session))
    told = [whole]
    orders = deed.services.ledger.find_many([work.place.order for work in items], Order)
    for work, order in zip(items, orders, strict=True):
        hold = session_hold or (active_hold(deed.services.ledger, work.place.hold) if work.hold else None)
        number = max(work.newest, work.granted) + 1
        note = f"attempt {number} is due, the first of at most {attempts_allowed(order, deed.services.settings)}"
        if order is None:
            note = "it asks for its auxiliary files again"
        if hold is not None:
            note += f"; it is {held_by(hold)}, and starts when that is released"
        told.append(Done(deed.action, work.place.prefix, tuple(of_work[work.place.prefix]), note))
    return told


def _why_not(services: Services, found: Target, anew: Rerun | None) -> str:
    """Why there is nothing to retry, and what would help. ``anew``: by which rerun what failed of it is made anew."""
    hold = active_hold(services.ledger, keys.hold(found.session))
    name = "session" if found.place is None else "work"
    if anew is not None:
        return f"{name} {found.name}: what failed of it was made anew since, by {anew}; nothing counts it any more"
    if hold is not None:
        return f"{name} {found.name}: nothing of it has failed, it is {held_by(hold)}; release lets it go on"
    if found.place is None and keys.complete(found.session) not in found.listing:
        return (
            f"session {found.session}: it is not complete, so no work of it has failed; "
            "where it was parked, release goes on with the files that are there"
        )
    running = [work for work in found.work if work.outcome is None]
    if running:
        return f"{name} {found.name}: nothing of it has failed; {len(running)} work items are still under way"
    return f"{name} {found.name}: nothing of it has failed; retry is for what ended as parked"
