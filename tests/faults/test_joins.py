"""Work that waits for several others: ordered once, from whichever of them came last, and accounted for once."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from shared.domain.events import object_created
from shared.ledger.keys import parse_work
from shared.ledger.records import Account, Order, Outcome
from shared.settings import Settings
from shared.steering import park, release, rerun, retry
from tests.support.house import START, Delivery, House
from tests.support.standin import JOINED, SESSION, Outputs, Script, StandInStation, script

# L0 datastrip and granules, L1C datastrip and tiles, L2A datastrip and tiles
EXPECTED = 1 + 2 + 3 + 3
TILES = ("DT01-T32TQL", "DT01-T32TQM")


def house(answers: Script = script, **changes: object) -> House:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    settings = Settings(sweep_grace_s=15, retry_delay_s=5, session_wait_s=300, processor_set=str(JOINED))
    made = House(station=station, settings=settings, **changes)  # type: ignore[arg-type]  # keyword arguments of it
    made.launcher.script = answers
    return made


def orders(made: House) -> dict[str, bytes]:
    """Every order of the ledger, as it stands there."""
    bucket = made.settings.bucket_ledger
    found = [info.key for info in made.memory.list(bucket) if info.key.endswith("/order.json")]
    return {key: made.memory.get(bucket, key)[0] for key in found}


def order(made: House, step: str, unit: str) -> Order:
    (key,) = [key for key in orders(made) if f"/work/{step}/{unit}/" in key]
    return made.services.ledger.read(key, Order)


def timeless(made: House) -> set[tuple[str, str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]]:
    """What was ordered, but for the times of the run, and what follows from them."""
    found = [made.services.ledger.read(key, Order) for key in orders(made)]
    return {
        (o.step, o.unit, tuple(sorted((i.file_type, i.name[:24]) for i in o.inputs)), tuple(sorted(o.facts.items())))
        for o in found
    }


@pytest.fixture(scope="module")
def reference() -> House:
    made = house()
    made.run()
    return made


def ends(account: Account) -> Counter[tuple[str, str, str]]:
    return Counter((entry.step, entry.unit, entry.ended) for entry in account.entries)


def test_a_join_is_ordered_once_with_what_all_before_it_made(reference: House) -> None:
    account = reference.account
    assert account is not None
    assert (account.produced, account.absent, account.parked) == (EXPECTED, 0, 0)
    assert [unit for step, unit in reference.orders() if step == "l2a"] == list(TILES)
    made = order(reference, "l2a", TILES[0])
    assert [ref.file_type for ref in made.inputs] == ["MSI_L1C_TL", "MSI_L1C_DS", "MSI_L2A_DS"]
    outcomes = [reference.services.ledger.read(ref.outcome, Outcome) for ref in made.inputs]
    assert [outcome.step for outcome in outcomes] == ["l1c", "l1c-ds", "l2a-ds"]
    assert made.created == max(outcome.created for outcome in outcomes)


@pytest.mark.parametrize("copies", [0, 2], ids=["no notification", "every event twice"])
def test_lost_and_doubled_events_change_no_order(copies: int, reference: House) -> None:
    made = house(delivery=Delivery(copies=lambda _event: copies))
    account = made.run()
    assert account.produced == EXPECTED
    assert timeless(made) == timeless(reference)
    assert made.shelf() == reference.shelf()
    assert made.dead == []


@pytest.mark.parametrize("seed", range(20))
def test_in_any_order_the_same_is_ordered(seed: int, reference: House) -> None:
    dice = random.Random(seed)
    made = house(delivery=Delivery(copies=lambda _event: dice.choice([0, 1, 1, 2, 3]), shuffle=dice))
    made.run()
    assert timeless(made) == timeless(reference)
    assert made.shelf() == reference.shelf()


def _crash_points() -> list[int]:
    made = house()
    made.run()
    return list(range(1, made.store.writes + 1))


@pytest.mark.parametrize(("when", "copies"), [("before", 1), ("after", 1), ("after", 0)])
def test_a_crash_at_any_write_loses_nothing_and_doubles_nothing(
    when: Literal["before", "after"], copies: int, reference: House
) -> None:
    points = _crash_points()
    assert len(points) > 100
    for point in points if copies else points[::5]:
        made = house(delivery=Delivery(copies=lambda _event: copies))
        made.store.crash_at = (point, when)
        account = made.run()
        assert account.produced == len(account.entries) == EXPECTED, f"crash {when} write {point}"
        assert timeless(made) == timeless(reference)
        assert made.shelf() == reference.shelf()


@pytest.mark.parametrize("last", ["l1c", "l1c-ds", "l2a-ds"])
def test_whichever_outcome_is_announced_last_the_order_is_the_same_to_the_byte(last: str, reference: House) -> None:
    """All outcomes are there, no order of the join: one of their events alone makes it."""
    bucket, wanted = reference.settings.bucket_ledger, orders(reference)
    made = house()
    for info in reference.memory.list(bucket):
        place = parse_work(info.key)
        if place is None or place[0].step != "l2a":
            body, found = reference.memory.get(bucket, info.key)
            made.memory.put(bucket, info.key, body, metadata=found.metadata)
    made.queue.clear()
    assert not [key for key in orders(made) if "/work/l2a/" in key]
    for key in [
        i.key for i in made.memory.list(bucket) if f"/work/{last}/" in i.key and i.key.endswith("outcome.json")
    ]:
        made.call("job-preparation", object_created(bucket, key, "e"))
    assert orders(made) == wanted


def test_what_was_made_by_an_earlier_version_readies_no_join(reference: House) -> None:
    """An outcome of work that the graph no longer asks for is paired with nothing."""
    bucket = reference.settings.bucket_ledger
    made = house()
    for info in reference.memory.list(bucket):
        if "/work/l2a/" not in info.key:
            made.memory.put(bucket, info.key, reference.memory.get(bucket, info.key)[0])
    made.queue.clear()
    (key,) = [i.key for i in made.memory.list(bucket) if f"/work/l1c/{TILES[0]}/" in i.key and "outcome" in i.key]
    place = parse_work(key)
    assert place is not None
    stale = replace(place[0], digest="0" * 64).outcome
    made.memory.put(bucket, stale, made.memory.get(bucket, key)[0])
    made.call("job-preparation", object_created(bucket, stale, "e"))
    assert not [order_key for order_key in orders(made) if "/work/l2a/" in order_key]
    assert not made.dead


def _but(step: str, *, status: str = "failed", unit: str = "") -> Script:
    def answers(asked: Order) -> Outputs:
        if asked.step == step and asked.unit.endswith(unit):
            return replace(script(asked), status=status)  # type: ignore[arg-type]  # a status class
        return script(asked)

    return answers


@pytest.mark.parametrize(("status", "ended"), [("failed", "parked"), ("no-product", "absent")])
def test_a_datastrip_step_that_fails_takes_each_tile_of_level_2a_and_nothing_else(status: str, ended: str) -> None:
    account = house(_but("l1c-ds", status=status)).run()
    found = ends(account)
    lost = {(step, unit) for (step, unit, how) in found if how == ended}
    assert lost == {("l1c-ds", "DT01"), ("l2a-ds", "DT01"), *(("l2a", tile) for tile in TILES)}
    assert sum(found.values()) == EXPECTED
    assert account.produced == EXPECTED - 4
    reasons = {entry.reason for entry in account.entries if entry.step == "l2a"}
    assert len(reasons) == 1
    assert next(iter(reasons)).startswith("l1c-ds of DT01 ended without a product: ")


def test_a_tile_that_fails_keeps_no_other() -> None:
    account = house(_but("l1c", unit="32TQM")).run()
    assert (account.produced, account.parked) == (EXPECTED - 2, 2)
    assert {entry.unit for entry in account.entries if entry.ended == "parked"} == {"DT01-T32TQM"}


def test_a_tile_that_is_absent_by_rule_stays_so_whatever_else_failed() -> None:
    def answers(asked: Order) -> Outputs:
        status = {"l1c": "no-product", "l2a-ds": "failed"}.get(asked.step, "succeeded")
        return replace(script(asked), status=status)  # type: ignore[arg-type]  # a status class

    account = house(answers).run()
    assert {entry.ended for entry in account.entries if entry.step == "l2a"} == {"absent"}
    assert {entry.ended for entry in account.entries if entry.step == "l2a-ds"} == {"parked"}
    assert len(account.entries) == EXPECTED


def test_level_2a_of_a_tile_waits_for_no_other_tile() -> None:
    made = house()
    held: list[str] = []
    real = made.launcher.run_one

    def late() -> object:
        """The last tile's Level 1C gets no place in the cluster."""
        for name, job in list(made.launcher.pending.items()):
            if job.step == "l1c" and job.unit == TILES[1]:
                held.append(name)
                del made.launcher.pending[name]
        return real()

    made.launcher.run_one = late  # type: ignore[method-assign,assignment]
    for _ in range(12):
        made.tick()
    assert held
    assert [unit for step, unit in made.orders() if step == "l2a"] == [TILES[0]]
    assert any("MSIL2A" in product for product in made.shelf())
    assert made.account is None


def test_a_retried_step_readies_all_that_waited_for_it() -> None:
    made = house(_but("l2a-ds"))
    account = made.run()
    assert (account.produced, account.parked) == (EXPECTED - 3, 3)
    made.launcher.script = script
    services, _ = made.operator()
    told = retry(services, SESSION, who="ada@console", reason="a new calibration")
    assert len(told) == 2  # the session, and l2a-ds: the tiles were never tried
    account = made.run()
    assert (account.produced, account.parked) == (EXPECTED, 0)
    assert [unit for step, unit in made.orders() if step == "l2a"] == list(TILES)


def test_a_held_step_parks_what_waits_for_it_until_it_is_released() -> None:
    # The order's event is lost, so that an operator is there before the sweep is.
    late = Delivery(copies=lambda event: 0 if "/work/l1c-ds/" in event.subject and "order" in event.subject else 1)
    made = house(delivery=late)
    while not [key for key in orders(made) if "/work/l1c-ds/" in key]:
        made.tick()
    place = parse_work(next(key for key in orders(made) if "/work/l1c-ds/" in key))
    assert place is not None
    services, _ = made.operator()
    park(services, place[0].prefix, who="ada@console", reason="look first")
    account = made.run()
    assert account.held
    assert (account.produced, account.parked) == (EXPECTED - 4, 4)
    assert all("look first" in entry.reason for entry in account.entries if entry.ended == "parked")
    release(services, place[0].prefix, who="ada@console", reason="seen")
    account = made.run()
    assert (account.produced, account.parked) == (EXPECTED, 0)


def _gappy(asked: Order) -> Outputs:
    made = script(asked)
    if asked.step != "l0c":
        return made
    name = f"S2A_TEST_MSI_L0__GR_S2PS_{asked.parameters['CREATION_DATE']}_S20261122T093004_D06_N00.01"
    return replace(made, artifacts=(*made.artifacts, ("PDI_DS_GR_LIST", name, "", {"b.bin": b"6"})))


def test_what_the_set_parks_goes_on_when_the_set_is_changed_and_it_is_retried() -> None:
    made = house(_gappy)
    plan = made.services.workflow
    strict = plan.processors["l1a"].model_copy(update={"gaps": "park"})
    vars(made.services)["workflow"] = plan.model_copy(update={"processors": plan.processors | {"l1a": strict}})
    account = made.run()
    assert (account.produced, account.parked) == (
        4,
        4,
    )  # L0 and its granules; the rest by level, since no tile is known
    assert all("gaps: park" in entry.reason for entry in account.entries if entry.ended == "parked")
    services, _ = made.operator()
    retry(services, SESSION, who="ada@console", reason="try again")
    account = made.run()
    assert (account.parked, account.reopened) == (4, 1)  # nothing has changed, and so it ends
    vars(made.services)["workflow"] = plan
    retry(services, SESSION, who="ada@console", reason="gaps are accepted")
    account = made.run()
    assert (account.produced, account.parked, account.reopened) == (EXPECTED + 1, 0, 2)


# what a datatake asks for --------------------------------------------------------------------------------------------
def _of(datatake_type: str) -> Script:
    def answers(asked: Order) -> Outputs:
        facts = {"datatake_type": datatake_type} if asked.step == "l0c" else {}
        return replace(script(asked), facts=facts)

    return answers


@pytest.mark.parametrize(
    ("datatake_type", "steps", "produced", "not_owed"),
    [
        ("NOBS", {"l1a", "l1b", "l1c", "l1c-ds", "l2a", "l2a-ds"}, EXPECTED, "of type NOBS no L1A is made"),
        ("VIC", {"l1a", "l1b", "l1c", "l1c-ds"}, EXPECTED - 3, "of type VIC no L1A, L2A is made"),
        ("DASC", {"l1a", "l1a-format"}, 4, "of type DASC no L1C, L2A is made"),
        ("RAW", {"l1a", "l1a-format", "l1b", "l1c", "l1c-ds", "l2a", "l2a-ds"}, EXPECTED + 1, ""),
        ("NEWTYPE", set(), 3, "of type NEWTYPE no L1A, L1C, L2A is made"),
    ],
)
def test_a_datatake_is_owed_what_its_type_asks_for(
    datatake_type: str, steps: set[str], produced: int, not_owed: str
) -> None:
    made = house(_of(datatake_type))
    account = made.run()
    assert {step for step, _ in made.orders()} == {"l0u", "l0c", *steps}
    assert (account.produced, account.absent, account.parked) == (produced, 0, 0)
    assert account.not_owed == ((f"DT01: of a datatake {not_owed}",) if not_owed else ())


def test_what_was_lost_before_its_type_was_known_is_owed_as_the_unknown_type() -> None:
    account = house(_but("l0c")).run()
    assert {entry.level for entry in account.entries} == {"L0", "L1C", "L2A"}
    assert account.parked == len(account.entries)
    assert account.not_owed == ()


# what steps tell those after them ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("gri", "mode"), [("0", "L1BNoGRI"), ("12", "L1B"), ("", "L1B")])
def test_a_fact_chooses_the_variant_and_goes_down_to_every_later_order(gri: str, mode: str) -> None:
    def answers(asked: Order) -> Outputs:
        return replace(script(asked), facts={"gri": gri} if asked.step == "l1a" and gri else {})

    made = house(answers)
    made.run()
    l1b = order(made, "l1b", "DT01")
    assert l1b.parameters["MODE"] == mode
    assert order(made, "l2a", TILES[0]).facts == ({"gri": gri} if gri else {})
    assert order(made, "l1a", "DT01").facts == {}


def test_tiles_are_numbered_as_their_list_has_them(reference: House) -> None:
    numbers = {tile: order(reference, "l1c", tile).parameters["TILE_NUMBER"] for tile in TILES}
    assert numbers == {"DT01-T32TQM": "001", "DT01-T32TQL": "002"}


def test_a_warning_of_a_step_that_publishes_nothing_shows_on_the_next_products() -> None:
    def answers(asked: Order) -> Outputs:
        return replace(script(asked), warnings=("fell back to an older file",) if asked.step == "l1b" else ())

    account = house(answers).run()
    warned = {(entry.step, entry.unit) for entry in account.entries if "older file" in entry.warning}
    assert warned == {("l1c-ds", "DT01"), *(("l1c", tile) for tile in TILES)}


def test_missing_granules_are_told_on_the_products_made_without_them() -> None:
    account = house(_gappy).run()
    assert account.produced == EXPECTED + 1
    warned = {entry.level for entry in account.entries if "1 granules are missing, of detectors 07" in entry.warning}
    assert warned == {"L1C"}


def test_what_waits_for_several_is_made_anew_with_those_that_are_not() -> None:
    """Level 2A of a tile joins its Level 1C, made anew, with the datastrip's products, which are as they were."""
    made = house()
    made.run()
    before = orders(made)
    rerun(made.operator()[0], SESSION, step="l1c", units=[TILES[0]], who="ada", reason="mended")
    account = made.run()
    assert (account.produced, account.absent, account.parked) == (EXPECTED, 0, 0)
    found = [made.services.ledger.read(key, Order) for key in orders(made).keys() - before.keys()]
    assert sorted((each.step, each.unit) for each in found) == [("l1c", TILES[0]), ("l2a", TILES[0])]
    (joined,) = [each for each in found if each.step == "l2a"]
    (former,) = [made.services.ledger.read(key, Order) for key in before if f"/work/l2a/{TILES[0]}/" in key]
    assert len(joined.inputs) == len(former.inputs)
    assert len({each.digest for each in joined.inputs} & {each.digest for each in former.inputs}) >= 1
    assert len(made.shelf()) == EXPECTED
    assert made.dead == []


def test_a_datastrip_product_made_anew_makes_all_tiles_anew_that_wait_for_it() -> None:
    made = house()
    made.run()
    before = orders(made)
    rerun(made.operator()[0], SESSION, step="l2a-ds", who="ada", reason="mended")
    account = made.run()
    assert (account.produced, account.absent, account.parked) == (EXPECTED, 0, 0)
    found = [made.services.ledger.read(key, Order) for key in orders(made).keys() - before.keys()]
    assert sorted((each.step, each.unit) for each in found) == [
        ("l2a", TILES[0]),
        ("l2a", TILES[1]),
        ("l2a-ds", "DT01"),
    ]
