"""PROPFIND answers (RFC 4918, section 9.1) as entries: a pure reading of hostile XML.

Servers differ: hrefs absolute or relative, percent-encoded with either case of hex digits, with or without a closing
slash; properties split over several ``propstat``; ``getcontentlength`` absent or empty on collections. wsgidav and
Apache mod_dav are both read by tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit
from xml.etree.ElementTree import Element, ParseError

import defusedxml
import defusedxml.ElementTree as SafeET

from shared.errors import BadInputError

MAX_ANSWER: Final = 32 << 20
REQUEST: Final = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/></prop></propfind>'
)
_DAV: Final = "{DAV:}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a folder: ``name`` as the server gave it, percent-decoded.

    A name may be hostile: it is to be refused, and never followed, unless it is ``plain``.
    """

    name: str
    folder: bool
    size: int
    modified: datetime | None

    @property
    def plain(self) -> bool:
        """Whether the name can be one step of a path: no separator, no dot-dot, no control character."""
        return (
            self.name not in {"", ".", ".."}
            and "/" not in self.name
            and "\\" not in self.name
            and self.name.isprintable()
        )


def members(document: bytes, folder_url: str) -> Iterator[Entry]:
    """The members of the folder at ``folder_url`` (absolute, ending in ``/``), without the folder itself.

    An href that leaves the folder (another host, a parent, a separator in disguise) gives a member whose name is not
    ``plain``. BadInputError where the answer is no multistatus document.
    """
    try:
        root = SafeET.fromstring(document)
    except (ParseError, defusedxml.DefusedXmlException, ValueError, LookupError) as error:  # of encodings
        raise BadInputError(f"listing of {folder_url}", "well-formed XML without entities", str(error)) from None
    if root.tag != f"{_DAV}multistatus":
        raise BadInputError(f"listing of {folder_url}", "a DAV: multistatus document", root.tag)
    for response in root.iterfind(f"{_DAV}response"):
        name = _member(response.findtext(f"{_DAV}href") or "", folder_url)
        if name is not None:
            yield _entry(name, response)


def _member(href: str, folder_url: str) -> str | None:
    """The name of the member that ``href`` names, None for the folder itself."""
    try:
        base, found = urlsplit(folder_url), urlsplit(urljoin(folder_url, href.strip()))
        same_host = (found.scheme, found.hostname, found.port) == (base.scheme, base.hostname, base.port)
    except ValueError:
        return f"/{href}"
    # Split before decoding: an encoded separator is part of a (strange) name.
    folder = [unquote(step) for step in base.path.split("/") if step]
    path = [unquote(step, errors="replace") for step in found.path.split("/") if step]
    if not same_host:
        return href if "/" in href else f"/{href}"
    if path[: len(folder)] != folder or len(path) > len(folder) + 1 or ".." in urlsplit(href).path.split("/"):
        return _outside(unquote(urlsplit(href).path, errors="replace"), unquote(base.path))
    return path[-1] if len(path) > len(folder) else None


def _outside(path: str, folder: str) -> str:
    """A name for what is no member: its way out of the folder, which is not plain."""
    way = path.removeprefix(folder)
    return way if "/" in way else f"/{way}"


def _entry(name: str, response: Element) -> Entry:
    folder, size, modified = False, 0, None
    for prop in response.iterfind(f"{_DAV}propstat/{_DAV}prop"):
        folder = folder or prop.find(f"{_DAV}resourcetype/{_DAV}collection") is not None
        length = (prop.findtext(f"{_DAV}getcontentlength") or "").strip()
        if length.isascii() and length.isdigit():
            size = int(length)
        modified = modified or _date(prop.findtext(f"{_DAV}getlastmodified") or "")
    return Entry(name, folder, size, modified)


def _date(text: str) -> datetime | None:
    """An RFC 1123 date in UTC, or None."""
    try:
        found = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
