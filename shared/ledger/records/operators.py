"""Records of what operators do, and of what calls for them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, Field

from shared.ledger.records.record import Record
from shared.ledger.records.work import Outcome


class Hold(Record):
    """An operator's hold: no new attempt is launched. ``released``: since when it has not been in force."""

    kind: ClassVar[str] = "hold"
    session: str
    target: str
    who: str
    reason: str
    released: AwareDatetime | None = None
    released_by: str = ""
    released_reason: str = ""


class Grant(Record):
    """An operator allows more attempts after number ``after``; the failed ``outcome`` is superseded, and kept here."""

    kind: ClassVar[str] = "grant"
    after: Annotated[int, Field(ge=0)]
    etag: str
    outcome: Outcome
    who: str
    reason: str


class Reopened(Record):
    """An operator opened the account of a session again. An account must know of all reopenings to be in force.

    ``incomplete``: the session is to go on with the files that are there.
    """

    kind: ClassVar[str] = "reopened"
    session: str
    number: Annotated[int, Field(ge=1)]
    action: str
    who: str
    reason: str
    station: str
    satellite: str
    incomplete: bool = False


class Action(Record):
    """What an operator asked for, written before anything is changed."""

    kind: ClassVar[str] = "action"
    action: str
    target: str
    who: str
    reason: str
    concerns: tuple[str, ...] = ()


class Replayed(Record):
    """The event of a dead letter was sent again, or it is said what stands in for it."""

    kind: ClassVar[str] = "replayed"
    dead_letter: str
    who: str
    reason: str
    note: str


class DeadLetter(Record):
    """An event that nothing could handle."""

    kind: ClassVar[str] = "dead-letter"
    event: dict[str, Any]
    reason: str
    function: str = ""


class Drop(Record):
    """What came of something that lay in the drop box: the session it was submitted to, or why it was refused.

    ``place``: where it lay, cut short, with all that is not ASCII escaped. ``came``: when the last of it did.
    """

    kind: ClassVar[str] = "drop"
    place: str
    came: AwareDatetime
    session: str = ""
    refused: str = ""
