"""Reading an L1C product's documents: parsed as hostile, and each error names the file and the field."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import defusedxml
import defusedxml.ElementTree as SafeET

from shared.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Document:
    """A document's root, and the file's name, for errors."""

    file: str
    root: ET.Element

    @classmethod
    def read(cls, path: Path) -> Document:
        return cls(path.name, read_document(path))

    def wrong(self, field: str, expected: str, *found: object) -> BadInputError:
        return BadInputError(f"{self.file}, {field}", expected, *found)


def read_document(path: Path) -> ET.Element:
    """The root of a document, all tags without namespace: they changed with the PSD's version.

    BadInputError where it is missing, malformed or has entities.
    """
    try:
        root = SafeET.parse(path).getroot()
    except OSError as error:
        raise BadInputError(str(path), "a readable file", error.strerror) from None
    except (ET.ParseError, defusedxml.DefusedXmlException, ValueError, LookupError) as error:  # of encodings
        raise BadInputError(path.name, "well-formed XML without entities", str(error)) from None
    if root is None:
        raise BadInputError(path.name, "a root element")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def text_at(document: Document, path: str) -> str:
    """The text of the first element at a path, anywhere below the root."""
    text = document.root.findtext(f".//{path}")
    if not text or not text.strip():
        raise document.wrong(path, "an element that is not empty")
    return text.strip()


def numbers_of(document: Document, what: str, text: str | None) -> list[float]:
    """Finite numbers with blanks between."""
    try:
        numbers = [float(word) for word in (text or "").split()]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise document.wrong(what, "finite numbers", text)
    return numbers


def number_at(document: Document, path: str, default: float | None = None) -> float:
    """One number, not negative; the default, where there is one, for an element that is missing or empty."""
    if default is not None and not (document.root.findtext(f".//{path}") or "").strip():
        return default
    numbers = numbers_of(document, path, text_at(document, path))
    if len(numbers) != 1 or numbers[0] < 0:
        raise document.wrong(path, "a number from 0", numbers)
    return numbers[0]


def positive_at(document: Document, path: str) -> float:
    """One number above 0."""
    number = number_at(document, path)
    if not number:
        raise document.wrong(path, "a number above 0", number)
    return number


def time_at(document: Document, path: str) -> datetime:
    """A time; one without a zone is UTC."""
    text = text_at(document, path)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise document.wrong(path, "a UTC time", text) from None
    return found.replace(tzinfo=found.tzinfo or UTC)
