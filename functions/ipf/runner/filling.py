"""Placeholders: what stands for them in an attempt, and filling them in (list: ``shared.workflow.processor``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

from shared.errors import ConfigurationError

_PLACE: Final = re.compile(r"\{([A-Za-z0-9_:.-]{1,64})\}")


def fill(text: str, values: Mapping[str, str], where: str) -> str:
    """``text`` with each placeholder replaced, in one pass: what is filled in is not looked at again.

    ConfigurationError names ``where`` and the placeholder that nothing stands for.
    """

    def value(match: re.Match[str]) -> str:
        try:
            return values[match[1]]
        except KeyError:
            known = ", ".join(sorted(values))
            raise ConfigurationError(f"{where}: expected one of the placeholders {known}, found {match[0]}") from None

    return _PLACE.sub(value, text)


def fill_known(document: str, values: Mapping[str, str]) -> str:
    """An XML document with the placeholders that are known replaced, and all others left as they are."""
    return _PLACE.sub(lambda match: escape(values[match[1]]) if match[1] in values else match[0], document)
