"""A session over CADIP by the real steps: polled, fetched, assembled, and the same in the end as over XBIP."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from eventing.filters import matches
from functions.file_transfer.step import transfer
from functions.session_assembly.step import assemble
from functions.station_poll.step import StationPoll
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import TIMER_DUE, Event, object_created
from shared.domain.names import SessionFile
from shared.dsib import parse_dsib
from shared.errors import NotReadyError, RetryableError
from shared.ledger import keys
from shared.ledger.records import Complete, Receipt, Seen
from shared.places import StationSettings
from shared.ports import ObjectInfo
from shared.settings import Settings
from tests.support.cadip_server import WHEN, CadipServer
from tests.support.house import TRIGGERS, VirtualClock
from tests.support.standin import dsib
from tests.support.wild_station import WildStation

SESSION = "S2A_20261122100000000123"
OTHER = "S2A_20261122113000000124"
MIB = 1 << 20


def chunk(number: int, channel: int = 1, session: str = SESSION) -> str:
    return f"DCS_05_{session}_ch{channel}_DSDB_{number:05d}.raw"


def a_session(chunks: int = 4) -> dict[str, tuple[bytes, datetime]]:
    """Name to (bytes, publication): two channels in turn, the first chunk larger than one part; then the DSIBs."""
    dice, files, when = random.Random(7), {}, WHEN
    for number in range(1, chunks + 1):
        for channel in (1, 2):
            when += timedelta(seconds=2.5)
            files[chunk(number, channel)] = (dice.randbytes(6 * MIB if number == 1 else 1000 + channel), when)
    for channel in (1, 2):
        names = [chunk(number, channel) for number in range(1, chunks + 1)]
        document = dsib(channel, names, sum(len(files[name][0]) for name in names), SESSION)
        files[f"DCS_05_{SESSION}_ch{channel}_DSIB.xml"] = (document, when + timedelta(seconds=3))
    return files


class Service:
    """Polling, fetching and assembling over one store, driven by the Triggers of the cluster."""

    def __init__(self, station: StationSettings) -> None:
        settings = Settings(stations=(station,), transfer_part_mb=5, session_wait_s=600)
        self.clock, self.events = VirtualClock(WHEN + timedelta(minutes=10)), list[Event]()
        self.services = Services(settings, self.clock)
        vars(self.services).update(store=MemoryStore(self.clock, [self._notify]))
        self.poll = StationPoll(self.services)

    def _notify(self, bucket: str, info: ObjectInfo) -> None:
        self.events.append(object_created(bucket, info.key, info.etag, size=info.size, when=info.modified))

    def tick(self) -> int:
        """One poll, and all that follows from it; a transfer that is cut is gone on with, ten times at most."""
        found = self.poll.run()
        tries: dict[str, int] = {}
        while self.events:
            event = self.events.pop(0)
            for trigger in TRIGGERS:
                name = trigger.spec.subscriber.ref.name if trigger.spec.subscriber.ref else ""
                if name in {"file-transfer", "session-assembly"} and matches(trigger.spec.filters, event):
                    try:
                        (transfer if name == "file-transfer" else assemble)(event, self.services)
                    except RetryableError:
                        tries[event.subject] = tries.get(event.subject, 0) + 1
                        if tries[event.subject] < 10:
                            self.events.append(event)
        return found

    def complete(self, session: str = SESSION) -> Complete | None:
        return self.services.ledger.find(keys.complete(session), Complete)

    def seen(self, file: str) -> Seen:
        return self.services.ledger.read(keys.seen(SESSION, file), Seen)


@pytest.fixture
def cadip() -> Iterator[CadipServer]:
    with CadipServer().serving() as server:
        yield server


def publish(cadip: CadipServer, files: dict[str, tuple[bytes, datetime]], *, last: int = 4) -> None:
    for name, (body, when) in files.items():
        cadip.file(name, body, after=(when - WHEN).total_seconds(), final=f"_{last:05d}." in name)


def over_xbip() -> Complete:
    files = a_session()
    with WildStation().serving() as wild:
        for name, (body, when) in files.items():
            folder = f"NOMINAL/S2A/DCS_05_{SESSION}_dat/ch_{2 if '_ch2_' in name else 1}"
            # A WebDAV date has no fraction of a second.
            wild.put(f"{folder}/{name}", body, when.replace(microsecond=0))
        service = Service(StationSettings(name="TST_", url=wild.url, timeout_s=5))
        service.tick()
    found = service.complete()
    assert found is not None
    return found


def once_each() -> Callable[[str, int], int | None]:
    """Breaks off the first answer of each file."""
    asked: set[str] = set()

    def cut(key: str, _start: int) -> int | None:
        first = key not in asked
        asked.add(key)
        return 500 if first else None

    return cut


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"unsorted": True, "most": 3},
        {"rejects": (r"\$top=", r"\$skip=", r"\$orderby="), "bare": True},
        {"auth": "oauth2", "redirect": 307, "redirect_to": "same", "place_wants": "credentials"},
        {"auth": "oauth2", "redirect": 307, "redirect_to": "other", "place_wants": "none"},
        {"ignore_range": True, "cut": "the first answer of each file"},
    ],
    ids=["plain", "unsorted-capped", "no-paging", "redirect-here", "redirect-away", "cut"],
)
def test_the_same_session_as_over_xbip(cadip: CadipServer, quirks: dict[str, Any]) -> None:
    vars(cadip).update(quirks)
    if "cut" in quirks:
        cadip.cut = once_each()
    cadip.session(SESSION)
    publish(cadip, a_session())
    more = {"auth": cadip.oauth2()} if cadip.auth == "oauth2" else {}
    service = Service(cadip.settings(**more))
    assert service.tick() == 10
    found, expected = service.complete(), over_xbip()
    assert found is not None
    assert found.files == expected.files, "names, keys, sizes and SHA-256"
    assert (found.session, found.station, found.satellite) == (expected.session, expected.station, expected.satellite)
    assert (found.missing, found.pass_stop) == ((), expected.pass_stop)
    assert found.t0 == WHEN + timedelta(seconds=23)
    assert service.tick() == 0


def test_a_session_without_dsibs_is_assembled_from_its_block_numbers(cadip: CadipServer) -> None:
    """Final blocks first, dates skewed and tied; channel by channel, poll by poll."""
    files = {name: held for name, held in a_session().items() if "DSIB" not in name}
    cadip.session(SESSION)
    service = Service(cadip.settings())
    for name in sorted(files, key=lambda name: (name[-6], name), reverse=True):
        assert service.complete() is None
        skew = {"PublicationDate": "2026-11-22T10:00:05.000Z"} if name.endswith("3.raw") else {}
        cadip.file(name, files[name][0], after=-60, final=name.endswith("4.raw"), **skew)
        assert service.tick() >= 1
    found = service.complete()
    assert found is not None
    expected = {chunk.name: (chunk.key, chunk.size, chunk.sha256) for chunk in over_xbip().files}
    for held in found.files:
        if "DSDB" in held.name:
            assert (held.key, held.size, held.sha256) == expected[held.name]
            continue
        body = service.services.store.get(service.services.settings.bucket_sessions, held.key)[0]
        assert hashlib.sha256(body).hexdigest() == held.sha256
        assert b"<!-- Made by s2ps" in body
        made = parse_dsib(body, SessionFile.parse(held.name))
        assert made.data_size == sum(
            size for name, (_, size, _) in expected.items() if f"_ch{made.channel}_DSDB" in name
        )
        assert service.seen(held.name).path == f"made/{SESSION}/ch{made.channel}"
    assert {held.name for held in found.files} == set(expected)
    assert found.t0 == WHEN + timedelta(seconds=5), "the latest publication of a chunk"


def test_a_missing_block_is_waited_for_and_then_named_by_the_configured_decision(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    publish(cadip, {name: held for name, held in a_session().items() if "DSIB" not in name and name != chunk(2)})
    service = Service(cadip.settings())
    service.tick()
    assert service.complete() is None
    service.clock.advance(601)
    timer = next(info.key for info in service.services.ledger.list("timers/"))
    due = Event("due", "s2ps/sweep", TIMER_DUE, data={"key": timer, "session": SESSION})
    assemble(due, service.services)
    found = service.complete()
    assert found is not None
    assert found.missing == ("the DSIB of channel 1",)
    assert len(found.files) == 8, "what is there: seven chunks and the DSIB of channel 2"


def test_a_block_that_comes_below_the_final_one_after_it_completes_the_session(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    publish(cadip, {name: held for name, held in a_session().items() if "DSIB" not in name and name != chunk(2)})
    service = Service(cadip.settings())
    service.tick()
    assert service.complete() is None
    cadip.file(chunk(2), a_session()[chunk(2)][0], after=-9999)
    service.tick()
    assert service.complete() is not None


def test_http_500_for_one_session_does_not_stop_the_others(
    cadip: CadipServer, caplog: pytest.LogCaptureFixture
) -> None:
    cadip.fails = (f"Files.*{OTHER}",)
    cadip.session(OTHER)
    cadip.session(SESSION)
    publish(cadip, a_session())
    service = Service(cadip.settings())
    service.tick()
    assert service.complete() is not None
    (told,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "TST_" in told
    assert "500" in told


def test_a_retransferred_chunk_supersedes_the_nominal_one(cadip: CadipServer) -> None:
    files = {name: held for name, held in a_session().items() if "DSIB" not in name}
    late = files.pop(chunk(4, 2))
    cadip.session(SESSION)
    publish(cadip, files)
    service = Service(cadip.settings())
    service.tick()
    cadip.session(SESSION, Retransfer=True, DownlinkStart=None, DownlinkStop=None)
    cadip.file(chunk(3), b"again, and right this time", after=300, Retransfer=True)
    cadip.file(chunk(4, 2), late[0], after=301, final=True, Retransfer=True)
    service.tick()
    found = service.complete()
    assert found is not None
    held = {each.name: each.sha256 for each in found.files}
    assert held[chunk(3)] == hashlib.sha256(b"again, and right this time").hexdigest()
    assert service.seen(chunk(3)).tree == "RETRANSFER"


def test_a_large_file_is_resumed_where_the_line_broke(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    body = random.Random(3).randbytes(20 * MIB)
    cadip.file(chunk(1), body)
    service = Service(cadip.settings())
    # Each part is of five MiB and up to one more.
    cadip.cut = lambda _id, start: 7 * MIB if start < 13 * MIB else None
    service.tick()
    receipt = service.services.ledger.read(keys.receipt(SESSION, chunk(1)), Receipt)
    assert receipt.sha256 == hashlib.sha256(body).hexdigest()
    assert receipt.resumed_from > 0
    ranges = cadip.gets()
    assert len(ranges) == len(set(ranges)) >= 3, "each request began at another byte"


def test_a_file_of_another_size_than_listed_is_not_taken(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    cadip.file(chunk(1), b"12345", Size=6)
    service = Service(cadip.settings())
    service.poll.run()
    with pytest.raises(NotReadyError, match="listed"):
        transfer(object_created("s2-ledger", keys.seen(SESSION, chunk(1)), "e"), service.services)
    assert list(service.services.store.list(service.services.settings.bucket_sessions)) == []


def test_hostile_names_are_refused_in_the_ledger(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    for name in ("../../etc/passwd", f"DCS_05_{OTHER}_ch1_DSDB_00001.raw"):
        cadip.file(name, b"?", SessionId=SESSION)
    publish(cadip, a_session())
    service = Service(cadip.settings())
    service.tick()
    assert service.complete() is not None
    assert len([1 for _ in service.services.ledger.list(f"{keys.session(SESSION)}refused/")]) == 2
