"""What the console shows of the ledger, as plain rows: read only, one listing per question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.bootstrap import Services
from shared.errors import AbsentError
from shared.ledger import keys
from shared.ledger.records import Account, Complete, Published


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session and how it stands."""

    session: str
    stands: str
    opened: datetime | None
    t0: datetime | None
    produced: int = 0
    absent: int = 0
    parked: int = 0


@dataclass(frozen=True, slots=True)
class WorkRow:
    """One work item and how it stands."""

    step: str
    unit: str
    stands: str
    attempts: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """Everything of one session."""

    session: str
    stands: str
    seen: int
    received: int
    refused: int
    complete: Complete | None
    work: tuple[WorkRow, ...]
    account: Account | None


def sessions(services: Services) -> Iterator[SessionRow]:
    """Every session of the ledger, by its id."""
    open_now = {info.key.removeprefix(keys.OPEN): info for info in services.ledger.list(keys.OPEN)}
    known = {
        folder.removeprefix("sessions/").rstrip("/")
        for folder in services.store.folders(services.settings.bucket_ledger, "sessions/")
    }
    for session in sorted(known | set(open_now)):
        account = services.ledger.find(keys.account(session), Account)
        marker = open_now.get(session)
        if account is not None:
            yield SessionRow(session, "closed", None, account.t0, account.produced, account.absent, account.parked)
        else:
            opened = None if marker is None else marker.modified
            complete = services.ledger.find(keys.complete(session), Complete)
            stands = "arriving" if complete is None else "processing"
            yield SessionRow(session, stands, opened, None if complete is None else complete.t0)


def status(services: Services, session: str) -> SessionStatus:
    """One session. AbsentError where the ledger knows nothing of it."""
    listing = list(services.ledger.list(keys.session(session)))
    if not listing and not services.ledger.exists(keys.open_marker(session)):
        raise AbsentError(f"session {session}: the ledger knows nothing of it")
    folders = Counter(info.key.removeprefix(keys.session(session)).partition("/")[0] for info in listing)
    complete = services.ledger.find(keys.complete(session), Complete)
    account = services.ledger.find(keys.account(session), Account)
    stands = "closed" if account is not None else "arriving" if complete is None else "processing"
    return SessionStatus(
        session,
        stands,
        folders["seen"],
        folders["received"],
        folders["refused"],
        complete,
        tuple(work_rows({info.key: info.modified for info in listing})),
        account,
    )


def work_rows(listing: dict[str, datetime]) -> Iterator[WorkRow]:
    """The work items among a session's records, from their names alone."""
    items: dict[keys.WorkKey, dict[str, datetime]] = {}
    for key, modified in listing.items():
        found = keys.parse_work(key)
        if found is not None:
            items.setdefault(found[0], {})[found[1]] = modified
    for place, records in sorted(items.items(), key=lambda item: min(item[1].values())):
        attempts = [rest for rest in records if rest.startswith("attempts/") and not rest.endswith(".ended.json")]
        ended = [rest for rest in records if rest.endswith(".ended.json")]
        if "outcome.json" in records:
            stands = "finished"
        elif len(attempts) > len(ended):
            stands = "running"
        else:
            stands = "waiting" if not attempts else "to be tried again"
        yield WorkRow(place.step, place.unit, stands, len(attempts), max(records.values()))


def products(services: Services, *, session: str = "", level: str = "") -> Iterator[Published]:
    """Products on the shelf, by level and date; those of one session or level where named."""
    prefix = f"products/{level}/" if level else "products/"
    found = [info.key for info in services.ledger.list(prefix)]
    for product in services.ledger.read_many(found, Published):
        if not session or product.session == session:
            yield product


def jsonable(row: Any) -> Any:
    """A row, or rows, as JSON takes it."""
    if hasattr(row, "model_dump"):
        return row.model_dump(mode="json", by_alias=True)
    if hasattr(row, "__dataclass_fields__"):
        return {name: jsonable(getattr(row, name)) for name in row.__dataclass_fields__}
    if isinstance(row, (list, tuple)):
        return [jsonable(each) for each in row]
    if isinstance(row, dict):
        return {str(key): jsonable(value) for key, value in row.items()}
    return row.isoformat() if isinstance(row, datetime) else row
