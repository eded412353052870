"""From a station over HTTP into a real store: interrupted, truncated, changed, doubled."""

from __future__ import annotations

import hashlib
import random
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from functions.file_transfer.step import transfer
from functions.station_poll.step import StationPoll
from shared.adapters.s3 import S3Store
from shared.adapters.s3_multipart import newest_upload
from shared.adapters.webdav import WebDavStation
from shared.bootstrap import Services
from shared.domain.events import Event, object_created
from shared.errors import NotReadyError, RetryableError, StationUnavailableError
from shared.ledger import keys
from shared.ledger.records import Receipt, Refusal
from shared.settings import Settings
from tests.support.wild_station import WildStation

SESSION = "S2A_20261122100000000123"
WHEN = datetime(2026, 11, 22, 10, tzinfo=UTC)
MIB = 1 << 20


@pytest.fixture
def wild() -> Iterator[WildStation]:
    with WildStation().serving() as station:
        yield station


@pytest.fixture
def services(own_buckets: Settings, wild: WildStation) -> Services:
    made = Services(own_buckets.model_copy(update={"transfer_part_mb": 5}))
    vars(made).update(stations={"TST_": WebDavStation(wild.settings())})
    return made


def name(number: int = 1, channel: int = 1) -> str:
    return f"DCS_05_{SESSION}_ch{channel}_DSDB_{number:05d}.raw"


def put(wild: WildStation, file: str, content: bytes, when: datetime = WHEN, tree: str = "NOMINAL") -> None:
    wild.put(f"{tree}/S2A/DCS_05_{SESSION}_dat/ch_{2 if '_ch2_' in file else 1}/{file}", content, when)


def event(file: str) -> Event:
    return object_created("ledger", keys.seen(SESSION, file), "etag")


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def check(services: Services, file: str, expected: bytes) -> Receipt:
    receipt = services.ledger.read(keys.receipt(SESSION, file), Receipt)
    body, info = services.store.get(services.settings.bucket_sessions, receipt.key)
    assert body == expected
    assert (receipt.size, receipt.sha256) == (len(expected), hashlib.sha256(expected).hexdigest())
    assert receipt.etag == info.etag
    return receipt


def test_a_session_comes_in_several_files_at_once(services: Services, wild: WildStation) -> None:
    files = {name(n, c): content(size, n * c) for n, size in ((1, 12 * MIB), (2, 1000)) for c in (1, 2)}
    for file, body in files.items():
        put(wild, file, body)
    put(wild, "%2e%2e%2fx", b"?")
    assert StationPoll(services).run() == 4
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda file: transfer(event(file), services), files))
    for file, body in files.items():
        receipt = check(services, file, body)
        assert receipt.key == f"TST_/S2A/{SESSION}/ch_{2 if '_ch2_' in file else 1}/{file}"
    refused = [info.key for info in services.ledger.list(f"{keys.session(SESSION)}refused/")]
    assert [services.ledger.read(key, Refusal).file for key in refused] == ["%2e%2e%2fx"]


def test_every_connection_breaks_and_the_file_arrives(services: Services, wild: WildStation) -> None:
    body = content(30 * MIB)
    put(wild, name(), body)
    StationPoll(services).run()
    wild.cut = lambda _path, _start: 8 * MIB
    attempts = 0
    while services.ledger.find(keys.receipt(SESSION, name()), Receipt) is None:
        attempts += 1
        assert attempts < 12, "no progress"
        try:
            transfer(event(name()), services)
        except StationUnavailableError:
            assert services.store.head(services.settings.bucket_sessions, f"TST_/S2A/{SESSION}/ch_1/{name()}") is None
    assert check(services, name(), body).resumed_from > 0
    assert len(set(wild.gets())) == attempts, "each request began at another byte"


def test_a_truncated_file_is_not_taken(services: Services, wild: WildStation) -> None:
    body = content(12 * MIB)
    put(wild, name(), body)
    StationPoll(services).run()
    put(wild, name(), body[:-1])
    with pytest.raises(NotReadyError, match="listed"):
        transfer(event(name()), services)
    assert list(services.store.list(services.settings.bucket_sessions)) == []
    put(wild, name(), body[:-1], WHEN + timedelta(seconds=1))
    StationPoll(services).run()
    transfer(event(name()), services)
    check(services, name(), body[:-1])


def test_a_file_that_changes_during_its_transfer_ends_as_the_newer_one(services: Services, wild: WildStation) -> None:
    old, new = content(20 * MIB, 1), content(20 * MIB, 2)
    put(wild, name(), old)
    poll = StationPoll(services)
    poll.run()
    wild.cut = lambda _path, start: 12 * MIB if start == 0 else None
    with pytest.raises(StationUnavailableError):
        transfer(event(name()), services)
    wild.cut = lambda _path, _start: None
    put(wild, name(), new, WHEN + timedelta(seconds=5), tree="RETRANSFER")
    poll.run()
    made = transfer(event(name()), services)
    assert made is not None
    assert made.resumed_from == 0
    check(services, name(), new)
    store = services.store
    assert isinstance(store, S3Store)
    assert newest_upload(store.client, services.settings.bucket_sessions, made.key) is None


def test_doubled_events_at_the_same_time_give_one_file(services: Services, wild: WildStation) -> None:
    bodies = {name(1): content(17 * MIB), name(2): content(1000)}
    for file, body in bodies.items():
        put(wild, file, body)
    StationPoll(services).run()

    def until_done(file: str) -> None:
        for _ in range(10):
            try:
                transfer(event(file), services)
            except RetryableError:
                continue
            return
        raise AssertionError(file)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(until_done, [name(1), name(2)] * 3))
    for file, body in bodies.items():
        check(services, file, body)


def test_memory_does_not_grow_with_the_file(services: Services, wild: WildStation) -> None:
    small, large = content(16 * MIB), content(16 * MIB) * 8
    put(wild, name(1), small)
    put(wild, name(2), large)
    StationPoll(services).run()
    transfer(event(name(1)), services)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    transfer(event(name(2)), services)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 64, f"{grown:.0f} MB more for a file eight times as large"
    receipt = services.ledger.read(keys.receipt(SESSION, name(2)), Receipt)
    assert receipt.sha256 == hashlib.sha256(large).hexdigest()
