"""How long steps took, as the ledger keeps it: one small record for a processor set, added to when a session closes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar, Final

from pydantic import Field

from shared.domain.forecast import Durations, Prior, expected_s
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords
from shared.ledger.ledger import Ledger
from shared.ledger.records import Record
from shared.sla.progress import ARRIVAL, PUBLICATION, begun

PRIORS: Final[Mapping[str, Prior]] = {
    step: Prior(p50_s=p50, p95_s=p95)
    for step, (p50, p95) in {
        ARRIVAL: (60, 240),
        "l0u": (100, 160),
        "l0c": (130, 200),
        "l1a": (600, 950),
        "l1b": (540, 850),
        "l1a-format": (360, 550),
        "l1b-format": (360, 550),
        "l1c-ds": (80, 130),
        "l1c": (380, 620),
        "l2a-ds": (80, 130),
        "l2a": (620, 1050),
        PUBLICATION: (15, 60),
    }.items()
}
"""Before runs were seen: of a datastrip of some 30 scenes on a cluster that has room, from the order to the outcome.

The run times of the licensed processors are not public: these are the figures that rehearsals work with.
"""

_ELSE: Final = Prior(p50_s=300, p95_s=600)
_REMEMBERED: Final = 512
_TRIES: Final = 50
_SHARES: Final = (0.5, 0.95)


class StepDurations(Record):
    """From a step's order (or its wait for auxiliary files) to its outcome. ``sessions``: the last that were added."""

    kind: ClassVar[str] = "durations"
    steps: dict[str, Durations] = Field(default_factory=dict)
    sessions: tuple[str, ...] = ()

    def with_session(self, session: str, took: Iterable[tuple[str, float]], now: datetime) -> StepDurations:
        """With the runs of a session, (step, seconds) each."""
        steps = dict(self.steps)
        for step, seconds in took:
            steps[step] = steps.get(step, Durations()).plus(seconds)
        sessions = (*self.sessions, session)[-_REMEMBERED:]
        return StepDurations(created=now, steps=steps, sessions=sessions)


def runs(work: Iterable[WorkRecords]) -> list[tuple[str, float]]:
    """(step, seconds) of each work item that went its way from order to outcome.

    Not what was given from outside, and not what an operator gave more attempts: that waited for the operator.
    """
    found = []
    for each in work:
        since = begun(each)
        if since is not None and each.outcome is not None and each.attempts and not each.grants:
            found.append((each.place.step, max(0.0, (each.outcome.modified - since).total_seconds())))
    return found


def add_session(ledger: Ledger, processor_set: str, session: str, took: list[tuple[str, float]], now: datetime) -> bool:
    """Count a session's runs in, once however often this is called; False where they had been, or there are none."""
    key = keys.durations(processor_set)
    for _ in range(_TRIES if took else 0):
        if not ledger.exists(key):
            ledger.create(key, StepDurations(created=now))
        record, etag = ledger.read_with_etag(key, StepDurations)
        if session in record.sessions:
            return False
        if ledger.replace(key, record.with_session(session, took, now), etag):
            return True
    return False


def expectation(
    seen: Mapping[str, Durations], configured: Mapping[str, tuple[float, float]], step: str, units: int
) -> float:
    """Seconds within which the slowest of so many units of a step has ended.

    The slowest of n is expected where n / (n + 1) of the runs ended; at least the median, at most the 95th percentile.
    """
    low, high = _SHARES
    prior = PRIORS.get(step, _ELSE)
    if step in configured:
        p50, p95 = configured[step]
        prior = Prior(p50_s=p50, p95_s=max(p50, p95))
    return expected_s(seen.get(step), prior, min(high, max(low, units / (units + 1))))
