"""The attempts at one work item, as the ledger tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.ledger.keys import WorkKey
from shared.ledger.ledger import Ledger
from shared.ledger.records import AttemptEnded

RETRYABLE = frozenset({"retry", "infrastructure"})


@dataclass(frozen=True, slots=True)
class Attempts:
    """``started``: the newest attempt's number, 0 before the first; ``ended`` by number: those that failed."""

    started: int
    ended: Mapping[int, AttemptEnded]

    @property
    def last_end(self) -> AttemptEnded | None:
        """How the newest attempt ended, or None while it is under way (or before the first)."""
        return self.ended.get(self.started)

    def due(self, now: datetime, limit: int) -> int | None:
        """The number of the attempt that should be running now, or None where none should."""
        if self.started == 0:
            return 1
        end = self.last_end
        if end is None:
            return self.started
        if end.status not in RETRYABLE or self.started >= limit or end.retry_at is None or end.retry_at > now:
            return None
        return self.started + 1


def read_attempts(ledger: Ledger, place: WorkKey) -> Attempts:
    """The attempts at ``place``: one listing, and one read per attempt that ended."""
    prefix = f"{place.prefix}attempts/"
    started, ended = 0, {}
    for info in ledger.list(prefix):
        head = info.key[len(prefix) :].removesuffix(".json")
        number, _, tail = head.partition(".")
        if tail == "ended":
            ended[int(number)] = ledger.read(info.key, AttemptEnded)
        started = max(started, int(number))
    return Attempts(started, ended)
