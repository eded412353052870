"""Records of products, and the account of a session."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from shared.ledger.records.record import Part, Record, StatusClass
from shared.ledger.records.work import FileEntry


class Published(Record):
    """A product is on the shelf: its ``manifest.json`` stands at ``manifest``.

    ``rerun``: the number of the rerun that made it anew; what was made of the same unit before is superseded by it.
    """

    kind: ClassVar[str] = "product"
    product: str
    level: str
    product_type: str
    session: str
    step: str
    unit: str
    bucket: str
    prefix: str
    manifest: str
    size: int
    files: tuple[FileEntry, ...]
    sensing_start: AwareDatetime
    footprint: str = ""
    t0: AwareDatetime
    deadline: AwareDatetime
    status: StatusClass
    provenance: dict[str, str] = Field(default_factory=dict)
    rerun: Annotated[int, Field(ge=0)] = 0


class ProductClaim(Record):
    """The name of a product belongs to the work item at this ledger prefix: written before any file of it."""

    kind: ClassVar[str] = "product-claim"
    product: str
    work: str


class AccountEntry(Part):
    """How one expected product ended."""

    level: str
    step: str
    unit: str
    product: str
    ended: Literal["produced", "absent", "parked"]
    reason: str = ""
    at: AwareDatetime | None = None
    deadline: AwareDatetime | None = None
    slack_s: float | None = None
    warning: str = ""


class Account(Record):
    """The end of a session: every product that it promised, and how it ended.

    ``refused``: what was refused and stayed so; ``repaired``: what was refused, and came whole later. ``reopened``: how
    often the session had been opened again when this was made; an account that knows of fewer reopenings than there are
    is superseded. ``held``: some of it is parked by an operator's hold. ``not_owed``: what was not asked for, a line
    for each datastrip. ``unlike_plan``: where what came is not what the plan owed, a line for each datatake;
    ``planned_tiles``: how many tiles the plan foresaw of it, and how many the account has.
    ``last_sensed``: when the last line of the session was sensed, from which the second clock runs; None
    where a product was given.
    """

    kind: ClassVar[str] = "account"
    session: str
    t0: AwareDatetime | None
    entries: tuple[AccountEntry, ...]
    produced: int
    absent: int
    parked: int
    refused: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    reopened: int = 0
    held: bool = False
    not_owed: tuple[str, ...] = ()
    unlike_plan: tuple[str, ...] = ()
    planned_tiles: tuple[str, ...] = ()
    last_sensed: AwareDatetime | None = None
