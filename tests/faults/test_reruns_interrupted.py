"""Work that is made anew, by faults: interrupted after any write, repeated, racing with the service, failing."""

from __future__ import annotations

from functools import partial

import pytest

from shared.errors import RefusedError
from shared.ledger import keys
from shared.ledger.records import Order
from shared.steering import ParkedFilter, park, parked_work, release, rerun, retry
from shared.workflow.reruns import read_reruns
from tests.support.house import Crash, House
from tests.support.rerunning import (
    ALL_AFTER,
    PRODUCTS,
    WHO,
    WHY,
    anew,
    assert_made_anew,
    closed,
    dying,
    made_anew,
    orders,
)
from tests.support.standin import SESSION, Outputs, script
from tests.support.steered import house, ledger_of


def test_a_rerun_while_another_is_under_way() -> None:
    made = closed()
    anew(made, "l0c")
    for _ in range(30):
        if ("l1b", "DT01") in made_anew(made):
            break
        made.tick(3)
    anew(made, "l0c", "DT01")
    made.run()
    assert_made_anew(made, ALL_AFTER["l0c"], number=2)


def test_a_rerun_while_the_session_is_processed_for_the_first_time() -> None:
    made = house()
    for _ in range(60):
        made.tick(3, jobs=True)
        if ("l1b", "DT01") in made.orders():
            break
    anew(made, "l0u")
    made.run()
    assert_made_anew(made, ALL_AFTER["l0u"])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_command_that_is_cut_off_anywhere_and_given_again_is_one_rerun(when: str) -> None:
    number = 0
    while True:
        number += 1
        made = closed()
        services, store = made.operator()
        store.crash_at = (number, "before" if when == "before" else "after")
        do = partial(rerun, services, SESSION, step="l1c", who=WHO, reason=WHY)
        try:
            do()
        except Crash:
            store.crash_at = None
            do()
        else:
            break
        made.run()
        assert_made_anew(made, ALL_AFTER["l1c"])
        assert len(read_reruns(ledger_of(made), SESSION)) == 1
    assert number > 6


def test_a_command_that_is_cut_off_after_the_account_was_opened_is_completed_by_the_sweep() -> None:
    number = 0
    while True:
        number += 1
        made = closed()
        services, store = made.operator()
        store.crash_at = (number, "after")
        try:
            rerun(services, SESSION, step="l1c", who=WHO, reason=WHY)
        except Crash:
            opened = list(ledger_of(made).list(keys.reopenings(SESSION)))
            made.tick()
            if opened:
                made.run()
                assert_made_anew(made, ALL_AFTER["l1c"])
        else:
            break


def test_the_same_command_twice_is_one_rerun_until_that_has_ended() -> None:
    made = closed()
    anew(made, "l1c")
    assert [done.changes for done in anew(made, "l1c")] == [()]
    made.tick(jobs=False)
    assert "already, by rerun 1 (ada@console: the tables were mended)" in anew(made, "l1c")[0].note
    made.run()
    assert_made_anew(made, ALL_AFTER["l1c"])
    anew(made, "l1c")
    made.run()
    assert_made_anew(made, ALL_AFTER["l1c"], number=2)


def test_two_operators_at_once_make_one_rerun() -> None:
    at, met = 0, True
    while met:
        at += 2
        made = closed()
        met = _meeting(made, at)
        made.run()
        assert_made_anew(made, ALL_AFTER["l1c"])
        assert len(read_reruns(ledger_of(made), SESSION)) == 1, at
    assert at > 20


def _meeting(made: House, at: int) -> bool:
    """Bob asks for all of it before Ada's ``at``-th operation; whether she needs so many."""
    (ada, store), (bob, _) = made.operator(), made.operator()
    met = []

    def meanwhile(number: int) -> None:
        if number == at:
            met.append(number)
            rerun(bob, SESSION, step="l1c", who="bob", reason="too")

    store.meanwhile = meanwhile
    rerun(ada, SESSION, step="l1c", who=WHO, reason=WHY)
    return bool(met)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_function_that_dies_at_any_write_while_something_is_made_anew_loses_nothing(when: str) -> None:
    number, met = 0, True
    while met:
        number += 1
        made = closed()
        anew(made, "l2a")
        made.store.crash_at = (made.store.writes + number, "before" if when == "before" else "after")
        made.run()
        met = made.crashes > 0
        assert_made_anew(made, ALL_AFTER["l2a"])
    assert number > 20


def test_the_sweep_alone_makes_it_and_old_work_does_not_come_back() -> None:
    made = closed()
    made.delivery.copies = lambda _event: 0
    anew(made, "l1c")
    made.queue.clear()
    made.run(400)
    assert_made_anew(made, ALL_AFTER["l1c"])
    # What of before is announced once more leads nowhere.
    made.delivery.copies = lambda _event: 1
    count = len(orders(made))
    for info in list(ledger_of(made).list(f"{keys.session(SESSION)}work/")):
        if info.key.endswith("/outcome.json"):
            body, _ = made.memory.get(made.settings.bucket_ledger, info.key)
            made.memory.put(made.settings.bucket_ledger, info.key, body)
    made.deliver()
    assert len(orders(made)) == count


def test_what_fails_anew_is_parked_and_retried_as_any_work() -> None:
    made = closed()

    def broken(order: Order) -> Outputs:
        if order.step == "l1c" and order.unit.endswith("32TQM"):
            raise Crash("the node is gone")
        return script(order)

    made.launcher.script = broken
    anew(made, "l1c")
    account = made.run()
    assert (account.produced, account.parked) == (5, 2)
    made.launcher.script = script
    retry(made.operator()[0], SESSION, who=WHO, reason=WHY)
    made.run()
    assert_made_anew(made, ALL_AFTER["l1c"])


def test_a_step_whose_work_failed_is_run_from_an_earlier_one() -> None:
    made = house()
    made.launcher.script = lambda order: dying(order) if order.step == "l2a" else script(order)
    assert made.run().parked == 2
    made.launcher.script = script
    anew(made, "l1b")
    made.run()
    assert_made_anew(made, ALL_AFTER["l1b"])


def test_what_failed_before_it_was_made_anew_is_not_tried_again() -> None:
    made = house()
    made.launcher.script = lambda order: dying(order) if order.step == "l2a" else script(order)
    assert made.run().parked == 2
    services = made.operator()[0]
    old = parked_work(services, ParkedFilter())
    assert [len(prefixes) for prefixes in old.values()] == [2]
    made.launcher.script = script
    anew(made, "l1c", "DT01-T32TQM")
    account = made.run()
    assert (account.produced, account.parked) == (6, 1)
    (left,) = parked_work(services, ParkedFilter())[SESSION]
    assert "DT01-T32TQL" in left
    (gone,) = set(old[SESSION]) - {left}
    for target, only in ((gone, None), (SESSION, (gone,))):
        with pytest.raises(RefusedError, match=r"made anew since, by rerun 1 from l1c of|is parked any more"):
            retry(services, target, who=WHO, reason=WHY, only=only)
    done = retry(services, SESSION, who=WHO, reason=WHY)
    assert [each.target for each in done] == [SESSION, left]
    assert made.run().produced == sum(PRODUCTS.values())
    with pytest.raises(RefusedError, match="made anew since, by rerun 1 from l1c of DT01-T32TQM by"):
        retry(services, SESSION, who=WHO, reason=WHY)


def test_a_session_that_is_held_waits_for_its_release() -> None:
    made = closed()
    anew(made, "l2a")
    park(made.operator()[0], SESSION, who=WHO, reason="look first")
    assert made.run().held
    release(made.operator()[0], SESSION, who=WHO, reason=WHY)
    made.run()
    assert_made_anew(made, ALL_AFTER["l2a"])


def test_a_hold_of_work_that_was_made_anew_since_holds_no_account() -> None:
    made = house()

    def held(order: Order) -> Outputs:
        if order.step != "l2a" or order.unit != "DT01-T32TQM":
            return script(order)
        place = f"sessions/{SESSION}/work/{order.step}/{order.unit}/{order.digest}/"
        park(made.operator()[0], place, who=WHO, reason="look first")
        raise Crash("the node is gone")

    made.launcher.script = held
    account = made.run()
    assert (account.held, account.parked) == (True, 1)
    made.launcher.script = script
    anew(made, "l1c")
    assert not made.run().held
    assert_made_anew(made, ALL_AFTER["l1c"])


def test_a_rerun_is_found_by_the_sweep_alone_where_it_had_seen_all_that_there_was() -> None:
    made = house()
    while not any(order.step == "l2a" for order in orders(made)):
        made.tick(1, jobs=False)
        made.launcher.run_one()
        made.deliver()
    for _ in range(4):
        made.tick(20, jobs=False)
    made.delivery.copies = lambda _event: 0
    anew(made, "l1c", "DT01-T32TQL")
    made.queue.clear()
    made.run(400)
    assert_made_anew(made, [("l1c", "DT01-T32TQL"), ("l2a", "DT01-T32TQL")])
