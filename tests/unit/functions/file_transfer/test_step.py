from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from functions.file_transfer.parts import part_size
from functions.file_transfer.step import transfer
from functions.file_transfer.under_way import UnderWay
from functions.station_poll.step import StationPoll
from shared.adapters.memory import MemoryStore, MemoryUpload
from shared.bootstrap import Services
from shared.domain.events import Event, object_created
from shared.errors import (
    BadInputError,
    ConfigurationError,
    NotReadyError,
    ObjectAbsentError,
    StationUnavailableError,
    StoreUnavailableError,
)
from shared.ledger import keys
from shared.ledger.records import Complete, Receipt, Seen, SessionChunk
from shared.settings import Settings
from tests.support.house import START, VirtualClock
from tests.support.standin import SESSION, StandInStation

FILE = f"DCS_05_{SESSION}_ch2_DSDB_00001.raw"
KEY = f"SGS_/S2A/{SESSION}/ch_2/{FILE}"
LARGE = bytes(range(256)) * (18 << 12)  # 18 MiB: three parts or four


class Station(StandInStation):
    """Hands files out in small chunks; ``on_chunk`` is called with the bytes handed out so far."""

    on_chunk: Callable[[int], None] = staticmethod(lambda _at: None)
    starts: list[int]

    def read(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        self.starts = [*getattr(self, "starts", []), start]
        if path not in self.held:
            raise ObjectAbsentError(path)
        body, at = self.held[path][0], start
        while at < len(body):
            self.on_chunk(at)
            yield body[at : at + (1 << 20)]
            at += 1 << 20


@pytest.fixture
def services() -> Services:
    clock = VirtualClock()
    made = Services(Settings(transfer_part_mb=5, transfer_budget_s=60), clock)
    vars(made).update(store=MemoryStore(clock), stations={"SGS_": Station()})
    return made


def station(services: Services) -> Station:
    found = services.stations["SGS_"]
    assert isinstance(found, Station)
    return found


def see(services: Services, content: bytes, modified: datetime = START) -> Event:
    """Put a file at the station, poll, and return the event of its seen record."""
    station(services).put(FILE, content, modified)
    StationPoll(services).run()
    return seen_event(services)


def seen_event(services: Services) -> Event:
    return object_created("s2-ledger", keys.seen(SESSION, FILE), "etag")


def stored(services: Services) -> bytes | None:
    try:
        return services.store.get("s2-sessions", KEY)[0]
    except ObjectAbsentError:
        return None


def receipt(services: Services) -> Receipt | None:
    return services.ledger.find(keys.receipt(SESSION, FILE), Receipt)


@pytest.mark.parametrize("content", [b"x", LARGE[: 5 << 20], LARGE])
def test_a_file_is_stored_and_receipted(services: Services, content: bytes) -> None:
    event = see(services, content)
    made = transfer(event, services)
    assert stored(services) == content
    found = receipt(services)
    assert found is not None
    assert found == made
    assert (found.key, found.size, found.modified) == (KEY, len(content), START)
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    info = services.store.head("s2-sessions", KEY)
    assert info is not None
    assert info.etag == found.etag
    assert info.metadata["station-modified"] == START.isoformat()
    assert info.metadata["traceparent"]
    assert transfer(event, services) is None, "a second event finds the receipt"


def test_a_cut_transfer_goes_on_where_it_was_cut(services: Services) -> None:
    event = see(services, LARGE)

    def cut(at: int) -> None:
        if at > 12 << 20:
            raise StationUnavailableError("cut")

    station(services).on_chunk = cut
    with pytest.raises(StationUnavailableError):
        transfer(event, services)
    assert stored(services) is None
    station(services).on_chunk = lambda _at: None
    made = transfer(event, services)
    assert made is not None
    step = part_size(services.ledger.read(event.subject, Seen), 5)
    assert station(services).starts == [0, 2 * step]
    assert made.resumed_from == 2 * step
    assert made.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert stored(services) == LARGE


def test_the_time_of_a_request_is_bounded(services: Services) -> None:
    event = see(services, LARGE)
    clock = services.clock
    assert isinstance(clock, VirtualClock)
    station(services).on_chunk = lambda _at: clock.advance(10)
    for _ in range(3):
        with pytest.raises(NotReadyError, match="the rest comes later"):
            transfer(event, services)
        assert stored(services) is None
    assert transfer(event, services) is not None
    assert stored(services) == LARGE


def test_parts_of_an_older_version_are_not_continued(services: Services) -> None:
    event = see(services, LARGE)
    station(services).on_chunk = lambda at: _raise(StationUnavailableError("cut")) if at > 12 << 20 else None
    with pytest.raises(StationUnavailableError):
        transfer(event, services)
    newer = LARGE[::-1]
    station(services).on_chunk = lambda _at: None
    transfer(see(services, newer, START + timedelta(seconds=1)), services)
    assert stored(services) == newer
    found = receipt(services)
    assert found is not None
    assert (found.sha256, found.resumed_from) == (hashlib.sha256(newer).hexdigest(), 0)


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("size", [10, 18 << 20])
@pytest.mark.parametrize("by", [-1, 1])
def test_other_bytes_than_listed_become_visible_never(services: Services, size: int, by: int) -> None:
    event = see(services, LARGE[:size])
    station(services).put(FILE, (LARGE + b"x")[: size + by], START)
    with pytest.raises(NotReadyError, match="listed"):
        transfer(event, services)
    assert stored(services) is None
    assert receipt(services) is None
    assert services.store.multipart("s2-sessions", KEY).parts == [], "parts of such a file are of no use"


@pytest.mark.parametrize("size", [10, 18 << 20])
def test_a_file_that_changes_meanwhile_is_left_to_its_next_version(services: Services, size: int) -> None:
    event = see(services, LARGE[:size])
    old = station(services).held.copy()

    def change(at: int) -> None:
        if at == (0 if size < 100 else 12 << 20):
            see(services, LARGE[::-1][:size], START + timedelta(seconds=30))
            station(services).held.update(old)

    station(services).on_chunk = change
    assert transfer(event, services) is None
    assert stored(services) is None
    station(services).on_chunk = lambda _at: None
    station(services).put(FILE, LARGE[::-1][:size], START + timedelta(seconds=30))
    assert transfer(event, services) is not None
    assert stored(services) == LARGE[::-1][:size]


def test_a_changed_file_replaces_the_one_before_with_its_receipt(services: Services) -> None:
    transfer(see(services, b"old"), services)
    transfer(see(services, b"newer", START + timedelta(seconds=1)), services)
    found = receipt(services)
    assert found is not None
    assert (stored(services), found.size) == (b"newer", 5)


def test_a_complete_session_keeps_its_bytes(services: Services) -> None:
    made = transfer(see(services, b"used"), services)
    assert made is not None
    chunk = SessionChunk(name=FILE, key=KEY, channel=2, size=4, sha256=made.sha256)
    complete = Complete(created=START, session=SESSION, station="SGS_", satellite="S2A", t0=START, files=(chunk,))
    services.ledger.create(keys.complete(SESSION), complete)
    assert transfer(see(services, b"late!", START + timedelta(hours=1)), services) is None
    assert stored(services) == b"used"


def test_a_twin_that_ended_the_shared_upload_has_done_the_work(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = see(services, LARGE)
    real = MemoryUpload.put_part

    def gone(upload: MemoryUpload, number: int, body: bytes) -> None:
        if number == 2:
            monkeypatch.setattr(MemoryUpload, "put_part", real)
            assert transfer(event, services) is not None
            raise ObjectAbsentError("no such upload")
        real(upload, number, body)

    monkeypatch.setattr(MemoryUpload, "put_part", gone)
    assert transfer(event, services) is None
    assert stored(services) == LARGE


def test_a_duplicate_in_one_instance_leaves_the_work_to_the_first(services: Services) -> None:
    event, under_way = see(services, LARGE), UnderWay()
    duplicates: list[Receipt | None] = []

    def announce_again(_at: int) -> None:
        duplicates.append(transfer(event, services, under_way))

    station(services).on_chunk = announce_again
    receipt = transfer(event, services, under_way)
    assert receipt is not None
    assert duplicates == [None] * 18
    assert station(services).starts == [0], "the station was asked once"
    assert stored(services) == LARGE


def test_a_transfer_that_failed_is_no_longer_under_way(services: Services) -> None:
    event, under_way = see(services, LARGE), UnderWay()

    def break_down(_at: int) -> None:
        raise StationUnavailableError("broken")

    station(services).on_chunk = break_down
    with pytest.raises(StationUnavailableError):
        transfer(event, services, under_way)
    station(services).on_chunk = lambda _at: None
    assert transfer(event, services, under_way) is not None


@pytest.mark.parametrize("writes", ["put_new", "put_part", "complete"])
@pytest.mark.parametrize("content", [b"small", LARGE])
def test_a_store_that_fails_is_tried_again(
    services: Services, monkeypatch: pytest.MonkeyPatch, writes: str, content: bytes
) -> None:
    event = see(services, content)
    with monkeypatch.context() as patch:
        owner = MemoryStore if writes == "put_new" else MemoryUpload
        patch.setattr(owner, writes, lambda *_a, **_k: _raise(StoreUnavailableError("down")))
        if (writes == "put_new") or content is LARGE:
            with pytest.raises(StoreUnavailableError):
                transfer(event, services)
            assert receipt(services) is None
    transfer(event, services)
    assert stored(services) == content


def test_events_that_are_not_for_it(services: Services) -> None:
    with pytest.raises(BadInputError, match="seen record"):
        transfer(object_created("s2-ledger", keys.complete(SESSION), "e"), services)
    with pytest.raises(ObjectAbsentError):
        transfer(seen_event(services), services)
    event = see(services, b"x")
    vars(services)["stations"] = {}
    with pytest.raises(ConfigurationError, match="SGS_"):
        transfer(event, services)
