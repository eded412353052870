"""Relative paths that come from outside (records, output folders): checked before they name a file or a key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from shared.errors import BadInputError

# What PDI, SAFE and raw file names are made of, and some room; no separator, no control character, not hidden.
_STEP: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._+=@,()~-]{0,254}", re.ASCII)
_MAX: Final = 900


def checked(path: str) -> str:
    """``path`` where it may be part of an object key and of a file's path; BadInputError where it may not."""
    if len(path) > _MAX or not all(_STEP.fullmatch(step) for step in path.split("/")):
        raise BadInputError("path", "steps of letters, digits and ._-, none hidden, none leading upwards", path)
    return path


def below(folder: Path, path: str) -> Path:
    """``path`` below ``folder``."""
    return folder / checked(path)
