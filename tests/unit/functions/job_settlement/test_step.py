"""Job settlement: why an attempt ended is asked of its Job, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from functions.job_launch.step import launch
from functions.job_settlement.step import settle
from functions.sweep.step import job_ended
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import TIMER_DUE, Event, object_created
from shared.errors import ConfigurationError, RetryableError
from shared.ledger.keys import WorkKey
from shared.ledger.records import AttemptEnded, Order, Outcome
from shared.ports import JobSpec, JobState
from shared.settings import Settings
from tests.support.house import START, Delivery, House, VirtualClock
from tests.support.standin import SESSION, Outputs

PLACE = WorkKey(SESSION, "l1b", "DT01", "0" * 64)
JOB = PLACE.job_name(1)


@dataclass
class Launcher:
    """Jobs that stand as the test says. ``says``: a state, None for a Job that is gone, or an error."""

    says: JobState | Exception | None = None
    refuses_to_stop: Exception | None = None
    asked: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    launched: list[JobSpec] = field(default_factory=list)

    def launch(self, job: JobSpec) -> None:
        self.launched.append(job)

    def state(self, name: str) -> JobState | None:
        self.asked.append(name)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def stop(self, name: str) -> None:
        if self.refuses_to_stop:
            raise self.refuses_to_stop
        self.stopped.append(name)


@dataclass
class Scene:
    """One order whose first attempt was launched."""

    services: Services
    clock: VirtualClock
    launcher: Launcher

    def told(self, reason: str = "BackoffLimitExceeded", kind: str = "Failed", number: int = 1) -> None:
        settle(event(reason, kind, number), self.services)

    def end(self, number: int = 1) -> AttemptEnded | None:
        return self.services.ledger.find(PLACE.ended(number), AttemptEnded)

    def timers(self) -> list[Event]:
        found = self.services.ledger.due_timers(self.clock.now())
        return [
            Event(key, "timers", TIMER_DUE, timer.timer, data={"key": key, "subject": timer.subject})
            for key, timer in found
        ]


def event(reason: str, kind: str = "Failed", number: int = 1) -> Event:
    """A Job's end as an ApiServerSource tells it."""
    data: dict[str, Any] = {
        "kind": "Job",
        "metadata": {
            "name": PLACE.job_name(number),
            "labels": {"app.kubernetes.io/part-of": "s2ps"},
            "annotations": {"s2ps.org/work": PLACE.prefix, "s2ps.org/attempt": str(number)},
        },
        "status": {
            "conditions": [
                {"type": "FailureTarget", "status": "True", "reason": reason},
                {"type": kind, "status": "True", "reason": reason},
            ]
        },
    }
    return Event("e", "https://10.96.0.1:443", "dev.knative.apiserver.resource.update", "s", data=data)


@pytest.fixture
def scene() -> Scene:
    clock, launcher = VirtualClock(), Launcher()
    services = Services(Settings(retry_delay_s=30), clock)
    vars(services).update(store=MemoryStore(clock), launcher=launcher)
    order = Order(
        created=START,
        session=SESSION,
        step="l1b",
        unit="DT01",
        digest="0" * 64,
        processor="S2PS-L1B",
        version="0.1.0",
        inputs=(),
        parameters={},
        t0=START,
        deadline=START,
    )
    services.ledger.create(PLACE.order, order)
    launch(object_created("s2-ledger", PLACE.order, "e"), services)
    return Scene(services, clock, launcher)


def test_after_an_end_for_want_of_memory_the_next_attempt_has_twice_as_much(scene: Scene) -> None:
    for number, factor in ((1, 2), (2, 4)):
        scene.launcher.says = JobState("failed", 137, "OOMKilled")
        scene.told("PodFailurePolicy", number=number)
        end = scene.end(number)
        assert end is not None
        assert (end.status, end.reason, end.exit_code) == ("infrastructure", "OOMKilled", 137)
        assert scene.timers() == []
        scene.clock.advance(30 * number + 60)
        (due,) = scene.timers()
        launch(due, scene.services)
        first, last = scene.launcher.launched[0], scene.launcher.launched[-1]
        assert (last.attempt, last.memory_mb) == (number + 1, factor * first.memory_mb)


def test_a_stage_without_memory_gives_the_ipf_no_more(scene: Scene) -> None:
    scene.launcher.says = JobState("failed", 137, "stage-in: OOMKilled, exit code 137")
    scene.told()
    scene.clock.advance(120)
    launch(scene.timers()[0], scene.services)
    first, second = scene.launcher.launched
    assert second.memory_mb == first.memory_mb


def test_over_the_time_is_a_retry(scene: Scene) -> None:
    scene.launcher.says = JobState("failed", 143, "DeadlineExceeded")
    scene.told("PodFailurePolicy")
    end = scene.end()
    assert end is not None
    assert (end.status, end.reason) == ("retry", "DeadlineExceeded")


def test_the_last_attempts_reason_is_the_outcomes(scene: Scene) -> None:
    for number in (1, 2, 3):
        scene.launcher.says = JobState("failed", 137, "Evicted: more than 20Gi")
        scene.told(number=number)
        scene.clock.advance(600)
        for due in scene.timers():
            launch(due, scene.services)
    outcome = scene.services.ledger.read(PLACE.outcome, Outcome)
    assert (outcome.status, outcome.attempt) == ("failed", 3)
    assert outcome.reason == "Evicted: more than 20Gi after 3 attempts"


def test_where_the_job_is_gone_what_was_told_stands(scene: Scene) -> None:
    scene.told("BackoffLimitExceeded")
    end = scene.end()
    assert end is not None
    assert end.reason == "BackoffLimitExceeded"


def test_where_the_job_may_not_be_asked_for_what_was_told_stands(scene: Scene) -> None:
    scene.launcher.says = ConfigurationError("get Job: 403 forbidden")
    scene.told("PodFailurePolicy")
    end = scene.end()
    assert end is not None
    assert end.reason == "PodFailurePolicy"


def test_where_the_api_server_is_down_the_event_comes_again(scene: Scene) -> None:
    scene.launcher.says = RetryableError("503")
    with pytest.raises(RetryableError):
        scene.told()
    assert scene.end() is None


def test_an_event_cannot_point_at_another_job(scene: Scene) -> None:
    told = event("Failed")
    told.data["metadata"]["name"] = "somebody-elses"
    scene.launcher.says = STUCK
    settle(told, scene.services)
    assert (scene.launcher.asked, scene.launcher.stopped) == ([JOB], [JOB])


@pytest.mark.parametrize("phase", ["waiting", "running"])
def test_a_job_that_is_not_over_after_all_is_left_alone(scene: Scene, phase: Any) -> None:
    scene.launcher.says = JobState(phase)
    scene.told("ImagePullBackOff: container ipf")
    assert scene.end() is None
    assert scene.launcher.stopped == []


STUCK = JobState("failed", None, "ImagePullBackOff: container ipf: no such image", stuck=True)


def test_a_job_that_cannot_start_is_stopped_and_settled(scene: Scene) -> None:
    scene.launcher.says = STUCK
    scene.told(STUCK.reason)
    assert scene.launcher.stopped == [JOB]
    end = scene.end()
    assert end is not None
    assert (end.status, end.reason) == ("infrastructure", STUCK.reason)


def test_a_job_that_failed_by_itself_is_kept_for_who_wants_to_look(scene: Scene) -> None:
    scene.launcher.says = JobState("failed", 137, "OOMKilled")
    scene.told()
    assert scene.launcher.stopped == []


def test_stopping_that_fails_for_now_leaves_nothing_half_done(scene: Scene) -> None:
    scene.launcher.says, scene.launcher.refuses_to_stop = STUCK, RetryableError("503")
    with pytest.raises(RetryableError):
        scene.told(STUCK.reason)
    assert scene.end() is None


def test_stopping_without_the_right_to_does_not_keep_the_attempt_from_its_end(scene: Scene) -> None:
    scene.launcher.says, scene.launcher.refuses_to_stop = STUCK, ConfigurationError("delete Job: 403 forbidden")
    scene.told(STUCK.reason)
    end = scene.end()
    assert end is not None
    assert end.reason == STUCK.reason


def test_a_job_that_completed_without_an_outcome_needs_no_second_question(scene: Scene) -> None:
    scene.told("CompletionsReached", "Complete")
    end = scene.end()
    assert end is not None
    assert end.reason == "ended without an outcome"
    assert scene.launcher.asked == []


def test_what_an_attempt_said_itself_stands_and_its_job_is_not_asked(scene: Scene) -> None:
    own = AttemptEnded(created=START, number=1, status="failed", exit_code=200, reason="exit code 200")
    scene.services.ledger.create(PLACE.ended(1), own)
    scene.told()
    assert scene.launcher.asked == []
    outcome = scene.services.ledger.read(PLACE.outcome, Outcome)
    assert (outcome.status, outcome.exit_code) == ("failed", 200)


def test_the_sweeps_word_and_the_clusters_are_read_alike(scene: Scene) -> None:
    settle(job_ended(PLACE, 1, JobState("failed", None, "NodeLost: node node-1"), ""), scene.services)
    end = scene.end()
    assert end is not None
    assert end.reason == "NodeLost: node node-1"
    assert scene.launcher.asked == [JOB]


def test_a_job_that_died_silently_is_settled_within_a_minute_of_its_end() -> None:
    """Neither the Job nor the event of its end says a word: the sweep asks."""
    house = House(
        Delivery(copies=lambda told: 0 if told.type == "job" else 1),
        Settings(retry_delay_s=5, session_wait_s=300, transfer_part_mb=5),
    )
    house.station.fill(house.clock.now())
    ends: dict[str, Any] = {}
    real = house.launcher.script

    def dies_once(order: Order) -> Outputs:
        if order.step == "l1b" and not ends:
            ends["at"] = house.clock.now()
            raise SilentDeath
        return real(order)

    house.launcher.script = dies_once
    vars(house.launcher)["run_one"] = swallowing(house.launcher.run_one)
    for _ in range(200):
        house.tick(house.settings.sweep_interval_s)
        if house.account is not None:
            break
    assert house.account is not None
    assert house.account.produced > 0
    assert house.account.parked == 0
    ((place, end),) = ((key, house.services.ledger.read(key, AttemptEnded)) for key in endings(house))
    assert "/l1b/" in place
    assert end.reason == "PodFailed"
    assert end.created - ends["at"] <= timedelta(minutes=1)


class SilentDeath(BaseException):
    """The Job's pod is gone."""


def swallowing(run: Any) -> Any:
    def run_one() -> Any:
        try:
            return run()
        except SilentDeath:
            return None

    return run_one


def endings(house: House) -> list[str]:
    keys = [info.key for info in house.memory.list(house.settings.bucket_ledger, "sessions/")]
    return [key for key in keys if key.endswith(".ended.json")]
