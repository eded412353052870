"""A tick's request that stays: how long it goes on, what ends it, what it answers. On a virtual clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.memory import MemoryStore
from shared.errors import PermanentError, RetryableError, StoreUnavailableError
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.vigil import Vigil, session_incoming, sessions_open

START = datetime(2026, 6, 21, 10, 45, tzinfo=UTC)
INTERVAL_S, ROUND_S = 20.0, 1.0


@dataclass
class World:
    """A clock that waits and rounds move, and what happens in each round."""

    happens: dict[int, Callable[[], object]] = field(default_factory=dict)
    open_until: float = float("inf")
    stop_at: float = float("inf")
    now_s: float = 0.0
    rounds: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    def round(self) -> None:
        self.rounds.append(self.now_s)
        self.now_s += ROUND_S
        self.happens.get(len(self.rounds), lambda: None)()

    def watchful(self) -> bool:
        return self.now_s < self.open_until

    def wait(self, seconds: float) -> bool:
        end = self.now_s + seconds
        self.now_s = min(end, max(self.stop_at, self.now_s))
        return self.now_s >= self.stop_at

    def vigil(self, stay_s: float) -> Vigil:
        return Vigil(self.round, self.watchful, self, stay_s, INTERVAL_S, self.wait)


def raising(error: Exception) -> Callable[[], object]:
    def happen() -> None:
        raise error

    return happen


def test_without_a_stay_a_tick_is_one_round() -> None:
    world = World()
    assert world.vigil(0).keep() == 1
    assert (world.rounds, world.now_s) == ([0.0], ROUND_S)


def test_without_a_stay_what_the_round_raises_is_the_answer() -> None:
    world = World({1: raising(StoreUnavailableError("away"))})
    with pytest.raises(StoreUnavailableError, match="away"):
        world.vigil(0).keep()
    assert len(world.rounds) == 1


def test_where_nothing_is_open_a_stay_is_one_round() -> None:
    world = World(open_until=0)
    assert world.vigil(285).keep() == 1
    assert world.now_s == ROUND_S


def test_while_sessions_are_open_it_goes_on_and_is_over_within_its_stay() -> None:
    world = World()
    assert world.vigil(100).keep() == 5
    assert world.rounds == [0, 21, 42, 63, 84]
    assert world.now_s <= 100


def test_it_ends_when_the_last_session_is_closed() -> None:
    world = World(open_until=43.5)
    assert world.vigil(285).keep() == 4
    assert world.rounds == [0, 21, 42, 63]


def test_a_tick_that_waited_stays_for_what_is_left_of_its_time() -> None:
    world = World(now_s=60)
    assert world.vigil(100).keep(START) == 2
    assert world.now_s <= 100


def test_a_stale_tick_is_one_round_and_one_from_the_future_no_longer_stay() -> None:
    world = World(now_s=1000)
    assert world.vigil(100).keep(START) == 1
    world = World()
    assert world.vigil(100).keep(START + timedelta(hours=1)) == 5


def test_sigterm_ends_it_between_rounds_without_an_error() -> None:
    world = World(stop_at=30)
    assert world.vigil(285).keep() == 2
    assert world.now_s == 30


def test_an_error_does_not_end_the_stay_and_what_has_passed_is_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    world = World({1: raising(RetryableError("store away")), 3: raising(ZeroDivisionError("a bug"))})
    assert world.vigil(100).keep() == 5
    told = [(record.getMessage(), record.exc_info is not None) for record in caplog.records]
    assert told == [
        ("round 1 failed, going on: RetryableError: store away", False),
        ("round 3 failed, going on: ZeroDivisionError: a bug", True),
    ]


def test_an_error_that_lasts_is_the_answer_at_the_end() -> None:
    world = World({number: raising(PermanentError(f"record {number}")) for number in range(1, 6)})
    with pytest.raises(PermanentError, match="record 5"):
        world.vigil(100).keep()
    assert len(world.rounds) == 5


def test_where_it_cannot_be_told_it_goes_on() -> None:
    world = World()
    vigil = world.vigil(50)
    vigil.watchful = raising(StoreUnavailableError("away"))  # type: ignore[assignment]  # it raises, whatever it returns
    assert vigil.keep() == 3


def test_a_second_tick_leaves_the_rounds_to_the_first() -> None:
    begun, done = threading.Event(), threading.Event()
    world = World()

    def under_way() -> None:
        begun.set()
        assert done.wait(10)

    world.happens[1] = under_way
    vigil = world.vigil(0)
    first = threading.Thread(target=vigil.keep)
    first.start()
    assert begun.wait(10)
    assert vigil.keep() == 0
    done.set()
    first.join(10)
    assert len(world.rounds) == 1
    assert vigil.keep() == 1


@pytest.fixture
def ledger() -> Ledger:
    clock = World()
    return Ledger(MemoryStore(clock), "s2-ledger", clock)


def test_what_is_worth_staying_for(ledger: Ledger) -> None:
    def put(key: str) -> None:
        ledger.store.put(ledger.bucket, key, b"{}")

    assert (sessions_open(ledger), session_incoming(ledger)) == (False, False)
    put(keys.open_marker("A"))
    assert (sessions_open(ledger), session_incoming(ledger)) == (True, True)
    put(keys.complete("A"))
    assert (sessions_open(ledger), session_incoming(ledger)) == (True, False)
    put(keys.open_marker("B"))
    assert (sessions_open(ledger), session_incoming(ledger)) == (True, True)
    ledger.delete(keys.open_marker("A"))
    ledger.delete(keys.open_marker("B"))
    assert (sessions_open(ledger), session_incoming(ledger)) == (False, False)
