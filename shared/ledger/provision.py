"""Records of the auxiliary files of a work item: what it waits for, and what was decided.

Beside ``order.json``, below the work item: ``waiting.json`` (``Waiting``) while files are awaited, and for good as the
record of since when; ``auxiliary.json`` (``Provision``), the decision, written once and before the order.
``waiting/<type>/<mark>.json`` (``Awaiter``) names the work items that wait for a type: a projection of ``Waiting``.
``arrivals/<type>.json`` (``Arrival``) is written again with each file of a type that becomes usable, and
``arrivals/<type>/<after>.json`` where more wait for it than one event wakes: the next event goes on after that mark.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import ClassVar, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.domain.auxiliary.decision import AuxiliaryDecision, Awaited
from shared.ledger.keys import WorkKey
from shared.ledger.records import Order, Record

ARRIVALS: Final = "arrivals/"
WAITING: Final = "waiting/"
_ARRIVAL: Final = re.compile(r"arrivals/([A-Z_]{3}_[A-Z0-9_]{6})(?:/([0-9a-f]{64}))?\.json", re.ASCII)


class UnitFacts(BaseModel):
    """What the choice of auxiliary files asks of a unit: satellite, and from when to when its data were sensed.

    ``note``: where that is not known, what is taken in its place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    station: str
    satellite: str
    start: AwareDatetime
    stop: AwareDatetime
    note: str = ""


class Waiting(Record):
    """A work item asked for its auxiliary files first at ``created``, and not all are there.

    ``order``: as it will be, but for what follows from the files. ``until``: when is asked again at the latest.
    ``marks``: of each type awaited, what the catalogue held when it was last asked.
    """

    kind: ClassVar[str] = "waiting"
    order: Order
    unit: UnitFacts
    until: AwareDatetime
    awaited: tuple[Awaited, ...]
    marks: dict[str, str] = Field(default_factory=dict)

    @property
    def types(self) -> tuple[str, ...]:
        """The types awaited, each once."""
        return types_of(self.awaited)


class Provision(Record):
    """The auxiliary files of a work item: decided once. ``parameters``: read out of them.

    ``parked``: why the work is not to run, decided in the same place: either it runs, or it is parked. Once an operator
    has granted another try, another decision takes its place.
    """

    kind: ClassVar[str] = "auxiliary-decision"
    job: str
    unit: UnitFacts
    decision: AuxiliaryDecision
    parameters: dict[str, str] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    parked: str = ""


class Awaiter(Record):
    """A work item waits for a type."""

    kind: ClassVar[str] = "awaiter"
    work: str


class Arrival(Record):
    """A file of a type became usable."""

    kind: ClassVar[str] = "arrival"
    type: str
    name: str = ""


def place_of(order: Order) -> WorkKey:
    """Where the work of ``order`` stands in the ledger."""
    return WorkKey(order.session, order.step, order.unit, order.digest)


def types_of(awaited: Iterable[Awaited]) -> tuple[str, ...]:
    return tuple(sorted({each.wanted.type for each in awaited}))


def awaiters(kind: str) -> str:
    """Where those stand that wait for a type."""
    return f"{WAITING}{kind}/"


def awaiter(kind: str, place: WorkKey) -> str:
    """One for each work item: its digest alone may be another session's as well, where all inputs are equal."""
    return f"{awaiters(kind)}{mark_of(place)}.json"


def mark_of(place: WorkKey) -> str:
    """The SHA-256 of where a work item stands (hex, 64 digits)."""
    return hashlib.sha256(place.prefix.encode()).hexdigest()


def arrival(kind: str, after: str = "") -> str:
    return f"{ARRIVALS}{kind}{f'/{after}' if after else ''}.json"


def parse_arrival(key: str) -> tuple[str, str] | None:
    """(type, mark to go on after, or nothing) of the key of an arrival; None for other keys."""
    match = _ARRIVAL.fullmatch(key)
    return None if match is None else (match[1], match[2] or "")
