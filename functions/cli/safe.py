"""Text from outside, made safe for a terminal."""

from __future__ import annotations


def safe(text: str) -> str:
    """``text`` with everything unprintable escaped: no terminal sequence, line break or direction mark gets through."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
