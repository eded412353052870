"""The times of a session out of its records, for the critical paths of its products.

The ledger is what is always there: spans go to a collector, and those of a process that is killed are lost. An order's
own time is that of what readied it (decision 0002), so where nothing else tells, the way from there to the launch of
the Job is one hand-over by two functions; spans part it (``shared.domain.overhead.refined``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from shared.domain.overhead import Arrival, CriticalPath, File, Lost, Product, Run, Story, Work, critical_path
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords
from shared.ledger.keys import WorkKey
from shared.ledger.ledger import Ledger
from shared.ledger.provision import Provision, Waiting
from shared.ledger.records import (
    FINISHED,
    Account,
    Attempt,
    AttemptEnded,
    Complete,
    Grant,
    Hold,
    Order,
    Outcome,
    Published,
    Receipt,
    Record,
    Seen,
)
from shared.workflow.graph import Workflow
from shared.workflow.products import product_key, product_name, published_artifacts
from shared.workflow.reruns import Rerun

R = TypeVar("R", bound=Record)


@dataclass
class Times:
    """A session's records, each read once, several at a time. ``work``: its work items, as a listing shows them."""

    ledger: Ledger
    workflow: Workflow
    complete: Complete
    work: Iterable[WorkRecords]
    _records: dict[str, Record] = field(default_factory=dict)
    _units: dict[tuple[str, str], list[WorkRecords]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in self.work:
            if each.outcome is not None:
                self._units.setdefault((each.place.step, each.place.unit), []).append(each)

    def products(self) -> list[Product]:
        """All products that are on the shelf, out of the outcomes."""
        ended = [each.place.outcome for works in self._units.values() for each in works]
        self._read(ended, Outcome)
        found: dict[str, tuple[str, str]] = {}
        for key in ended:
            outcome = self._get(key, Outcome)
            for output, artifact in published_artifacts(self.workflow, outcome) if outcome is not None else ():
                name = product_key(str(output.publish), product_name(artifact), outcome.finished) if outcome else ""
                found[name] = (key, str(output.publish))
        self._read(found, Published)
        listed = [(self._get(key, Published), cause, level) for key, (cause, level) in found.items()]
        return [Product(each.product, level, cause, each.created) for each, cause, level in listed if each is not None]

    def last_of(self, account: Account) -> list[Product]:
        """Of each level the product that came last."""
        last: dict[str, Product] = {}
        for entry in account.entries:
            works = self._units.get((entry.step, entry.unit))
            if entry.ended != "produced" or entry.at is None or not works:
                continue
            newest = max(works, key=lambda each: each.outcome.modified if each.outcome is not None else account.created)
            if entry.level not in last or entry.at > last[entry.level].published:
                last[entry.level] = Product(entry.product, entry.level, newest.place.outcome, entry.at)
        return list(last.values())

    def paths(self, products: Collection[Product]) -> list[CriticalPath]:
        """The critical path of each of these products."""
        story = Story(self._arrival(), self._work({product.cause for product in products}))
        return [critical_path(story, product) for product in products]

    def _arrival(self) -> Arrival:
        complete, names = self.complete, [chunk.name for chunk in self.complete.files]
        receipts = self._read([keys.receipt(complete.session, name) for name in names], Receipt)
        seen = self._read([keys.seen(complete.session, name) for name in names], Seen)
        files = [
            File(name, there.created, got.created, got.seconds, keys.seen(complete.session, name),
                 keys.receipt(complete.session, name))
            for name, there, got in zip(names, seen, receipts, strict=True)
            if there is not None and got is not None
        ]  # fmt: skip
        return Arrival(complete.created, tuple(files), partial=bool(complete.missing))

    def _work(self, wanted: Iterable[str]) -> dict[str, Work]:
        """The work with these outcomes, and all that it followed from, by outcome."""
        known = {each.place.outcome: each for works in self._units.values() for each in works}
        found: dict[str, Work] = {}
        todo = sorted(set(wanted) & known.keys())
        while todo:
            items = [known[key] for key in todo]
            above = {each.place.outcome: self._above(each.place) for each in items}
            self._read([*todo, *(key for causes in above.values() for key in causes)], Outcome)
            self._read([each.place.order for each in items], Order)
            self._read([key for each in items for key in _attempts(each)], Attempt)
            self._read([each.place.ended(number) for each in items for number in each.ended], AttemptEnded)
            for each in items:
                made = self._one(each, above[each.place.outcome])
                if made is not None:
                    found[each.place.outcome] = made
            causes = {work.cause for work in found.values()}
            todo = sorted((causes & known.keys()) - found.keys() - set(todo))
        return found

    def _above(self, place: WorkKey) -> list[str]:
        """The outcomes that may have readied work: of the steps that it comes after, of the unit or what holds it."""
        after = next((step.after for step in self.workflow.steps if step.name == place.step), ())
        cut = [at for at, sign in enumerate(place.unit) if sign == "-"]
        units = {place.session, place.unit, *(place.unit[:at] for at in cut)}
        return [each.place.outcome for step in after for unit in units for each in self._units.get((step, unit), ())]

    def _one(self, work: WorkRecords, above: Iterable[str]) -> Work | None:
        place = work.place
        outcome, order = self._get(place.outcome, Outcome), self._get(place.order, Order)
        if outcome is None or (order is None and outcome.attempt):
            return None
        cause, readied = self._cause(order, above) if order is not None else ("", outcome.created)
        return Work(
            step=place.step,
            unit=place.unit,
            order=place.order,
            cause=cause,
            readied=readied,
            run=self._run(place, outcome),
            lost=tuple(self._lost(work, outcome.attempt)),
            awaited=self._awaited(work),
            held=tuple(self._held(work)),
            asked=self._asked(order, cause),
        )

    def _asked(self, order: Order | None, cause: str) -> datetime | None:
        """When it was asked for anew, of work that this readied: what follows from it has a cause of its own."""
        above = self._get(cause, Outcome)
        if order is None or not order.rerun or (above is not None and above.created == order.created):
            return None
        (rerun,) = self._read([keys.rerun(order.session, order.rerun)], Rerun)
        return None if rerun is None else rerun.created

    def _cause(self, order: Order, above: Iterable[str]) -> tuple[str, datetime]:
        """What came last of that which readied an order, which has its time; else what came last before it."""
        there = {keys.complete(order.session): self.complete.created}
        for key in above:
            outcome = self._get(key, Outcome)
            if outcome is not None and outcome.status in FINISHED:
                there[key] = outcome.created
        before = {key: when for key, when in there.items() if when <= order.created} or there
        return max(before, key=lambda key: (before[key], key)), order.created

    def _run(self, place: WorkKey, outcome: Outcome) -> Run | None:
        attempt = self._get(place.attempt(outcome.attempt), Attempt)
        if outcome.attempt == 0:
            return None
        return Run(
            number=outcome.attempt,
            launched=attempt.created if attempt is not None else outcome.started,
            started=outcome.started,
            finished=outcome.finished,
            **{name: outcome.figures.get(name, 0.0) for name in ("start_s", "stage_in_s", "execute_s", "stage_out_s")},
        )

    def _lost(self, work: WorkRecords, counts: int) -> Iterator[Lost]:
        grants = self._read([work.place.prefix + f"grants/{after}-{mark}.json" for after, mark in work.grants], Grant)
        granted = {grant.after: grant for grant in grants if grant is not None}
        for number in range(1, counts):
            attempt = self._get(work.place.attempt(number), Attempt)
            if attempt is None:
                continue
            ended, grant = self._get(work.place.ended(number), AttemptEnded), granted.get(number)
            end = ended.created if ended is not None else grant.outcome.created if grant is not None else None
            # An attempt of which nobody wrote the end: it lasted until the next one.
            after = self._get(work.place.attempt(number + 1), Attempt)
            yield Lost(
                number=number,
                launched=attempt.created,
                ended=end or (after.created if after is not None else attempt.created),
                retry_at=ended.retry_at if ended is not None else None,
                granted=grant.created if grant is not None else None,
            )

    def _awaited(self, work: WorkRecords) -> tuple[datetime, datetime] | None:
        if work.waiting is None:
            return None
        (waiting,), (given,) = (
            self._read([work.place.waiting], Waiting),
            self._read([work.place.provision], Provision),
        )
        return None if waiting is None or given is None else (waiting.created, given.created)

    def _held(self, work: WorkRecords) -> Iterator[tuple[datetime, datetime]]:
        """When an operator held it, or the session, the last time."""
        found = self._read([keys.hold(work.place.session), *([work.place.hold] if work.hold else [])], Hold)
        for hold in found:
            if hold is not None and hold.released is not None:
                yield hold.created, hold.released

    def _get(self, key: str, model: type[R]) -> R | None:
        found = self._records.get(key)
        return found if isinstance(found, model) else None

    def _read(self, wanted: Iterable[str], model: type[R]) -> list[R | None]:
        listed = list(wanted)
        lacking = sorted({key for key in listed if key not in self._records})
        for key, record in zip(lacking, self.ledger.find_many(lacking, model), strict=True):
            if record is not None:
                self._records[key] = record
        return [self._get(key, model) for key in listed]


def _attempts(work: WorkRecords) -> Iterable[str]:
    return [work.place.attempt(number) for number in work.attempts]


def by_level(paths: Iterable[CriticalPath]) -> Mapping[str, list[CriticalPath]]:
    """Paths by the level of their product, in the order of the levels' names."""
    found: dict[str, list[CriticalPath]] = {}
    for path in sorted(paths, key=lambda each: (each.product.level, each.product.name)):
        found.setdefault(path.product.level, []).append(path)
    return found
