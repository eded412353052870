"""What the strategy of a session decides of its work: the strategy asked about one session, unit by unit.

Of a session as a whole are decided: the processor set whose graph is its own, and what is decided before it is
complete; of a datastrip its split. Of each unit of each step: all else, another processor set for it among them. What
is made beside Level 0 may be left out; Level 0 is made of everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from shared.domain.areas import Point, read_footprint
from shared.domain.deadlines import deadline
from shared.domain.names import downlink_of
from shared.domain.strategy import CLASS_PRIORITY, DEFAULT, Decided, Strategy, Subject
from shared.errors import BadInputError
from shared.ledger.records import Artifact, Complete, Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from shared.workflow.graph import Step

RELATIVE_ORBIT: Final = "relative_orbit"
FOOTPRINT: Final = "footprint"
"""The fact, and the attribute of an artifact: latitudes and longitudes of the datastrip, as EXT_POS_LIST has them."""
DATATAKE_TYPE: Final = "datatake_type"
"""The fact that tells the type of the datatake which a datastrip is of."""
_TILE: Final = "-T"
_PART: Final = "-P"


_NO_SESSION: Final = Subject(unit="")
UNDECIDED: Final = DEFAULT.decide(_NO_SESSION)
"""Nothing is decided: processor set and settings stand."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a unit: the facts that earlier runs found out, and how many scenes it has."""

    facts: Mapping[str, str] = field(default_factory=dict)
    scenes: int | None = None

    @property
    def footprint(self) -> tuple[Point, ...]:
        """That of the datastrip; empty where it is not known, or is none."""
        text = self.facts.get(FOOTPRINT, "")
        return _ring(text) if text else ()

    @property
    def relative_orbit(self) -> int | None:
        text = self.facts.get(RELATIVE_ORBIT, "")
        return int(text) if text.isascii() and text.isdigit() else None


@dataclass(frozen=True)
class Ruling:
    """A strategy and what is known of the session that runs under it."""

    strategy: Strategy = DEFAULT
    session: Subject = _NO_SESSION

    @cached_property
    def whole(self) -> Decided:
        """What is decided of the session, before anything is known of its datastrips."""
        return self.strategy.decide(self.session)

    @property
    def other_sets(self) -> tuple[str, ...]:
        """The processor sets, beside the session's own, that work of it may be bound to."""
        own = self.whole.decision.processor_set
        return tuple(name for name in self.strategy.sets_of_parts(self.session) if name != own)

    @property
    def name(self) -> str:
        return f"{self.strategy.name} {self.strategy.version}"

    def of(self, step: Step, unit: str, known: Known) -> Decided:
        """What is decided of the work of ``step`` on ``unit``."""
        return self.strategy.decide(self._subject(step, unit, known)) if self.strategy.rules else UNDECIDED

    def deadline(self, level: str, decided: Decided, start: datetime) -> datetime:
        """When a product of ``level`` must be queryable, for a session with T0 ``start``."""
        return deadline(start, level, decided.decision.budgets)

    def priority(self, decided: Decided, *, anew: bool = False) -> int:
        """Of work: what is decided, and what the session's class adds; what is made ``anew`` is reprocessing."""
        return (decided.decision.priority or 0) + CLASS_PRIORITY["reprocessing" if anew else self.session.work_class]

    def left_out(self, step: Step, unit: str, known: Known, decided: Decided) -> str:
        """By which rule the work of ``step`` on ``unit`` is not asked for; empty where no rule says so."""
        decision = decided.decision
        if not step.serves:
            return ""
        if decision.levels is not None and set(step.serves).isdisjoint(decision.levels):
            return f"by rule {decided.by['levels']} of strategy {self.name}"
        if decision.sample is not None and not decision.sample.takes(self._drawn(step, unit, known, decided)):
            return (
                f"by the sample of rule {decided.by['sample']} of strategy {self.name} ({decision.sample.percent:g} %)"
            )
        return ""

    def _drawn(self, step: Step, unit: str, known: Known, decided: Decided) -> str:
        """The name to draw by: of the largest unit for which the rule holds, so that its parts are drawn together; and
        all sessions of one downlink draw the same.
        """
        downlink = downlink_of(self.session.unit)
        strip = unit.partition(_TILE)[0].partition(_PART)[0]
        whole = replace(self.session, step=step.name, level=step.level)
        for name, subject in (("", whole), (strip, self._subject(step, strip, known))):
            found = self.strategy.decide(subject)
            if found.by.get("sample") == decided.by["sample"]:
                return f"{downlink}/{name}"
        return f"{downlink}/{unit}"

    def _subject(self, step: Step, unit: str, known: Known) -> Subject:
        return replace(
            self.session,
            unit=unit,
            relative_orbit=known.relative_orbit,
            datatake_type=known.facts.get(DATATAKE_TYPE, ""),
            footprint=known.footprint,
            tile=unit.rpartition(_TILE)[2] if _TILE in unit else "",
            step=step.name,
            level=step.level,
            scenes=known.scenes,
        )


@lru_cache(maxsize=16)
def _ring(text: str) -> tuple[Point, ...]:
    try:
        return read_footprint(text, FOOTPRINT)
    except BadInputError:
        return ()


def subject_of(complete: Complete) -> Subject:
    """What is known of a session that is complete."""
    return Subject(
        unit=complete.session,
        satellite=complete.satellite,
        station=complete.station,
        work_class=complete.work_class,
        when=complete.t0,
    )


def ruling_of(strategy: Strategy, complete: Complete) -> Ruling:
    """What ``strategy`` decides of a session."""
    return Ruling(strategy, subject_of(complete))


def footprint_of(records: list[Complete | Outcome]) -> dict[str, str]:
    """The fact that tells the footprint of a datastrip, where its artifacts do, those of its granules apart."""
    for record in records:
        for artifact in () if isinstance(record, Complete) else record.outputs:
            if FOOTPRINT in artifact.attributes and _is_whole(artifact):
                return {FOOTPRINT: artifact.attributes[FOOTPRINT]}
    return {}


def _is_whole(artifact: Artifact) -> bool:
    return not artifact.unit and not artifact.file_type.endswith("_GR_LIST")
