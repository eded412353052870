"""What of a session is in force: an operator's hold, and the account.

An account is in force while it knows of every reopening of its session. Whoever makes one counts the reopenings before
it looks at the work; what an operator changes is written before the reopening. So an account that was made from the
state before a change is superseded by it, however late it is written. Likewise the account of a session that never
became complete: a ``complete.json`` supersedes it, which somebody may write at the same moment.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

from shared.errors import ObjectAbsentError
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Account, Complete, Hold, OpenMarker, Record, Reopened

REOPENED: Final = "reopened"
"""The kind of timer that keeps a reopened session in the sweep's sight until an account of it is in force again."""


SUBMITTED: Final = "submitted"
"""The kind of timer that does so with a session that an operator lets begin, until it has its marker."""


class ClosedMarker(Record):
    """An account of this session was written: the sweep tells of it, and counts it in."""

    kind: ClassVar[str] = "closed"
    session: str


def marker_of(record: Complete | Reopened, now: datetime) -> OpenMarker:
    """The marker of the session of a record because of which it is open."""
    return OpenMarker(
        created=now,
        traceparent=record.traceparent,
        session=record.session,
        station=record.station,
        satellite=record.satellite,
    )


def active_hold(ledger: Ledger, key: str) -> Hold | None:
    """The hold at ``key``, where it is in force. One request."""
    hold = ledger.find(key, Hold)
    return None if hold is None or hold.released is not None else hold


def held_by(hold: Hold) -> str:
    """A hold, as the account gives it for a reason."""
    return f"held by {hold.who}: {hold.reason}"


def reopenings(ledger: Ledger, session: str) -> int:
    """How often the session was opened again."""
    return sum(1 for _ in ledger.list(keys.reopenings(session)))


def account_in_force(ledger: Ledger, session: str) -> Account | None:
    """The account that closes the session; None while it is open."""
    account = ledger.find(keys.account(session), Account)
    return account if account is not None and in_force(ledger, account) else None


def in_force(ledger: Ledger, account: Account) -> bool:
    """Whether ``account`` knows of every reopening, and of the session's ``complete.json`` where there is one."""
    if account.reopened < reopenings(ledger, account.session):
        return False
    return account.t0 is not None or not ledger.exists(keys.complete(account.session))


def write_account(ledger: Ledger, record: Account) -> bool:
    """Close the session: the first account stands, a superseded one gives way under its etag.

    A marker says that what follows from an account (events, its link of the chain) has not followed yet.

    One that parks work by a hold is brought up to date where a Job that ran on has changed it meanwhile.
    """
    # First, so that an account whose writer dies is not left untold; one that leads nowhere is removed by the sweep.
    marker = ClosedMarker(created=record.created, traceparent=record.traceparent, session=record.session)
    ledger.create(keys.closed_marker(record.session), marker)
    key = keys.account(record.session)
    if ledger.create(key, record):
        return True
    try:
        standing, etag = ledger.read_with_etag(key, Account)
    except ObjectAbsentError:
        return False
    late = standing.held and record.reopened == standing.reopened and record.entries != standing.entries
    whole = record.t0 is not None and standing.t0 is None and record.reopened == standing.reopened
    return (record.reopened > standing.reopened or late or whole) and ledger.replace(key, record, etag)
