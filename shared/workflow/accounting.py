"""The account: every product that a session promised, and how it ended. Rule 7: the sum is always 100 %."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from shared.ledger.records import Account, AccountEntry, Complete, Refusal
from shared.workflow.graph import Workflow
from shared.workflow.unfolding import Unfolding


def make_account(
    complete: Complete | None,
    session: str,
    entries: tuple[AccountEntry, ...],
    refusals: Iterable[Refusal],
    created: datetime,
    traceparent: str,
    *,
    not_owed: tuple[str, ...] = (),
    unlike_plan: tuple[str, ...] = (),
    planned_tiles: tuple[str, ...] = (),
    last_sensed: datetime | None = None,
    reopened: int = 0,
    held: bool = False,
) -> Account:
    """The record that closes a session."""
    ends = [entry.ended for entry in entries]
    lines: dict[bool, list[str]] = {True: [], False: []}
    for refusal in refusals:
        named = refusal.reason.startswith(refusal.file)
        line = refusal.reason if named else f"{refusal.file}: {refusal.reason}"
        lines[is_repaired(refusal, complete)].append(line)
    return Account(
        created=created,
        traceparent=traceparent,
        session=session,
        t0=complete.t0 if complete else None,
        entries=entries,
        produced=ends.count("produced"),
        absent=ends.count("absent"),
        parked=ends.count("parked"),
        refused=tuple(lines[False]),
        repaired=tuple(lines[True]),
        reopened=reopened,
        held=held,
        not_owed=not_owed,
        unlike_plan=unlike_plan,
        planned_tiles=planned_tiles,
        last_sensed=last_sensed,
    )


def is_repaired(refusal: Refusal, complete: Complete | None) -> bool:
    """Whether the file that was refused is in the session, and in order.

    It is where the session is whole with it, or where its content is another than the one that was refused.
    """
    if complete is None:
        return False
    contents = [file.sha256 for file in complete.files if file.name == refusal.file]
    return bool(contents) and (not complete.missing or (bool(refusal.sha256) and refusal.sha256 not in contents))


def parked_account(
    workflow: Workflow,
    session: str,
    reason: str,
    refusals: Iterable[Refusal],
    created: datetime,
    traceparent: str,
    *,
    reopened: int = 0,
) -> Account:
    """The account of a session that never became complete: all parked, with the reason."""
    entries = Unfolding(workflow, session).parked(reason)
    return make_account(None, session, entries, refusals, created, traceparent, reopened=reopened)
