"""Work that is made anew: what an operator asked to be run once more, and what follows from it.

The number of a rerun is part of the name of each work item that it concerns: that of its step, on its units, and all
that hangs on these. So they are other work items than those before, whose outcomes ready nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final

from pydantic import AwareDatetime, Field

from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Record
from shared.workflow.parts import unit_above


class Rerun(Record):
    """An operator asked for ``step`` to be run anew, on ``units`` (none named: all), and what follows from it.

    ``since``: products of it are dated then or later, so that their names are others; their budget runs from then.
    ``reopened``: how often the session's account had been opened again before it.
    """

    kind: ClassVar[str] = "rerun"
    session: str
    number: int = Field(ge=1)
    step: str
    units: tuple[str, ...] = ()
    since: AwareDatetime
    reopened: int = Field(ge=0)
    who: str
    reason: str

    @property
    def key(self) -> str:
        return keys.rerun(self.session, self.number)

    def __str__(self) -> str:
        return (
            f"rerun {self.number} from {self.step}{' of ' if self.units else ''}{', '.join(self.units)} by {self.who}"
        )

    def covers(self, unit: str) -> bool:
        """Whether it is asked for on ``unit``."""
        return not self.units or belongs(unit, self.units, self.session)


def belongs(unit: str, units: Collection[str], session: str) -> bool:
    """Whether a unit is one of ``units``, or a part or tile of one."""
    above = {unit, *(unit_above(unit, kind, session) for kind in ("part", "datastrip", "session"))}
    return not above.isdisjoint(units)


@dataclass(frozen=True, slots=True)
class Reruns:
    """The reruns of one session, by each step that they concern, in their order."""

    by_step: Mapping[str, tuple[Rerun, ...]] = field(default_factory=dict)

    def of(self, step: str, unit: str) -> Rerun | None:
        """The newest one that the work of ``step`` on ``unit`` is made anew for; None where it is as it ever was."""
        return next((rerun for rerun in reversed(self.by_step.get(step, ())) if rerun.covers(unit)), None)

    def start(self, steps: Iterable[str], t0: datetime) -> datetime:
        """When the budget of what these steps make began: T0, or with the newest rerun of any of them."""
        return max((rerun.since for step in steps for rerun in self.by_step.get(step, ())), default=t0)


NONE: Final = Reruns()


def sorted_out(found: Iterable[Rerun], downstream: Callable[[str], Iterable[str]]) -> Reruns:
    """By step. ``downstream``: the steps that hang on one, itself among them; none where there is no such step."""
    by_step: dict[str, tuple[Rerun, ...]] = {}
    for rerun in sorted(found, key=lambda each: each.number):
        for step in downstream(rerun.step):
            by_step[step] = (*by_step.get(step, ()), rerun)
    return Reruns(by_step)


def read_reruns(ledger: Ledger, session: str) -> tuple[Rerun, ...]:
    """What of a session was asked for anew: a listing, and a read for each."""
    found = [info.key for info in ledger.list(keys.reruns(session))]
    return tuple(sorted(ledger.read_many(found, Rerun), key=lambda each: each.number))
