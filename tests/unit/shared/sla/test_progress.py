from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.forecast import Leg
from shared.ledger.attempts import WorkRecords
from shared.ledger.keys import WorkKey
from shared.ports import ObjectInfo
from shared.sla.progress import ARRIVAL, PUBLICATION, Followed, Ways, progress
from shared.workflow.graph import load_workflow

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
OPEN = load_workflow("open")
EXPECTED = {"l0u": 100.0, "l0c": 100.0, "l1b": 600.0, "l1c": 400.0, "l2a": 500.0, PUBLICATION: 10.0}


def info(key: str, minutes: float) -> ObjectInfo:
    return ObjectInfo(key, 1, "e", NOW - timedelta(minutes=minutes))


def work(step: str, unit: str, ordered: float, ended: float | None = None) -> WorkRecords:
    """Ordered, and ended, so many minutes ago."""
    place = WorkKey("S", step, unit, "a" * 64)
    written = info(place.outcome, ended) if ended is not None else None
    return WorkRecords(place, order=info(place.order, ordered), written=written)


def ways(*items: WorkRecords, arrival: Leg | None = None, **known: Followed) -> dict[str, list[str]]:
    """The steps of the way to each level; ``known`` by step: what followed from its outcomes."""
    followed = {each.place.outcome: known.get(each.place.step, Followed()) for each in items if each.outcome}
    found = Ways(OPEN, progress(items, followed), lambda step, _: EXPECTED.get(step, 50.0), NOW, arrival)
    return {level: [leg.step for leg in legs] for level, legs in found.levels().items()}


def test_before_a_session_is_complete_all_is_to_come() -> None:
    found = ways(arrival=Leg(step=ARRIVAL, expected_s=60))
    assert found["L0"] == [ARRIVAL, "l0u", "l0c", PUBLICATION]
    assert found["L1C"] == [ARRIVAL, "l0u", "l0c", "l1b", "l1c", PUBLICATION]
    assert found["L2A"] == [ARRIVAL, "l0u", "l0c", "l1b", "l1c", "l2a", PUBLICATION]


def test_what_has_ended_is_behind_it() -> None:
    found = ways(work("l0u", "S", 20, 15), work("l0c", "D1", 15, 10), work("l1b", "D1", 10))
    assert "L0" not in found
    assert found["L1C"] == ["l1b", "l1c", PUBLICATION]


def test_of_two_datastrips_the_slower_counts() -> None:
    """The tiles of the first are long under way; the second has its Level-1B still before it."""
    found = ways(
        work("l0u", "S", 60, 55),
        work("l0c", "D1", 55, 50),
        work("l0c", "D2", 55, 50),
        work("l1b", "D1", 50, 40),
        work("l1b", "D2", 50, None),
        work("l1c", "D1-T01ABC", 1, None),
    )
    assert found["L1C"] == ["l1b", "l1c", PUBLICATION]
    # A tile that is under way for two hours will not be overtaken by the rest.
    found = ways(
        work("l0u", "S", 160, 155),
        work("l0c", "D1", 155, 150),
        work("l0c", "D2", 155, 150),
        work("l1b", "D1", 150, 140),
        work("l1b", "D2", 150, 5),
        work("l1c", "D1-T01ABC", 120, None),
    )
    assert found["L1C"] == ["l1c", PUBLICATION]


def test_what_a_rule_leaves_out_has_no_way() -> None:
    base = [work("l0u", "S", 20, 15), work("l0c", "D1", 15, 10)]
    assert "L1C" in ways(*base)
    assert ways(*base, l0c=Followed(left_out=("l1b",))) == {}


def test_after_failed_work_nothing_is_to_come() -> None:
    assert ways(work("l0u", "S", 20, 15), work("l0c", "D1", 15, 10), l0c=Followed(stopped=True)) == {}


def test_an_outcome_that_is_not_on_the_shelf_yet_lacks_its_publication() -> None:
    items = [work("l0u", "S", 20, 15), work("l0c", "D1", 15, 10)]
    seen = progress(items, {items[0].place.outcome: Followed()})
    found = Ways(OPEN, seen, lambda step, _: EXPECTED.get(step, 50.0), NOW).levels()
    assert [(leg.step, leg.since) for leg in found["L0"]] == [(PUBLICATION, NOW - timedelta(minutes=10))]


@pytest.mark.parametrize("waits", [True, False])
def test_work_begins_with_its_wait_for_auxiliary_files(waits: bool) -> None:
    item = work("l0u", "S", 5)
    if waits:
        item.waiting = info(item.place.waiting, 30)
    since = progress([item], {})["l0u"].since
    assert since == NOW - timedelta(minutes=30 if waits else 5)
