"""Records of work items: orders, attempts, outcomes, and what they read and write."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from shared.domain.strategy import Decision
from shared.ledger.records.record import Part, Record, Sha256, StatusClass


class FileEntry(Part):
    """One file of an artifact."""

    path: str
    size: int
    sha256: Sha256


class Artifact(Part):
    """Files of one file type that a step reads or wrote: ``files`` below ``prefix`` in ``bucket``.

    ``digest`` is the SHA-256 over the sorted (path, size, sha256) lines of the files: equal digests mean equal trees.
    """

    file_type: str
    name: str
    bucket: str
    prefix: str
    digest: Sha256
    size: int
    unit: str = ""
    files: tuple[FileEntry, ...] = ()
    attributes: dict[str, str] = Field(default_factory=dict)


class ArtifactRef(Part):
    """An input of a work item: an artifact of an earlier outcome, or (complete.json) the session's raw files."""

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


class Timer(Record):
    """Something to decide at ``due``: rule 5, every wait has a deadline."""

    kind: ClassVar[str] = "timer"
    timer: str
    due: AwareDatetime
    session: str
    subject: str = ""


def timer_due(
    created: datetime, due: datetime, kind: str, session: str, subject: str = "", traceparent: str = ""
) -> Timer:
    """A timer record."""
    return Timer(created=created, traceparent=traceparent, timer=kind, due=due, session=session, subject=subject)
