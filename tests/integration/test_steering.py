"""Operators' actions on a real store: etags of listings and reads agree, and conditional writes hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.s3 import S3Store
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.records import Account, Order, Outcome
from shared.settings import Settings
from shared.steering import park, release, replay, retry
from tests.support.house import Crash, House
from tests.support.standin import SESSION, Outputs, StandInStation, script

EXPECTED = 7
WHO, WHY = "ada@console", "the disk was replaced"


def broken(order: Order) -> Outputs:
    if order.step == "l1c" and order.unit.endswith("32TQM"):
        raise Crash("the node is gone")
    return script(order)


@pytest.fixture
def made(own_buckets: Settings) -> House:
    """The service over the store, which announces nothing: the sweep does it all."""
    settings = own_buckets.model_copy(update={"sweep_grace_s": 0, "retry_delay_s": 5})
    store, now = S3Store.from_settings(settings), datetime.now(UTC)
    station = StandInStation()
    station.fill(now - timedelta(minutes=2))
    house = House(station=station, settings=settings)
    house.memory = house.store._inner = store  # type: ignore[assignment]  # the same port
    house.clock.instant = now + timedelta(minutes=1)
    send = house.send
    # The triggers name the ledger's bucket as it is called by default.
    house.send = lambda event: send(replace(event, source=event.source.replace(settings.bucket_ledger, "s2-ledger")))  # type: ignore[method-assign]
    return house


def test_a_session_is_parked_released_and_retried(made: House) -> None:
    made.launcher.script = broken
    for _ in range(20):
        made.tick(jobs=False)
        if made.launcher.pending:
            break
    park(made.operator()[0], SESSION, who=WHO, reason="look")
    account = made.run()
    assert (account.produced, account.parked, account.held) == (0, len(account.entries), True)
    release(made.operator()[0], SESSION, who=WHO, reason="seen")
    account = made.run()
    assert (account.produced, account.parked, account.reopened) == (EXPECTED - 2, 2, 1)
    made.launcher.script = script
    told = retry(made.operator()[0], SESSION, who=WHO, reason=WHY)
    account = made.run()
    assert (account.produced, account.parked, account.reopened) == (EXPECTED, 0, 2)
    ledger = made.operator()[0].ledger
    assert ledger.read(f"{told[1].target}outcome.json", Outcome).attempt == 4
    assert ledger.read(keys.former_account(SESSION, 2), Account).parked == 2
    made.tick()
    assert not list(ledger.list(keys.OPEN))
    assert not [info.key for info in ledger.list(keys.TIMERS) if "reopened" in info.key]


def test_a_replayed_record_is_the_same_but_newer(made: House) -> None:
    made.run()
    services, _ = made.operator()
    orders = [work.order for work in sort_work(services.ledger.list(keys.session(SESSION))).values()]
    key = next(info.key for info in orders if info is not None)
    before = services.store.get(services.ledger.bucket, key)
    replay(services, key, who=WHO, reason=WHY)
    after = services.store.get(services.ledger.bucket, key)
    assert (after[0], after[1].etag, after[1].metadata) == (before[0], before[1].etag, before[1].metadata)
