"""Half of all deliveries go wrong, functions die at each write that there is: nothing is lost, nothing comes twice."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from functions.rehearse import deliveries
from functions.rehearse.deliveries import Tally, storm
from functions.rehearse.faults import Profile
from functions.rehearse.invariants import Once
from functions.rehearse.models import START, Scenario
from functions.rehearse.points import Points, Write, shape
from functions.rehearse.scenario import Rehearsal, rehearse
from functions.session_account import step as account
from shared.ledger.records import Account
from shared.ports import ObjectInfo
from shared.workflow.accounting import make_account

FUNCTIONS = {
    "station-poll",
    "file-transfer",
    "session-assembly",
    "job-preparation",
    "job-launch",
    "stage-out",
    "job-settlement",
    "product-publication",
    "session-account",
    "sweep",
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Functions log what is meant to go wrong here."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def small(seed: int) -> Scenario:
    """Four passes with short datastrips."""
    whole = storm(seed, hours=1.4, satellites=("S2A", "S2B"))
    passes = tuple(
        replace(one, segments=tuple(replace(each, scenes=min(each.scenes, 16)) for each in one.segments))
        for one in whole.passes
    )
    return replace(whole, passes=passes)


def test_storms_leave_every_account_closed_and_every_crash_point_is_hit() -> None:
    """A thousand faulted deliveries; ``tests/benchmarks/deliveries.py`` plays a hundred thousand."""
    tally = Tally()
    for seed in (1, 2):
        tally.add(small(seed))
    assert tally.broken == []
    assert tally.faulted > 1000
    assert all(tally.went_wrong(kind) > 20 for kind in deliveries.FAULTS)
    assert tally.points.missed() == []
    who = {write.who for write in tally.points.seen}
    assert who >= FUNCTIONS
    assert len(tally.points.seen) > 35
    assert tally.ends["produced"] > 10 * (tally.ends["parked"] + tally.ends["absent"])


def test_what_goes_wrong_where_no_function_waits_is_no_faulted_delivery() -> None:
    """Every notification is doubled: as many come anew as go to some Trigger, and no more count."""
    world = Rehearsal(replace(small(1), passes=(), profile=Profile(doubled=1.0))).world
    for key in ("timers/20260601T0010/nobody.json", "sessions/S2A_20260601001755035302/complete.json", "strategy.json"):
        world.memory.put(world.settings.bucket_ledger, key, b"{}")
    assert world.dice.counts["doubled"] == 3
    assert world.counts.idle["doubled"] == 2
    tally = Tally(counts=Counter({**world.dice.counts, "doubled idle": world.counts.idle["doubled"]}))
    assert tally.faulted == 1


def test_an_account_that_leaves_a_product_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*args: Any, **kwargs: Any) -> Account:
        made = make_account(*args, **kwargs)
        lost = next(entry for entry in made.entries if entry.level == "L1C")
        kept = tuple(entry for entry in made.entries if entry != lost)
        return made.model_copy(update={"entries": kept, "produced": made.produced - 1})

    monkeypatch.setattr(account, "make_account", short)
    one = small(1)
    broken = rehearse(replace(one, passes=one.passes[:1], profile=Profile())).broken
    assert any("are in its account" in text for text in broken)
    assert any("l1c owes 1 of" in text for text in broken)


@pytest.mark.parametrize(
    ("bucket", "first", "second"),
    [
        ("ledger", "products/L1C/2026/06/01/one.json", "products/L1C/2026/06/02/one.json"),
        ("ledger", "sessions/s/work/l1c/u/d/outcome.json", "sessions/s/work/l1c/u/d/outcome.json"),
        ("ledger", "sessions/s/account.json", "sessions/s/account.json"),
        ("products", "L1C/2026/06/01/one/manifest.json", "L1C/2026/06/01/one/manifest.json"),
    ],
)
def test_what_is_written_twice_is_found(bucket: str, first: str, second: str) -> None:
    once = Once("ledger")
    for key in (first, "sessions/s/open.json", "sessions/s/open.json"):
        once.written(bucket, ObjectInfo(key, 0, "", START, {}))
    assert once.broken == []
    once.written(bucket, ObjectInfo(second, 0, "", START, {}))
    assert len(once.broken) == 1


def test_a_job_that_is_asked_for_though_its_end_is_known_is_found() -> None:
    once = Once("ledger")
    once.started("a-1", over=False)
    once.started("b-1", over=False)
    once.started("a-1", over=False)  # it is gone, and nobody wrote down how it ended: its attempt goes on
    assert once.broken == []
    once.started("b-1", over=True)
    assert once.broken == ["Job b-1: it was there already, and its end is known"]


def test_each_write_is_died_at_before_and_after() -> None:
    points, write = Points(), Write("sweep", "put", "b", "k")
    assert [points.dies(write) for _ in range(3)] == ["before", "after", None]
    assert points.missed() == []
    other = Write("sweep", "delete", "b", "k")
    points.dies(other)
    assert points.missed() == [(other, "after")]


def test_a_write_is_left_to_the_function_that_seldom_does_it() -> None:
    rare, usual = (Write(who, "delete", "b", "open/<session>") for who in ("sweep", "session-account"))
    points = Points(left_to=rare)
    assert [points.dies(usual) for _ in range(3)] == ["before"] * 3
    assert [points.dies(rare) for _ in range(3)] == ["before", "after", None]
    assert points.dies(Write("session-account", "put", "b", "open/<session>")) == "before"  # as any other, once
    points.left_to = None
    assert [points.dies(usual) for _ in range(3)] == ["before", "after", None]


@pytest.mark.parametrize(
    ("key", "known"),
    [
        (
            f"sessions/S2A_20260601001755035302/work/l1c/DT01-P02-T32TQM/{'ab' * 32}/attempts/12.ended.json",
            "sessions/<session>/work/<step>/<unit>/<digest>/attempts/<n>.ended.json",
        ),
        ("products/L1C/2026/06/01/S2A_TEST_X.json", "products/<level>/<product>"),
        ("L1C/2026/06/01/S2A_TEST_X/manifest.json", "<product>/manifest.json"),
        ("chain/S2A/20260601/000003.json", "chain/<satellite>/<day>/<n>.json"),
        (
            "timers/20260601T0010/session-incomplete-S2A_20260601001755035302.json",
            "timers/<time>/session-incomplete-<session>.json",
        ),
        (
            "SGS_/S2A/S2A_20260601001755035302/ch_1/DCS_05_x_DSDB_00001.raw",
            "<station>/<satellite>/<session>/ch_1/<file>",
        ),
    ],
)
def test_the_shape_of_a_key_is_that_of_all_of_its_kind(key: str, known: str) -> None:
    assert shape(key) == known
