"""Sessions and products as rows, read from the ledger: a listing and a few reads for each question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from functions.cli.items import PARALLEL, WorkRow, all_sessions, open_sessions, read_found, read_story, story_rows
from shared.bootstrap import Services
from shared.errors import PermanentError
from shared.ledger import keys
from shared.ledger.records import Account, Complete, Hold, Published

if TYPE_CHECKING:
    from shared.sla.planned import PlannedPass


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session and how it stands. Files and work are counted while it is open, products when it is closed."""

    session: str
    stands: str
    opened: datetime | None
    t0: datetime | None
    files: int | None = None
    files_seen: int | None = None
    work: int | None = None
    work_done: int | None = None
    produced: int | None = None
    absent: int | None = None
    parked: int | None = None


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """Everything of one session. ``planned``: the pass of a mission plan that it is of."""

    session: str
    stands: str
    seen: int
    received: int
    refused: int
    complete: Complete | None
    work: tuple[WorkRow, ...]
    account: Account | None
    planned: PlannedPass | None


def sessions(
    services: Services, *, only_open: bool = False, unreadable: Callable[[PermanentError], object] | None = None
) -> Iterator[SessionRow]:
    """Sessions of the ledger, by their ids: all, or the open ones.

    Where ``unreadable`` is given, it is told which record of a session cannot be read: the session stands so, and keeps
    no other from being shown.
    """
    marked = set(open_sessions(services))
    listed = sorted(marked) if only_open else all_sessions(services)
    closed = [keys.account(session) for session in listed if session not in marked]
    accounts = read_found(services, closed, Account)

    def row(session: str) -> SessionRow | PermanentError:
        account = accounts.get(keys.account(session))
        try:
            return _open_row(services, session) if account is None else closed_row(session, account)
        except PermanentError as error:
            return error

    with ThreadPoolExecutor(PARALLEL) as pool:
        for session, found in zip(listed, pool.map(row, listed), strict=True):
            if isinstance(found, SessionRow):
                yield found
                continue
            if unreadable is None:
                raise found
            unreadable(found)
            yield SessionRow(session, "unreadable", None, None)


def closed_row(session: str, account: Account) -> SessionRow:
    """A session whose account is closed."""
    counts = {"produced": account.produced, "absent": account.absent, "parked": account.parked}
    return SessionRow(session, "closed", None, account.t0, **counts)


def _open_row(services: Services, session: str) -> SessionRow:
    story = read_story(services, session)
    account = services.ledger.find(keys.account(session), Account) if story.account is not None else None
    if account is not None and story.in_force(account):
        return closed_row(session, account)
    hold = services.ledger.find(keys.hold(session), Hold) if story.hold is not None else None
    complete = services.ledger.find(keys.complete(session), Complete) if story.complete is not None else None
    marker = services.store.head(services.settings.bucket_ledger, keys.open_marker(session))
    return SessionRow(
        session,
        story.stands(account, hold),
        None if marker is None else marker.modified,
        None if complete is None else complete.t0,
        files=len(story.received),
        files_seen=len(story.seen),
        work=len(story.work),
        work_done=sum(work.outcome is not None for work in story.work.values()),
    )


def status(services: Services, session: str) -> SessionStatus:
    """One session that the ledger knows. An account that a reopening superseded is not shown."""
    from shared.sla.planned import planned_as

    story = read_story(services, session)
    account = services.ledger.find(keys.account(session), Account)
    hold = services.ledger.find(keys.hold(session), Hold)
    return SessionStatus(
        session,
        story.stands(account, hold),
        len(story.seen),
        len(story.received),
        len(story.refused),
        services.ledger.find(keys.complete(session), Complete),
        tuple(story_rows(services, story)),
        account if story.in_force(account) else None,
        planned_as(services.ledger, session),
    )


def superseded_products(shelved: Iterable[Published]) -> dict[str, Published]:
    """Of products on the shelf, those of which there are newer ones, by their ledger keys, and one of these.

    Newer are those of a later rerun, of the same type, step and unit. Where they come to be fewer or have other names
    (granules have), any of them is named.
    """
    newest: dict[tuple[str, ...], Published] = {}
    listed = list(shelved)
    for product in sorted(listed, key=lambda each: (each.rerun, each.product)):
        newest[_place(product)] = product
    found = ((product, newest[_place(product)]) for product in listed)
    return {
        keys.product(product.level, product.sensing_start, product.product): later
        for product, later in found
        if later.rerun > product.rerun
    }


def _place(product: Published) -> tuple[str, ...]:
    return product.session, product.step, product.unit, product.product_type


def products(services: Services, *, session: str = "", level: str = "") -> Iterator[Published]:
    """Products on the shelf, by level and date; those of one session or level where named."""
    prefix = f"products/{level}/" if level else "products/"
    found = [info.key for info in services.ledger.list(prefix)]
    for product in read_found(services, found, Published).values():
        if not session or product.session == session:
            yield product
