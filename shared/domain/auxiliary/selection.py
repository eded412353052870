"""The auxiliary files of a job: which was chosen for each type and band, by which policy, which were passed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.auxiliary.names import BANDS, AuxiliaryName
from shared.domain.auxiliary.policies import Picked, PolicyName, Window, pick
from shared.domain.auxiliary.types import TypeTable

TOLD: Final = 8
"""So many of the files passed over are named, the best first; the others are counted."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Requirement(_Model):
    """One thing that a job needs: a type, in a band where it depends on it, by a policy.

    ``before_s``, ``after_s``: by how much the window is widened for it (T0 and T1 of a task table).
    """

    type: str
    band: Literal["01", "02", "03", "04", "05", "06", "07", "08", "8A", "09", "10", "11", "12"] | None = None
    policy: PolicyName = "LatestValCover"
    mandatory: bool = True
    before_s: float = 0.0
    after_s: float = 0.0

    def widened(self, window: Window) -> Window:
        """``window`` as this requirement looks at it."""
        before, after = timedelta(seconds=self.before_s), timedelta(seconds=self.after_s)
        return replace(window, before=window.before + before, after=window.after + after)

    def __str__(self) -> str:
        return self.type if self.band is None else f"{self.type} B{self.band}"


class Rejected(_Model):
    """A file passed over."""

    name: str
    reason: str


class Choice(_Model):
    """What was chosen for one requirement, best first; nothing where it is missing.

    ``policy``: by which, which is not the requirement's own where it was fallen back to. ``passed_over``: the first of
    ``others`` files of this type and band that were not taken.
    """

    requirement: Requirement
    policy: PolicyName
    chosen: tuple[str, ...] = ()
    passed_over: tuple[Rejected, ...] = ()
    others: Annotated[int, Field(ge=0)] = 0
    note: str = ""


class AuxiliarySet(_Model):
    """The auxiliary files of a job, a choice for each requirement."""

    satellite: str
    choices: tuple[Choice, ...]

    @property
    def missing(self) -> tuple[Choice, ...]:
        """What the job cannot do without, and has not."""
        return tuple(choice for choice in self.choices if choice.requirement.mandatory and not choice.chosen)

    @property
    def without(self) -> tuple[Choice, ...]:
        """What the job has not, and can do without."""
        return tuple(choice for choice in self.choices if not choice.requirement.mandatory and not choice.chosen)

    @property
    def files(self) -> tuple[str, ...]:
        """All that were chosen, each once, in the order of their names."""
        return tuple(sorted({name for choice in self.choices for name in choice.chosen}))


def requirements(table: TypeTable, job: str) -> tuple[Requirement, ...]:
    """What a kind of job needs: types that depend on the band once for each of the thirteen bands."""
    return tuple(
        Requirement(type=kind.name, band=band, policy=kind.rule, mandatory=mandatory)
        for kind, mandatory in table.wanted(job)
        for band in (BANDS if kind.band_dependent else (None,))
    )


def select(
    wanted: Sequence[Requirement],
    files: Mapping[str, Iterable[AuxiliaryName]],
    satellite: str,
    window: Window,
) -> AuxiliarySet:
    """Choose for each requirement among ``files``, which are by type: those of ``satellite`` or of all."""
    held: dict[tuple[str, str | None], list[AuxiliaryName]] = {}
    banded = {each.type for each in wanted if each.band is not None}
    for kind in {each.type for each in wanted}:
        for file in files.get(kind, ()):
            if file.type == kind and file.serves(satellite):
                held.setdefault((kind, file.band if kind in banded else None), []).append(file)
    return AuxiliarySet(
        satellite=satellite,
        choices=tuple(choose(each, held.get((each.type, each.band), ()), window) for each in wanted),
    )


def choose(
    wanted: Requirement,
    files: Iterable[AuxiliaryName],
    window: Window,
    policy: PolicyName | None = None,
    note: str = "",
) -> Choice:
    """The choice for one requirement among files of its type, band and satellite."""
    picked = pick(policy or wanted.policy, files, wanted.widened(window))
    return Choice(
        requirement=wanted,
        policy=picked.policy,
        chosen=picked.chosen,
        passed_over=_told(picked),
        others=len(picked.passed_over),
        note=note,
    )


def _told(picked: Picked) -> tuple[Rejected, ...]:
    return tuple(Rejected(name=each.name, reason=each.reason) for each in picked.passed_over[:TOLD])
