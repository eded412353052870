"""Park and release: no new attempt is launched until an operator lets it go on."""

from __future__ import annotations

from typing import Final

from shared.bootstrap import Services
from shared.domain.names import SessionFile
from shared.errors import BadInputError, ObjectAbsentError, RefusedError
from shared.ledger import keys
from shared.ledger.records import Account, Hold, Reopened
from shared.ledger.standing import account_in_force, held_by, reopenings
from shared.steering.done import Deed, Done, Target, find_target

PARK: Final = "park"
RELEASE: Final = "release"
_RECEIPT: Final = ".receipt.json"


def park(services: Services, target: str, *, who: str, reason: str, dry_run: bool = False) -> list[Done]:
    """Hold a session or a work item. RefusedError where it has ended, or is held for another reason."""
    found = find_target(services, target)
    deed = Deed(services, PARK, found.session, who, reason, dry_run)
    key, standing = _hold(services, found)
    if standing is not None and standing[0].released is None:
        if (standing[0].who, standing[0].reason) == (who, reason):
            return [Done(PARK, found.name, (), "it is held already")]
        raise RefusedError(f"{found.name}: it is {held_by(standing[0])}; release it first")
    if account_in_force(services.ledger, found.session) is not None:
        raise RefusedError(f"session {found.session}: its account is closed, nothing of it is under way")
    if found.place is not None and found.work[0].outcome is not None:
        raise RefusedError(f"work {found.name}: it has ended; park is for what is still to come")
    deed.begin(found.name)
    hold = Hold(
        created=deed.now, traceparent=deed.trace, session=found.session, target=found.name, who=who, reason=reason
    )
    if standing is not None:
        deed.replace(key, hold, standing[1])
    elif not deed.write(key, hold):
        raise RefusedError(f"{found.name}: somebody else has parked it just now")
    running = sum(work.under_way for work in found.work)
    note = f"{running} attempts are under way and end on their own; " if running else ""
    if keys.complete(found.session) not in found.listing:
        note += "its files still come in; "
    return [deed.done(found.name, f"{note}no new attempt is launched, and the account closes with the rest parked")]


def release(services: Services, target: str, *, who: str, reason: str, dry_run: bool = False) -> list[Done]:
    """Let a held session or work item go on, or a session that was parked as incomplete with the files that are there.

    RefusedError where neither is the case, or where no DSDB is there at all.
    """
    found = find_target(services, target)
    deed = Deed(services, RELEASE, found.session, who, reason, dry_run)
    key, standing = _hold(services, found)
    held = standing is not None and standing[0].released is None
    incomplete = found.place is None and _parked_incomplete(services, found)
    if not held and not incomplete and not (standing is not None and _interrupted(services, found)):
        raise RefusedError(f"{found.name}: it is not held; retry is for work that failed")
    if incomplete:
        _demand_chunk(found)
    deed.begin(found.name)
    if held and standing is not None:
        ended = {"released": deed.now, "released_by": who, "released_reason": reason}
        deed.replace(key, standing[0].model_copy(update=ended), standing[1])
    deed.reopen(found, incomplete=incomplete)
    if incomplete:
        received = [info for info in found.listing.values() if info.key.endswith(_RECEIPT)]
        deed.again(max(received, key=lambda info: info.modified).key)
        return [deed.done(found.name, "it goes on with the files that are there")]
    idle = [work for work in found.work if work.order is not None and work.outcome is None and not work.under_way]
    deed.all(lambda work: deed.again(work.place.order), idle)
    parts = sum(work.hold is not None for work in found.work) if found.place is None else 0
    note = "; a work item that was parked by itself stays so" if parts else ""
    return [deed.done(found.name, f"{len(idle)} work items go on, its account is made anew when all has ended{note}")]


def _hold(services: Services, found: Target) -> tuple[str, tuple[Hold, str] | None]:
    """Where the target's hold stands, and the record there (it may have been released) with its etag."""
    key = keys.hold(found.session) if found.place is None else found.place.hold
    try:
        return key, services.ledger.read_with_etag(key, Hold)
    except ObjectAbsentError:
        return key, None


def _parked_incomplete(services: Services, found: Target) -> bool:
    """Whether the session's account was closed without a complete.json, or is reopened for that already."""
    if keys.complete(found.session) in found.listing:
        return False
    if keys.account(found.session) in found.listing:
        return True
    newest = services.ledger.find(keys.reopened(found.session, reopenings(services.ledger, found.session)), Reopened)
    return newest is not None and newest.incomplete


def _interrupted(services: Services, found: Target) -> bool:
    """The hold is released, but the account still tells of it: a release was interrupted before it was opened again."""
    account = services.ledger.find(keys.account(found.session), Account)
    return account is not None and account.held


def _demand_chunk(found: Target) -> None:
    for key in found.listing:
        name = key.rsplit("/", 1)[1].removesuffix(_RECEIPT)
        if not key.endswith(_RECEIPT):
            continue
        try:
            if SessionFile.parse(name).kind == "DSDB":
                return
        except BadInputError:
            continue
    raise RefusedError(
        f"session {found.session}: no DSDB of it was received, so there is nothing to go on with; "
        "a release needs at least one; replay of a file's record below seen/ fetches what the station has"
    )
