"""The DSIB: what a station says of one channel of a session.

Source: real DSIBs of the Sentinel-2 ground stations; root ``DCSU_Session_Information_Block``. ``time_finished`` may
precede ``time_stop``, so their order is not checked.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime

import defusedxml
import defusedxml.ElementTree as SafeET

from shared.domain.names import SessionFile
from shared.errors import BadInputError

MAX_SIZE = 4 << 20


@dataclass(frozen=True, slots=True)
class Dsib:
    """One channel's session information block. ``data_size`` is the sum of the channel's DSDB sizes, bytes."""

    session: str
    channel: int
    time_start: datetime
    time_stop: datetime
    data_size: int
    names: tuple[str, ...]


def make_dsib(block: Dsib, remark: str) -> bytes:
    """The document of ``block``, with ``remark`` (who made it, and from what) as a comment before its root.

    Blocks of the same session, names and size give documents of the same length, whatever their times.
    """
    root = ET.Element("DCSU_Session_Information_Block")
    times = [when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for when in (block.time_start, block.time_stop)]
    elements = ("session_id", "time_start", "time_stop", "time_created", "time_finished", "data_size")
    for tag, text in zip(elements, (block.session, *times, *times, str(block.data_size)), strict=True):
        ET.SubElement(root, tag).text = text
    listed = ET.SubElement(root, "dsdb_list")
    for name in block.names:
        ET.SubElement(listed, "dsdb_name").text = name
    ET.indent(root)
    comment = remark.replace("--", "- -")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + f"<!-- {comment} -->\n".encode() + ET.tostring(root) + b"\n"


def parse_dsib(document: bytes, file: SessionFile) -> Dsib:
    """Read the DSIB ``file``. BadInputError naming the file and the element where it breaks the format."""
    name = str(file)
    if len(document) > MAX_SIZE:
        raise BadInputError(name, f"at most {MAX_SIZE} bytes", len(document))
    try:
        root = SafeET.fromstring(document, forbid_dtd=True)
    except defusedxml.DefusedXmlException as error:
        raise BadInputError(name, "XML without document type or entities", type(error).__name__) from None
    except (ET.ParseError, ValueError, LookupError) as error:
        raise BadInputError(name, "well-formed XML", str(error)) from None
    if root.tag != "DCSU_Session_Information_Block":
        raise BadInputError(f"{name}, root element", "DCSU_Session_Information_Block", root.tag)
    session = _text(root, "session_id", name)
    if session != str(file.session):
        raise BadInputError(f"{name}, session_id", str(file.session), session)
    size = _text(root, "data_size", name)
    if not (size.isascii() and size.isdigit() and len(size) <= 18):
        raise BadInputError(f"{name}, data_size", "a number of bytes", size)
    return Dsib(
        session=session,
        channel=file.channel,
        time_start=_time(root, "time_start", name),
        time_stop=_time(root, "time_stop", name),
        data_size=int(size),
        names=_names(root, file),
    )


def _text(root: ET.Element, tag: str, file: str) -> str:
    text = (root.findtext(tag) or "").strip()
    if not text:
        raise BadInputError(f"{file}, {tag}", "a non-empty element")
    return text


def _time(root: ET.Element, tag: str, file: str) -> datetime:
    text = _text(root, tag, file)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise BadInputError(f"{file}, {tag}", "a UTC time as YYYY-MM-DDThh:mm:ssZ", text)
    return when


def _names(root: ET.Element, file: SessionFile) -> tuple[str, ...]:
    names = tuple((element.text or "").strip() for element in root.findall("dsdb_list/dsdb_name"))
    if not names:
        raise BadInputError(f"{file}, dsdb_list", "at least one dsdb_name")
    for name in names:
        try:
            chunk = SessionFile.parse(name)
        except BadInputError:
            raise BadInputError(f"{file}, dsdb_name", "a DSDB file name", name) from None
        if chunk.kind != "DSDB" or chunk.session != file.session or chunk.channel != file.channel:
            raise BadInputError(f"{file}, dsdb_name", f"a DSDB of {file.session} channel {file.channel}", name)
    if len(set(names)) != len(names):
        raise BadInputError(f"{file}, dsdb_list", "each DSDB once")
    return names
