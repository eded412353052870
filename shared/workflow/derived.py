"""Parameters that are read out of auxiliary files, which are read as hostile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from shared.errors import BadInputError
from shared.workflow.processor import Derived
from shared.xmltree import Limits, content, parse_tree

MAX_SIZE: Final = 16 << 20
"""Bytes that such a file may have."""
_VALUE: Final = re.compile(r"[A-Za-z0-9.,:_+-]{1,64}", re.ASCII)


def derive(wanted: Mapping[str, Derived], files: Mapping[str, tuple[str, bytes]]) -> dict[str, str]:
    """The parameters ``wanted`` by name, from ``files``: type to (name, content).

    BadInputError naming the file and the element, or the pattern, where a parameter is not in it, or is none.
    """
    return {name: _derived(name, spec, files) for name, spec in wanted.items()}


def _derived(name: str, spec: Derived, files: Mapping[str, tuple[str, bytes]]) -> str:
    if spec.file_type not in files:
        raise BadInputError(f"parameter {name}", f"a file of type {spec.file_type} among the auxiliary files")
    file, document = files[spec.file_type]
    what = f"auxiliary file {file}, {spec.element or spec.pattern}"
    found = next(_elements(spec, file, document) if spec.element else _matches(spec, document), None)
    if found is None:
        raise BadInputError(what, f"the value of parameter {name}")
    value = found.strip()
    if spec.unsigned or spec.negated:
        value = _signed(value, what, negated=spec.negated)
    if not _VALUE.fullmatch(value):
        raise BadInputError(what, f"a value of parameter {name}, of letters, digits and .,:_+-", value)
    return value


def _elements(spec: Derived, file: str, document: bytes) -> Iterator[str]:
    root = parse_tree(document, f"auxiliary file {file}", Limits(size=MAX_SIZE))
    return (content(element) for element in root.iter(spec.element))


def _matches(spec: Derived, document: bytes) -> Iterator[str]:
    return (match[1] or "" for match in re.finditer(spec.pattern, document.decode("latin-1")))


def _signed(value: str, what: str, *, negated: bool) -> str:
    """The number without its sign, or with the other one; digits stay as they were written."""
    digits = value.lstrip("+-")
    if len(value) - len(digits) > 1 or not re.fullmatch(r"\d+(\.\d+)?", digits, re.ASCII):
        raise BadInputError(what, "a number", value)
    return f"-{digits}" if negated and not value.startswith("-") and digits.strip("0.") else digits
