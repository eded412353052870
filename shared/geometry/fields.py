"""Fields of metadata and parameter files, read by name: what is absent or malformed is refused with its path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BadInputError
from shared.xmltree import Limits, content, parse_tree

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

_LIMITS: Final = Limits(size=128 * 1024 * 1024, elements=4_000_000, text=262_144)
_INSTANT: Final = re.compile(r"(\d{4}-\d{2}-\d{2})T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,15}))?Z?", re.ASCII)
_GPS_EPOCH: Final = np.datetime64("1980-01-06", "D")
_NS: Final = 1_000_000_000


class Fields:
    """One element of a document, and what lies below it.

    Args:
        what: how messages call the file.
        root: the element.
        path: where the element stands, for messages.
    """

    def __init__(self, what: str, root: ET.Element, path: str = "") -> None:
        self.what: Final = what
        self.root: Final = root
        self.path: Final = path or root.tag

    @classmethod
    def read(cls, file: Path, root: str) -> Fields:
        """The document ``file``, of which the root element must be ``root``."""
        document = cls.read_any(file)
        if document.root.tag != root:
            raise BadInputError(file.name, f"root element {root}", document.root.tag)
        return document

    @classmethod
    def read_any(cls, file: Path) -> Fields:
        """The document ``file``, whatever its root element."""
        return cls(file.name, parse_tree(file.read_bytes(), file.name, _LIMITS))

    def _refuse(self, path: str, expected: str, found: object = None) -> BadInputError:
        return BadInputError(f"{self.what}, {self.path}{'/' if path else ''}{path}", expected, found)

    def refuse(self, expected: str, found: object = None) -> BadInputError:
        """The error that says what was expected of this very element."""
        return self._refuse("", expected, found)

    def find(self, path: str) -> Fields | None:
        """The first element at ``path`` below this one, if there is any."""
        element = self.root.find(path)
        return None if element is None else Fields(self.what, element, f"{self.path}/{path}")

    def one(self, path: str) -> Fields:
        """The first element at ``path``; refused where there is none."""
        found = self.find(path)
        if found is None:
            raise self._refuse(path, "this element")
        return found

    def all(self, path: str) -> list[Fields]:
        """Every element at ``path``; refused where there is none."""
        found = self.root.findall(path)
        if not found:
            raise self._refuse(path, "at least one such element")
        return [Fields(self.what, element, f"{self.path}/{path}[{n}]") for n, element in enumerate(found, 1)]

    def attribute(self, name: str) -> str:
        """An attribute of this element."""
        value = self.root.get(name)
        if value is None:
            raise self._refuse(f"@{name}", "this attribute")
        return value.strip()

    def text(self, path: str = "") -> str:
        """The text of this element, or of the one at ``path``."""
        return content((self.one(path) if path else self).root)

    def numbers(self, path: str = "", count: int | None = None) -> NDArray[np.float64]:
        """Finite numbers separated by blanks, ``count`` of them where it is given."""
        text = self.text(path)
        try:
            values = np.array([float(word) for word in text.split()], dtype=np.float64)
        except ValueError:
            raise self._refuse(path, "numbers separated by blanks", text[:60]) from None
        if count is not None and len(values) != count:
            raise self._refuse(path, f"{count} numbers", f"{len(values)} numbers")
        if not np.isfinite(values).all():
            raise self._refuse(path, "finite numbers", text[:60])
        return values

    def number(self, path: str = "", check: Callable[[float], bool] | None = None, expected: str = "") -> float:
        """One finite number, for which ``check`` must hold; ``expected`` says so in words."""
        value = float(self.numbers(path, 1)[0])
        if check is not None and not check(value):
            raise self._refuse(path, expected, value)
        return value

    def integer(self, path: str, least: int, most: int) -> int:
        """A whole number within bounds."""
        text = self.text(path)
        if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
            raise self._refuse(path, f"a whole number from {least} to {most}", text[:60])
        return int(text)

    def unit(self, path: str, expected: str) -> None:
        """Refuse the element at ``path`` where it names another unit than ``expected``; without one, it is taken."""
        found = self.one(path).root.get("unit")
        if found is not None and found.strip() != expected:
            raise self._refuse(f"{path}/@unit", expected, found)

    def instant(self, path: str = "") -> int:
        """An ISO 8601 instant as nanoseconds since 1980-01-06T00:00:00 of its own time scale."""
        text = self.text(path)
        match = _INSTANT.fullmatch(text)
        try:
            days = int((np.datetime64(match[1], "D") - _GPS_EPOCH).astype(int)) if match else -1
        except ValueError:
            days = -1
        if match is None or not 0 <= days < 100_000:
            raise self._refuse(path, "an instant as 2020-08-16T12:02:20.458, not before 1980-01-06", text[:60])
        seconds = ((days * 24 + int(match[2])) * 60 + int(match[3])) * 60 + int(match[4])
        return seconds * _NS + int((match[5] or "").ljust(9, "0")[:9])
