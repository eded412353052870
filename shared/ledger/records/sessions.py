"""Records of a session: its files, and what processing starts from."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, AwareDatetime, Field

from shared.domain.strategy import WorkClass
from shared.ledger.keys import WorkKey
from shared.ledger.records.record import Part, Record, Sha256


class OpenMarker(Record):
    """This session's account is not closed."""

    kind: ClassVar[str] = "open"
    session: str
    station: str
    satellite: str


class Seen(Record):
    """A file was seen at the station."""

    kind: ClassVar[str] = "seen"
    session: str
    file: str
    station: str
    tree: Literal["NOMINAL", "RETRANSFER"]
    satellite: str
    path: str
    size: Annotated[int, Field(ge=0)]
    modified: AwareDatetime


class Receipt(Record):
    """A file is in the store, whole. ``modified`` and ``size`` are those of the ``Seen`` it answers."""

    kind: ClassVar[str] = "receipt"
    session: str
    file: str
    key: str
    size: int
    sha256: Sha256
    etag: str
    modified: AwareDatetime
    seconds: float = 0.0
    resumed_from: int = 0


class Refusal(Record):
    """A file, or what a file says, was refused. ``sha256``: of its content, where that was what was refused."""

    kind: ClassVar[str] = "refusal"
    session: str
    file: str
    reason: str
    sha256: str = ""


class SessionChunk(Part):
    """One raw file of a complete session."""

    name: str
    key: str
    channel: int
    size: int
    sha256: Sha256


class Given(Part):
    """The work item whose outcome was given from outside, and not made. ``digest``: that of what was given."""

    step: str
    unit: str
    digest: Sha256

    def key(self, session: str) -> WorkKey:
        return WorkKey(session, self.step, self.unit, self.digest)


class Complete(Record):
    """What processing starts from: the raw files of a session, or (``given``) a product that came from elsewhere.

    ``missing`` and ``reason`` tell of a partial session. ``strategy``: the version that it is processed under, to its
    end, whatever is activated meanwhile; empty for the default one. ``pass_stop``: the end of the pass, by the DSIBs;
    ``sensing_stop`` in records of before.
    """

    kind: ClassVar[str] = "complete"
    session: str
    station: str
    satellite: str
    t0: AwareDatetime
    pass_stop: AwareDatetime | None = Field(default=None, validation_alias=AliasChoices("pass_stop", "sensing_stop"))
    files: tuple[SessionChunk, ...]
    missing: tuple[str, ...] = ()
    reason: str = ""
    given: Given | None = None
    strategy: str = ""
    work_class: WorkClass = "nominal"


class Cleared(Record):
    """What a session had left on the volumes that its datastrips share has gone; ``claim``: on which."""

    kind: ClassVar[str] = "cleared"
    session: str
    claim: str
