"""The promise as the sweep watches it: warned before a miss, told once, and everything that follows from an account."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

import pytest

from functions.sweep.step import Sweep
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import Event
from shared.domain.forecast import AT_RISK
from shared.errors import RetryableError
from shared.ledger import keys
from shared.ledger.keys import WorkKey
from shared.ledger.records import Account, AccountEntry, Artifact, Attempt, Complete, OpenMarker, Order, Outcome
from shared.ledger.standing import write_account
from shared.ports import JobState
from shared.settings import Settings
from shared.sla.chain import verify
from shared.sla.durations import StepDurations
from shared.sla.notices import ABSENT, MISSED, Notice
from shared.sla.notices import AT_RISK as AT_RISK_EVENT
from shared.workflow.plan import Source
from tests.support.house import START, VirtualClock

SESSION = "S2A_20261122100000057405"
BUDGET = timedelta(minutes=75)


class Sink:
    """Keeps what is told of the promise; refuses all while ``down``."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.down = False

    def send(self, event: Event) -> None:
        if self.down:
            raise RetryableError("broker: down")
        if event.type in {AT_RISK_EVENT, MISSED, ABSENT}:
            self.events.append(event)

    def told(self) -> list[tuple[str, str]]:
        return [(event.type.rpartition(".")[2], event.data["level"]) for event in self.events]


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def services(sink: Sink) -> Services:
    clock = VirtualClock()
    made = Services(Settings(sweep_grace_s=20), clock)
    vars(made).update(store=MemoryStore(clock), sink=sink)
    return made


def now(services: Services) -> datetime:
    return services.clock.now()


def later(services: Services, seconds: float) -> None:
    assert isinstance(services.clock, VirtualClock)
    services.clock.advance(seconds)


def begin(services: Services) -> None:
    marker = OpenMarker(created=START, session=SESSION, station="SGS_", satellite="S2A")
    services.ledger.create(keys.open_marker(SESSION), marker)
    complete = Complete(created=START, session=SESSION, station="SGS_", satellite="S2A", t0=START, files=())
    services.ledger.create(keys.complete(SESSION), complete)


def order(services: Services, step: str, unit: str = SESSION, *, session: str = SESSION) -> WorkKey:
    place = WorkKey(session, step, unit, "a" * 64)
    record = Order(
        created=now(services), session=session, step=step, unit=unit, digest="a" * 64, processor="p", version="1",
        inputs=(), parameters={}, t0=START, deadline=START + BUDGET,
    )  # fmt: skip
    services.ledger.create(place.order, record)
    attempt = Attempt(created=now(services), number=1, job="j", cpus=1, memory_mb=1, time_limit_s=60)
    services.ledger.create(place.attempt(1), attempt)
    return place


def end(services: Services, place: WorkKey, *outputs: Artifact) -> None:
    record = Outcome(
        created=now(services), step=place.step, unit=place.unit, attempt=1, status="succeeded", started=START,
        finished=now(services), outputs=outputs,
    )  # fmt: skip
    services.ledger.create(place.outcome, record)


def entry(
    ended: Literal["produced", "absent", "parked"], level: str = "L1C", slack_s: float | None = None, reason: str = ""
) -> AccountEntry:
    return AccountEntry(
        level=level, step="l1c", unit="D1-T32TMQ", product=f"{level} {ended}", ended=ended, reason=reason,
        slack_s=slack_s, at=START, deadline=START + BUDGET,
    )  # fmt: skip


def close(services: Services, *entries: AccountEntry) -> None:
    ends = [each.ended for each in entries]
    account = Account(
        created=now(services), session=SESSION, t0=START, entries=entries, produced=ends.count("produced"),
        absent=ends.count("absent"), parked=ends.count("parked"),
    )  # fmt: skip
    assert write_account(services.ledger, account)
    services.ledger.delete(keys.open_marker(SESSION))


class Busy:
    """Every Job runs, and runs."""

    def state(self, _name: str) -> JobState:
        return JobState("running")


def watch(services: Services, minutes: int) -> None:
    """Sweeps every 20 seconds."""
    sweep = Sweep(services)
    vars(services)["launcher"] = Busy()
    for _ in range(minutes * 3):
        with suppress(RetryableError):  # the broker is down
            sweep.run()
        later(services, 20)


def test_a_session_in_its_time_is_not_told_of(services: Services, sink: Sink) -> None:
    begin(services)
    order(services, "l0u")
    watch(services, 2)
    assert sink.events == []


def test_a_step_that_hangs_is_told_before_the_miss_and_the_miss_when_it_comes(services: Services, sink: Sink) -> None:
    begin(services)
    order(services, "l0u")
    watch(services, 130)
    levels = ("HKTM", "SAD", "L0", "L1C", "L2A")
    assert sorted(sink.told()) == sorted((state, level) for state in ("at-risk", "missed") for level in levels)
    for event in sink.events:
        assert event.data["step"] == "l0u"
        assert "under way for" in event.data["cause"]
        due = datetime.fromisoformat(event.data["deadline"])
        assert event.time is not None
        if event.type == AT_RISK_EVENT:
            assert due - event.time >= AT_RISK
        else:
            assert timedelta(0) < event.time - due <= timedelta(minutes=1)
    record = services.ledger.read(keys.notice(SESSION, "L1C", "at-risk"), Notice)
    assert (record.state, record.sensing_stop) == ("at-risk", None)


def test_the_second_clock_is_told_once_level_0_knows_the_last_sensing(services: Services, sink: Sink) -> None:
    begin(services)
    strip = Artifact(
        file_type="PDI_DS", name="ds", bucket="b", prefix="p/", digest="1" * 64, size=1,
        attributes={"sensing_stop": "2026-06-21T10:20:07Z"},
    )  # fmt: skip
    place = order(services, "l0c", "D1")
    end(services, place, strip)
    sweep = Sweep(services)
    looked = sweep._look([SESSION])
    assert looked is not None
    looked.watch.followed(Source(place.outcome, services.ledger.read(place.outcome, Outcome), SESSION), ())
    order(services, "l1b", "D1")
    later(services, BUDGET.total_seconds() + 1)
    with suppress(RetryableError):
        sweep.run()
    (told,) = [e for e in sink.events if (e.type, e.data["level"]) == (MISSED, "L1C")]
    assert told.data["sensingStop"] == "2026-06-21T10:20:07+00:00"


def test_an_instance_that_remembers_nothing_tells_nothing_twice(services: Services, sink: Sink) -> None:
    begin(services)
    order(services, "l0u")
    watch(services, 70)
    before = len(sink.events)
    assert before
    watch(services, 1)
    assert len(sink.events) == before


def test_what_the_broker_did_not_take_is_told_when_it_is_back(services: Services, sink: Sink) -> None:
    begin(services)
    order(services, "l0u")
    sink.down = True
    watch(services, 65)
    assert not services.ledger.exists(keys.notice(SESSION, "L1C", "at-risk"))
    sink.down = False
    watch(services, 2)
    assert ("at-risk", "L1C") in sink.told()


def test_a_session_that_waits_for_a_file_runs_out_of_time_too(services: Services, sink: Sink) -> None:
    marker = OpenMarker(created=START, session=SESSION, station="SGS_", satellite="S2A")
    services.ledger.create(keys.open_marker(SESSION), marker)
    services.ledger.create(f"sessions/{SESSION}/seen/x.json", marker)
    watch(services, 60)
    assert ("at-risk", "L1C") in sink.told()
    assert sink.events[0].data["step"] == "arrival"


def test_what_follows_from_an_account_follows_once(services: Services, sink: Sink) -> None:
    begin(services)
    places = [order(services, "l0u"), order(services, "l0c", "D1")]
    later(services, 100)
    for place in places:
        end(services, place)
    close(services, entry("produced", slack_s=60.0), entry("produced", "L2A", -120.0), entry("absent", reason="why"))
    Sweep(services).run()
    Sweep(services).run()
    assert sorted(sink.told()) == [("absent", "L1C"), ("missed", "L2A")]
    missed = next(event for event in sink.events if event.type == MISSED)
    assert missed.data["cause"] == "L2A produced came 2 min late"
    assert list(services.ledger.list(keys.CLOSED)) == []
    record = services.ledger.read(keys.durations("open"), StepDurations)
    assert {step: runs.count for step, runs in record.steps.items()} == {"l0u": 1, "l0c": 1}
    assert record.steps["l0u"].percentile(0.5) == pytest.approx(100, rel=0.05)
    (verdict,) = verify(services.ledger)
    assert (verdict.links, verdict.wrong) == (1, ())


def test_a_broker_that_is_down_leaves_what_follows_for_later(services: Services, sink: Sink) -> None:
    begin(services)
    close(services, entry("absent", reason="why"))
    sink.down = True
    with pytest.raises(RetryableError):
        Sweep(services).run()
    assert services.ledger.exists(keys.closed_marker(SESSION))
    sink.down = False
    Sweep(services).run()
    assert sink.told() == [("absent", "L1C")]
    assert not services.ledger.exists(keys.closed_marker(SESSION))


def test_what_is_parked_is_at_risk_and_missed_when_its_time_is_over(services: Services, sink: Sink) -> None:
    begin(services)
    close(services, entry("parked", reason="held by ops: a try"))
    Sweep(services).run()
    assert sink.told() == [("at-risk", "L1C")]
    assert sink.events[0].data["cause"] == "parked: held by ops: a try"
    watch(services, 80)
    assert sink.told() == [("at-risk", "L1C"), ("missed", "L1C")]
    assert list(services.ledger.list(keys.TIMERS)) == []


def test_an_account_that_was_never_written_leaves_its_marker_for_an_hour(services: Services, sink: Sink) -> None:
    begin(services)
    close(services, entry("produced", slack_s=1))
    services.ledger.delete(keys.account(SESSION))
    Sweep(services).run()
    assert services.ledger.exists(keys.closed_marker(SESSION))
    later(services, 3700)
    Sweep(services).run()
    assert not services.ledger.exists(keys.closed_marker(SESSION))
    assert sink.events == []
