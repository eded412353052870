from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.memory import MemoryStore
from shared.errors import BadInputError, ObjectAbsentError
from shared.ledger import keys
from shared.ledger.attempts import Attempts
from shared.ledger.ledger import Ledger
from shared.ledger.records import AttemptEnded, Complete, OpenMarker, Refusal, timer_due
from tests.support.house import VirtualClock

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture
def ledger() -> Ledger:
    clock = VirtualClock(NOW)
    return Ledger(MemoryStore(clock), "s2-ledger", clock)


def marker(station: str = "SGS_", **more: str) -> OpenMarker:
    return OpenMarker(created=NOW, session="s", station=station, satellite="S2A", **more)


def test_the_first_write_wins_and_losing_is_no_error(ledger: Ledger) -> None:
    assert ledger.create("open/s", marker("AAA_")) is True
    assert ledger.create("open/s", marker("BBB_")) is False
    assert ledger.read("open/s", OpenMarker).station == "AAA_"


def test_a_record_that_changed_meanwhile_is_not_replaced(ledger: Ledger) -> None:
    ledger.create("open/s", marker("AAA_"))
    _, etag = ledger.read_with_etag("open/s", OpenMarker)
    assert ledger.replace("open/s", marker("BBB_"), etag) is True
    assert ledger.replace("open/s", marker("CCC_"), etag) is False
    assert ledger.read("open/s", OpenMarker).station == "BBB_"


def test_a_session_that_was_complete_before_an_upgrade_is_read_and_told_by_the_name_of_now(ledger: Ledger) -> None:
    whole = Complete(created=NOW, session="s", station="SGS_", satellite="S2A", t0=NOW, pass_stop=NOW, files=())
    assert b'"pass_stop"' in whole.to_json()
    ledger.store.put_new(ledger.bucket, "before", whole.to_json().replace(b"pass_stop", b"sensing_stop"))
    assert ledger.read("before", Complete) == whole


def test_trace_context_rides_in_the_metadata(ledger: Ledger) -> None:
    ledger.create("open/s", marker(traceparent="00-1-2-01"))
    info = ledger.store.head("s2-ledger", "open/s")
    assert info is not None
    assert info.metadata == {"traceparent": "00-1-2-01"}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{}", "created"),
        (b"no json", "JSON"),
        (b'{"schema": "org.s2ps.timer/1", "created": "2026-11-22T10:00:00Z"}', "schema|session"),
        (marker().to_json().replace(b'"session"', b'"sesion"'), "sesion|session"),
    ],
)
def test_a_record_that_breaks_its_model_is_named_by_key_and_field(ledger: Ledger, body: bytes, named: str) -> None:
    ledger.store.put("s2-ledger", "open/s", body)
    with pytest.raises(BadInputError, match=named) as refused:
        ledger.read("open/s", OpenMarker)
    assert "open/s" in str(refused.value)


def test_a_record_that_is_not_there_is_absent(ledger: Ledger) -> None:
    assert ledger.find("open/s", OpenMarker) is None
    with pytest.raises(ObjectAbsentError):
        ledger.read_many(["open/s", "open/t"], OpenMarker)


@given(minutes=st.lists(st.integers(-2000, 2000), max_size=12, unique=True))
def test_exactly_the_timers_that_are_due_are_found(minutes: list[int]) -> None:
    clock = VirtualClock(NOW)
    ledger = Ledger(MemoryStore(clock), "s2-ledger", clock)
    for minute in minutes:
        due = NOW + timedelta(minutes=minute)
        ledger.create(keys.timer(due, "retry", str(minute)), timer_due(NOW, due, "retry", "s", str(minute)))
    assert sorted(int(t.subject) for _, t in ledger.due_timers(NOW)) == sorted(m for m in minutes if m <= 0)


@given(st.text(max_size=200))
def test_whatever_a_file_is_called_its_key_stays_below_its_session(name: str) -> None:
    key = keys.refusal("S", name, name)
    head, tail = key[: len("sessions/S/refused/")], key[len("sessions/S/refused/") :]
    assert head == "sessions/S/refused/"
    assert "/" not in tail
    assert not tail.startswith(".")
    assert key.isascii()


def test_two_hostile_names_have_two_keys() -> None:
    assert keys.refusal("S", "../../x", "r") != keys.refusal("S", "../../y", "r")


def test_one_file_may_be_refused_for_two_reasons() -> None:
    assert keys.refusal("S", "a.raw", "too short") != keys.refusal("S", "a.raw", "too long")
    assert keys.refusal("S", "a.raw", "too short") == keys.refusal("S", "a.raw", "too short")


def _ended(status: str, retry_in_s: float) -> AttemptEnded:
    return AttemptEnded.model_validate(
        {"created": NOW, "number": 1, "status": status, "retry_at": NOW + timedelta(seconds=retry_in_s)}
    )


@pytest.mark.parametrize(
    ("attempts", "due"),
    [
        (Attempts(0, {}), 1),
        (Attempts(1, {}), 1),
        (Attempts(1, {1: _ended("infrastructure", -1)}), 2),
        (Attempts(1, {1: _ended("retry", 60)}), None),
        (Attempts(1, {1: _ended("failed", -1)}), None),
        (Attempts(3, {3: _ended("retry", -1)}), None),
        (Attempts(2, {1: _ended("retry", -1)}), 2),
    ],
)
def test_which_attempt_should_be_running(attempts: Attempts, due: int | None) -> None:
    assert attempts.due(NOW, limit=3) == due


def test_every_record_says_its_schema() -> None:
    record = Refusal(created=NOW, session="s", file="f", reason="r")
    assert b'"schema": "org.s2ps.refusal/1"' in record.to_json()
    assert Refusal.model_validate_json(record.to_json()) == record
