"""What the records of a session say of its times, and the critical path of one product."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

Kind = Literal[
    "transfer", "station", "event", "function", "hand-over", "auxiliary", "queue", "start", "stage-in", "ipf",
    "stage-out", "failed", "pause", "operator", "untold",
]  # fmt: skip
"""What a part of a path was spent on.

``transfer``: bytes from the station, of the file or of others while it waits its turn. ``station``: a file that the
session waited for and went on without. ``event``: from a record to the call that it caused. ``function``: within that
call. ``hand-over``: the two of them, where no span parts them. ``auxiliary``: an auxiliary file was awaited. ``queue``:
from a Job's launch to its first process: room in the cluster, images. ``start``: of our own process, and between the
containers of a Job. ``failed``: an attempt that came to nothing. ``pause``: until the next attempt. ``operator``: held,
or failed until more attempts were granted. ``untold``: no record says.
"""

OWN: Final[frozenset[Kind]] = frozenset(
    {"event", "function", "hand-over", "start", "stage-in", "stage-out", "pause", "untold"}
)
"""The service's own time. What no record explains counts as its own; waiting for room in a cluster does not."""

Hops = tuple[tuple[str, str], ...]
Stretch = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of a path. ``hops``, of a hand-over: (function, record that it was called with), first to last."""

    kind: Kind
    what: str
    start: datetime
    end: datetime
    hops: Hops = ()

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Run:
    """The attempt that wrote the outcome; seconds as it counted them. ``start_s``: of its process, before stage-in."""

    number: int
    launched: datetime
    started: datetime
    finished: datetime
    start_s: float = 0.0
    stage_in_s: float = 0.0
    execute_s: float = 0.0
    stage_out_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt before it that came to nothing. ``granted``: when an operator allowed the next one."""

    number: int
    launched: datetime
    ended: datetime
    retry_at: datetime | None = None
    granted: datetime | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """A work item with its outcome. ``cause``: the record that came last of those that readied it, at ``readied``.

    ``awaited``: from when to when it waited for auxiliary files; ``held``: when an operator held it; ``asked``: when an
    operator asked for it anew, where that readied it. ``run``: None where the outcome was given from outside.
    """

    step: str
    unit: str
    order: str
    cause: str
    readied: datetime
    run: Run | None
    lost: tuple[Lost, ...] = ()
    awaited: Stretch | None = None
    held: tuple[Stretch, ...] = ()
    asked: datetime | None = None

    @property
    def name(self) -> str:
        return f"{self.step} {self.unit}"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the session: seen at the station, in the store since, after a request of so many seconds.

    ``record`` and ``receipt``: the keys of the records that say so.
    """

    name: str
    seen: datetime
    received: datetime
    seconds: float
    record: str = ""
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """How the session began. ``partial``: it went on without files that it had waited for."""

    complete: datetime
    files: tuple[File, ...] = ()
    partial: bool = False

    @property
    def begin(self) -> datetime:
        """The last file seen at the station; of a session without files, when it was opened."""
        return max((file.seen for file in self.files), default=self.complete)


@dataclass(frozen=True, slots=True)
class Product:
    """A product on the shelf; ``cause``: the outcome that it is of."""

    name: str
    level: str
    cause: str
    published: datetime


@dataclass(frozen=True)
class Story:
    """What the records of a session say of its times. ``work``: by the key of the outcome."""

    arrival: Arrival
    work: Mapping[str, Work]


@dataclass(frozen=True)
class CriticalPath:
    """The way of one product. ``skew_s``: by how much times on it contradict each other at most; these are cut to 0."""

    product: Product
    begin: datetime
    parts: tuple[Part, ...]
    skew_s: float = 0.0

    @property
    def total_s(self) -> float:
        return sum(part.seconds for part in self.parts)

    @property
    def own_s(self) -> float:
        return sum(part.seconds for part in self.parts if part.kind in OWN)

    def seconds_of(self, *kinds: Kind) -> float:
        return sum(part.seconds for part in self.parts if part.kind in kinds)

    @property
    def first_ipf_s(self) -> float | None:
        """From the last file seen to the first attempt at an IPF on the way; None where there is none."""
        starts = [part.start for part in self.parts if part.kind in {"ipf", "failed"}]
        return None if not starts else (min(starts) - self.begin).total_seconds()


@dataclass(frozen=True, slots=True)
class Spread:
    """Of some seconds: how many, median, 95th percentile (nearest rank: a value that was there) and the largest."""

    n: int
    p50: float
    p95: float
    max: float


def spread(seconds: Iterable[float]) -> Spread:
    """ValueError where there are none."""
    found = sorted(seconds)
    if not found:
        raise ValueError("seconds: expected at least one")

    def rank(share: float) -> float:
        return found[max(0, math.ceil(share * len(found)) - 1)]

    return Spread(len(found), rank(0.5), rank(0.95), found[-1])
