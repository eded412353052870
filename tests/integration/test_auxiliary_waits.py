"""Work that waits for auxiliary files, on a real store: conditional writes, listings that go on after a key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from functions.job_preparation import auxiliary
from functions.job_preparation.step import prepare
from shared.adapters.s3 import S3Store
from shared.auxiliary.awaited import AwaitedFiles
from shared.bootstrap import Services
from shared.domain.events import object_created
from shared.ledger import keys
from shared.ledger.attempts import read_work
from shared.ledger.provision import ARRIVALS, WAITING, Provision, Waiting
from shared.settings import Settings
from tests.support.auxiliary import AWAITING, for_l0u
from tests.support.waiting import AWAITED, THERE, complete, item, session_named

COUNT = 5


@pytest.fixture
def services(own_buckets: Settings) -> Services:
    """With all files but one, and ``COUNT`` sessions that wait for it."""
    made = Services(own_buckets.model_copy(update={"processor_set": str(AWAITING)}))
    vars(made).update(store=S3Store.from_settings(own_buckets))
    for_l0u(made, *THERE)
    for number in range(COUNT):
        assert complete(made, number) == 0
    return made


def arrived(services: Services, key: str) -> int:
    return prepare(object_created(services.settings.bucket_ledger, key, "e"), services)


def test_a_file_wakes_all_that_wait_so_many_at_a_time(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auxiliary, "AT_ONCE", 2)
    ledger = services.ledger
    assert len(list(ledger.list(f"{WAITING}{AWAITED}/"))) == COUNT
    for_l0u(services, AWAITED)
    orders = arrived(services, f"{ARRIVALS}{AWAITED}.json")
    events = 1
    while cursors := [i.key for i in ledger.list(ARRIVALS) if i.key.count("/") == 2]:
        orders += arrived(services, cursors[0])
        events += 1
    assert (orders, events) == (COUNT, 3)
    assert not list(ledger.list(WAITING))
    first = ledger.read(item(services, 0).provision, Provision)
    assert first.parameters == {"gps_to_tai": "19", "tai_to_utc": "-37"}


def test_many_that_ask_at_the_same_moment_decide_once(services: Services) -> None:
    for_l0u(services, AWAITED, told=False)
    place = item(services, 0)
    subjects = [place.waiting, f"{ARRIVALS}{AWAITED}.json", keys.complete(session_named(0))] * 3
    with ThreadPoolExecutor(len(subjects)) as pool:
        orders = sum(pool.map(lambda key: arrived(services, key), subjects))
    assert orders == COUNT
    assert read_work(services.ledger, place).order is not None


def test_the_sweep_sees_that_the_catalogue_changed_and_mends_the_lists(services: Services) -> None:
    ledger, sweeping = services.ledger, AwaitedFiles(services)
    now = services.clock.now()

    def again() -> list[str]:
        sweeping.begin()
        waiting = [work.waiting for n in range(COUNT) if (work := read_work(ledger, item(services, n))).asks]
        return [info.key for info in sweeping.again([info for info in waiting if info], now)]

    assert again() == []
    lost = next(ledger.list(WAITING)).key
    ledger.delete(lost)
    sweeping.heal(now, timedelta(seconds=15))
    assert ledger.exists(lost)
    for_l0u(services, AWAITED, told=False)
    assert len(again()) == COUNT
    assert arrived(services, item(services, 3).waiting) == 1
    assert len(again()) == COUNT - 1
    until = ledger.read(item(services, 0).waiting, Waiting).until
    assert now < until
