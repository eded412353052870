"""Entities of a CADIP (OData v4) as its stations write them: a pure reading of what may be null, odd or hostile.

Fields by the CADU Interface delivery Point: ``Sessions`` (Id, SessionId, Satellite, PublicationDate, DownlinkStart,
DownlinkStop, Retransfer), ``Files`` (Id, Name, SessionId, Channel, BlockNumber, FinalBlock, PublicationDate, Size,
Retransfer), ``QualityInfo`` (Channel, TotalChunks, TotalVolume). Stations differ: ``SessionID`` for ``SessionId``,
numbers as texts, null for any field, dates of any precision or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.domain.blocks import Totals
from shared.domain.names import SATELLITES

Item = Mapping[str, Any]
# The year 1 and the begin of 1970 are what systems write for no date.
_FIRST: Final = datetime(1971, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"\d{1,18}", re.ASCII)
_GUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass(frozen=True, slots=True)
class ListedSession:
    """One entity of ``Sessions``. ``satellite`` is empty where neither the station nor the session id names one."""

    id: str
    session: str
    satellite: str
    retransfer: bool
    published: datetime | None
    start: datetime | None
    stop: datetime | None


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One entity of ``Files``. ``size`` is 0 where the station does not say it: such a file is not there yet."""

    id: str
    name: str
    session: str
    number: int | None
    final: bool
    size: int
    published: datetime | None
    retransfer: bool


def listed_session(item: Item) -> ListedSession | None:
    """A session; None for what has no session id."""
    fields = _folded(item)
    session = _text(fields.get("sessionid"))
    if not session:
        return None
    said, named = _text(fields.get("satellite")), session[:3]
    return ListedSession(
        id=entity_key(fields.get("id")) or "",
        session=session,
        satellite=said if said in SATELLITES else named if named in SATELLITES else "",
        retransfer=_flag(fields.get("retransfer")),
        published=date(fields.get("publicationdate")),
        start=date(fields.get("downlinkstart")),
        stop=date(fields.get("downlinkstop")),
    )


def listed_file(item: Item) -> ListedFile | None:
    """A file; None for what has no name, or no id by which it could be fetched."""
    fields = _folded(item)
    key, name = entity_key(fields.get("id")), fields.get("name")
    if key is None or not isinstance(name, str) or not name:
        return None
    return ListedFile(
        id=key,
        name=name,
        session=_text(fields.get("sessionid")),
        number=_number(fields.get("blocknumber")),
        final=_flag(fields.get("finalblock")),
        size=_number(fields.get("size")) or 0,
        published=date(fields.get("publicationdate")),
        retransfer=_flag(fields.get("retransfer")),
    )


def listed_totals(document: Any) -> Iterator[tuple[int, Totals]]:
    """(channel, totals) of a session's quality information, as far as it can be read."""
    fields = _folded(document) if isinstance(document, dict) else {}
    found = fields.get("qualityinfo", fields.get("value", []))
    for item in found if isinstance(found, list) else [found]:
        if isinstance(item, dict):
            quality = _folded(item)
            channel = _number(quality.get("channel"))
            if channel is not None:
                yield channel, Totals(_number(quality.get("totalchunks")), _number(quality.get("totalvolume")))


def entity_key(value: Any) -> str | None:
    """An ``Id`` as it stands in an address (a GUID without quotes, or a number); None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value >= 0 else None
    return value if isinstance(value, str) and (_GUID.fullmatch(value) or _NUMBER.fullmatch(value)) else None


def literal(text: str) -> str:
    """A string in an OData filter."""
    return "'" + text.replace("'", "''") + "'"


def date_literal(when: datetime) -> str:
    """An instant in an OData filter."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def date(value: Any) -> datetime | None:
    """A date, in UTC where it names no zone; None for null, for what is no date, and for what stands for none."""
    if not isinstance(value, str) or not value.isascii():
        return None
    try:
        found = datetime.fromisoformat(value)
        utc = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return utc if utc >= _FIRST else None


def _folded(item: Item) -> dict[str, Any]:
    """Fields by their names in lower case."""
    return {str(name).lower(): value for name, value in item.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _flag(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _number(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 10**18 else None
    return int(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None
