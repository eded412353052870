"""What operators do to a session of the stand-in station, and sessions that need it: failed, held, incomplete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from shared.bootstrap import Services
from shared.errors import RefusedError
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords, sort_work
from shared.ledger.keys import WorkKey
from shared.ledger.ledger import Ledger
from shared.ledger.records import Order
from shared.settings import Settings
from shared.steering import Done, park, release, retry
from tests.support.house import START, Crash, House
from tests.support.standin import SESSION, Outputs, StandInStation, script

EXPECTED = 1 + 2 + 2 + 2  # L0 datastrip, L0 granules, L1C tiles, L2A tiles
WHO, WHY = "ada@console", "the disk was replaced"
CHUNK_2 = f"DCS_05_{SESSION}_ch2_DSDB_00001.raw"

Act = Callable[[Services], list[Done]]


def retry_all(services: Services) -> list[Done]:
    return retry(services, SESSION, who=WHO, reason=WHY)


def park_all(services: Services) -> list[Done]:
    return park(services, SESSION, who=WHO, reason="look at it first")


def release_all(services: Services) -> list[Done]:
    return release(services, SESSION, who=WHO, reason=WHY)


def house(**changes: object) -> House:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    return House(station=station, **changes)  # type: ignore[arg-type]  # keyword arguments of the dataclass


def broken(order: Order) -> Outputs:
    """One tile's L1C processor dies each time."""
    if order.step == "l1c" and order.unit.endswith("32TQM"):
        raise Crash("the node is gone")
    return script(order)


def failed(**changes: object) -> House:
    """A session of which one tile is parked after three attempts; the cause is mended now."""
    made = house(**changes)
    made.launcher.script = broken
    account = made.run()
    assert (account.produced, account.parked) == (EXPECTED - 2, 2)
    made.launcher.script = script
    return made


def held(**changes: object) -> House:
    """A session that was parked while its first Job ran, and closed."""
    made = house(**changes)
    until_running(made)
    park_all(made.operator()[0])
    made.run()
    return made


def until_running(made: House) -> None:
    """The session's first Job is under way."""
    for _ in range(20):
        if made.launcher.pending:
            return
        made.tick(jobs=False)
    raise AssertionError(made.story())


def incomplete() -> House:
    """A session of which a chunk never came, parked by configuration when the wait was over."""
    made = house(settings=Settings(sweep_grace_s=15, retry_delay_s=5, session_wait_s=60, session_partial="park"))
    made.station.held = {path: found for path, found in made.station.held.items() if CHUNK_2 not in path}
    account = made.run()
    assert (account.produced, account.parked) == (0, len(account.entries))
    return made


def ledger_of(made: House) -> Ledger:
    return Ledger(made.memory, made.settings.bucket_ledger, made.clock)


def work_of(made: House, step: str, ending: str = "") -> WorkKey:
    works = sort_work(made.memory.list(made.settings.bucket_ledger)).values()
    return next(w.place for w in works if w.place.step == step and w.place.unit.endswith(ending))


def assert_whole(made: House, reference: House) -> None:
    """All is produced, once, and nothing that was written for the time of the action is left."""
    account = made.account
    assert account is not None
    assert (account.produced, account.absent, account.parked) == (EXPECTED, 0, 0)
    assert made.shelf() == reference.shelf()
    assert made.orders() == reference.orders()
    assert made.dead == []
    for _ in range(3):
        made.tick()
    assert not list(made.memory.list(made.settings.bucket_ledger, keys.OPEN))
    assert not [i.key for i in made.memory.list(made.settings.bucket_ledger, keys.TIMERS) if "reopened" in i.key]


def works_of(made: House) -> list[WorkRecords]:
    return list(sort_work(made.memory.list(made.settings.bucket_ledger)).values())


@dataclass
class Meanwhile:
    """Does ``act`` before the service's ``moment``-th store operation, or as soon after as it is not refused."""

    act: Callable[[], object]
    moment: int
    reached: bool = False
    done: bool = False

    def __call__(self, number: int) -> None:
        if number < self.moment or self.done:
            return
        self.reached = self.done = True
        try:
            self.act()
        except RefusedError:
            self.done = False


def at_any_moment(step: int, begin: Callable[[], House], act: Act, end: Callable[[House], None]) -> int:
    """``act`` happens before each ``step``-th store operation; returns how many moments that were."""
    moments = 0
    while True:
        made = begin()
        services, _ = made.operator()
        meanwhile = Meanwhile(partial(act, services), 1 + moments * step)
        made.store.meanwhile = meanwhile
        made.run()
        made.store.meanwhile = None
        end(made)
        if not meanwhile.reached:
            return moments
        moments += 1
