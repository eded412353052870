"""XML from outside: read as hostile, within bounds, and held to a shape.

``parse_tree`` refuses document types, entities, and anything beyond ``Limits`` while it reads, and drops namespaces:
the documents of the PDGS declare them astray. ``check_shape`` holds a tree to a ``Shape`` and names the element that
breaks it.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import defusedxml
from defusedxml.ElementTree import DefusedXMLParser

from shared.errors import BadInputError

_CHUNK: Final = 65_536  # bytes fed to the parser at once: a refusal comes early in a large document
_SHOWN: Final = 60  # characters of a name shown in a message


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may take: bytes in all, depth and number of elements, characters of a name, text or attribute."""

    size: int = 16 * 1024 * 1024
    depth: int = 32
    elements: int = 500_000
    text: int = 4096


@dataclass(frozen=True, slots=True)
class Text:
    """What an element's text or an attribute may be, in words and as a pattern of the whole, blanks around it aside.

    ``check`` looks deeper than a pattern can; it raises ValueError.
    """

    expected: str
    pattern: re.Pattern[str]
    check: Callable[[str], object] | None = None

    def accepts(self, value: str) -> bool:
        """Whether ``value`` is such a text."""
        if not self.pattern.fullmatch(value):
            return False
        try:
            return self.check is None or self.check(value) is not False
        except ValueError:
            return False


def one_of(*values: str) -> Text:
    """One of an enumeration."""
    return Text(f"one of {', '.join(values)}", re.compile("|".join(map(re.escape, values))))


ANY: Final = Text("text", re.compile(r".*", re.DOTALL))
# Surrogates and the last two code points can stand in no XML document.
_NO_XML: Final = r"\ud800-\udfff\ufffe\uffff"
NAME: Final = Text("a text that is not blank, on one line", re.compile(rf"[^\x00-\x1f\x7f{_NO_XML}]{{1,4096}}"))
WORD: Final = Text("a word without blanks", re.compile(rf"[^\x00-\x20\x7f{_NO_XML}]{{1,4096}}"))
OPTIONAL_NAME: Final = Text("one line of text, or nothing", re.compile(rf"[^\x00-\x1f\x7f{_NO_XML}]{{0,4096}}"))
BOOLEAN: Final = one_of("true", "false", "1", "0")
COUNT: Final = Text("a positive integer", re.compile(r"0*[1-9][0-9]{0,8}"))


@dataclass(frozen=True, slots=True)
class Shape:
    """An element: its children in order, or its text.

    ``instead`` is a text that may stand in place of all children; ``empty_at`` an attribute, and the values with which
    there may be none of them (None: the attribute is not there).
    """

    tag: str
    parts: tuple[Part, ...] = ()
    text: Text | None = None
    instead: Text | None = None
    attributes: dict[str, Text] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    empty_at: tuple[str, tuple[str | None, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """How often a child stands: ``least`` to ``most`` times; ``most`` None has no bound."""

    shape: Shape
    least: int = 1
    most: int | None = 1


def leaf(tag: str, text: Text = NAME) -> Shape:
    """An element that holds text alone."""
    return Shape(tag, text=text)


class _Builder:
    """Builds the tree while it counts."""

    def __init__(self, what: str, limits: Limits) -> None:
        self._what, self._limits = what, limits
        self._tree = ET.TreeBuilder()
        self._path: list[str] = []
        self._elements = self._characters = 0

    def _refuse(self, expected: str, found: object) -> None:
        where = "/".join(tag[:_SHOWN] for tag in self._path[:8])
        raise BadInputError(f"{self._what}, {where}", expected, found)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition("}")[2]
        self._path.append(tag)
        self._elements += 1
        self._characters = 0
        if len(self._path) > self._limits.depth:
            self._refuse(f"at most {self._limits.depth} elements within one another", len(self._path))
        if self._elements > self._limits.elements:
            self._refuse(f"at most {self._limits.elements} elements", self._elements)
        for text in (tag, *attributes, *attributes.values()):
            self._bound(len(text))
        # Attributes in a namespace (xsi:...) say something about the document, not in it.
        self._tree.start(tag, {name: value for name, value in attributes.items() if not name.startswith("{")})

    def data(self, text: str) -> None:
        self._characters += len(text)
        self._bound(self._characters)
        self._tree.data(text)

    def end(self, tag: str) -> None:
        self._tree.end(tag.rpartition("}")[2])
        self._path.pop()
        self._characters = 0

    def close(self) -> ET.Element:
        return self._tree.close()

    def _bound(self, length: int) -> None:
        if length > self._limits.text:
            self._refuse(f"at most {self._limits.text} characters in a name or text", f"{length} characters")


def parse_tree(document: bytes, what: str, limits: Limits | None = None) -> ET.Element:
    """The tree of ``document``, without namespaces; BadInputError with ``what`` and the element where it is hostile."""
    limits = limits or Limits()
    if len(document) > limits.size:
        raise BadInputError(what, f"at most {limits.size} bytes", f"{len(document)} bytes, {document[:40]!r}...")
    parser = DefusedXMLParser(target=_Builder(what, limits), forbid_dtd=True)
    try:
        for begin in range(0, len(document), _CHUNK):
            parser.feed(document[begin : begin + _CHUNK])
        root = parser.close()
    # ValueError and LookupError: encodings that expat hands to Python, which does not know them either.
    except (ET.ParseError, defusedxml.DefusedXmlException, ValueError, LookupError) as error:
        raise BadInputError(what, "well-formed XML without entities or a document type", str(error)) from None
    if not isinstance(root, ET.Element):
        raise BadInputError(what, "well-formed XML with a root element")
    return root


def content(element: ET.Element) -> str:
    """The text of an element, without the blanks around it."""
    return (element.text or "").strip()


def check_shape(root: ET.Element, shape: Shape, what: str) -> None:
    """Raise BadInputError, with the path of the element, where the tree below ``root`` has not that shape."""
    if root.tag != shape.tag:
        raise BadInputError(what, f"root element {shape.tag}", root.tag)
    _check(root, shape, f"{what}, {shape.tag}")


def _check(element: ET.Element, shape: Shape, where: str) -> None:
    leaf = shape.text
    if leaf is not None and not len(element) and not element.keys() and not shape.required:
        # Most elements are such: nothing but their text is to be looked at.
        if not leaf.accepts(content(element)):
            raise BadInputError(where, leaf.expected, content(element))
        return
    for name, value in element.items():
        allowed = shape.attributes.get(name)
        if allowed is None:
            raise BadInputError(f"{where}/@{name}", "no such attribute")
        if not allowed.accepts(value.strip()):
            raise BadInputError(f"{where}/@{name}", allowed.expected, value)
    if shape.required and (missing := shape.required.difference(element.keys())):
        raise BadInputError(f"{where}/@{min(missing)}", "this attribute")
    text = content(element)
    if shape.text is not None:
        if len(element):
            raise BadInputError(f"{where}/{element[0].tag[:_SHOWN]}", "text and no element within")
        if not shape.text.accepts(text):
            raise BadInputError(where, shape.text.expected, text)
        return
    if shape.instead is not None and text and not len(element):
        if not shape.instead.accepts(text):
            raise BadInputError(where, f"elements {shape.parts[0].shape.tag}, or {shape.instead.expected}", text)
        return
    for stray in (text, *[child.tail.strip() for child in element if child.tail]):
        if stray:
            raise BadInputError(where, "elements and no text between them", stray)
    _check_children(element, shape, where)


def _check_children(element: ET.Element, shape: Shape, where: str) -> None:
    children, index = list(element), 0
    if not children and shape.empty_at is not None and element.get(shape.empty_at[0]) in shape.empty_at[1]:
        return
    for part in shape.parts:
        tag, count = part.shape.tag, 0
        while index < len(children) and children[index].tag == tag:
            count += 1
            here = f"{where}/{tag}" if part.most == 1 else f"{where}/{tag}[{count}]"
            if part.most is not None and count > part.most:
                raise BadInputError(here, f"at most {part.most} element {tag}", count)
            _check(children[index], part.shape, here)
            index += 1
        if count < part.least:
            found = children[index].tag[:_SHOWN] if index < len(children) else "the end of its parent"
            raise BadInputError(f"{where}/{tag}", f"the element {tag} here", found)
    if index < len(children):
        tag = children[index].tag[:_SHOWN]
        known = ", ".join(part.shape.tag for part in shape.parts)
        raise BadInputError(f"{where}/{tag}", f"no element {tag} here; these, in order: {known}")
