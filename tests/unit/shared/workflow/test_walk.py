"""Joins at the level of records: what is ordered does not depend on which outcomes came when."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from shared.adapters.memory import MemoryStore
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Artifact, Complete, Order, Outcome, SessionChunk
from shared.workflow.graph import Workflow, load_workflow
from shared.workflow.orders import make_order
from shared.workflow.plan import Item, NotOwed, Ready, Skipped, Source
from shared.workflow.sources import LedgerRecords, Memory, read_source
from shared.workflow.walk import Walk, next_work
from tests.support.standin import JOINED, SESSION

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
JOINED_SET = load_workflow(str(JOINED))
TILES = ("32TQM", "32TQL", "32TQK")
MADE = {
    "l0u": ("PDI_L0U",),
    "l0c": ("PDI_DS", "PDI_DS_GR_LIST"),
    "l1a": ("L1A_PLACE",),
    "l1b": ("L1B_WORKING", "TILE_LIST_FILE"),
    "l1c-ds": ("MSI_L1C_DS",),
    "l1c": ("MSI_L1C_TL",),
    "l2a-ds": ("MSI_L2A_DS",),
    "l2a": ("MSI_L2A_TL",),
}
UNITS = {"l0u": {"datastrip": ("DT01",)}, "l1b": {"tile": TILES}}


def complete() -> Complete:
    chunk = SessionChunk(name="n", key="k", channel=1, size=1, sha256="a" * 64)
    return Complete(created=NOW, session=SESSION, station="SGS_", satellite="S2A", t0=NOW, files=(chunk,))


@dataclass
class Desk:
    """Records by key, and how often each was asked for."""

    records: dict[str, Complete | Outcome] = field(default_factory=lambda: {keys.complete(SESSION): complete()})
    asked: Counter[str] = field(default_factory=Counter)
    workflow: Workflow = JOINED_SET

    def find(self, key: str) -> Complete | Outcome | None:
        self.asked[key] += 1
        return self.records.get(key)

    def expect(self, wanted: Iterable[str]) -> None:
        list(wanted)

    def source(self, key: str) -> Source:
        return Source(key, self.records[key], SESSION)

    def follows(self, key: str) -> list[Item]:
        """What follows, but for Level 1A, which nobody asks for."""
        found = next_work(self.workflow, self.source(key), self)
        return [item for item in found if not isinstance(item, NotOwed)]

    def end(self, item: Ready, minutes: int = 0, status: str = "succeeded", **changes: object) -> str:
        """The work of ``item`` ends; returns the key of its outcome."""
        when = NOW + timedelta(minutes=minutes)
        names = ((kind, f"{kind}_{item.unit}") for kind in MADE[item.step.name])
        outputs = [
            Artifact(file_type=kind, name=name, bucket="b", prefix="p/", digest="b" * 64, size=1)
            for kind, name in names
        ]
        record = {
            "created": when,
            "step": item.step.name,
            "unit": item.unit,
            "attempt": 1,
            "status": status,
            "started": when,
            "finished": when,
            "outputs": outputs,
            "units": UNITS.get(item.step.name, {}),
            "facts": dict(item.facts),
        }
        key = item.key(SESSION).outcome
        self.records[key] = Outcome.model_validate(record | changes)
        return key


def up_to(step: str, desk: Desk) -> dict[tuple[str, str], Ready]:
    """All work up to ``step`` is done but ``step`` and what stands beside it is ready: by (step, unit)."""
    ready: dict[tuple[str, str], Ready] = {}
    waiting = [keys.complete(SESSION)]
    while waiting:
        for item in desk.follows(waiting.pop()):
            assert isinstance(item, Ready), item
            ready[item.step.name, item.unit] = item
            if item.step.name in {"l0u", "l0c", "l1a", "l1b"} - {step}:
                waiting.append(desk.end(item))
    return ready


def orders(desk: Desk, items: Iterable[Item]) -> set[str]:
    made = [make_order(desk.workflow, item, complete(), "t") for item in items if isinstance(item, Ready)]
    return {order.model_dump_json() for order in made}


@pytest.mark.parametrize("sequence", list(permutations(("l1c", "l1c-ds", "l2a-ds"))))
def test_the_last_to_come_readies_the_join_and_the_order_tells_nothing_of_the_sequence(
    sequence: tuple[str, ...],
) -> None:
    """Each outcome has a time of its own, whichever is written first."""
    desk = Desk()
    ready = up_to("l1b", desk)
    (l1b,) = [item for (step, _), item in ready.items() if step == "l1b"]
    key = desk.end(l1b)
    after = {item.step.name: item for item in desk.follows(key) if isinstance(item, Ready) and "TQK" not in item.unit}
    minutes = {"l1c": 3, "l1c-ds": 7, "l2a-ds": 5}
    items = {"l1c": after["l1c"], "l1c-ds": after["l1c-ds"]}
    ended = desk.end(items["l1c-ds"])
    (items["l2a-ds"],) = [i for i in desk.follows(ended) if isinstance(i, Ready)]
    del desk.records[ended]
    found: list[Item] = []
    for step in sequence:
        found = [i for i in desk.follows(desk.end(items[step], minutes[step])) if isinstance(i, Ready)]
        found = [i for i in found if i.step.name == "l2a"]
    (item,) = found
    assert isinstance(item, Ready)
    order = make_order(desk.workflow, item, complete(), "t")
    assert order.created == NOW + timedelta(minutes=7)
    assert [ref.file_type for ref in order.inputs] == ["MSI_L1C_TL", "MSI_L1C_DS", "MSI_L2A_DS"]
    assert [source.step for source in item.sources] == ["l1c", "l1c-ds", "l2a-ds"]


@pytest.mark.parametrize("seed", range(30))
def test_any_sequence_of_outcomes_and_of_events_orders_the_same(seed: int) -> None:
    """Outcomes appear, and their events come later, doubled or never; at the end each is looked at once (the sweep)."""
    dice = random.Random(seed)
    desk, made, events = Desk(), set[str](), [keys.complete(SESSION)]
    open_work: list[Ready] = []
    known: set[tuple[str, str]] = set()

    def look(key: str) -> None:
        for item in desk.follows(key):
            assert isinstance(item, Ready)
            made.update(orders(desk, [item]))
            if (item.step.name, item.unit) not in known:
                known.add((item.step.name, item.unit))
                open_work.append(item)

    while events or open_work:
        if open_work and (not events or dice.random() < 0.5):
            key = desk.end(open_work.pop(dice.randrange(len(open_work))))
            events += [key] * dice.choice([0, 1, 2])
        elif events:
            look(events.pop(dice.randrange(len(events))))
        if not events and not open_work:
            before = len(known)
            for key in sorted(desk.records):
                look(key)
            if len(known) == before:
                break
    reference = Desk()
    up_to("", reference)
    for key in list(reference.records):
        for item in reference.follows(key):
            if isinstance(item, Ready) and item.step.name in {"l1c", "l1c-ds"}:
                reference.end(item)
    for _ in range(2):
        for key in list(reference.records):
            for item in reference.follows(key):
                if isinstance(item, Ready) and item.step.name in {"l2a-ds", "l2a"}:
                    reference.end(item)
    wanted = {order for key in reference.records for order in orders(reference, reference.follows(key))}
    assert made == wanted
    assert Counter(Order.model_validate_json(order).step for order in made)["l2a"] == len(TILES)


def test_a_failed_one_readies_nothing_until_it_ends_otherwise() -> None:
    desk = Desk()
    ready = up_to("", desk)
    tiles = [desk.end(item) for (step, _), item in ready.items() if step == "l1c"]
    strip = desk.end(ready["l1c-ds", "DT01"])
    (second,) = [item for item in desk.follows(strip) if isinstance(item, Ready)]
    failed = desk.end(second, status="failed")
    assert [item for key in (*tiles, strip, failed) for item in desk.follows(key)] == [second]
    mended = desk.end(second)
    assert {item.unit for item in desk.follows(mended)} == {f"DT01-T{tile}" for tile in TILES}


def test_a_tile_that_is_not_in_the_list_is_paired_with_nothing() -> None:
    desk = Desk()
    ready = up_to("", desk)
    walk = Walk(desk.workflow, SESSION, desk)
    assert isinstance(walk.item(desk.workflow.step("l1c"), "DT01-T32TQM"), Ready)
    assert walk.item(desk.workflow.step("l1c"), "DT01-T31UFU") is None
    assert ("l1c", "DT01-T31UFU") not in ready


@pytest.mark.parametrize("mandatory", [True, False])
def test_an_input_that_the_step_before_did_not_make_parks_or_is_done_without(*, mandatory: bool) -> None:
    l2a = JOINED_SET.processors["l2a-ds"]
    more = l2a.inputs[0].model_copy(update={"file_type": "EXTRA", "take": "MSI_L1C_TC", "mandatory": mandatory})
    processors = JOINED_SET.processors | {"l2a-ds": l2a.model_copy(update={"inputs": (*l2a.inputs, more)})}
    desk = Desk(workflow=JOINED_SET.model_copy(update={"processors": processors}))
    ready = up_to("", desk)
    (item,) = desk.follows(desk.end(ready["l1c-ds", "DT01"]))
    if mandatory:
        assert isinstance(item, Skipped)
        assert (item.ended, item.reason) == ("parked", "l1c-ds made no MSI_L1C_TC, which l2a-ds cannot do without")
    else:
        assert isinstance(item, Ready)
        assert [ref.file_type for ref in item.inputs] == ["MSI_L1C_DS"]


@pytest.mark.parametrize(("gaps", "ended"), [("go-on", None), ("park", "parked")])
def test_missing_granules_are_gone_on_without_or_parked_as_configured(gaps: str, ended: str | None) -> None:
    l1a = JOINED_SET.processors["l1a"].model_copy(update={"gaps": gaps})
    desk = Desk(workflow=JOINED_SET.model_copy(update={"processors": JOINED_SET.processors | {"l1a": l1a}}))
    ready = up_to("l0c", desk)
    (l0c,) = [item for (step, _), item in ready.items() if step == "l0c"]
    stem = "S2A_TEST_MSI_L0__GR_S2PS_20261122T100000_S20261122T0930{:02d}_D{:02d}_N00.01"
    names = [stem.format(second, detector) for second in (0, 4, 8) for detector in (1, 2, 12)][:-2]
    granules = [
        Artifact(file_type="PDI_DS_GR_LIST", name=name, bucket="b", prefix="p/", digest="b" * 64, size=1)
        for name in names
    ]
    (item,) = desk.follows(desk.end(l0c, outputs=granules))
    told = "2 granules are missing, of detectors 02, 12"
    if isinstance(item, Skipped):
        assert (item.ended, item.reason) == (ended, f"{told}; l1a is not to run without them (gaps: park)")
    else:
        assert isinstance(item, Ready)
        assert ended is None
        assert make_order(desk.workflow, item, complete(), "").warnings == (told,)


# cost ---------------------------------------------------------------------------------------------------------------
class Counting(MemoryStore):
    """Counts what it is asked."""

    requests = 0

    def get(self, bucket: str, key: str):  # type: ignore[no-untyped-def]  # as the store's
        self.requests += 1
        return super().get(bucket, key)

    def list(self, bucket: str, prefix: str = "", *, start_after: str = ""):  # type: ignore[no-untyped-def]  # as well
        self.requests += 1
        return super().list(bucket, prefix, start_after=start_after)


class _Clock:
    def now(self) -> datetime:
        return NOW


def _cost(tiles: int, *, remember: bool = False) -> int:
    """Requests to the store for one tile's event, where ``tiles`` tiles wait for the datastrip's products."""
    names = tuple(
        f"{n // 400 + 10:02d}T{'ABCDEFGHJKLMNPQRSTUV'[n // 20 % 20]}{'ABCDEFGHJKLMNPQRSTUV'[n % 20]}"
        for n in range(tiles)
    )
    desk, store = Desk(), Counting(_Clock())
    ready = up_to("l1b", desk)
    (l1b,) = [item for (step, _), item in ready.items() if step == "l1b"]
    events = [desk.end(item) for item in desk.follows(desk.end(l1b, units={"tile": names})) if isinstance(item, Ready)]
    tile = next(key for key in events if "/work/l1c/" in key)
    ledger = Ledger(store, "ledger", _Clock())
    for key, record in desk.records.items():
        ledger.create(key, record)
    memory = Memory() if remember else None
    for _ in range(2 if remember else 1):
        store.requests = 0
        source, records = read_source(ledger, tile), LedgerRecords(ledger, memory=memory)
        records.know(source)
        assert not list(next_work(desk.workflow, source, records))
    return store.requests


def test_an_event_costs_the_same_however_many_tiles_wait() -> None:
    costs = {tiles: _cost(tiles) for tiles in (1, 10, 100, 1000)}
    assert len(set(costs.values())) == 1, costs
    assert costs[1] <= 9


def test_an_instance_that_remembers_reads_only_what_may_have_changed() -> None:
    assert _cost(10, remember=True) == 2  # the outcome of the event, and the one that is still missing
