"""The processing strategy: rules that decide what is made of what, with what, in which order, and how long it may take.

A strategy is one document. Its rules are looked at in their order, and each matter is decided by the first rule that
matches and says something about it; what none decides stays as the processor set and the settings have it. A rule
matches where all its conditions hold; a condition on what is not known yet (the tile of a session, say) does not hold.

The version of a strategy is a digest of its content: a session names the version that was active when it was complete,
and keeps it to its end, retries included.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from shared.domain.areas import Area, Point
from shared.domain.auxiliary.decision import WaitRules
from shared.domain.deadlines import BUDGETS

WorkClass = Literal["nrt", "nominal", "retransfer", "reprocessing"]
Levels = Literal["L1A", "L1B", "L1C", "L2A"]
CLASS_PRIORITY: Final[Mapping[WorkClass, int]] = {"nrt": 100, "nominal": 0, "retransfer": -50, "reprocessing": -100}
"""What the class of a session adds to the priority of its work."""
DIGITS: Final = 16
"""Of a version: hexadecimal digits."""


class _Model(BaseModel):
    # Every function imports this, and few ask: the models are built when they are first needed.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a decision is about; empty or None where it is not known. ``when``: T0 of the session, or now before it."""

    unit: str
    satellite: str = ""
    station: str = ""
    work_class: WorkClass = "nominal"
    when: datetime | None = None
    relative_orbit: int | None = None
    datatake_type: str = ""
    footprint: tuple[Point, ...] = ()
    tile: str = ""
    step: str = ""
    level: str = ""
    scenes: int | None = None


class Condition(_Model):
    """All that is given must hold; of a list, one. Names of tiles may be patterns, ``32T*``. ``since`` is inclusive."""

    satellites: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    classes: tuple[WorkClass, ...] = ()
    relative_orbits: tuple[Annotated[int, Field(ge=1, le=143)], ...] = ()
    datatake_types: tuple[str, ...] = ()
    area: Area | None = None
    tiles: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    scenes_from: Annotated[int | None, Field(ge=1)] = None

    def holds(self, subject: Subject) -> bool:
        """Whether it holds for a subject."""
        return all(self._each(subject))

    @property
    def of_parts(self) -> bool:
        """Whether it asks for something that is not known of a session as a whole."""
        return any(getattr(self, name) for name in set(Condition.model_fields) - _KNOWN_OF_SESSIONS)

    def may_hold(self, session: Subject) -> bool:
        """Whether it may hold of a part of a session: of what is known of the whole, nothing speaks against it."""
        known = {name: getattr(self, name) for name in _KNOWN_OF_SESSIONS}
        return Condition.model_construct(**known).holds(session)

    def _each(self, subject: Subject) -> Iterator[bool]:
        listed: tuple[tuple[tuple[object, ...], object], ...] = (
            (self.satellites, subject.satellite),
            (self.stations, subject.station),
            (self.classes, subject.work_class),
            (self.relative_orbits, subject.relative_orbit),
            (self.datatake_types, subject.datatake_type),
            (self.steps, subject.step),
            (self.levels, subject.level),
        )
        for wanted, found in listed:
            if wanted:
                yield found in wanted
        if self.tiles:
            yield any(fnmatchcase(subject.tile, pattern) for pattern in self.tiles) and bool(subject.tile)
        if self.area is not None:
            yield bool(subject.footprint) and self.area.meets(subject.footprint)
        if self.since is not None:
            yield subject.when is not None and subject.when >= self.since
        if self.until is not None:
            yield subject.when is not None and subject.when < self.until
        if self.scenes_from is not None:
            yield subject.scenes is not None and subject.scenes >= self.scenes_from


class Resources(_Model):
    """What a step gets, where it is not what its processor asks for."""

    cpus: Annotated[float | None, Field(gt=0)] = None
    memory_mb: Annotated[int | None, Field(ge=64)] = None
    time_limit_s: Annotated[int | None, Field(ge=1)] = None


class Split(_Model):
    """Virtual datastrips: parts of ``scenes`` scenes, each with ``overlap`` scenes more at either end."""

    scenes: Annotated[int, Field(ge=4)]
    overlap: Annotated[int, Field(ge=1)] = 1


class Sample(_Model):
    """Only a share is made, drawn by the name of the unit: the same ones whoever draws."""

    percent: Annotated[float, Field(ge=0, le=100)]

    def takes(self, unit: str) -> bool:
        drawn = int.from_bytes(hashlib.sha256(unit.encode()).digest()[:8]) / 2**64
        return drawn * 100 < self.percent


class Retries(_Model):
    """How often and how soon work is tried again."""

    attempts: Annotated[int, Field(ge=1, le=20)]
    delay_s: Annotated[float, Field(ge=0)] = 30.0


class Decision(_Model):
    """What a rule decides; None leaves a matter to the rules below, and at last to processor set and settings.

    ``levels``: made beside Level 0. ``processor_set``: by name or path, so that two versions run at once and one can be
    frozen; of the work that the rule holds for, where it asks for parts of a session. ``priority``: higher goes first.
    ``budgets``: minutes from T0 by level. ``hold``: no Job is started until an operator releases it; the text says why.
    ``sample``: of what is made beside Level 0.
    """

    levels: tuple[Levels, ...] | None = None
    processor_set: Annotated[str | None, Field(min_length=1)] = None
    priority: Annotated[int | None, Field(ge=-1000, le=1000)] = None
    resources: Resources | None = None
    split: Split | None = None
    waits: WaitRules | None = None
    session_partial: Literal["proceed", "park"] | None = None
    session_wait_s: Annotated[float | None, Field(gt=0)] = None
    retries: Retries | None = None
    budgets: dict[str, Annotated[float, Field(gt=0)]] | None = None
    hold: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    sample: Sample | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expected a decision")
        for level in self.budgets or ():
            if level not in BUDGETS:
                raise ValueError(f"budgets: {level}: expected one of {', '.join(BUDGETS)}")
        return self


_KNOWN_OF_SESSIONS: Final = frozenset({"satellites", "stations", "classes", "since", "until"})
_KNOWN_OF_DATASTRIPS: Final = _KNOWN_OF_SESSIONS | {"relative_orbits", "datatake_types", "area", "scenes_from"}
_KNOWN: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "session_partial": ("session", _KNOWN_OF_SESSIONS),
    "session_wait_s": ("session", _KNOWN_OF_SESSIONS),
    "split": ("datastrip", _KNOWN_OF_DATASTRIPS),
}
"""Of what is decided once: of which unit, and what is known of that."""


class Rule(_Model):
    """Where ``when`` holds, ``then`` is decided. ``note`` is for people.

    Of a whole session is decided what is done before it is complete; of a whole datastrip: its split. A rule that
    decides one of them asks for nothing that is known of parts of these alone.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
    note: str = ""
    when: Condition = Condition()
    then: Decision

    @model_validator(mode="after")
    def _known_in_time(self) -> Self:
        for matter, (unit, known) in _KNOWN.items():
            asked = sorted(name for name in set(Condition.model_fields) - known if getattr(self.when, name))
            if getattr(self.then, matter) is not None and asked:
                raise ValueError(
                    f"when: {', '.join(asked)}: expected nothing but {', '.join(sorted(known))}, since "
                    f"{matter} is decided once for a whole {unit}"
                )
        return self


class Strategy(_Model):
    """A strategy; ``version`` is what it is known by."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
    note: str = ""
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rules: {', '.join(twice)}: expected each name once")
        return self

    @cached_property
    def cuts(self) -> bool:
        """Whether any rule decides how datastrips are split."""
        return any(rule.then.split is not None for rule in self.rules)

    def sets_of_parts(self, session: Subject) -> tuple[str, ...]:
        """The processor sets that rules may choose for parts of a session, each once."""
        rules = (rule for rule in self.rules if rule.when.of_parts and rule.when.may_hold(session))
        return tuple(dict.fromkeys(rule.then.processor_set for rule in rules if rule.then.processor_set is not None))

    @property
    def version(self) -> str:
        """The digest of what it says; notes and the writing of the document do not matter."""
        content = self.model_dump(mode="json", exclude={"note": True, "rules": {"__all__": {"note"}}})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]

    def decide(self, subject: Subject) -> Decided:
        """What is decided for a subject, and by which rule each matter."""
        if not self.rules:
            return _NOTHING
        values, by = dict[str, Any](), dict[str, str]()
        for rule in self.rules:
            if not rule.when.holds(subject):
                continue
            for matter in sorted(rule.then.model_fields_set):
                value = getattr(rule.then, matter)
                if value is not None and matter not in values:
                    values[matter], by[matter] = value, rule.name
        return Decided(Decision.model_construct(_fields_set=set(values), **values), by)


@dataclass(frozen=True, slots=True)
class Decided:
    """``by`` names the rule for each matter that was decided."""

    decision: Decision
    by: dict[str, str] = field(default_factory=dict)

    def explain(self) -> tuple[str, ...]:
        """A line for each matter: what was decided, by which rule."""
        lines = []
        for matter, rule in sorted(self.by.items()):
            value = getattr(self.decision, matter)
            shown = value.model_dump_json(exclude_none=True) if isinstance(value, BaseModel) else json.dumps(value)
            lines.append(f"{matter}: {shown} (rule {rule})")
        return tuple(lines)


_NOTHING: Final = Decided(Decision.model_construct(_fields_set=set()))
DEFAULT: Final = Strategy.model_construct(
    name="default", note="Decides nothing: processor set and settings stand.", rules=()
)


def differences(one: Strategy, other: Strategy) -> tuple[str, ...]:
    """What changes from one strategy to another, a line each: rules gone, new, changed, moved."""
    before, after = ({rule.name: rule for rule in each.rules} for each in (one, other))
    lines = [f"- {name}" for name in before if name not in after]
    lines += [f"+ {name}: {_told(rule)}" for name, rule in after.items() if name not in before]
    kept = [name for name in before if name in after]
    for name in kept:
        old, new = _told(before[name]), _told(after[name])
        if old != new:
            lines.append(f"~ {name}: {old} -> {new}")
    if kept != [name for name in after if name in before]:
        lines.append(f"order: {', '.join(before)} -> {', '.join(after)}")
    return tuple(lines)


def _told(rule: Rule) -> str:
    return json.dumps(rule.model_dump(mode="json", exclude_unset=True, exclude={"name", "note"}), sort_keys=True)
