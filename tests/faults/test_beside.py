"""The raw data of a session processed once more, in a session beside it: two baselines of one downlink."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared import steering
from shared.errors import NotReadyError, ObjectAbsentError, RefusedError
from shared.ledger import keys
from shared.ledger.records import Account, Action, Complete, Order
from shared.ledger.standing import account_in_force
from shared.sla.passes import load_plan
from shared.steering import rerun
from tests.faults.test_strategies import PRODUCTS, activate, house, rule, strategy, sums
from tests.faults.test_two_sets import of_baseline, write
from tests.faults.test_unlike_plan import planned
from tests.support.house import Crash, Delivery, House
from tests.support.standin import SESSION, Outputs

SECOND = f"{SESSION}-2"
submit = partial(steering.submit, who="ada@console", reason="comparison of 07.77")


def closed(newer: str) -> House:
    """A session that is closed; what is submitted from now on goes by the newer set."""
    made = house(answers=of_baseline)
    assert sums(made.run()) == (PRODUCTS, 0, 0)
    activate(made, strategy(rule(when={"classes": ["reprocessing"]}, processor_set=newer)))
    return made


def run(made: House, session: str = SECOND, ticks: int = 200) -> Account:
    for _ in range(ticks):
        made.tick()
        account = account_in_force(made.services.ledger, session)
        if account is not None and not list(made.memory.list(made.settings.bucket_ledger, keys.OPEN)):
            return account
    raise AssertionError(f"the session never closed; its ledger:\n{made.story()}")


def baselines(made: House) -> dict[str, int]:
    names = [name.split("_")[3] for name in made.shelf() if "_MSIL" in name]
    return {name: names.count(name) for name in sorted(set(names))}


@pytest.fixture
def newer(tmp_path: Path) -> str:
    return write(tmp_path)


def test_a_downlink_is_processed_from_its_raw_data_by_two_baselines(newer: str) -> None:
    made = closed(newer)
    first, number = made.account, len(made.orders())
    assert first is not None
    (done,) = submit(made.operator()[0], SESSION)
    assert done.target == SECOND
    assert done.note.endswith(f"raw files are processed once more, by processor set {newer}")
    account = run(made)
    assert sums(account) == (PRODUCTS, 0, 0)
    assert (made.account, len(made.orders())) == (first, 2 * number)
    assert baselines(made) == {"N0001": 4, "N0777": 4}
    assert {entry.product for entry in account.entries}.isdisjoint(entry.product for entry in first.entries)
    assert not made.dead
    record = made.services.ledger.read(keys.complete(SECOND), Complete)
    assert (record.work_class, record.t0) == ("reprocessing", record.created)
    assert account.last_sensed is None  # nobody has waited for it since


def test_the_same_strategy_makes_it_once_and_another_once_more(newer: str, tmp_path: Path) -> None:
    made = closed(newer)
    submit(made.operator()[0], SESSION)
    (again,) = submit(made.operator()[0], SESSION)
    assert (again.target, again.changes) == (SECOND, ())
    run(made)
    assert submit(made.operator()[0], SESSION)[0].changes == ()
    third = write(tmp_path, lambda document: document.update(baseline="08.88"), "third")
    activate(made, strategy(rule(when={"classes": ["reprocessing"]}, processor_set=third), name="next"))
    (done,) = submit(made.operator()[0], SESSION)
    assert done.target == f"{SESSION}-3"
    assert sums(run(made, done.target)) == (PRODUCTS, 0, 0)
    assert baselines(made) == {"N0001": 4, "N0777": 4, "N0888": 4}


def test_it_is_held_against_the_plan_of_the_downlink(newer: str) -> None:
    made = house(answers=of_baseline)
    load_plan(made.services, (planned(5),))
    first = made.run()
    activate(made, strategy(rule(when={"classes": ["reprocessing"]}, processor_set=newer)))
    submit(made.operator()[0], SESSION)
    second = run(made)
    assert first.unlike_plan
    assert second.unlike_plan == first.unlike_plan


def test_telemetry_whose_name_tells_no_creation_is_on_the_shelf_once(newer: str) -> None:
    """A licensed processor may name it the same whenever it is made: what is there is what is owed."""

    def telling(order: Order) -> Outputs:
        made = of_baseline(order)
        hktm = ("PRD_HKTM", "S2A_TEST_PRD_HKTM___20261122T093000_20261122T093100_0001", "", {"a.bin": b"telemetry"})
        return replace(made, artifacts=(*made.artifacts, hktm)) if order.step == "l0u" else made

    made = house(answers=telling)
    assert sums(made.run()) == (PRODUCTS + 1, 0, 0)
    activate(made, strategy(rule(when={"classes": ["reprocessing"]}, processor_set=newer)))
    submit(made.operator()[0], SESSION)
    assert sums(run(made)) == (PRODUCTS + 1, 0, 0)
    assert sum("PRD_HKTM" in name for name in made.shelf()) == 1
    rerun(made.operator()[0], SESSION, step="l0u", who="ada@console", reason="the tables were mended")
    assert sums(made.run()) == (PRODUCTS + 1, 0, 0)
    assert not made.dead


@pytest.mark.parametrize("share", [20, 50, 80])
def test_a_sample_takes_the_same_tiles_of_both(share: int) -> None:
    sampled = rule(when={"levels": ["L1C"]}, sample={"percent": share})
    made = house(sampled, answers=of_baseline)
    first = made.run()
    submit(made.operator()[0], SESSION)
    second = run(made)
    assert {(entry.step, entry.unit) for entry in first.entries} == {(e.step, e.unit) for e in second.entries}


def test_without_a_strategy_it_is_the_service_s_own_set() -> None:
    made = house()
    made.run()
    (done,) = submit(made.operator()[0], SESSION, dry_run=True)
    assert done.note.endswith("by processor set open")
    assert done.changes
    assert not [key for key in made.story().splitlines() if SECOND in key]


def test_while_another_of_the_downlink_is_under_way_it_is_refused(newer: str) -> None:
    """Two products of Level 0 that are made in one second would have one name."""
    made = house(answers=of_baseline)
    while not made.services.ledger.exists(keys.complete(SESSION)):
        made.tick(1, jobs=False)
    with pytest.raises(RefusedError, match=f"session {SESSION}: it is under way; submit {SESSION} when its account"):
        submit(made.operator()[0], SESSION)
    made.run()
    submit(made.operator()[0], SESSION)
    activate(made, strategy(rule(when={"classes": ["reprocessing"]}, processor_set=newer)))
    with pytest.raises(RefusedError, match=f"session {SECOND}: it is under way; submit {SESSION} when"):
        submit(made.operator()[0], SESSION)
    run(made)
    submit(made.operator()[0], SESSION)
    assert sums(run(made, f"{SESSION}-3")) == (PRODUCTS, 0, 0)


def _cut_off(made: House, number: int, when: Any) -> bool:
    """The command dies at its ``number``-th write; whether it has so many."""
    services, store = made.operator()
    store.crash_at = (number, when)
    try:
        submit(services, SESSION)
    except Crash:
        return True
    return False


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_command_that_is_cut_off_anywhere_and_given_again_is_one_session(when: Any, newer: str) -> None:
    number, cut = 0, True
    while cut:
        number += 1
        made = closed(newer)
        cut = _cut_off(made, number, when)
        if cut:
            made.tick()
            submit(made.operator()[0], SESSION)
        assert sums(run(made)) == (PRODUCTS, 0, 0)
        assert not made.services.ledger.exists(keys.complete(f"{SESSION}-3"))
        said = [info.key for info in made.services.ledger.list(f"{keys.session(SESSION)}actions/")]
        assert {made.services.ledger.read(key, Action).target for key in said} <= {SECOND}
    assert number > 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_command_that_is_cut_off_and_never_given_again_leaves_nothing_open(when: Any, newer: str) -> None:
    """It is processed whole, by the sweep alone, or nothing of it was begun."""
    number, cut, ways = 0, True, set()
    while cut:
        number += 1
        made = closed(newer)
        made.delivery = Delivery(copies=lambda _event: 0)
        cut = _cut_off(made, number, when)
        for _ in range(400):
            made.tick(60)
        begun = made.services.ledger.exists(keys.complete(SECOND))
        ways.add(begun)
        account = account_in_force(made.services.ledger, SECOND)
        assert (account is not None and sums(account) == (PRODUCTS, 0, 0)) == begun
        left = [info.key for info in made.memory.list(made.settings.bucket_ledger)]
        assert not [key for key in left if key.startswith((keys.OPEN, keys.TIMERS)) and SECOND in key]
    assert ways == {True, False}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_of_the_service_at_any_write_changes_nothing(when: Any, newer: str) -> None:
    reference = closed(newer)
    begin = reference.store.writes
    submit(reference.operator()[0], SESSION)
    run(reference)
    for point in range(begin + 1, reference.store.writes, 5):
        made = closed(newer)
        submit(made.operator()[0], SESSION)
        made.store.crash_at = (point, when)
        assert sums(run(made)) == (PRODUCTS, 0, 0), point
        assert (made.shelf(), made.orders()) == (reference.shelf(), reference.orders()), point


def test_by_the_sweep_alone(newer: str) -> None:
    made = closed(newer)
    made.delivery = Delivery(copies=lambda _event: 0)
    submit(made.operator()[0], SESSION)
    assert sums(run(made, ticks=600)) == (PRODUCTS, 0, 0)


def test_what_cannot_be_submitted_is_refused_by_name(newer: str) -> None:
    made = closed(newer)
    services, _ = made.operator()
    with pytest.raises(RefusedError, match=f"session {SECOND}: it stands beside {SESSION}; submit that one"):
        submit(services, SECOND)
    with pytest.raises(ObjectAbsentError, match="S2B_20261122100000000123: the ledger knows nothing of it"):
        submit(services, "S2B_20261122100000000123")
    chunk = services.ledger.read(keys.complete(SESSION), Complete).files[0]
    made.memory.delete(made.settings.bucket_sessions, chunk.key)
    with pytest.raises(RefusedError, match=rf"1 of \d+ raw files are no longer there: {chunk.name}$"):
        submit(services, SESSION)
    assert not services.ledger.exists(keys.open_marker(SECOND))


def test_a_session_that_is_not_complete_is_refused() -> None:
    made = house()
    made.station.held = {path: found for path, found in made.station.held.items() if "_ch2_DSDB_00001" not in path}
    made.tick()
    with pytest.raises(RefusedError, match=f"it is not complete yet; s2ps why {SESSION} says"):
        submit(made.operator()[0], SESSION)


def test_two_operators_under_two_strategies_make_one_session_and_one_is_told(newer: str) -> None:
    """Bob, who sees no strategy yet, submits it before any of Ada's operations; the one who comes second is told."""
    told = set[str]()
    for at in range(1, 20):
        made = closed(newer)
        (ada, store), (bob, _) = made.operator(), made.operator()
        vars(bob).update(active_strategy=lambda: "")
        store.meanwhile = partial(_act_at, at, partial(submit, bob, SESSION))
        lost = ""
        try:
            submit(ada, SESSION)
        except (NotReadyError, RefusedError) as error:
            lost = str(error).partition(": ")[2]
            told.add(lost)
        record = made.services.ledger.read(keys.complete(SECOND), Complete)
        assert (record.strategy == "") == bool(lost)
        assert not made.services.ledger.exists(keys.complete(f"{SESSION}-3"))
        assert sums(run(made)) == (PRODUCTS, 0, 0)
    assert told == {
        "somebody submitted it meanwhile; give the command again",
        f"it is under way; submit {SESSION} when its account is closed",
    }


def _act_at(at: int, act: Callable[[], object], number: int) -> None:
    if number == at:
        with suppress(RefusedError):
            act()
