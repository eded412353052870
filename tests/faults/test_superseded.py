"""Work that a rerun supersedes while it is ordered, queued or done: it is not begun, and not brought to the shelf."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest

from functions.cli.items import work_rows
from functions.product_publication.step import publish
from functions.sweep.step import Sweep
from shared.domain.events import Event, object_created
from shared.errors import BadInputError, RefusedError
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords, sort_work
from shared.ledger.ledger import Ledger
from shared.ledger.records import Order, Outcome, ProductClaim, Published
from shared.parallel import one_after_the_other
from shared.ports import ObjectInfo
from shared.steering import rerun, retry
from shared.workflow.sources import LedgerRecords
from shared.workflow.walk import Walk
from tests.support.house import START, Crash, House
from tests.support.standin import SESSION, Outputs, StandInStation, script

PRODUCTS = 7
TILES = tuple(f"32TQ{letter}" for letter in "ABCDEFGHJKLM")


def house() -> House:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    return House(station=station)


def anew(made: House, step: str, *units: str) -> None:
    rerun(made.operator()[0], SESSION, step=step, units=units, who="ada", reason="the tables were mended")


def ledger_of(made: House) -> Ledger:
    return Ledger(made.memory, made.settings.bucket_ledger, made.clock)


def works(made: House, step: str) -> list[WorkRecords]:
    found = sort_work(made.memory.list(made.settings.bucket_ledger)).values()
    return [work for work in found if work.place.step == step]


def outcomes(made: House, step: str) -> Counter[str]:
    """How the work of a step ended, the superseded ones by that word."""
    found = [ledger_of(made).read(work.place.outcome, Outcome) for work in works(made, step)]
    return Counter("superseded" if each.reason.startswith("superseded, and not run") else each.status for each in found)


def products(made: House) -> list[Published]:
    return [ledger_of(made).read(info.key, Published) for info in ledger_of(made).list("products/")]


def without(made: House, name: str, lost: Callable[[Event], bool]) -> Callable[[], None]:
    """Events that a function never gets; returns what ends that."""
    real = made.functions[name]
    made.functions[name] = lambda event: None if lost(event) else real(event)
    return lambda: made.functions.update({name: real})


def until(made: House, reached: Callable[[], object], *, jobs: bool = True) -> None:
    for _ in range(60):
        if reached():
            return
        made.tick(5, jobs=jobs)
    raise AssertionError(made.story())


def jobs_of(made: House, step: str) -> int:
    return sum(name.startswith(f"{step}-") for name in made.launcher.states)


def test_what_was_ordered_and_not_launched_is_not_run() -> None:
    made = house()
    again = without(made, "job-launch", lambda event: "/work/l2a/" in event.subject)
    until(made, lambda: len(works(made, "l2a")) == 2)
    anew(made, "l1c", "DT01-T32TQM")
    again()
    account = made.run()
    assert (account.produced, account.absent, account.parked) == (PRODUCTS, 0, 0)
    assert outcomes(made, "l2a") == {"superseded": 1, "succeeded": 2}
    assert jobs_of(made, "l2a") == 2
    old = next(row for row in work_rows(made.services, [SESSION]) if row.reason.startswith("superseded, and not run"))
    assert (old.stands, old.attempts) == ("superseded", 0)
    assert "made anew by rerun 1 from l1c of DT01-T32TQM by ada" in old.reason
    with pytest.raises(RefusedError, match="nothing of it has failed"):
        retry(made.operator()[0], SESSION, who="ada", reason="again")
    assert made.dead == []


def test_what_waits_for_its_next_attempt_gets_none() -> None:
    made = house()
    tried: Counter[str] = Counter()

    def broken(order: Order) -> Outputs:
        tried[order.step] += 1
        if order.step == "l2a" and not order.rerun:
            raise Crash("the node is gone")
        return script(order)

    made.launcher.script = broken
    until(made, lambda: tried["l2a"] == 2)
    anew(made, "l1c")
    assert made.run().produced == PRODUCTS
    assert outcomes(made, "l2a") == {"superseded": 2, "succeeded": 2}
    assert tried["l2a"] == 4, "one attempt each of before, and of the new ones"


def test_what_ends_after_it_was_superseded_is_not_brought_to_the_shelf() -> None:
    made = house()
    while jobs_of(made, "l2a") < 2:
        made.tick(1, jobs=False)
        made.launcher.run_one()
        made.deliver()
    old = {work.place.order for work in works(made, "l2a")}
    anew(made, "l1c")
    again = without(made, "job-launch", lambda event: event.subject not in old)
    for _ in range(10):
        made.tick()
    assert not [subject for subject in swept(made)[0] if "/l2a/" in subject], "nothing is lacking of what is over"
    again()
    assert made.run().produced == PRODUCTS
    assert outcomes(made, "l2a") == {"succeeded": 4}, "they were under way"
    by_level = Counter((product.level, product.rerun) for product in products(made))
    assert by_level == {("L0", 0): 3, ("L1C", 0): 2, ("L1C", 1): 2, ("L2A", 1): 2}
    for _ in range(3):
        made.tick()
    assert not list(made.memory.list(made.settings.bucket_ledger, keys.OPEN))
    made.shelf()


@pytest.mark.parametrize("number", range(1, 6))
def test_a_product_that_was_begun_before_is_brought_to_its_end(number: int) -> None:
    """Claim, two files, manifest, record: whoever brings it dies after each."""
    made = house()
    again = without(made, "product-publication", lambda event: "/work/l1c/" in event.subject)
    until(made, lambda: any(work.outcome for work in works(made, "l1c")))
    again()
    first = next(work for work in works(made, "l1c") if work.outcome is not None)
    services, store = made.operator()
    store.crash_at = (number, "after")
    with pytest.raises(Crash):
        publish(object_created(made.settings.bucket_ledger, first.place.outcome, "e"), services)
    anew(made, "l1c")
    again = without(made, "product-publication", lambda event: event.subject == first.place.outcome)
    for _ in range(30):
        made.tick()
    assert (made.account is None) == (number < 5), "it waits for what was begun"
    again()
    assert made.run().produced == PRODUCTS
    made.shelf()
    claims = [ledger_of(made).read(info.key, ProductClaim) for info in ledger_of(made).list("names/")]
    assert {claim.product for claim in claims} == {product.product for product in products(made)}
    assert first.place.unit in {
        product.unit for product in products(made) if product.level == "L1C" and not product.rerun
    }


# many at once ------------------------------------------------------------------------------------------------------
def many(order: Order) -> Outputs:
    """A datastrip of twelve tiles."""
    made = script(order)
    return Outputs(made.artifacts, {"tile": TILES}) if order.step == "l1b" else made


def swept(made: House) -> tuple[list[str], str]:
    """What a sweep that remembers nothing sends, and what it says is wrong."""
    services, _ = made.operator()
    sent: list[str] = []

    class Sink:
        def send(self, event: Event) -> None:
            sent.append(f"{event.type} {event.subject}")

    vars(services).update(sink=Sink(), launcher=made.launcher)
    try:
        Sweep(services).run()
    except BadInputError as error:
        return sent, str(error)
    return sent, ""


@pytest.mark.parametrize("broken", [False, True])
def test_a_sweep_that_looks_at_many_at_once_sends_the_same_in_the_same_order(broken: bool) -> None:
    made = house()
    made.launcher.script = many
    assert made.run().produced == 3 + 2 * len(TILES)
    made.functions["product-publication"] = lambda _event: None
    anew(made, "l1c")
    for _ in range(3):
        made.tick()
    made.clock.advance(60)
    if broken:
        some = works(made, "l1c")[7].place.outcome
        made.memory.put(made.settings.bucket_ledger, some, b"{")
        made.clock.advance(60)
    at_once = swept(made)
    with one_after_the_other():
        assert swept(made) == at_once
    assert len(at_once[0]) >= 4
    assert bool(at_once[1]) == broken


class Together:
    """A store's ``get``, whose first few reads of outcomes wait for one another."""

    def __init__(self, real: Callable[..., Any], parties: int) -> None:
        self.real, self.left, self.met = real, parties, False
        self.barrier = Barrier(parties, action=self._note)

    def _note(self) -> None:
        self.met = True

    def __call__(self, bucket: str, key: str) -> tuple[bytes, ObjectInfo]:
        if key.endswith("/outcome.json") and "-T" in key and self.left > 0:
            self.left -= 1
            try:
                self.barrier.wait(timeout=5)
            except BrokenBarrierError:
                self.left = 0
        found: tuple[bytes, ObjectInfo] = self.real(bucket, key)
        return found


def closed_with_many() -> House:
    made = house()
    made.launcher.script = many
    made.run()
    return made


def test_the_first_sweep_after_a_rerun_reads_outcomes_together(monkeypatch: pytest.MonkeyPatch) -> None:
    made = closed_with_many()
    anew(made, "l2a")
    made.clock.advance(60)
    together = Together(made.memory.get, 6)
    monkeypatch.setattr(made.memory, "get", together)
    swept(made)
    assert together.met


def test_the_units_of_a_step_are_found_by_reading_outcomes_together(monkeypatch: pytest.MonkeyPatch) -> None:
    made = closed_with_many()
    services, _ = made.operator()
    workflow = services.workflow
    alone = list(Walk(workflow, SESSION, LedgerRecords(services.ledger)).units(workflow.step("l2a")))
    together = Together(made.memory.get, 6)
    monkeypatch.setattr(made.memory, "get", together)
    walk = Walk(workflow, SESSION, LedgerRecords(services.ledger))
    assert list(walk.units(workflow.step("l2a"))) == alone == [f"DT01-T{tile}" for tile in TILES]
    assert together.met
