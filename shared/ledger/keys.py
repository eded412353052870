"""Keys of the ledger bucket: the only place that knows where a record stands."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

OPEN: Final = "open/"
CLOSED: Final = "closed/"
TIMERS: Final = "timers/"
ACTIONS: Final = "actions/"
DROPS: Final = "drops/"
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


def safe_name(name: str) -> str:
    """``name`` where it may stand in a key, else a digest of it: hostile names are recorded, never trusted."""
    return name if _SAFE.fullmatch(name) else "x-" + hashlib.sha256(name.encode(errors="replace")).hexdigest()[:24]


def etag_mark(etag: str) -> str:
    """An etag, which may be any text, as it stands in a key."""
    return hashlib.sha256(etag.encode()).hexdigest()[:16]


def open_marker(session: str) -> str:
    return f"{OPEN}{session}"


def closed_marker(session: str) -> str:
    """An account was written, and not everything that follows from one has followed."""
    return f"{CLOSED}{session}"


def session(session: str) -> str:
    return f"sessions/{session}/"


def seen(session: str, file: str) -> str:
    return f"sessions/{session}/seen/{safe_name(file)}.json"


def receipt(session: str, file: str) -> str:
    return f"sessions/{session}/received/{safe_name(file)}.receipt.json"


def refusal(session: str, file: str, reason: str) -> str:
    """One record for each file and reason."""
    digest = hashlib.sha256(reason.encode(errors="replace")).hexdigest()[:12]
    return f"sessions/{session}/refused/{safe_name(file)}.{digest}.refusal.json"


def complete(session: str) -> str:
    return f"sessions/{session}/complete.json"


def account(session: str) -> str:
    return f"sessions/{session}/account.json"


def hold(session: str) -> str:
    """An operator's hold on the whole session; it may have been released since."""
    return f"sessions/{session}/hold.json"


def reopened(session: str, number: int) -> str:
    """The session's account was opened again, for the ``number``-th time (from 1)."""
    return f"{reopenings(session)}{number}.json"


def reopenings(session: str) -> str:
    return f"sessions/{session}/reopened/"


def reruns(session: str) -> str:
    return f"sessions/{session}/reruns/"


def rerun(session: str, number: int) -> str:
    """Some of the session is made anew, for the ``number``-th time (from 1)."""
    return f"{reruns(session)}{number}.json"


def cleared(session: str, account: datetime, claim: str) -> str:
    """What the session left on a shared volume has gone, after the account that was made at that instant."""
    return f"sessions/{session}/cleared/{account:%Y%m%dT%H%M%S%f}-{claim}.json"


def notice(session: str, level: str, state: str) -> str:
    """A level of the session is at risk, or missed its deadline: told once."""
    return f"sessions/{session}/sla/{level}-{state}.json"


def durations(processor_set: str) -> str:
    """How long the steps of a processor set took."""
    return f"durations/{safe_name(processor_set)}.json"


def former_account(session: str, number: int) -> str:
    """The account that the ``number``-th reopening set aside."""
    return f"sessions/{session}/accounts/{number}.json"


def action(session: str, when: datetime, kind: str, digest: str) -> str:
    """What an operator did; of what concerns no session, below ``actions/``."""
    place = f"sessions/{session}/" if session else ""
    return f"{place}{ACTIONS}{when:%Y%m%dT%H%M%S%f}-{kind}-{digest}.json"


def timer(due: datetime, kind: str, digest: str) -> str:
    return f"{TIMERS}{due:%Y%m%dT%H%M}/{kind}-{digest}.json"


def product(level: str, sensing: datetime, name: str) -> str:
    return f"products/{level}/{day(sensing)}/{name}.json"


def day(when: datetime) -> str:
    """The folders of a day: ``YYYY/MM/DD``."""
    return f"{when.year:04d}/{when.month:02d}/{when.day:02d}"


def product_claim(product: str) -> str:
    """The claim of a product's name, by the key of the record that it will have: whose is it?"""
    return f"names/{product.removeprefix('products/')}"


def dead_letter(when: datetime, event: str) -> str:
    return f"dead-letters/{when:%Y%m%d}/{safe_name(event)}.json"


def replayed(dead_letter: str) -> str:
    """The mark that the event of a dead letter was sent again, a folder below the letter."""
    folder, _, name = dead_letter.rpartition("/")
    return f"{folder}/replayed/{name}"


def drop(name: str, mark: str) -> str:
    """What came of something in the drop box, by its name and a digest of what lay there under it."""
    return f"{DROPS}{safe_name(name)}/{mark}.json"


@dataclass(frozen=True, slots=True)
class WorkKey:
    """The place of one work item: ``sessions/<session>/work/<step>/<unit>/<digest>/``."""

    session: str
    step: str
    unit: str
    digest: str

    @property
    def prefix(self) -> str:
        return f"sessions/{self.session}/work/{self.step}/{self.unit}/{self.digest}/"

    @property
    def order(self) -> str:
        return f"{self.prefix}order.json"

    @property
    def job_order(self) -> str:
        return f"{self.prefix}joborder.xml"

    @property
    def outcome(self) -> str:
        return f"{self.prefix}outcome.json"

    @property
    def waiting(self) -> str:
        """What auxiliary files it waits for, or waited for."""
        return f"{self.prefix}waiting.json"

    @property
    def provision(self) -> str:
        """Which auxiliary files it runs with."""
        return f"{self.prefix}auxiliary.json"

    def attempt(self, number: int) -> str:
        return f"{self.prefix}attempts/{number}.json"

    def ended(self, number: int) -> str:
        return f"{self.prefix}attempts/{number}.ended.json"

    @property
    def hold(self) -> str:
        return f"{self.prefix}hold.json"

    def grant(self, after: int, etag: str) -> str:
        """More attempts after number ``after``; supersedes the outcome that has ``etag``."""
        return f"{self.prefix}grants/{after}-{etag_mark(etag)}.json"

    def job_name(self, number: int) -> str:
        """A DNS label (at most 63 characters) that says what runs, and is unique by all that names the work.

        The session is part of it: the same data in two sessions (a retransfer under another name, a product that was
        submitted twice) is the same digest, and yet work of each.
        """
        return f"{self.step}-{hashlib.sha256(self.prefix.encode(errors='surrogatepass')).hexdigest()[:32]}-{number}"


_WORK: Final = re.compile(r"sessions/([^/]+)/work/([^/]+)/([^/]+)/([0-9a-f]{64})/(.+)", re.ASCII)
_SESSION: Final = re.compile(r"sessions/([^/]+)/(.+)", re.ASCII)


def parse_work(key: str) -> tuple[WorkKey, str] | None:
    """(place, rest) of a key below a work item, e.g. rest ``attempts/1.ended.json``; None for other keys."""
    match = _WORK.fullmatch(key)
    return None if match is None else (WorkKey(match[1], match[2], match[3], match[4]), match[5])


def parse_session(key: str) -> tuple[str, str] | None:
    """(session, rest) of a key below a session; None for other keys."""
    match = _SESSION.fullmatch(key)
    return None if match is None else (match[1], match[2])
