"""What operators do, interrupted after any write and repeated, and with whatever the broker does."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from shared.domain.events import object_created
from shared.errors import RefusedError
from shared.ledger.records import Action
from tests.support.house import Crash, Delivery, House
from tests.support.standin import SESSION
from tests.support.steered import (
    EXPECTED,
    WHO,
    WHY,
    Act,
    assert_whole,
    failed,
    held,
    house,
    incomplete,
    ledger_of,
    park_all,
    release_all,
    retry_all,
    until_running,
    work_of,
)

# interrupted, repeated -----------------------------------------------------------------------------------------------
ACTIONS: dict[str, tuple[Callable[[], House], Act]] = {
    "retry": (failed, retry_all),
    "release": (held, release_all),
    "release of an incomplete session": (incomplete, release_all),
}


@pytest.mark.parametrize("ticks", [0, 3], ids=["at once", "while the service runs on"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_interrupted_at_any_write_and_repeated(action: str, when: str, ticks: int, reference: House) -> None:
    begin, act = ACTIONS[action]
    services, store = (made := begin()).operator()
    act(services)
    writes = store.writes
    assert writes >= 5
    for point in range(1, writes + 1):
        made = begin()
        services, store = made.operator()
        store.crash_at = (point, "before" if when == "before" else "after")
        with pytest.raises(Crash):
            act(services)
        for _ in range(ticks):
            made.tick()
        with suppress(RefusedError):  # nothing is left to do, as what follows shows
            act(made.operator()[0])
        made.run()
        if action == "release of an incomplete session":
            assert made.account is not None
            assert made.account.produced == EXPECTED
        else:
            assert_whole(made, reference)


def test_an_interrupted_retry_whose_grant_took_effect_by_itself_is_completed(reference: House) -> None:
    """The order's event, doubled and late, launched the attempt that was granted, and all was made meanwhile."""
    made = failed()
    services, store = made.operator()
    store.crash_at = (2, "after")
    with pytest.raises(Crash):
        retry_all(services)
    made.send(object_created(made.settings.bucket_ledger, work_of(made, "l1c", "32TQM").order, "e"))
    made.deliver()
    for _ in range(3):
        made.tick()
    assert made.account is not None
    assert made.account.parked == 2
    assert len(made.shelf()) == EXPECTED
    retry_all(made.operator()[0])
    made.run()
    assert_whole(made, reference)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_park_is_repeated(when: str) -> None:
    for point in (1, 2):
        made = house()
        until_running(made)
        services, store = made.operator()
        store.crash_at = (point, "before" if when == "before" else "after")
        with pytest.raises(Crash):
            park_all(services)
        park_all(made.operator()[0])
        assert made.run().held


@pytest.mark.parametrize("action", ACTIONS)
def test_an_interrupted_action_has_said_who_wanted_what_and_why(action: str) -> None:
    begin, act = ACTIONS[action]
    made = begin()
    services, store = made.operator()
    store.crash_at = (1, "after")
    before = made.story()
    with pytest.raises(Crash):
        act(services)
    (key,) = set(made.story().splitlines()) - set(before.splitlines())
    record = ledger_of(made).read(key, Action)
    assert key.startswith(f"sessions/{SESSION}/actions/20261122T")
    assert (record.action, record.target, record.who, record.reason) == (action.split(maxsplit=1)[0], SESSION, WHO, WHY)


# with whatever the broker does ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("action", ["retry", "release"])
def test_whatever_becomes_of_the_notifications(action: str, seed: int, reference: House) -> None:
    begin, act = ACTIONS[action]
    dice = random.Random(seed)
    made = begin(delivery=Delivery(copies=lambda _event: dice.choice([0, 1, 1, 2, 3]), shuffle=dice))  # type: ignore[call-arg]
    act(made.operator()[0])
    made.run()
    assert_whole(made, reference)


@pytest.mark.parametrize("action", ACTIONS)
def test_by_the_sweep_alone(action: str) -> None:
    begin, act = ACTIONS[action]
    made = begin()
    made.delivery = Delivery(copies=lambda _event: 0)
    act(made.operator()[0])
    assert made.run().produced == EXPECTED
