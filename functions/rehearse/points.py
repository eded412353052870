"""Crash points: before and after each write of each function, found by what functions in fact write.

A write is known by its function, its kind and the shape of its key (names, digests, times and numbers left out), so
that a rehearsal has some hundred points, however many sessions it has.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

When = Literal["before", "after"]

_SHAPES: Final = tuple(
    (re.compile(pattern, re.ASCII), instead)
    for pattern, instead in (
        (r"^(products|names)/[^/]+/.*", r"\1/<level>/<product>"),
        (r"^([A-Z0-9]+/\d{4}/\d\d/\d\d/)[^/]+/", r"<product>/"),
        (r"<product>/(?!manifest).*", "<product>/<file>"),
        (r"\bDCS_[^/]*?(\.receipt)?\.json$", r"<file>\1.json"),
        (r"\bDCS_[^/]*$", "<file>"),
        (r"\bS2[A-D]_\d{20}\b", "<session>"),
        (r"/work/([^/]+)/[^/]+/[0-9a-f]{64}/", r"/work/<step>/<unit>/<digest>/"),
        (r"\bS2[A-D_]_OPER_[A-Z0-9_]{10}[^/]*", "<auxiliary>"),
        (r"\b(?:AUX|GIP)_[A-Z0-9_]{6}\b", "<type>"),
        (r"[0-9a-f]{12,}", "<digest>"),
        (r"\d{8}T\d{4,6}", "<time>"),
        (r"\b\d{8}\b", "<day>"),
        (r"\bS2[A-D]\b", "<satellite>"),
        (r"((?:/attempts|/grants|/reopened|^chain/[^/]+/<day>)/)\d+", r"\1<n>"),
        (r"^<session>/([a-z0-9-]+)/[^/]+/<digest>/.*", r"<session>/\1/<unit>/<digest>/<n>/<file>"),
        (r"/([a-z]+)-[a-z0-9-]+-<digest>(?:-\d+)?\.json$", r"/\1-<work>.json"),
        (r"/sla/[A-Z0-9]+-", "/sla/<level>-"),
        (r"^[A-Z_]{4}/<satellite>/", "<station>/<satellite>/"),
    )
)


@dataclass(frozen=True, slots=True, order=True)
class Write:
    """One kind of write: of which function, what it does, in which bucket, to a key of which shape."""

    who: str
    kind: str
    bucket: str
    key: str

    @property
    def place(self) -> tuple[str, str, str]:
        """What is done, and where, whoever does it."""
        return self.kind, self.bucket, self.key

    def __str__(self) -> str:
        return f"{self.who}: {self.kind} {self.bucket}/{self.key}"


def shape(key: str) -> str:
    """A key without what is of one session, product or instant alone."""
    for pattern, instead in _SHAPES:
        key = pattern.sub(instead, key)
    return key


@dataclass
class Points:
    """Which writes were seen, how often, and at which of their two points a process died.

    ``each``: a process dies at every point until so many did. ``left_to``: a write that another function does as well,
    mostly before this one comes to it: whoever else does it dies before it, so often that this one must.
    """

    each: int = 1
    left_to: Write | None = None
    seen: Counter[Write] = field(default_factory=Counter)
    hit: Counter[tuple[Write, When]] = field(default_factory=Counter)

    def dies(self, write: Write) -> When | None:
        """Whether, and when, the process dies at this write."""
        self.seen[write] += 1
        rare = self.left_to
        if rare is not None and write != rare and write.place == rare.place:
            return "before"
        for when in ("before", "after"):
            if self.hit[write, when] < self.each:
                self.hit[write, when] += 1
                return when
        return None

    def missed(self) -> list[tuple[Write, When]]:
        """The points at which no process died."""
        both: tuple[When, When] = ("before", "after")
        return [(write, when) for write in sorted(self.seen) for when in both if not self.hit[write, when]]
