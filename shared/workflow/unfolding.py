"""How a session's graph ended: step by step, each expected product once. The account is made of it (rule 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from shared.domain.deadlines import slack
from shared.domain.strategy import Decided
from shared.ledger import keys
from shared.ledger.keys import WorkKey
from shared.ledger.records import FINISHED, AccountEntry, Complete, Outcome, Published
from shared.workflow.graph import Step, Workflow
from shared.workflow.mixing import fitting
from shared.workflow.parts import unit_above
from shared.workflow.plan import NotOwed, Skipped, Source, not_asked, plan_item, units_of
from shared.workflow.products import name_taken, product_key, product_name, published_artifacts
from shared.workflow.ruling import DATATAKE_TYPE, FOOTPRINT, Known, footprint_of

Shelf = Callable[[str], Published | None]
Holds = Callable[[str], str]
"""Why the work at a ledger prefix is held by an operator; empty where it is not."""


class Pending(Exception):
    """Something of the session is still under way: the record of this key is not there."""


@dataclass(frozen=True, slots=True)
class _Done:
    """``warnings``: of the work before that published nothing, so that only what follows can tell them."""

    source: Source
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Lost:
    """``cause``: what to say of what follows. ``facts``: those that were found out before."""

    ended: Literal["absent", "parked"]
    reason: str
    cause: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _NotOwed:
    """``cause``: why nobody asks for it; empty where that is not told. ``facts``: those that were found out before."""

    cause: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _LeftOut:
    """What of a datastrip nobody asks for, for one cause: the levels, and of which tiles."""

    levels: dict[str, None] = field(default_factory=dict)
    tiles: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        tiles = f" of {len(self.tiles)} tiles" if self.tiles else ""
        return f"no {', '.join(self.levels)} is made{tiles}"


_State = _Done | _Lost | _NotOwed


@dataclass
class Unfolding:
    """How each step of a session ended on each of its units, and the account's entries.

    ``outcomes`` by their ledger key; what is held is parked, and then it is ``held``. ``ended`` raises Pending.
    """

    workflow: Workflow
    session: str
    t0: datetime | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    shelf: Shelf = lambda _key: None
    holds: Holds = lambda _prefix: ""
    held: bool = False
    _states: dict[str, dict[str, _State]] = field(default_factory=dict)
    _not_owed: dict[tuple[str, str], _LeftOut] = field(default_factory=dict)

    def of(self, complete: Complete) -> tuple[AccountEntry, ...]:
        """Every product that the session promised, and how it ended.

        Raises:
            Pending: work has no outcome yet and is not held, or a product is not on the shelf yet.
        """
        given = complete.given
        if given is None:
            source = Source(keys.complete(self.session), complete, self.session)
            self._states["session"] = {self.session: _Done(source)}
        else:
            key = given.key(self.session).outcome
            if key not in self.outcomes:
                raise Pending(key)
            self._states[given.step] = {given.unit: _Done(Source(key, self.outcomes[key], self.session))}
        return tuple(self._entries())

    def parked(self, reason: str) -> tuple[AccountEntry, ...]:
        """All that a session that never became complete would have promised."""
        self._states["session"] = {self.session: _Lost("parked", reason, reason)}
        return tuple(self._entries())

    @property
    def not_owed(self) -> tuple[str, ...]:
        """What nobody asks for, a line for each datastrip and cause."""
        return tuple(f"{unit}: {cause} {left}" for (unit, cause), left in self._not_owed.items() if left.levels)

    @property
    def counted(self) -> Iterator[Outcome]:
        """The outcomes that the entries follow from: those of work that was made anew since are not among them."""
        for states in self._states.values():
            for state in states.values():
                if isinstance(state, _Done) and isinstance(state.source.record, Outcome):
                    yield state.source.record

    def _entries(self) -> Iterator[AccountEntry]:
        for step in self.workflow.steps:
            if step.name in self._states:  # given
                continue
            states: dict[str, _State] = {}
            for unit in self._units(step):
                above = {name: self._above(unit, name) for name in step.after}
                state, entries = self._ended(step, unit, above)
                states[unit] = state
                yield from entries
            self._states[step.name] = states

    def _units(self, step: Step) -> Iterator[str]:
        """The units that ``step`` has; of one whose work is lost, its own: what it would have made is not known."""
        for unit, state in self._states.get(step.after[0], {}).items():
            yield from units_of(self.workflow, step, state.source) if isinstance(state, _Done) else (unit,)

    def _above(self, unit: str, step: str) -> _State:
        states = self._states.get(step, {})
        found = states.get(unit_above(unit, self.workflow.unit(step), self.session)) or states.get(unit)
        # Work may be lost before it fanned out: then the larger unit tells.
        for kind in ("part", "datastrip", "session"):
            found = found or states.get(unit_above(unit, kind, self.session))
        return found or _Lost("absent", f"{step} was not given", f"{step} was not given")

    def _ended(self, step: Step, unit: str, above: Mapping[str, _State]) -> tuple[_State, tuple[AccountEntry, ...]]:
        lost = sorted((s for s in above.values() if isinstance(s, _Lost)), key=lambda s: s.ended)
        done = {name: state for name, state in above.items() if isinstance(state, _Done)}
        unasked = next((state for state in above.values() if isinstance(state, _NotOwed)), None)
        if unasked is not None:
            return self._unasked(step, unit, unasked.cause, unasked.facts), ()
        if lost:
            # One that is absent by rule stays so, whatever an operator does about another that is parked.
            return self._lost(step, unit, lost[0].ended, lost[0].cause, _facts(lost, done), lost[0].cause)
        item = plan_item(self.workflow, step, unit, {name: state.source for name, state in done.items()})
        if isinstance(item, NotOwed):
            return self._unasked(step, unit, item.cause, _facts(lost, done)), ()
        facts = _facts(lost, done)
        if isinstance(item, Skipped):
            return self._lost(step, unit, item.ended, item.reason, facts)
        place = item.key(self.session)
        outcome = self.outcomes.get(place.outcome)
        if outcome is None:
            held = self.holds(place.prefix)
            if not held:
                raise Pending(place.outcome)
            self.held = True
            return self._lost(step, unit, "parked", held, facts)
        if outcome.status not in FINISHED:
            return self._lost(
                step, unit, "absent" if outcome.status == "no-product" else "parked", outcome.reason, facts
            )
        warnings = tuple(dict.fromkeys([w for s in done.values() for w in s.warnings] + list(outcome.warnings)))
        entries = tuple(self._produced(place, outcome, warnings, item.decided))
        silent = () if self.workflow.made_by(outcome.processor_set).publishes(step.name) else warnings
        return _Done(Source(place.outcome, outcome, self.session), silent), entries

    def _unasked(self, step: Step, unit: str, cause: str, facts: Mapping[str, str]) -> _NotOwed:
        bound = fitting(self.workflow, step, self.workflow.ruling.of(step, unit, Known(facts)))
        levels = {str(output.publish): None for output in bound.publishes(step.name)}
        if cause and levels:
            left = self._not_owed.setdefault((unit_above(unit, "datastrip", self.session), cause), _LeftOut())
            left.levels.update(levels)
            by_rule = self.workflow.unit(step.name) == "tile" and cause.startswith("by ")
            left.tiles.update([unit] if by_rule else [])
        return _NotOwed(cause, facts)

    def _lost(
        self,
        step: Step,
        unit: str,
        ended: Literal["absent", "parked"],
        reason: str,
        facts: Mapping[str, str],
        cause: str = "",
    ) -> tuple[_Lost | _NotOwed, tuple[AccountEntry, ...]]:
        """One entry per level that ``step`` would have published for this unit, if that was asked for."""
        known, ruling = Known(facts), self.workflow.ruling
        decided = ruling.of(step, unit, known)
        unasked = not_asked(self.workflow, step, unit, known, decided)
        if unasked:
            # Where it was lost before its type was known, and that is why nobody asks, it is not told.
            told = facts.get(DATATAKE_TYPE) or ruling.left_out(step, unit, known, decided)
            return self._unasked(step, unit, unasked if told else "", facts), ()
        entries = tuple(
            AccountEntry(
                level=str(output.publish),
                step=step.name,
                unit=unit,
                product=f"{output.artifact} of {unit}",
                ended=ended,
                reason=reason,
                deadline=self._due(str(output.publish), step.name, unit, decided),
            )
            for output in fitting(self.workflow, step, decided).publishes(step.name)
            if output.mandatory
        )
        above = cause or f"{step.name} of {unit} ended without a product: {reason}"
        return _Lost(ended, reason, above, facts), entries

    def _due(self, level: str, step: str, unit: str, decided: Decided) -> datetime | None:
        """By when: from T0; of what is made anew, from its rerun. None where there is no T0."""
        rerun = self.workflow.reruns.of(step, unit)
        start = self.t0 if rerun is None else rerun.since
        return self.workflow.ruling.deadline(level, decided, start) if start is not None else None

    def _produced(
        self, place: WorkKey, outcome: Outcome, warnings: tuple[str, ...], decided: Decided
    ) -> Iterator[AccountEntry]:
        for output, artifact in published_artifacts(self.workflow, outcome):
            level, name = str(output.publish), product_name(artifact)
            key = product_key(level, name, outcome.finished)
            published = self.shelf(key)
            if published is None:
                raise Pending(key)
            due = self._due(level, outcome.step, outcome.unit, decided)
            if other := name_taken(published, place, name):
                yield AccountEntry(
                    level=level,
                    step=outcome.step,
                    unit=outcome.unit,
                    product=name,
                    ended="parked",
                    reason=other,
                    deadline=due,
                )
                continue
            yield AccountEntry(
                level=level,
                step=outcome.step,
                unit=outcome.unit,
                product=name,
                ended="produced",
                at=published.created,
                deadline=due,
                slack_s=slack(due, published.created).total_seconds() if due else None,
                warning="; ".join(warnings)[:500],
            )


def _facts(lost: list[_Lost], done: Mapping[str, _Done]) -> dict[str, str]:
    above = [*(state.source.facts for state in done.values()), *(state.facts for state in lost)]
    found = {name: value for facts in above for name, value in facts.items()}
    return found if FOOTPRINT in found else found | footprint_of([state.source.record for state in done.values()])
