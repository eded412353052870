from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from functions.job_launch.step import launch
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import object_created
from shared.errors import ConfigurationError, PermanentError
from shared.ledger import keys
from shared.ledger.keys import WorkKey
from shared.ledger.records import Attempt, AttemptEnded, Hold, Order, Outcome
from shared.ports import STAGING_S, JobSpec, ObjectInfo
from shared.settings import Settings
from shared.workflow.reruns import Rerun
from tests.support.house import START, VirtualClock
from tests.support.standin import SESSION

PLACE = WorkKey(SESSION, "l1b", "DT01", "0" * 64)
EVENT = object_created("s2-ledger", PLACE.order, "e")


class Launcher:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.jobs: list[JobSpec] = []

    refusal: PermanentError | None = None

    def launch(self, job: JobSpec) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.jobs.append(job)


@pytest.fixture
def services(request: pytest.FixtureRequest) -> Services:
    clock = VirtualClock()
    made = Services(Settings(**getattr(request, "param", {})), clock)
    vars(made).update(store=MemoryStore(clock), launcher=Launcher())
    made.ledger.create(PLACE.order, order_of_the_work())
    return made


def order_of_the_work() -> Order:
    return Order(
        created=START,
        session=SESSION,
        step="l1b",
        unit="DT01",
        digest="0" * 64,
        processor="S2PS-L1B",
        version="1",
        inputs=(),
        parameters={},
        t0=START,
        deadline=START,
    )


def test_the_job_outlives_its_ipf_so_that_a_run_over_its_time_keeps_its_log(services: Services) -> None:
    limit = services.workflow.processors["l1b"].time_limit_s
    job = launch(EVENT, services)
    assert job is not None
    assert services.ledger.read(PLACE.attempt(1), Attempt).time_limit_s == limit
    assert job.time_limit_s == limit + STAGING_S


def test_a_hold_stops_new_attempts_but_not_one_that_is_written_down(services: Services) -> None:
    hold = Hold(created=START, session=SESSION, target=SESSION, who="w", reason="r")
    services.ledger.create(keys.hold(SESSION), hold)
    assert launch(EVENT, services) is None
    attempt = Attempt(created=START, number=1, job="j", cpus=1, memory_mb=1, time_limit_s=1)
    services.ledger.create(PLACE.attempt(1), attempt)
    job = launch(EVENT, services)
    assert job is not None
    assert job.attempt == 1


def test_a_job_that_the_platform_refuses_ends_the_attempt_when_nobody_mends_it_for_long(services: Services) -> None:
    """Refused, the event becomes a dead letter and comes again with the sweep; but no session is open for ever."""
    assert isinstance(services.launcher, Launcher)
    assert isinstance(services.clock, VirtualClock)
    services.launcher.refusal = ConfigurationError("create Job: 403 denied by policy")
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            launch(EVENT, services)
        services.clock.advance(200)
    assert not services.ledger.exists(PLACE.ended(1))
    assert launch(EVENT, services) is None
    ended = services.ledger.read(PLACE.ended(1), AttemptEnded)
    assert (ended.status, ended.reason) == ("infrastructure", "Refused: create Job: 403 denied by policy")
    assert ended.retry_at is not None
    services.launcher.refusal = None
    services.clock.instant = ended.retry_at
    second = launch(EVENT, services)
    assert second is not None
    assert second.attempt == 2


def test_after_an_attempt_without_memory_the_next_gets_twice_as_much(services: Services) -> None:
    first = launch(EVENT, services)
    ended = AttemptEnded(created=START, number=1, status="infrastructure", reason="OOMKilled", retry_at=START)
    services.ledger.create(PLACE.ended(1), ended)
    second = launch(EVENT, services)
    assert first is not None
    assert second is not None
    assert (second.attempt, second.memory_mb) == (2, 2 * first.memory_mb)


@pytest.mark.parametrize("services", [{"job_memory_limit_mb": 5000}, {"job_memory_limit_mb": 600}], indirect=True)
def test_memory_grows_to_its_limit_and_never_below_what_the_step_asks_for(services: Services) -> None:
    first = launch(EVENT, services)
    ended = AttemptEnded(created=START, number=1, status="infrastructure", reason="OOMKilled", retry_at=START)
    services.ledger.create(PLACE.ended(1), ended)
    second = launch(EVENT, services)
    assert first is not None
    assert second is not None
    assert first.memory_mb == 4096
    assert second.memory_mb == max(4096, services.settings.job_memory_limit_mb)


def test_an_attempt_under_way_is_launched_under_its_own_name(services: Services) -> None:
    assert launch(EVENT, services) == launch(EVENT, services)


class Asked(MemoryStore):
    """Notes what is looked for, and listed."""

    asked: tuple[str, ...] = ()

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        self.asked += (key,)
        return super().head(bucket, key)

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        self.asked += (prefix,)
        return super().list(bucket, prefix, start_after=start_after)


def rerun_of(services: Services, step: str, *units: str, number: int = 1) -> Rerun:
    record = Rerun(
        created=START,
        session=SESSION,
        number=number,
        step=step,
        units=units,
        since=START,
        reopened=0,
        who="ada",
        reason="r",
    )
    services.ledger.create(record.key, record)
    return record


@pytest.mark.parametrize("step", ["l0c", "l1b"])
def test_work_that_a_rerun_supersedes_ends_without_an_attempt(services: Services, step: str) -> None:
    rerun_of(services, step)
    assert launch(EVENT, services) is None
    outcome = services.ledger.read(PLACE.outcome, Outcome)
    assert (outcome.status, outcome.attempt) == ("no-product", 0)
    assert outcome.reason == f"superseded, and not run: it is made anew by rerun 1 from {step} by ada"
    assert services.ledger.find(PLACE.attempt(1), Attempt) is None
    assert launch(EVENT, services) is None


def test_a_rerun_of_something_else_supersedes_nothing(services: Services) -> None:
    rerun_of(services, "l1c")
    rerun_of(services, "l1b", "DT02", number=2)
    assert launch(EVENT, services) is not None


def test_a_rerun_supersedes_neither_its_own_work_nor_an_attempt_that_is_written_down(services: Services) -> None:
    rerun_of(services, "l1b")
    place = dataclasses.replace(PLACE, digest="1" * 64)
    order = services.ledger.read(PLACE.order, Order)
    services.ledger.create(place.order, order.model_copy(update={"digest": place.digest, "rerun": 1}))
    assert launch(object_created("s2-ledger", place.order, "e"), services) is not None
    services.ledger.create(
        PLACE.attempt(1), Attempt(created=START, number=1, job="j", cpus=1, memory_mb=1, time_limit_s=1)
    )
    assert launch(EVENT, services) is not None


def test_where_nothing_was_asked_for_anew_a_launch_asks_for_that_once(services: Services) -> None:
    store = Asked(services.clock)
    services = Services(services.settings, services.clock)
    vars(services).update(store=store, launcher=Launcher())
    services.ledger.create(PLACE.order, order_of_the_work())
    assert launch(EVENT, services) is not None
    assert [key for key in store.asked if "/reruns/" in key] == [keys.rerun(SESSION, 1)]
