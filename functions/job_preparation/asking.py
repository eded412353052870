"""One work item asks for its auxiliary files: it gets them and is claimed, or waits, or is parked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import Any, Final

from functions.job_preparation.claiming import claim
from shared.auxiliary.catalogue import Catalogue, Look
from shared.auxiliary.table import load_types
from shared.bootstrap import Services
from shared.domain.auxiliary.decision import AuxiliaryDecision, Awaited, decide
from shared.domain.auxiliary.folders import plan
from shared.domain.auxiliary.policies import Window
from shared.domain.auxiliary.selection import AuxiliarySet, requirements
from shared.errors import AbsentError, BadInputError, IntegrityError, ObjectAbsentError
from shared.ledger import keys
from shared.ledger.attempts import conclude, read_work
from shared.ledger.keys import WorkKey
from shared.ledger.provision import Awaiter, Provision, UnitFacts, Waiting, awaiter, mark_of, place_of, types_of
from shared.ledger.records import Order, Outcome, timer_due
from shared.workflow.derived import MAX_SIZE, derive
from shared.workflow.processor import Auxiliary

TIMER: Final = "auxiliary"
MISSING: Final = "AuxiliaryFilesMissing"
UNREADABLE: Final = "AuxiliaryFileUnreadable"


@dataclass
class Looks:
    """What the catalogue holds, each type looked at once, and each file read once. For several threads."""

    services: Services
    _found: dict[str, Look] = field(default_factory=dict)
    _documents: dict[str, bytes] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.services.store, self.services.settings.bucket_auxiliary)

    def look(self, kind: str) -> Look:
        """The files of a type."""
        with self._lock:
            if kind not in self._found:
                self._found[kind] = self.catalogue.look(kind)
            return self._found[kind]

    def document(self, name: str) -> bytes:
        """The data block of an auxiliary file, checked. BadInputError where it is longer than what is read of it."""
        if name not in self._documents:
            entry = self.catalogue.find(name)
            files = {file.path: file for file in entry.files}
            (block, *_), *_ = [placement.sources for placement in plan(load_types(), {name: list(files)})]
            file, found = files[block], bytearray()
            if file.size > MAX_SIZE:
                raise BadInputError(f"auxiliary file {name}, {block}", f"at most {MAX_SIZE} bytes", file.size)
            for chunk in self.services.store.read(self.catalogue.bucket, f"{entry.prefix}{block}"):
                found += chunk
                if len(found) > file.size:
                    break
            if hashlib.sha256(found).hexdigest() != file.sha256:
                raise IntegrityError(f"auxiliary file {name}, {block}: its bytes are not those taken in")
            self._documents[name] = bytes(found)
        return self._documents[name]


@dataclass
class Question:
    """``waiting`` (with its etag): the work asked before. ``standing``: the etag of what was decided before a retry."""

    services: Services
    needs: Auxiliary
    order: Order
    unit: UnitFacts
    looks: Looks
    waiting: Waiting | None = None
    etag: str = ""
    standing: str = ""

    @property
    def place(self) -> WorkKey:
        return place_of(self.order)

    def ask(self) -> bool:
        """Returns whether the work was claimed: its order is new."""
        provision = self._standing() or self._decided()
        if provision is None:
            return False
        if provision.parked:
            self._end(provision)
            return False
        order = provided(self.order, provision)
        claimed = claim(self.services, order, self.unit.station, self.unit.satellite)
        if self.waiting is not None:
            forget(self.services, self.place, self.waiting.types)
        return claimed

    def _standing(self) -> Provision | None:
        """What was decided; None before that, and where an operator wants another try at what was parked."""
        try:
            found, self.standing = self.services.ledger.read_with_etag(self.place.provision, Provision)
        except ObjectAbsentError:
            return None
        again = bool(found.parked) and read_work(self.services.ledger, self.place).superseded
        return None if again else found

    def _decided(self) -> Provision | None:
        """The decision, to run or not, of which there is one; None where the work waits."""
        now = self.services.clock.now()
        wanted = requirements(load_types(), self.needs.job)
        looked = {kind: self.looks.look(kind) for kind in sorted({each.type for each in wanted})}
        decision = decide(
            wanted,
            {kind: look.names for kind, look in looked.items()},
            self.unit.satellite,
            Window(self.unit.start, self.unit.stop),
            since=now if self.waiting is None else self.waiting.created,
            now=now,
            rules=self.needs.waits,
        )
        if decision.action == "wait":
            self._wait(decision, looked, now)
            return None
        if decision.action == "park":
            return self._park(decision, f"{MISSING}: {decision.reason}{self._told()}", now)
        try:
            parameters = self._parameters(decision.chosen)
        except (BadInputError, IntegrityError, AbsentError) as error:
            reason = f"{UNREADABLE}: {error}; a newer file is chosen in its place once it is there: retry then"
            return self._park(decision, reason, now)
        warnings = (*decision.warnings, *self._doubt(decision.chosen))
        return self._kept(self._provision(decision, now, parameters=parameters, warnings=warnings))

    def _provision(self, decision: AuxiliaryDecision, now: datetime, **more: Any) -> Provision:
        trace = self.services.trace(self.order.session)
        return Provision(created=now, traceparent=trace, job=self.needs.job, unit=self.unit, decision=decision, **more)

    def _kept(self, record: Provision) -> Provision:
        """The decision that stands: this one, or that of whoever decided at the same moment."""
        ledger, key = self.services.ledger, self.place.provision
        if ledger.replace(key, record, self.standing) if self.standing else ledger.create(key, record):
            return record
        return ledger.read(key, Provision)

    def _doubt(self, chosen: AuxiliarySet) -> tuple[str, ...]:
        """That the time of the choice is doubtful, where there was a file to choose, or to pass over."""
        any_file = any(choice.chosen or choice.others for choice in chosen.choices)
        return (self.unit.note,) if self.unit.note and any_file else ()

    def _told(self) -> str:
        """What an operator must know, and can do."""
        unit = self.unit
        return (
            f"; for {unit.satellite}, {unit.start:%Y-%m-%dT%H:%M:%SZ} to {unit.stop:%Y-%m-%dT%H:%M:%SZ}. "
            "Retry once such a file is in the catalogue (python -m shared.auxiliary add FILE takes one in)"
        )

    def _wait(self, decision: AuxiliaryDecision, looked: Mapping[str, Look], now: datetime) -> None:
        """Write down what is awaited, list the work with each type, and set the timer: in this order.

        A crash between any two of them, and the sweep goes by what ``waiting.json`` says.
        """
        services, place, until = self.services, self.place, decision.until or now
        kinds = types_of(decision.awaited)
        record = self._record(now, until, decision.awaited, {kind: looked[kind].mark for kind in kinds})
        if not self._written(record):
            return  # somebody asks at the same moment, and does what follows
        for kind in kinds:
            entry = Awaiter(created=now, traceparent=record.traceparent, work=place.prefix)
            services.ledger.create(awaiter(kind, place), entry)
        before = () if self.waiting is None else self.waiting.types
        forget(services, place, set(before).difference(kinds))
        if self.waiting is None or self.waiting.until != until:
            timer = timer_due(now, until, TIMER, place.session, place.waiting, record.traceparent)
            services.ledger.create(keys.timer(until, TIMER, f"{mark_of(place)[:32]}-{until:%S%f}"), timer)

    def _record(self, now: datetime, until: datetime, awaited: tuple[Awaited, ...], marks: dict[str, str]) -> Waiting:
        return Waiting(
            created=now if self.waiting is None else self.waiting.created,
            traceparent=self.services.trace(self.order.session),
            order=self.order,
            unit=self.unit,
            until=until,
            awaited=awaited,
            marks=marks,
        )

    def _written(self, record: Waiting) -> bool:
        ledger, key = self.services.ledger, self.place.waiting
        if self.waiting is None:
            return ledger.create(key, record)
        return record == self.waiting or ledger.replace(key, record, self.etag)

    def _park(self, decision: AuxiliaryDecision, reason: str, now: datetime) -> Provision:
        """The work is not to run, by the record of its wait: an operator's retry asks again by that."""
        if self.waiting is None:
            self.services.ledger.create(self.place.waiting, self._record(now, now, (), {}))
        return self._kept(self._provision(decision, now, parked=reason))

    def _end(self, provision: Provision) -> None:
        """The work that is parked ends as failed, before any attempt."""
        outcome = Outcome(
            created=provision.created,
            traceparent=provision.traceparent,
            step=self.place.step,
            unit=self.place.unit,
            attempt=0,
            status="failed",
            reason=provision.parked,
            started=provision.created if self.waiting is None else self.waiting.created,
            finished=provision.created,
        )
        conclude(self.services.ledger, self.place, outcome)
        if self.waiting is not None:
            forget(self.services, self.place, self.waiting.types)

    def _parameters(self, chosen: AuxiliarySet) -> dict[str, str]:
        """What the job order takes out of the files that were chosen."""
        types = {spec.file_type for spec in self.needs.parameters.values()}
        names = {c.requirement.type: c.chosen[0] for c in chosen.choices if c.requirement.type in types and c.chosen}
        return derive(self.needs.parameters, {kind: (name, self.looks.document(name)) for kind, name in names.items()})


def provided(order: Order, provision: Provision) -> Order:
    """The order with what was decided: the same whoever makes it."""
    return order.model_copy(
        update={
            "auxiliary": provision.decision.chosen.files,
            "parameters": order.parameters | provision.parameters,
            "warnings": (*order.warnings, *provision.warnings),
        }
    )


def forget(services: Services, place: WorkKey, types: Iterable[str]) -> None:
    """The work waits for these types no longer."""
    for kind in types:
        services.ledger.delete(awaiter(kind, place))
