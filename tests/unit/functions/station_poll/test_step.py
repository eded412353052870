from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from datetime import timedelta
from typing import Any, Literal

import pytest

from functions.station_poll import step
from functions.station_poll.step import StationPoll
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.errors import ConfigurationError, StationUnavailableError, StoreUnavailableError
from shared.ledger import keys
from shared.ledger.records import OpenMarker, Refusal, Seen, Timer
from shared.ports import ObjectInfo, StationFile
from shared.settings import Settings
from tests.support.house import START, VirtualClock
from tests.support.standin import SESSION, StandInStation

FILE = f"DCS_05_{SESSION}_ch1_DSDB_00001.raw"


class Counting(MemoryStore):
    """Counts what is read and written."""

    reads = 0
    writes = 0

    def get(self, bucket: str, key: str) -> tuple[bytes, ObjectInfo]:
        self.reads += 1
        return super().get(bucket, key)

    def _write(self, *args: Any) -> str:
        self.writes += 1
        return super()._write(*args)


class Down(StandInStation):
    def sessions(self) -> Iterator[tuple[str, str, str]]:  # type: ignore[override]
        raise StationUnavailableError("station MPS_ is down")


class HalfDown(StandInStation):
    """Lists one session's files, the latest's."""

    def files(self, tree: Literal["NOMINAL", "RETRANSFER"], satellite: str, folder: str) -> Iterator[StationFile]:
        if SESSION not in folder:
            raise StationUnavailableError(f"station SGS_, {folder}: 500")
        yield from super().files(tree, satellite, folder)


class BreaksOff(StandInStation):
    """Its listing of sessions breaks off at the end."""

    def sessions(self) -> Iterator[tuple[Literal["NOMINAL", "RETRANSFER"], str, str]]:
        yield from super().sessions()
        raise StationUnavailableError("station SGS_: 500")


class Hung(StandInStation):
    """Does not answer before ``answers`` is set."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.answers, self.calls = threading.Event(), 0

    def sessions(self) -> Iterator[tuple[Literal["NOMINAL", "RETRANSFER"], str, str]]:
        self.calls += 1
        assert self.answers.wait(30)
        yield from super().sessions()


class Hostile(StandInStation):
    """Lists files of these names too."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names

    def files(self, tree: Literal["NOMINAL", "RETRANSFER"], satellite: str, folder: str) -> Iterator[StationFile]:
        yield from super().files(tree, satellite, folder)
        for name in self.names:
            yield StationFile(f"{tree}/{name}", name, tree, satellite, folder, 1, START)


def _raise(error: Exception) -> Iterator[StationFile]:
    raise error


@pytest.fixture
def services() -> Services:
    clock = VirtualClock()
    made = Services(Settings(session_wait_s=600), clock)
    vars(made).update(store=Counting(clock), stations={"SGS_": StandInStation()})
    return made


def station(services: Services) -> StandInStation:
    found = services.stations["SGS_"]
    assert isinstance(found, StandInStation)
    return found


def listed(services: Services) -> list[str]:
    return [info.key for info in services.ledger.list("")]


def test_a_first_file_opens_the_session_with_its_deadline(services: Services) -> None:
    station(services).put(FILE, b"12345", START)
    assert StationPoll(services).run() == 1
    due = START + timedelta(seconds=600)
    timer = keys.timer(due, "session-incomplete", SESSION)
    assert listed(services) == sorted([keys.open_marker(SESSION), keys.seen(SESSION, FILE), timer])
    marker = services.ledger.read(keys.open_marker(SESSION), OpenMarker)
    assert (marker.station, marker.satellite) == ("SGS_", "S2A")
    seen = services.ledger.read(keys.seen(SESSION, FILE), Seen)
    assert (seen.size, seen.modified, seen.tree, seen.station) == (5, START, "NOMINAL", "SGS_")
    assert seen.path.endswith(f"/ch_1/{FILE}")
    assert seen.traceparent
    assert services.ledger.read(timer, Timer).due == due


def test_only_changes_are_written_by_a_warm_and_by_a_cold_instance(services: Services) -> None:
    station(services).fill(START)
    poll = StationPoll(services)
    assert poll.run() == 6
    store = services.store
    assert isinstance(store, Counting)
    writes, reads = store.writes, store.reads
    assert poll.run() == 0
    assert (store.writes, store.reads) == (writes, reads), "a warm instance reads no record"
    assert StationPoll(services).run() == 0
    assert store.writes == writes
    assert store.reads == reads + 7, "a cold one reads the marker and the six files of the open session"
    station(services).put(FILE, b"changed", START + timedelta(seconds=60))
    assert poll.run() == 1
    assert services.ledger.read(keys.seen(SESSION, FILE), Seen).size == 7
    assert StationPoll(services).run() == 0


def test_two_instances_end_with_one_truth(services: Services) -> None:
    first, second = StationPoll(services), StationPoll(services)
    station(services).put(FILE, b"1", START)
    first.run()
    second.run()
    for n, poll in enumerate((first, second, first, second)):
        station(services).put(FILE, b"1" * (n + 2), START + timedelta(seconds=n))
        poll.run()
        poll.run()
        assert services.ledger.read(keys.seen(SESSION, FILE), Seen).size == n + 2


def test_a_retransfer_supersedes(services: Services) -> None:
    station(services).put(FILE, b"old", START)
    poll = StationPoll(services)
    poll.run()
    station(services).put(FILE, b"newer", START + timedelta(seconds=5), tree="RETRANSFER")
    assert poll.run() == 1
    assert poll.run() == 0
    seen = services.ledger.read(keys.seen(SESSION, FILE), Seen)
    assert (seen.tree, seen.size) == ("RETRANSFER", 5)


def test_hostile_names_are_refused_once_and_by_name(services: Services) -> None:
    vars(services)["stations"] = {"SGS_": Hostile(["../../x", "a\x1b[31mb", "open"])}
    station(services).put(FILE, b"fine", START, session=SESSION)
    poll = StationPoll(services)
    assert poll.run() == 1
    refusals = [k for k in listed(services) if "/refused/" in k]
    records = [services.ledger.read(key, Refusal) for key in refusals]
    assert sorted(record.file for record in records) == sorted(["../../x", repr("a\x1b[31mb"), "open"])
    assert all("session file name" in record.reason for record in records)
    store = services.store
    assert isinstance(store, Counting)
    writes = store.writes
    poll.run()
    assert store.writes == writes


def test_a_file_without_a_byte_is_seen_when_it_has_some(services: Services) -> None:
    poll = StationPoll(services)
    station(services).put(FILE, b"", START)
    assert poll.run() == 0
    assert listed(services) == []
    station(services).put(FILE, b"x", START)
    assert poll.run() == 1


def test_a_closed_session_is_not_listed_again(services: Services) -> None:
    station(services).put(FILE, b"x", START)
    poll = StationPoll(services)
    poll.run()
    services.store.put(services.settings.bucket_ledger, keys.account(SESSION), b"{}")
    services.ledger.delete(keys.open_marker(SESSION))
    station(services).put(FILE, b"late", START + timedelta(days=1))
    calls = []
    station(services).files = lambda *args: calls.append(args) or iter(())  # type: ignore[method-assign,func-returns-value]
    for instance in (poll, poll, StationPoll(services)):
        assert instance.run() == 0
    assert calls == []


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    caplog.clear()
    return found


def test_a_station_that_is_away_costs_one_line_in_the_log_and_nothing_else(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    vars(services)["stations"] = {"MPS_": Down("MPS_"), "SGS_": station(services)}
    station(services).put(FILE, b"x", START)
    poll = StationPoll(services)
    assert poll.run() == 1
    assert services.ledger.exists(keys.seen(SESSION, FILE))
    (told,) = warnings(caplog)
    assert "MPS_" in told
    assert poll.run() == 0
    assert len(warnings(caplog)) == 1


def test_sessions_that_a_station_cannot_list_do_not_stop_its_others(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    vars(services)["stations"] = {"SGS_": HalfDown()}
    for session in (SESSION, f"S2A_{int(SESSION[4:]) - 1}", f"S2A_{int(SESSION[4:]) - 2}"):
        station(services).put(FILE.replace(SESSION, session), b"x", START, session=session)
    assert StationPoll(services).run() == 1
    assert services.ledger.exists(keys.seen(SESSION, FILE))
    (told,) = warnings(caplog)
    assert "SGS_" in told
    assert "and 1 more" in told


def test_what_was_listed_before_a_listing_broke_off_is_polled(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    vars(services)["stations"] = {"SGS_": BreaksOff()}
    station(services).put(FILE, b"x", START)
    assert StationPoll(services).run() == 1
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("error", [StoreUnavailableError, ConfigurationError])
def test_other_troubles_are_raised_at_the_end(services: Services, error: type[Exception]) -> None:
    """A store that is down may be up again soon; wrong credentials stay wrong until someone is told."""
    wrong = StandInStation("MPS_")
    wrong.files = lambda *_: _raise(error("said why"))  # type: ignore[method-assign]
    wrong.put(FILE.replace("00123", "00124"), b"x", START, session=SESSION.replace("00123", "00124"))
    vars(services)["stations"] = {"AWAY": Down("AWAY"), "MPS_": wrong, "SGS_": station(services)}
    station(services).put(FILE, b"x", START)
    with pytest.raises(error, match="said why"):
        StationPoll(services).run()
    assert services.ledger.exists(keys.seen(SESSION, FILE))


def test_a_station_that_hangs_does_not_keep_the_others_waiting(
    services: Services, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung, patience = Hung("MPS_"), iter([0.05])
    # Only the station that hangs, which is asked first, is out of time: not the other one on a slow machine.
    monkeypatch.setattr(step, "wait", lambda polls, _: wait(polls, next(patience, 30)))
    other = f"S2B_{SESSION[4:]}"
    hung.put(FILE.replace(SESSION, other), b"x", START, session=other)
    hung.held = {path.replace("/S2A/", "/S2B/"): held for path, held in hung.held.items()}
    vars(services)["stations"] = {"MPS_": hung, "SGS_": station(services)}
    poll = StationPoll(services)
    for size in (1, 2):
        station(services).put(FILE, b"x" * size, START)
        assert poll.run() == 1
        assert services.ledger.read(keys.seen(SESSION, FILE), Seen).size == size
        (told,) = warnings(caplog)
        assert "MPS_" in told
    assert hung.calls == 1, "it is not asked anew before it answers"
    hung.answers.set()
    for thread in threading.enumerate():
        if thread.name == "station-poll":
            thread.join(10)
    assert poll.run() == 1
    assert services.ledger.exists(keys.open_marker(other))


def test_a_session_that_another_station_opened_meanwhile_is_left_to_it(services: Services) -> None:
    """Two instances, two stations, one session: the marker says whose it is."""
    other = StandInStation("MPS_")
    other.put(FILE, b"other", START)
    second = StationPoll(Services(services.settings, services.clock))
    vars(second.services).update(store=services.store, stations={"MPS_": other})
    listed_before = services.store.list

    def open_it_in_between(bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        found = listed_before(bucket, prefix, start_after=start_after)
        if prefix == keys.OPEN and not station(services).held:
            station(services).put(FILE, b"x", START)
            StationPoll(services).run()
        return found

    services.store.list = open_it_in_between  # type: ignore[method-assign]
    assert second.run() == 0
    assert second.run() == 0
    assert services.ledger.read(keys.open_marker(SESSION), OpenMarker).station == "SGS_"
    assert services.ledger.read(keys.seen(SESSION, FILE), Seen).station == "SGS_"


def test_a_session_is_fetched_from_the_station_that_had_it_first(services: Services) -> None:
    other = StandInStation("MPS_")
    vars(services)["stations"] = {"SGS_": station(services), "MPS_": other}
    station(services).put(FILE, b"x", START)
    other.put(FILE, b"other", START + timedelta(seconds=9))
    poll = StationPoll(services)
    assert (poll.run(), poll.run(), StationPoll(services).run()) == (1, 0, 0)
    assert services.ledger.read(keys.seen(SESSION, FILE), Seen).station == "SGS_"
