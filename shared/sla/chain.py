"""The chain of accounts: each link holds the digest of the one before it, so that none can be changed or taken out.

One chain for each satellite, in folders by day: ``chain/<satellite>/<day>/<number>.json``. A link is written where none
is (rule 3): of two writers the second takes the next number. What is proven, and what is not: whoever may write to the
ledger could make all of a chain anew; a head that was noted elsewhere shows that too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Record, Sha256

CHAIN: Final = "chain/"
_KEY: Final = re.compile(r"chain/([^/]+)/(\d{8})/(\d{6})\.json", re.ASCII)
_TRIES: Final = 100
_LOOK_BACK: Final = 64


class Link(Record):
    """One account of ``satellite``. ``account``: SHA-256 of its record; ``digest``: of this link with the former one's.

    ``former``: the digest of the link before it, or nothing in the first one.
    """

    kind: ClassVar[str] = "chain-link"
    satellite: str
    session: str
    account: Sha256
    former: str
    digest: Sha256


def link_digest(satellite: str, session: str, account: str, former: str) -> str:
    """SHA-256 over the lines of a link."""
    return hashlib.sha256(f"{satellite}\n{session}\n{account}\n{former}".encode()).hexdigest()


def account_digest(ledger: Ledger, session: str) -> str:
    """SHA-256 of the session's account, as it is stored. ObjectAbsentError where there is none."""
    body, _ = ledger.store.get(ledger.bucket, keys.account(session))
    return hashlib.sha256(body).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a link stands."""

    satellite: str
    day: str
    number: int

    @property
    def key(self) -> str:
        return f"{CHAIN}{self.satellite}/{self.day}/{self.number:06d}.json"


def chain_name(session: str) -> str:
    """Which chain a session's account is of: its satellite's, or that of all which name none."""
    return session[:3] if re.match(r"S2[A-D]_", session, re.ASCII) else "none"


def append(ledger: Ledger, session: str, account: str, now: datetime, traceparent: str = "") -> Link | None:
    """Add the account with this digest to its chain; None where it is there already, or others are too quick."""
    name = chain_name(session)
    for _ in range(_TRIES):
        head, last = _head(ledger, name)
        if head is not None and _holds(ledger, head, session, account):
            return None
        former = last.digest if last is not None else ""
        link = Link(
            created=now,
            traceparent=traceparent,
            satellite=name,
            session=session,
            account=account,
            former=former,
            digest=link_digest(name, session, account, former),
        )
        if ledger.create(_next(name, head, now).key, link):
            return link
    return None


def _next(name: str, head: Place | None, now: datetime) -> Place:
    """The place after the head: of today, or of the head's day where the clock is behind it."""
    today = f"{now:%Y%m%d}"
    if head is None or head.day < today:
        return Place(name, today, 1)
    return Place(name, head.day, head.number + 1)


def _head(ledger: Ledger, name: str) -> tuple[Place | None, Link | None]:
    days = sorted(ledger.store.folders(ledger.bucket, f"{CHAIN}{name}/"))
    for day in reversed(days):
        places = [place for info in ledger.list(day) if (place := parse_place(info.key)) is not None]
        if places:
            return places[-1], ledger.read(places[-1].key, Link)
    return None, None


def _holds(ledger: Ledger, head: Place, session: str, account: str) -> bool:
    """Whether one of the last links of the head's day is this account's: its writer may have died after it."""
    for number in range(head.number, max(0, head.number - _LOOK_BACK), -1):
        link = ledger.find(Place(head.satellite, head.day, number).key, Link)
        if link is not None and (link.session, link.account) == (session, account):
            return True
    return False


def parse_place(key: str) -> Place | None:
    """The place of a link; None for other keys."""
    match = _KEY.fullmatch(key)
    return None if match is None else Place(match[1], match[2], int(match[3]))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk over one chain found: so many links, the last one's digest, and what is wrong, a sentence each."""

    satellite: str
    links: int
    head: str
    wrong: tuple[str, ...]


def verify(ledger: Ledger) -> Iterator[Verdict]:
    """Walk all chains: every link against the one before it, and every session's last link against its account."""
    for folder in sorted(ledger.store.folders(ledger.bucket, CHAIN)):
        yield _walk(ledger, folder.removeprefix(CHAIN).rstrip("/"))


def _walk(ledger: Ledger, name: str) -> Verdict:
    wrong: list[str] = []
    former, day, number, count = "", "", 0, 0
    last: dict[str, tuple[str, str]] = {}
    for info in ledger.list(f"{CHAIN}{name}/"):
        place = parse_place(info.key)
        if place is None:
            wrong.append(f"{info.key}: no link")
            continue
        expected = number + 1 if place.day == day else 1
        if place.number != expected:
            wrong.append(f"{info.key}: expected number {expected:06d}")
        day, number, count = place.day, place.number, count + 1
        try:
            link = ledger.read(info.key, Link)
        except BadInputError as error:
            wrong.append(str(error))
            continue
        if link.former != former:
            wrong.append(f"{info.key}: it does not follow from the link before it")
        if link.digest != link_digest(name, link.session, link.account, link.former):
            wrong.append(f"{info.key}: its digest is not that of what it says")
        former = link.digest
        last[link.session] = (info.key, link.account)
    wrong += _accounts(ledger, last)
    return Verdict(name, count, former, tuple(wrong))


def _accounts(ledger: Ledger, last: dict[str, tuple[str, str]]) -> Iterator[str]:
    """A session's last link tells of its present account, unless that is just being written."""
    for session, (key, account) in last.items():
        if ledger.exists(keys.closed_marker(session)) or ledger.exists(keys.open_marker(session)):
            continue
        info = ledger.store.head(ledger.bucket, keys.account(session))
        if info is None:
            yield f"{key}: session {session} has no account"
        elif account_digest(ledger, session) != account:
            yield f"{key}: the account of {session} is not the one that was closed"
