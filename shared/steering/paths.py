"""Paths of files inside a product that comes from outside."""

from __future__ import annotations

import re
from typing import Final

from shared.errors import BadInputError

MOST_FILES: Final = 5000
_STEP: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._+=@,()~-]{0,254}", re.ASCII)
_LONGEST: Final = 900
_CLUTTER: Final = frozenset(("__macosx", "thumbs.db", "desktop.ini"))


def clutter(path: str) -> bool:
    """Whether a file is none of the product's, but what a desktop, a client or a viewer left: hidden files and macOS'
    resource forks, Windows' thumbnails, ``name_$folder$``, GDAL's ``.aux.xml``.
    """
    steps = path.split("/")
    # Not "..", which leads out: that is refused, not passed over.
    hidden = any(step.startswith(".") and step.strip(".") for step in steps)
    left = any(step.lower() in _CLUTTER for step in steps)
    return hidden or left or path.endswith(("_$folder$", ".aux.xml"))


def checked(what: str, path: str) -> str:
    """The path; BadInputError where a step of it is hidden, leads out, or has other characters than products have."""
    if len(path) > _LONGEST or not all(_STEP.fullmatch(step) for step in path.split("/")):
        raise BadInputError(f"{what}, path", "steps of letters, digits and ._-, none hidden", path)
    return path
