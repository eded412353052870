"""What a product's own metadata says: footprint and times, read as hostile XML.

Element names: Sentinel-2 Products Specification Document 14 (``EXT_POS_LIST``, ``PRODUCT_START_TIME``,
``DATASTRIP_SENSING_START``, ``SENSING_TIME``) and the PDGS tile list (``Tile_Id``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ParseError

import defusedxml
import defusedxml.ElementTree as SafeET

from shared.errors import BadInputError
from shared.workflow.processor import Fact

MAX_XML: Final = 64 << 20
_TILE: Final = re.compile(r"\d{2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]", re.ASCII)
_NUMBERS: Final = re.compile(r"[-+0-9.eE\s,]{1,20000}", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z?", re.ASCII)

_DATATAKE: Final = re.compile(r"G[A-Z0-9_]{1,60}(?:\.[0-9]{2})?", re.ASCII)
_FACT: Final = re.compile(r"[A-Za-z0-9 ._:+-]{0,120}", re.ASCII)

# Attribute, form of its value, elements that hold it.
_WANTED: Final = (
    ("footprint", _NUMBERS, ("EXT_POS_LIST",)),
    ("sensing_start", _TIME, ("PRODUCT_START_TIME", "DATASTRIP_SENSING_START", "SENSING_TIME", "GPS_TIME_START")),
    ("sensing_stop", _TIME, ("PRODUCT_STOP_TIME", "DATASTRIP_SENSING_STOP", "GPS_TIME_STOP")),
)


def parse(path: Path) -> Element:
    """The root element. BadInputError naming the file where it is not well-formed, or holds entities."""
    size = path.stat().st_size
    if size > MAX_XML:
        raise BadInputError(path.name, f"at most {MAX_XML} bytes of XML", size)
    try:
        root = SafeET.parse(path).getroot()
    except defusedxml.DefusedXmlException as error:
        raise BadInputError(path.name, "XML without entities", type(error).__name__) from None
    except (ParseError, ValueError, LookupError) as error:
        raise BadInputError(path.name, "well-formed XML", str(error)) from None
    if root is None:
        raise BadInputError(path.name, "a root element")
    return root


def attributes(root: Element) -> dict[str, str]:
    """Footprint, times and datatake of one metadata file; the first element of each name counts."""
    first: dict[str, str] = {}
    for name, text in _texts(root):
        first.setdefault(name, text)
    found = {}
    for attribute, form, elements in _WANTED:
        for element in elements:
            value = " ".join(first.get(element, "").split())
            if value and form.fullmatch(value):
                found[attribute] = value
                break
    datatake = next((info.get("datatakeIdentifier", "") for info in root.iter("Datatake_Info")), "")
    if _DATATAKE.fullmatch(datatake):
        found["datatake"] = datatake
    return found


def fact(root: Element, wanted: Fact) -> str | None:
    """What a file tells of a fact; None where it has no such element. BadInputError where its text is not plain."""
    if wanted.count:
        return str(sum(1 for name, _ in _texts(root) if name.startswith(wanted.count)))
    text = next((text for name, text in _texts(root) if name == wanted.element), None)
    if text is not None and not _FACT.fullmatch(text):
        raise BadInputError(f"fact {wanted.name}, {wanted.element}", "letters, digits and ._:- in a line", text)
    return None if text is None else text.removeprefix(wanted.strip)


def tiles(root: Element, file: str) -> tuple[str, ...]:
    """The tiles of a tile list, in its order. BadInputError naming the file for what is no tile."""
    found = [text for name, text in _texts(root) if name == "Tile_Id"]
    for tile in found:
        if not _TILE.fullmatch(tile):
            raise BadInputError(f"{file}, Tile_Id", "a tile such as 32TQM", tile)
    return tuple(dict.fromkeys(found))


def _texts(root: Element) -> Iterator[tuple[str, str]]:
    """(local name, text) of each element."""
    for element in root.iter():
        if isinstance(element.tag, str):
            yield element.tag.rpartition("}")[2], (element.text or "").strip()
