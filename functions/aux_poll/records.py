"""What the auxiliary poll remembers, in the bucket of auxiliary files below ``polls/<source>/``."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from shared.ledger.records import Record


class Cursor(Record):
    """How far a source was listed. ``newest``: the newest publication date seen, which is never one to come."""

    kind: ClassVar[str] = "auxiliary-cursor"
    source: str
    newest: AwareDatetime
    looked_back: AwareDatetime


class Pending(Record):
    """A product that was listed and is still to be taken in. ``not_before``: after a try that failed."""

    kind: ClassVar[str] = "auxiliary-pending"
    source: str
    id: str
    file: str
    published: AwareDatetime | None = None
    size: Annotated[int, Field(ge=0)] | None = None
    md5: str = ""
    sha256: str = ""
    tries: int = 0
    not_before: AwareDatetime | None = None
    trouble: str = ""


class Refused(Record):
    """A product that was listed and is not taken in, and why."""

    kind: ClassVar[str] = "auxiliary-refusal"
    source: str
    id: str
    file: str
    tries: int
    reason: str


def cursor_key(source: str) -> str:
    return f"polls/{source}/cursor.json"


def pending_prefix(source: str) -> str:
    return f"polls/{source}/pending/"


def pending_key(source: str, product: str, published: datetime | None) -> str:
    """In the order of publication; what has no date comes first."""
    when = (published or datetime.fromtimestamp(0, UTC)).astimezone(UTC)
    return f"{pending_prefix(source)}{when:%Y%m%dT%H%M%S}-{mark(product)}.json"


def refused_prefix(source: str) -> str:
    return f"polls/{source}/refused/"


def refused_key(source: str, product: str) -> str:
    return f"{refused_prefix(source)}{mark(product)}.json"


def mark(product: str) -> str:
    return hashlib.sha256(product.encode(errors="replace")).hexdigest()[:24]
