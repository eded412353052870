"""What has followed from complete.json and the outcomes of a session, and from which of them not everything has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from functions.sweep.watch import Watch
from shared.bootstrap import Services
from shared.ledger import keys
from shared.ledger.keys import parse_work
from shared.ledger.records import Complete, Order, Outcome, Published
from shared.parallel import pool_of
from shared.ports import ObjectInfo
from shared.workflow.graph import Workflow
from shared.workflow.plan import Item, Ready, Source
from shared.workflow.products import product_key, product_name, published_artifacts
from shared.workflow.reruns import Rerun
from shared.workflow.sources import LedgerRecords
from shared.workflow.superseding import begun, newer
from shared.workflow.walk import next_work

_READERS: Final = 16


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen of a record: what it readies, and whether all has ``followed``."""

    source: Source
    items: list[Item]
    followed: bool = False
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class Following:
    """Looks at records of open sessions; ``watch`` is told what it learns."""

    services: Services
    watch: Watch

    def look(
        self, session: str, looked: list[ObjectInfo], listing: Mapping[str, ObjectInfo], reruns: tuple[Rerun, ...]
    ) -> Iterator[tuple[ObjectInfo, bool]]:
        """Of each of these records, in their order, whether all has followed from it; several are looked at at a time.

        What is wrong with one is raised when its turn comes: what is wrong with those before it is told.
        """
        if not looked:
            return
        records = LedgerRecords(self.services.ledger, listing.__contains__)
        complete = records.find(keys.complete(session))
        workflow = self.services.workflow_of(complete if isinstance(complete, Complete) else None, reruns)
        records.expect(info.key for info in looked)
        with pool_of(_READERS, len(looked)) as pool:
            try:
                told = pool.map(lambda info: self._seen(info.key, workflow, records, listing.__contains__), looked)
                for info, seen in zip(looked, told, strict=True):
                    if seen.followed:
                        self.watch.followed(seen.source, seen.items, superseded=seen.superseded)
                    yield info, seen.followed
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _seen(self, key: str, workflow: Workflow, records: LedgerRecords, present: Callable[[str], bool]) -> _Seen:
        source = records.source(key)
        items = list(next_work(workflow, source, records))
        for item in items:
            if isinstance(item, Ready):
                place = item.key(source.session)
                if not present(place.order) and not present(place.waiting):
                    return _Seen(source, items)
        if isinstance(source.record, Complete):
            return _Seen(source, items, followed=True)
        wanted = list(_shelf_keys(workflow, source.record))
        superseded = self._is_superseded(key, workflow)
        there = self._is_left(wanted) if superseded else self.services.ledger.all_exist(wanted)
        return _Seen(source, items, there, superseded)

    def _is_superseded(self, outcome: str, workflow: Workflow) -> bool:
        """Whether the work of an outcome is made anew; a read only where it may be."""
        place = parse_work(outcome)
        if place is None or workflow.reruns.of(place[0].step, place[0].unit) is None:
            return False
        order = self.services.ledger.find(place[0].order, Order)
        return order is not None and newer(workflow, order) is not None

    def _is_left(self, wanted: list[str]) -> bool:
        """Of work that is made anew, only the products that were begun before are brought to the shelf."""
        records = self.services.ledger.find_many(wanted, Published)
        return not begun(self.services.ledger, [key for key, found in zip(wanted, records, strict=True) if not found])


def _shelf_keys(workflow: Workflow, outcome: Outcome) -> Iterator[str]:
    if outcome.status.startswith("succeeded"):
        for output, artifact in published_artifacts(workflow, outcome):
            yield product_key(str(output.publish), product_name(artifact), outcome.finished)
