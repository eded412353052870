"""The graph of one session, unfolded over its records: which work follows from which outcome.

A step that comes after several others is found from each of them. What the others made is not searched for: the walk
goes down from ``complete.json``, and each work item's name follows from the outcomes above it (rule 2). So whoever
asks, and whichever outcome came last, the answer is the same; outcomes of superseded work ready nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Protocol

from shared.ledger import keys
from shared.ledger.records import FINISHED, Complete, Outcome
from shared.workflow.graph import UNITS, Step, Workflow
from shared.workflow.parts import unit_above
from shared.workflow.plan import Item, Ready, Source, plan_item, units_of


class Records(Protocol):
    """Where the records of a session are found by their ledger keys."""

    def find(self, key: str) -> Complete | Outcome | None:
        """The record at ``key``; None where there is none."""
        ...

    def expect(self, wanted: Iterable[str]) -> None:
        """These are looked for next: whoever reads them from afar may do so at once."""
        ...


class _Nothing:
    def find(self, _key: str) -> None:
        return None

    def expect(self, _wanted: Iterable[str]) -> None:
        return None


def next_work(workflow: Workflow, source: Source, records: Records | None = None) -> Iterator[Item]:
    """What ``source`` readies or a rule leaves out; without ``records``, of steps that wait for nothing else."""
    return Walk(workflow, source.session, records or _Nothing()).follows(source)


class Walk:
    """What of a session's graph is there, as far as it is asked for."""

    def __init__(self, workflow: Workflow, session: str, records: Records) -> None:
        self._workflow = workflow
        self._session = session
        self._records = records
        self._sources: dict[tuple[str, str], Source | None] = {}
        self._outcome_keys: dict[tuple[str, str], str] = {}

    def follows(self, source: Source) -> Iterator[Item]:
        """The work that ``source`` readies, alone or as one of several, and what a rule leaves out.

        Nothing follows from a failed outcome, nor from one that is made anew.
        """
        record, workflow = source.record, self._workflow
        if isinstance(record, Outcome) and record.status not in FINISHED:
            return
        if isinstance(record, Complete) and record.given is not None:
            given = self.source(record.given.step, record.given.unit)
            yield from self.follows(given) if given is not None else ()
            return
        if workflow.reruns.of(source.step, source.unit) is not None and not self._in_force(source):
            return
        for step in workflow.after(source.step):
            if len(step.after) == 1:
                for unit in units_of(workflow, step, source):
                    yield plan_item(workflow, step, unit, {source.step: source})
            elif self._in_force(source):
                for unit in self._units(step, source):
                    item = self.item(step, unit)
                    if item is not None:
                        yield item

    def item(self, step: Step, unit: str) -> Item | None:
        """The work of ``step`` on ``unit``; None where something before it has not finished, or has failed."""
        found: dict[str, Source] = {}
        for name in step.after:
            source = self.source(name, self._above(unit, name))
            if source is None:
                return None
            found[name] = source
        if unit not in units_of(self._workflow, step, found[step.after[0]]):
            return None
        return plan_item(self._workflow, step, unit, found)

    def units(self, step: Step) -> Iterator[str]:
        """The units of ``step`` in all of the session, as far as what is before it has finished."""
        first = step.after[0]
        given = self._root.given if self._root is not None else None
        above: Iterable[str]
        if given is not None and given.step == first:
            above = (given.unit,)
        else:
            above = (self._session,) if first == "session" else list(self.units(self._workflow.step(first)))
        if first != "session":
            self._expect(self._workflow.step(first), above)
        for unit in above:
            found = self.source(first, unit)
            if found is not None:
                yield from units_of(self._workflow, step, found)

    def expect(self, step: Step, units: Iterable[str]) -> None:
        """The work of ``step`` on these units is asked for next: what it comes from is read several at a time."""
        wanted = list(units)
        for name in step.after:
            if name != "session":
                self._expect(self._workflow.step(name), dict.fromkeys(self._above(unit, name) for unit in wanted))

    def _expect(self, step: Step, units: Iterable[str]) -> None:
        """The outcomes of ``step`` on these units are looked for next."""
        wanted = list(units)
        self.expect(step, wanted)
        self._records.expect([key for unit in wanted if (key := self._outcome_key(step, unit))])

    def source(self, step: str, unit: str) -> Source | None:
        """What the work of ``step`` on ``unit`` ended with; None where it has not finished, or has failed."""
        if (step, unit) not in self._sources:
            self._sources[step, unit] = self._find(step, unit)
        return self._sources[step, unit]

    @cached_property
    def _root(self) -> Complete | None:
        record = self._records.find(keys.complete(self._session))
        return record if isinstance(record, Complete) else None

    def _find(self, step: str, unit: str) -> Source | None:
        if step == "session":
            if self._root is None or self._root.given is not None:
                return None
            return Source(keys.complete(self._session), self._root, self._session)
        key = self._outcome_key(self._workflow.step(step), unit)
        record = self._records.find(key) if key else None
        if not isinstance(record, Outcome) or record.status not in FINISHED:
            return None
        return Source(key, record, self._session)

    def _outcome_key(self, step: Step, unit: str) -> str:
        """Where the outcome of ``step`` on ``unit`` would stand; empty where what is before it has not finished."""
        if (step.name, unit) not in self._outcome_keys:
            self._outcome_keys[step.name, unit] = self._work_out_key(step, unit)
        return self._outcome_keys[step.name, unit]

    def _work_out_key(self, step: Step, unit: str) -> str:
        given = self._root.given if self._root is not None else None
        if given is not None and (given.step, given.unit) == (step.name, unit):
            return given.key(self._session).outcome
        item = self.item(step, unit)
        return item.key(self._session).outcome if isinstance(item, Ready) else ""

    def _in_force(self, source: Source) -> bool:
        """Whether this is the outcome of the session's present work, not of an earlier processor version's."""
        found = self.source(source.step, source.unit)
        return found is not None and found.key == source.key

    def _above(self, unit: str, step: str) -> str:
        return unit_above(unit, self._workflow.unit(step), self._session)

    def _units(self, step: Step, source: Source) -> Iterator[str]:
        """The units of ``step`` that wait for ``source``, where nothing else above them is missing."""
        rank = UNITS.index(self._workflow.unit(source.step))
        for name in step.after:
            if (
                UNITS.index(self._workflow.unit(name)) <= rank
                and self.source(name, self._above(source.unit, name)) is None
            ):
                return
        if rank == UNITS.index(self._workflow.unit(step.name)):
            yield source.unit
        elif source.step == step.after[0]:
            yield from units_of(self._workflow, step, source)
        else:
            yield from self._below(step, source)

    def _below(self, step: Step, source: Source) -> Iterator[str]:
        """The units of ``step``, as far as they are known, that belong to the larger unit of ``source``."""
        if step.name == "session" or self._workflow.unit(step.name) == self._workflow.unit(source.step):
            yield source.unit
            return
        first = step.after[0]
        above = [source.unit] if first == "session" else list(self._below(self._workflow.step(first), source))
        if first != "session":
            before = self._workflow.step(first)
            self._records.expect([key for unit in above if (key := self._outcome_key(before, unit))])
        for unit in above:
            found = self.source(first, unit)
            if found is not None:
                yield from units_of(self._workflow, step, found)
