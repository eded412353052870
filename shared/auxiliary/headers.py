"""Earth Explorer headers of auxiliary files: ``.HDR`` beside a data block, or the head of an ``.EOF``.

Source: the headers of real Sentinel-2 files, with and without a namespace; Earth Explorer Ground Segment File Format
Standard (PE-TN-ESA-GS-0001) for the fixed header, its times ``UTC=...`` and the values that stand for "always".
"""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, Final

import defusedxml
import defusedxml.ElementTree as SafeET

from shared.errors import BadInputError

MAX_HEADER: Final = 1 << 20
MAX_PROBAS: Final = 16 << 20
EARLIEST: Final = datetime(1000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_ALWAYS: Final = {"0000-00-00T00:00:00": EARLIEST, "9999-99-99T99:99:99": LATEST}


@dataclass(frozen=True, slots=True)
class AuxiliaryHeader:
    """The fixed header. What is not in it is empty, or None."""

    file_name: str
    file_type: str
    file_class: str
    mission: str
    version: str
    start: datetime
    stop: datetime
    creation: datetime | None


def read_header(document: bytes, what: str) -> AuxiliaryHeader:
    """The header of the file ``what``, of which an ``.EOF``'s beginning is enough.

    BadInputError naming the file and the element where it breaks the format.
    """
    fixed = _fixed_header(document[:MAX_HEADER], what)
    validity, source = _child(fixed, "Validity_Period"), _child(fixed, "Source")
    start, stop = (_time(validity, f"Validity_{end}", what) for end in ("Start", "Stop"))
    if start > stop:
        raise BadInputError(f"{what}, Validity_Period", "a start that is not after the stop", f"{start} to {stop}")
    return AuxiliaryHeader(
        file_name=_text(fixed, "File_Name", what),
        file_type=_text(fixed, "File_Type", what),
        file_class=_text(fixed, "File_Class", what, default=""),
        mission=_text(fixed, "Mission", what, default=""),
        version=_text(fixed, "File_Version", what, default=""),
        start=start,
        stop=stop,
        creation=None if not _text(source, "Creation_Date", what, default="") else _time(source, "Creation_Date", what),
    )


def read_baseline(document: BinaryIO, what: str) -> str:
    """The processing baseline (``Baseline_Version``) that a GIP_PROBAS data block sets; empty where it says none."""
    body = document.read(MAX_PROBAS + 1)
    if len(body) > MAX_PROBAS:
        raise BadInputError(what, f"at most {MAX_PROBAS} bytes", len(body))
    for element in _parsed(body, what).iter():
        if _plain(element) == "Baseline_Version":
            found = (element.text or "").strip()
            if len(found) > 16 or not found.isascii() or not found.isprintable():
                raise BadInputError(f"{what}, Baseline_Version", "a short version", found)
            return found
    return ""


def _fixed_header(document: bytes, what: str) -> ET.Element:
    with _xml(what):
        for _, element in SafeET.iterparse(io.BytesIO(document), forbid_dtd=True):
            if _plain(element) == "Fixed_Header":
                return element  # type: ignore[no-any-return]
    raise BadInputError(what, "an Earth Explorer header with a Fixed_Header")


def _parsed(document: bytes, what: str) -> ET.Element:
    with _xml(what):
        root: ET.Element = SafeET.fromstring(document, forbid_dtd=True)
    return root


@contextmanager
def _xml(what: str) -> Iterator[None]:
    try:
        yield
    except defusedxml.DefusedXmlException as error:
        raise BadInputError(what, "XML without document type or entities", type(error).__name__) from None
    except (ET.ParseError, ValueError, LookupError) as error:
        raise BadInputError(what, "well-formed XML", str(error)) from None


def _plain(element: ET.Element) -> str:
    """The element's name without its namespace: real headers have one, or another, or none."""
    return str(element.tag).rpartition("}")[2]


def _child(element: ET.Element | None, name: str) -> ET.Element | None:
    return next((child for child in (element if element is not None else ()) if _plain(child) == name), None)


def _text(element: ET.Element | None, name: str, what: str, default: str | None = None) -> str:
    found = _child(element, name)
    text = "" if found is None else (found.text or "").strip()
    if not text and default is None:
        raise BadInputError(f"{what}, {name}", "a value", "none")
    return text or str(default)


def _time(element: ET.Element | None, name: str, what: str) -> datetime:
    """``UTC=2017-01-01T00:00:00``, with or without a fraction."""
    text = _text(element, name, what)
    plain = text.removeprefix("UTC=").removesuffix("Z")
    if plain in _ALWAYS:
        return _ALWAYS[plain]
    try:
        found = datetime.fromisoformat(plain)
    except ValueError:
        found = None
    if not text.isascii() or found is None or found.tzinfo is not None or found.year < 1000:
        raise BadInputError(f"{what}, {name}", "a time as UTC=YYYY-MM-DDThh:mm:ss", text)
    return found.replace(tzinfo=UTC)
