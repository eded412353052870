"""Work that is made anew from a step, by faults: interrupted after any write, repeated, and racing with the service."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest

from functions.cli.asking import ask, session_cause
from functions.cli.items import work_rows
from functions.cli.places import Place
from functions.cli.views import superseded_products
from shared.domain.strategy import Strategy
from shared.errors import BadInputError, RefusedError
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.ledger import Ledger
from shared.ledger.records import Account, Complete, Order, Published
from shared.steering import Done, ParkedFilter, park, parked_work, release, rerun, retry
from shared.strategy.document import format_strategy
from shared.strategy.shelf import StrategyShelf
from shared.workflow.reruns import Rerun, read_reruns
from tests.support.house import START, Crash, House
from tests.support.standin import SESSION, Outputs, StandInStation, script

PRODUCTS = Counter({"L0": 3, "L1C": 2, "L2A": 2})
"""Of a session, by level: a datastrip and two granules, two tiles."""
WHO, WHY = "ada@console", "the tables were mended"


def house() -> House:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    return House(station=station)


def closed() -> House:
    made = house()
    assert made.run().produced == sum(PRODUCTS.values())
    return made


def anew(made: House, step: str, *units: str, dry_run: bool = False) -> list[Done]:
    return rerun(made.operator()[0], SESSION, step=step, units=units, who=WHO, reason=WHY, dry_run=dry_run)


def ledger_of(made: House) -> Ledger:
    return Ledger(made.memory, made.settings.bucket_ledger, made.clock)


def orders(made: House) -> list[Order]:
    works = sort_work(made.memory.list(made.settings.bucket_ledger)).values()
    return [ledger_of(made).read(work.place.order, Order) for work in works if work.order is not None]


def made_anew(made: House, number: int = 1) -> list[tuple[str, str]]:
    return sorted((order.step, order.unit) for order in orders(made) if order.rerun == number)


def products(made: House) -> list[Published]:
    ledger = ledger_of(made)
    return [ledger.read(info.key, Published) for info in ledger.list("products/")]


def assert_made_anew(made: House, expected: list[tuple[str, str]], number: int = 1) -> None:
    """All is produced by the newest work, once; that of before is on the shelf too, untouched."""
    account = made.account
    assert account is not None
    assert (account.produced, account.absent, account.parked) == (sum(PRODUCTS.values()), 0, 0)
    assert made_anew(made, number) == expected
    found = {product.product: product for product in products(made)}
    counted = [found[entry.product] for entry in account.entries]
    for product in counted:
        assert product.rerun == (number if (product.step, product.unit) in expected else product.rerun)
    again = [product for product in counted if product.rerun == number]
    assert Counter((p.step, p.unit) for p in again).keys() == {
        key for key in expected if key[0] in {"l0c", "l1c", "l2a"}
    }
    assert made.dead == []
    made.shelf()  # each file of each product is there, and each manifest has its record
    for _ in range(3):
        made.tick()
    assert not list(made.memory.list(made.settings.bucket_ledger, keys.OPEN))
    assert not [i.key for i in made.memory.list(made.settings.bucket_ledger, keys.TIMERS) if "reopened" in i.key]


L1C_AND_AFTER = sorted((step, f"DT01-T{tile}") for step in ("l1c", "l2a") for tile in ("32TQM", "32TQL"))
ALL_AFTER = {
    "l2a": [item for item in L1C_AND_AFTER if item[0] == "l2a"],
    "l1c": L1C_AND_AFTER,
    "l1b": sorted([("l1b", "DT01"), *L1C_AND_AFTER]),
    "l0c": sorted([("l0c", "DT01"), ("l1b", "DT01"), *L1C_AND_AFTER]),
    "l0u": sorted([("l0u", SESSION), ("l0c", "DT01"), ("l1b", "DT01"), *L1C_AND_AFTER]),
}


@pytest.mark.parametrize("step", ALL_AFTER)
def test_from_any_step_all_that_follows_is_made_anew_and_nothing_before(step: str) -> None:
    made = closed()
    before = {product.product for product in products(made)}
    done = anew(made, step)
    assert done[0].target == SESSION
    assert len(done) == 1 + sum(item[0] == step for item in ALL_AFTER[step])
    assert made.account is None
    made.run()
    assert_made_anew(made, ALL_AFTER[step])
    assert before < {product.product for product in products(made)}


def test_of_one_tile_alone() -> None:
    made = closed()
    anew(made, "l1c", "DT01-T32TQM")
    made.run()
    assert_made_anew(made, [("l1c", "DT01-T32TQM"), ("l2a", "DT01-T32TQM")])


def test_a_datastrip_that_is_named_means_its_tiles() -> None:
    made = closed()
    anew(made, "l2a", "DT01")
    made.run()
    assert_made_anew(made, ALL_AFTER["l2a"])


def test_what_is_made_anew_has_a_budget_and_an_urgency_of_its_own() -> None:
    made = closed()
    made.clock.advance(7 * 86400)
    anew(made, "l2a")
    account = made.run()
    (record,) = read_reruns(ledger_of(made), SESSION)
    t0 = ledger_of(made).read(keys.complete(SESSION), Complete).t0
    new = [order for order in orders(made) if order.rerun]
    assert {(order.t0, order.deadline) for order in new} == {(record.since, record.since + timedelta(minutes=120))}
    assert {order.priority for order in new} == {-100}
    slack = {entry.level: entry.deadline for entry in account.entries}
    assert slack == {
        "L0": t0 + timedelta(minutes=75),
        "L1C": t0 + timedelta(minutes=75),
        "L2A": record.since + timedelta(minutes=120),
    }
    assert all((entry.slack_s or 0) > 0 for entry in account.entries)
    assert not [info.key for info in ledger_of(made).list(f"{keys.session(SESSION)}sla/")], "none is late"


def test_the_next_rerun_supersedes_the_one_before() -> None:
    made = closed()
    anew(made, "l1c")
    made.run()
    anew(made, "l1b")
    made.run()
    assert_made_anew(made, ALL_AFTER["l1b"], number=2)
    anew(made, "l2a", "DT01-T32TQL")
    made.run()
    assert_made_anew(made, [("l2a", "DT01-T32TQL")], number=3)
    assert len(products(made)) == 7 + 4 + 4 + 1


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
    made.launcher.script = lambda order: _dying(order) if order.step == "l2a" else script(order)
    assert made.run().parked == 2
    made.launcher.script = script
    anew(made, "l1b")
    made.run()
    assert_made_anew(made, ALL_AFTER["l1b"])


def test_what_failed_before_it_was_made_anew_is_not_tried_again() -> None:
    made = house()
    made.launcher.script = lambda order: _dying(order) if order.step == "l2a" else script(order)
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


def _dying(_order: Order) -> Outputs:
    raise Crash("the node is gone")


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


def test_a_dry_run_says_the_same_and_writes_nothing() -> None:
    made = closed()
    before = made.story()
    told = anew(made, "l1c", dry_run=True)
    assert made.story() == before
    done = anew(made, "l1c")
    assert [each.note for each in told] == [each.note for each in done]
    assert "2 work items of l1c are made anew as rerun 1, and what follows from them (l2a)" in done[0].note
    assert [each.note for each in done[1:]] == [f"l1c of DT01-T{tile} is made anew" for tile in ("32TQM", "32TQL")]


def test_inputs_that_are_gone_are_named_with_the_nearest_step_that_can_run() -> None:
    made = closed()
    for info in list(made.memory.list("s2-work")):
        if "/l1b/" in info.key or "/l0u/" in info.key:
            made.memory.delete("s2-work", info.key)
    with pytest.raises(RefusedError) as refused:
        anew(made, "l1c")
    told = str(refused.value)
    assert "the inputs of l1c are gone: 1 of 1 outputs of l1b of DT01 are gone, L1B_WORKING among them" in told
    assert f"s2ps retry {SESSION} --from l1b makes all of it anew" in told
    with pytest.raises(RefusedError, match=r"outputs of l0u of .*--from l0u makes"):
        anew(made, "l0c")
    assert made.account is not None
    for info in list(made.memory.list("s2-sessions")):
        made.memory.delete("s2-sessions", info.key)
    with pytest.raises(RefusedError, match=r"6 of 6 raw files are gone.*no step can be made anew"):
        anew(made, "l0u")


def test_what_is_on_the_shelf_is_an_input_as_long_as_it_is_there() -> None:
    made = closed()
    for info in list(made.memory.list("s2-work")):
        made.memory.delete("s2-work", info.key)
    assert anew(made, "l2a", dry_run=True)
    assert anew(made, "l1b", dry_run=True)
    with pytest.raises(RefusedError, match=r"1 of 1 outputs of l1b of DT01 are gone.*--from l1b makes"):
        anew(made, "l1c")
    (first, *_) = [i.key for i in made.memory.list("s2-products", "L0/") if not i.key.endswith("/manifest.json")]
    made.memory.delete("s2-products", first)
    with pytest.raises(RefusedError, match=r"1 of 3 outputs of l0c of DT01 are gone.*--from l0u makes"):
        anew(made, "l1b")


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


def test_names_that_are_none_are_refused() -> None:
    made = closed()
    with pytest.raises(BadInputError, match="step: expected one of l0u, l0c, l1b, l1c, l2a, found 'l9'"):
        anew(made, "l9")
    with pytest.raises(BadInputError, match=r"unit: expected one that l1c runs on.*DT01-T32TQM.*found 'DT02'"):
        anew(made, "l1c", "DT02")
    place = next(work.place for work in sort_work(ledger_of(made).list("sessions/")).values())
    with pytest.raises(BadInputError, match="target: expected a session"):
        rerun(made.operator()[0], place.prefix, step="l1c", who=WHO, reason=WHY)


def test_what_has_not_ended_is_not_made_anew() -> None:
    made = house()
    with suppress(StopIteration):
        for _ in range(10):
            made.tick(jobs=False)
    with pytest.raises(RefusedError, match="l0u has not ended yet"):
        anew(made, "l0u")
    with pytest.raises(RefusedError, match=r"nothing of l1c can be made anew: what comes before it \(l1b\) has not"):
        anew(made, "l1c")


def test_names_are_told_apart_where_the_operators_clock_is_behind() -> None:
    made = closed()
    services = made.operator()[0]
    services.clock.instant -= timedelta(hours=3)  # type: ignore[attr-defined]  # the virtual clock
    rerun(services, SESSION, step="l1c", who=WHO, reason=WHY)
    services.clock.instant += timedelta(hours=3)  # type: ignore[attr-defined]  # the virtual clock
    made.run()
    assert_made_anew(made, ALL_AFTER["l1c"])


def test_under_a_new_version_of_a_processor_the_step_that_has_changed_is_named() -> None:
    made = closed()
    old = made.services.workflow
    l0c = old.processors["l0c"].model_copy(update={"version": "9.9"})
    newer = old.model_copy(update={"processors": {**old.processors, "l0c": l0c}})
    vars(made.services).update(workflow=newer)
    services = made.operator()[0]
    vars(services).update(workflow=newer)
    do = partial(rerun, services, SESSION, who=WHO, reason=WHY)
    with pytest.raises(RefusedError, match=r"nothing of l1c can be made anew.*another version.*--from l0c makes that"):
        do(step="l1c")
    do(step="l0c")
    made.run()
    assert_made_anew(made, ALL_AFTER["l0c"])
    assert {order.version for order in orders(made) if order.step == "l0c"} == {
        "9.9",
        l0c.version,
        old.processors["l0c"].version,
    }


def test_parts_of_a_datastrip_made_anew_have_names_of_their_own() -> None:
    """Parts spread their creation dates over as many seconds as there are parts."""
    made = house()
    made.launcher.script = _long
    _activate(made, {"name": "cut", "then": {"split": {"scenes": 4}}})
    account = made.run()
    assert {entry.unit.partition("-T")[0] for entry in account.entries if entry.level == "L1C"} == {
        "DT01-P01",
        "DT01-P02",
        "DT01-P03",
    }
    before = {product.product for product in products(made)}
    anew(made, "l1b", "DT01-P02")
    made.run()
    again = [product for product in products(made) if product.rerun]
    assert {product.unit.partition("-T")[0] for product in again} == {"DT01-P02"}
    assert len(again) == 4
    assert before.isdisjoint(product.product for product in again)
    anew(made, "l1c", "DT01")
    account = made.run()
    assert (account.parked, account.absent) == (0, 0)
    assert len([product for product in products(made) if product.rerun == 2]) == 12
    assert made.dead == []


def _long(order: Order) -> Outputs:
    """A datastrip of twelve scenes."""
    made = script(order)
    if order.step != "l0c":
        return made
    stem = f"S2A_TEST_MSI_L0__GR_S2PS_{order.parameters['CREATION_DATE']}_S20261122T0930{{:02d}}_D06_N00.01"
    granules = tuple(("PDI_DS_GR_LIST", stem.format(4 * n), "", {"b.bin": b"b"}) for n in range(12))
    return Outputs((made.artifacts[0], *granules))


def _activate(made: House, rule: dict[str, object]) -> None:
    document = format_strategy(Strategy.model_validate({"name": "test", "rules": [rule]})).decode()
    StrategyShelf(made.services.ledger).activate(document, who=WHO, reason=WHY, now=made.clock.now())


# names ---------------------------------------------------------------------------------------------------------------
def _same_names(order: Order) -> Outputs:
    """Both tiles of Level 1C call their product the same, as those of two datastrips may within a second."""
    made = script(order)
    if order.step != "l1c":
        return made
    ((kind, name, unit, files),) = made.artifacts
    return Outputs(((kind, name.replace("32TQL", "32TQM"), unit, files),))


def test_of_two_works_whose_products_have_one_name_one_is_parked_and_a_rerun_mends_it() -> None:
    made = house()
    made.launcher.script = _same_names
    account = made.run()
    assert (account.produced, account.parked) == (6, 1)
    (parked,) = [entry for entry in account.entries if entry.ended == "parked"]
    (shelved,) = [product for product in products(made) if product.level == "L1C"]
    assert parked.product == shelved.product
    works = {
        (w.place.step, w.place.unit): w.place.prefix for w in sort_work(ledger_of(made).list("sessions/")).values()
    }
    assert works["l1c", parked.unit] in parked.reason
    assert works["l1c", shelved.unit] in parked.reason
    assert f"s2ps retry {SESSION} --from l1c --unit {parked.unit} makes it anew" in parked.reason
    anew(made, "l1c", parked.unit)
    made.run()
    assert_made_anew(made, [("l1c", parked.unit), ("l2a", parked.unit)])


def test_two_works_of_one_name_whoever_comes_first_and_whatever_dies() -> None:
    number, met = 0, True
    while met:
        number += 4
        made = house()
        made.launcher.script = _same_names
        made.store.crash_at = (number, "after")
        account = made.run()
        met = made.crashes > 0
        assert (account.produced, account.parked) == (6, 1), number
        made.shelf()


def test_the_record_says_who_and_why_and_an_action_is_kept() -> None:
    made = closed()
    anew(made, "l1c", "DT01-T32TQM")
    record = ledger_of(made).read(keys.rerun(SESSION, 1), Rerun)
    assert (record.step, record.units, record.who, record.reason) == ("l1c", ("DT01-T32TQM",), WHO, WHY)
    assert [i.key for i in ledger_of(made).list(f"{keys.session(SESSION)}actions/") if "-retry-" in i.key]
    former = ledger_of(made).read(keys.former_account(SESSION, 1), Account)
    assert former.produced == 7


# what the console says of it ------------------------------------------------------------------------------------------
def test_the_console_tells_what_is_of_which_rerun_and_what_it_supersedes() -> None:
    made = closed()
    old = next(p for p in products(made) if p.product.startswith("S2A_MSIL2A") and "T32TQM" in p.product)
    anew(made, "l1c", "DT01-T32TQM")
    assert "(rerun 1 from l1c of DT01-T32TQM by ada@console)" in session_cause(made.services, SESSION).sentence
    made.run()
    rows = {(row.step, row.unit, row.stands): row for row in work_rows(made.services, [SESSION])}
    superseded = [key[:2] for key in rows if key[2] == "superseded"]
    assert sorted(superseded) == [("l1c", "DT01-T32TQM"), ("l2a", "DT01-T32TQM")]
    new = rows["l2a", "DT01-T32TQM", "succeeded"]
    (record,) = read_reruns(ledger_of(made), SESSION)
    assert new.deadline == record.since + timedelta(minutes=120)
    place = Place("store", "in memory", made.services)
    cause = ask(place, rows["l2a", "DT01-T32TQM", "superseded"].name)
    assert (cause.stands, cause.fix) == ("superseded", ("why", new.name))
    assert "l2a of DT01-T32TQM, made anew by rerun 1, succeeded" in ask(place, new.name).sentence
    assert "of 7 products produced (rerun 1 from l1c" in ask(place, SESSION).sentence
    told = ask(place, old.product).sentence
    assert "It is superseded by S2A_MSIL2A" in told
    assert "of rerun 1." in told
    later = told.partition("superseded by ")[2].partition(",")[0]
    assert "superseded" not in ask(place, later).sentence
    assert set(superseded_products(products(made))) == {
        keys.product(each.level, each.sensing_start, each.product)
        for each in products(made)
        if not each.rerun and each.unit == "DT01-T32TQM"
    }


def test_a_retry_counts_attempts_as_the_strategy_of_the_work_allows_them() -> None:
    made = house()
    _activate(made, {"name": "often", "then": {"retries": {"attempts": 2, "delay_s": 5}}})
    made.launcher.script = lambda order: _dying(order) if order.step == "l2a" else script(order)
    assert made.run().parked == 2
    _, *done = retry(made.operator()[0], SESSION, who=WHO, reason=WHY)
    assert {each.note for each in done} == {"attempt 3 is due, the first of at most 2"}


def test_why_counts_attempts_as_the_strategy_of_the_work_allows_them() -> None:
    made = house()
    _activate(made, {"name": "often", "then": {"retries": {"attempts": 7, "delay_s": 5}}})
    for _ in range(5):
        made.tick(jobs=False)
    (row,) = work_rows(made.services, [SESSION])
    assert "runs: attempt 1 of 7" in ask(Place("store", "in memory", made.services), row.name).sentence
