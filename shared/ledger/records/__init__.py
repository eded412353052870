"""Record models of the ledger. Every record is JSON with ``schema``, ``created`` and ``traceparent``."""

from __future__ import annotations

from shared.ledger.records.operators import Action, DeadLetter, Drop, Grant, Hold, Reopened, Replayed
from shared.ledger.records.products import Account, AccountEntry, ProductClaim, Published
from shared.ledger.records.record import FINISHED, Record, Sha256, StatusClass
from shared.ledger.records.sessions import Cleared, Complete, Given, OpenMarker, Receipt, Refusal, Seen, SessionChunk
from shared.ledger.records.work import (
    Artifact,
    ArtifactRef,
    Attempt,
    AttemptEnded,
    FileEntry,
    Order,
    Outcome,
    Timer,
    timer_due,
)

__all__ = [
    "FINISHED",
    "Account",
    "AccountEntry",
    "Action",
    "Artifact",
    "ArtifactRef",
    "Attempt",
    "AttemptEnded",
    "Cleared",
    "Complete",
    "DeadLetter",
    "Drop",
    "FileEntry",
    "Given",
    "Grant",
    "Hold",
    "OpenMarker",
    "Order",
    "Outcome",
    "ProductClaim",
    "Published",
    "Receipt",
    "Record",
    "Refusal",
    "Reopened",
    "Replayed",
    "Seen",
    "SessionChunk",
    "Sha256",
    "StatusClass",
    "Timer",
    "timer_due",
]
