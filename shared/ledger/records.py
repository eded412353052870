"""Record models of the ledger. Every record is JSON with ``schema``, ``created`` and ``traceparent``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field

from shared.domain.strategy import Decision, WorkClass
from shared.ledger.keys import WorkKey

StatusClass = Literal["succeeded", "succeeded-with-warnings", "no-product", "retry", "failed", "infrastructure"]
FINISHED: frozenset[str] = frozenset({"succeeded", "succeeded-with-warnings"})

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    """What all records share. Unknown fields are kept out, so that a misspelt one is found at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)
    kind: ClassVar[str] = "record"

    schema_: str = Field(default="", alias="schema")
    created: AwareDatetime
    traceparent: str = ""

    def model_post_init(self, _context: Any, /) -> None:
        expected = f"org.s2ps.{self.kind}/1"
        if self.schema_ not in {"", expected}:
            raise ValueError(f"schema: expected {expected}, found {self.schema_}")
        object.__setattr__(self, "schema_", expected)

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True, indent=1).encode()


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


class SessionChunk(BaseModel):
    """One raw file of a complete session."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    name: str
    key: str
    channel: int
    size: int
    sha256: Sha256


class Given(BaseModel):
    """The work item whose outcome was given from outside, and not made. ``digest``: that of what was given."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
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


class FileEntry(BaseModel):
    """One file of an artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    path: str
    size: int
    sha256: Sha256


class Artifact(BaseModel):
    """Files of one file type that a step reads or wrote: ``files`` below ``prefix`` in ``bucket``.

    ``digest`` is the SHA-256 over the sorted (path, size, sha256) lines of the files: equal digests mean equal trees.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    file_type: str
    name: str
    bucket: str
    prefix: str
    digest: Sha256
    size: int
    unit: str = ""
    files: tuple[FileEntry, ...] = ()
    attributes: dict[str, str] = Field(default_factory=dict)


class ArtifactRef(BaseModel):
    """An input of a work item: an artifact of an earlier outcome, or (complete.json) the session's raw files."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    file_type: str
    outcome: str
    name: str
    digest: Sha256


class Order(Record):
    """The claim of one work item.

    ``facts``: what earlier runs found out about the unit (``shared.workflow.processor.Fact``). ``auxiliary``: the names
    of the auxiliary files that were chosen. ``warnings``: what is gone on without, for the products to tell.
    ``strategy``: the version that decided ``decision``, and by which of its rules each matter. ``rerun``: the number of
    the rerun that it is made anew for; its budget runs from that one then, and not from the session's T0.
    """

    kind: ClassVar[str] = "order"
    session: str
    step: str
    unit: str
    digest: Sha256
    processor: str
    version: str
    inputs: tuple[ArtifactRef, ...]
    parameters: dict[str, str]
    facts: dict[str, str] = Field(default_factory=dict)
    auxiliary: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    t0: AwareDatetime
    deadline: AwareDatetime
    priority: int = 0
    strategy: str = ""
    decision: Decision | None = None
    rules: dict[str, str] = Field(default_factory=dict)
    rerun: Annotated[int, Field(ge=0)] = 0

    @property
    def processor_set(self) -> str:
        """The processor set that a strategy decided; empty for that of the settings."""
        return (self.decision.processor_set or "") if self.decision is not None else ""


class Attempt(Record):
    """One attempt at a work item."""

    kind: ClassVar[str] = "attempt"
    number: int
    job: str
    cpus: float
    memory_mb: int
    time_limit_s: int


class AttemptEnded(Record):
    """An attempt ended without an outcome of its own."""

    kind: ClassVar[str] = "attempt-ended"
    number: int
    status: StatusClass
    exit_code: int | None = None
    reason: str = ""
    retry_at: AwareDatetime | None = None


class Outcome(Record):
    """The first finished attempt: final. Attempt 0: nothing ran, the outputs were given from outside.

    ``units`` names what fans out (``datastrip``, ``tile``), ``facts`` what was found out: the order's, and its own.
    ``processor_set``: the order's, which says what of the outputs become products.
    """

    kind: ClassVar[str] = "outcome"
    step: str
    unit: str
    attempt: int
    status: StatusClass
    exit_code: int | None = None
    reason: str = ""
    started: AwareDatetime
    finished: AwareDatetime
    outputs: tuple[Artifact, ...] = ()
    units: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    facts: dict[str, str] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    figures: dict[str, float] = Field(default_factory=dict)
    processor_set: str = ""


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


class AccountEntry(BaseModel):
    """How one expected product ended."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
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


class Cleared(Record):
    """What a session had left on the volumes that its datastrips share has gone; ``claim``: on which."""

    kind: ClassVar[str] = "cleared"
    session: str
    claim: str


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


class Timer(Record):
    """Something to decide at ``due``: rule 5, every wait has a deadline."""

    kind: ClassVar[str] = "timer"
    timer: str
    due: AwareDatetime
    session: str
    subject: str = ""


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


def timer_due(
    created: datetime, due: datetime, kind: str, session: str, subject: str = "", traceparent: str = ""
) -> Timer:
    """A timer record."""
    return Timer(created=created, traceparent=traceparent, timer=kind, due=due, session=session, subject=subject)
