"""What the plan owed is held against what came: a difference is told in the account."""

from __future__ import annotations

from datetime import timedelta

import pytest

from functions.cli.accounts import account_lines
from shared.domain.expected import TilesOwed
from shared.domain.mission_plan import Pass, Segment
from shared.ledger import keys
from shared.ledger.records import Account, Complete, Order
from shared.sla.passes import load_plan
from shared.steering import rerun
from tests.support.house import START, House
from tests.support.standin import SESSION, StandInStation


def planned(scenes: int, *, minutes: float = 0, timeliness: str = "NOMINAL") -> Pass:
    """A pass that begins so many minutes after the session's name says, with one datatake of so many scenes."""
    begin = START.replace(hour=int(SESSION[12:14]), minute=int(SESSION[14:16]), second=int(SESSION[16:18]))
    begin = begin.replace(year=int(SESSION[4:8]), month=int(SESSION[8:10]), day=int(SESSION[10:12]))
    begin += timedelta(minutes=minutes)
    end = begin + timedelta(minutes=8)
    sensed = START - timedelta(minutes=30)  # as the stand-ins name their granules
    place = (SESSION[:3], "57405-1", 57405, 65, timeliness, scenes)
    one = Segment(*place, sensed, sensed, begin, end, "SGS_", partial=False)
    return Pass(SESSION[:3], "SGS_", (one,))


def account_of(*passes: Pass, tiles: TilesOwed | None = None) -> tuple[str, ...]:
    return whole_account_of(*passes, tiles=tiles).unlike_plan


def whole_account_of(*passes: Pass, tiles: TilesOwed | None = None) -> Account:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    house = House(station=station)
    load_plan(house.services, passes, lambda _segment: tiles)
    account = house.run()
    told = account_lines(account, None)
    assert [f"Unlike the plan: {each}" for each in account.unlike_plan] == [
        line for line in told if line.startswith("Unlike")
    ]
    assert [f"Tiles, {each}" for each in account.planned_tiles] == [line for line in told if line.startswith("Tiles")]
    assert account.produced + account.absent + account.parked == len(account.entries)
    return account


@pytest.mark.parametrize(("timeliness", "urgent"), [("NRT", True), ("RT", True), ("NOMINAL", False)])
def test_what_the_plan_wants_soon_is_of_that_class(timeliness: str, urgent: bool) -> None:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    house = House(station=station)
    load_plan(house.services, (planned(5, timeliness=timeliness),))
    house.run()
    assert house.services.ledger.read(keys.complete(SESSION), Complete).work_class == ("nrt" if urgent else "nominal")
    found = [info.key for info in house.services.ledger.list(f"{keys.session(SESSION)}work/")]
    orders = house.services.ledger.read_many([key for key in found if key.endswith("/order.json")], Order)
    assert {order.priority for order in orders} == {100 if urgent else 0}


def test_what_is_made_anew_is_not_counted_twice() -> None:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    house = House(station=station)
    load_plan(house.services, (planned(5),))
    before = house.run().unlike_plan
    rerun(house.operator()[0], SESSION, step="l0c", units=(), who="ada@console", reason="the tables were mended")
    assert house.run().unlike_plan == before


def test_a_session_that_is_not_what_the_plan_owed_says_so() -> None:
    (told,) = account_of(planned(5))
    assert told.startswith("datatake 57405-1: the plan owes 60 granules at Level 0 (5 scenes), ")
    assert told.endswith("DT01 has 2, 58 fewer")


def test_tiles_of_the_plan_stand_beside_those_of_the_account() -> None:
    account = whole_account_of(planned(1), tiles=TilesOwed(("32TQM",), ("32TQL", "32TQK")))
    assert not [line for line in account.unlike_plan if "tiles" in line]
    assert account.planned_tiles == ("datatake 57405-1: plan 1 to 3 tiles, account 2 at L1C, 2 at L2A",)


def test_tiles_that_the_plan_does_not_allow_are_told() -> None:
    (told,) = [
        line for line in account_of(planned(1), tiles=TilesOwed(("32TQM", "32TQK"), ("32TQN",))) if "tiles" in line
    ]
    assert told.startswith("datatake 57405-1: the plan owes 2 to 3 tiles, ")
    assert told.endswith("DT01 meets 2, 1 (32TQK) not among them and 1 (32TQL) beyond the planned footprint")


def test_a_plan_whose_orbit_and_time_do_not_agree_compares_no_tiles() -> None:
    account = whole_account_of(planned(5), tiles=None)
    assert account.planned_tiles == ()
    assert not [line for line in account.unlike_plan if "tiles" in line]


@pytest.mark.parametrize("minutes", [-60, 30])
def test_the_plan_of_another_pass_says_nothing(minutes: float) -> None:
    assert account_of(planned(5, minutes=minutes)) == ()


def test_without_a_plan_nothing_is_compared() -> None:
    assert account_of() == ()
