"""Metadata written as ESA's products have it, always the same octets for the same content."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def node(tag: str, *content: ET.Element | str | float, **attributes: str) -> ET.Element:
    """An element with children, or with one text or number as its text. A trailing ``_`` of an attribute's name is
    dropped.
    """
    element = ET.Element(tag, {name.rstrip("_"): value for name, value in attributes.items()})
    for item in content:
        if isinstance(item, ET.Element):
            element.append(item)
        else:
            element.text = repr(item) if isinstance(item, float) else str(item)
    return element


def render(root: ET.Element) -> bytes:
    """The document, UTF-8, indented."""
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return document + b"\n"


def write(path: Path, root: ET.Element) -> None:
    """Write the document to ``path``, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render(root))
