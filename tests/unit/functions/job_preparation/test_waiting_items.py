"""What an event costs among work that waits for auxiliary files: the same, however many wait."""

from __future__ import annotations

from collections import Counter

import pytest

from functions.job_preparation.auxiliary import AT_ONCE
from shared.domain.events import object_created
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.provision import ARRIVALS, WAITING, Awaiter, Waiting
from shared.ledger.records import Order
from tests.support.auxiliary import for_l0u, named, take_in
from tests.support.waiting import AWAITED, Crowd, session_named

CROWDS = (10, 100, 1000)


def test_the_crowd_s_records_are_those_that_the_service_writes() -> None:
    crowd = Crowd(2)
    made = Crowd(1)
    made.complete(1)
    one, other = crowd.item(1), made.item(1)
    ours, theirs = crowd.services.ledger.read(one.waiting, Waiting), made.services.ledger.read(other.waiting, Waiting)
    assert ours.awaited == theirs.awaited
    assert ours.marks == theirs.marks
    assert [i.key.rpartition("/")[0] for i in crowd.memory.list("s2-ledger", WAITING)] == [
        i.key.rpartition("/")[0] for i in made.memory.list("s2-ledger", WAITING)
    ]


@pytest.mark.parametrize("count", CROWDS)
def test_a_session_that_becomes_complete_costs_the_same(count: int) -> None:
    def cost(crowd: Crowd) -> Counter[str]:
        for_l0u(crowd.services, AWAITED, told=False)
        crowd.store.requests.clear()
        assert crowd.complete(count + 1) == 1
        return Counter(crowd.store.requests)

    assert cost(Crowd(count)) == cost(Crowd(0))


@pytest.mark.parametrize("count", CROWDS)
def test_work_that_comes_to_wait_costs_the_same(count: int) -> None:
    def cost(crowd: Crowd) -> Counter[str]:
        crowd.store.requests.clear()
        assert crowd.complete(count + 1) == 0
        return Counter(crowd.store.requests)

    assert cost(Crowd(count)) == cost(Crowd(0))


@pytest.mark.parametrize("count", CROWDS)
def test_an_outcome_costs_the_same(count: int) -> None:
    def cost(crowd: Crowd) -> Counter[str]:
        crowd.complete(count + 1)
        found = crowd.outcome(count + 1)
        assert crowd.orders() == 1
        return found

    assert cost(Crowd(count)) == cost(Crowd(0))


@pytest.mark.parametrize("count", CROWDS)
def test_a_file_that_nobody_waits_for_costs_one_request(count: int) -> None:
    crowd = Crowd(count)
    take_in(crowd.services, named("GIP_VIEDIR", 0, 3650, band="01"))
    assert crowd.arrival("GIP_VIEDIR") == {"list": 1}


@pytest.mark.parametrize("count", CROWDS[1:])
def test_a_file_that_many_wait_for_wakes_so_many_at_a_time(count: int) -> None:
    crowd = Crowd(count)
    for_l0u(crowd.services, AWAITED)
    first = crowd.arrival()
    assert crowd.orders() == AT_ONCE
    fewer = Crowd(AT_ONCE + 1)
    for_l0u(fewer.services, AWAITED)
    assert fewer.arrival() == first
    events = 1
    while cursors := [i for i in crowd.memory.list("s2-ledger", ARRIVALS) if i.key.count("/") == 2]:
        (cursor,) = cursors
        crowd.requests(object_created("s2-ledger", cursor.key, cursor.etag))
        events += 1
    assert events == -(-count // AT_ONCE)
    assert crowd.orders() == count
    assert not list(crowd.memory.list("s2-ledger", WAITING))


@pytest.mark.parametrize("count", CROWDS)
def test_a_timer_costs_the_same(count: int) -> None:
    few, many = Crowd(1), Crowd(count)
    for crowd in (few, many):
        crowd.clock.advance(601)
    assert few.timer(0) == many.timer(count - 1)


def test_a_file_of_another_band_or_satellite_leaves_the_work_waiting_and_is_looked_at_once() -> None:
    crowd = Crowd(1)
    take_in(crowd.services, named(AWAITED, 0, 3650, satellite="S2B", band="00"))
    crowd.arrival()
    assert crowd.orders() == 0
    waiting = crowd.item(0).waiting
    again = crowd.requests(object_created("s2-ledger", waiting, "e"))
    assert again["put_new"] == again["put_if"] == again["put"] == 0
    assert len(list(crowd.memory.list("s2-ledger", WAITING))) == 1


def test_one_that_cannot_be_read_keeps_no_other_from_its_files_and_is_told() -> None:
    crowd = Crowd(3)
    crowd.memory.put("s2-ledger", crowd.item(1).waiting, b"{}")
    for_l0u(crowd.services, AWAITED)
    with pytest.raises(BadInputError, match=session_named(1)):
        crowd.arrival()
    assert crowd.orders() == 2


def test_what_stands_in_the_list_and_waits_no_longer_is_taken_out() -> None:
    crowd = Crowd(1)
    key = next(crowd.memory.list("s2-ledger", WAITING)).key
    entry = crowd.services.ledger.read(key, Awaiter)
    for_l0u(crowd.services, AWAITED)
    crowd.arrival()
    crowd.services.ledger.create(key, entry)
    gone = "waiting/GIP_ATMIMA/" + "f" * 64 + ".json"
    crowd.services.ledger.create(
        gone, Awaiter(created=entry.created, work="sessions/S2A_1/work/l0u/u/" + "0" * 64 + "/")
    )
    crowd.arrival()
    assert not list(crowd.memory.list("s2-ledger", WAITING))
    assert crowd.services.ledger.read(crowd.item(0).order, Order).session == session_named(0)


@pytest.mark.parametrize("key", ["arrivals/GIP_ATMIMA/../x.json", "arrivals/x.json", "arrivals/GIP_ATMIMA/1.json"])
def test_an_arrival_s_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(BadInputError, match="arrivals/"):
        Crowd(0).requests(object_created("s2-ledger", key, "e"))


def test_a_session_that_is_prepared_twice_at_the_same_moment_waits_once() -> None:
    crowd = Crowd(1)
    crowd.requests(object_created("s2-ledger", keys.complete(session_named(0)), "e"))
    assert len(list(crowd.memory.list("s2-ledger", WAITING))) == 1
    assert len(list(crowd.memory.list("s2-ledger", "timers/"))) == 1
