"""Failure modes by which work was lost, doubled or stuck: docs/failure-modes.md has the list."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from functions.rehearse.faults import Profile
from functions.rehearse.passes import drawn
from functions.rehearse.scenario import START as PLAYED
from functions.rehearse.scenario import Result, Scenario, rehearse
from shared import steering
from shared.adapters.breaker import LONGEST_PAUSE_S, Breaker
from shared.adapters.kubernetes.manifest import job_manifest
from shared.domain.events import Event, object_created
from shared.errors import StoreUnavailableError
from shared.ledger.attempts import pause
from shared.ledger.keys import parse_work
from shared.ledger.records import Action, Attempt, Order
from shared.ports import JobSpec, JobState
from shared.settings import Settings
from shared.workflow.graph import load_workflow
from tests.support.house import START, Crash, Delivery, House
from tests.support.played import build
from tests.support.standin import SESSION, Outputs, StandInLauncher, script

EXPECTED = 7


@pytest.fixture
def _quiet() -> Iterator[None]:
    """Functions log what is meant to go wrong here."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def played(profile: Profile) -> Result:
    """One pass of short datastrips, with these faults."""
    one = drawn(["S2A"], PLAYED, 3, 5)[0]
    one = replace(one, segments=tuple(replace(each, scenes=min(each.scenes, 8)) for each in one.segments))
    return rehearse(Scenario(passes=(one,), hours=2, profile=profile, seed=5))


def attempts(made: House) -> Counter[str]:
    """Attempts by work item, as the ledger has them."""
    places = [parse_work(info.key) for info in made.memory.list(made.settings.bucket_ledger)]
    return Counter(p[0].prefix for p in places if p and p[1].startswith("attempts/") and ".ended" not in p[1])


@pytest.mark.parametrize("when", ["before", "after"])
def test_failure_mode_04_a_kill_at_any_write_loses_nothing_and_doubles_nothing(when: str) -> None:
    """Each eleventh write here; each single one in tests/faults/test_session_in_memory.py, and processes that are
    killed by ``kill -9`` in tests/integration/test_runtime.py.
    """
    whole = build()
    whole.run()
    for point in range(1, whole.store.writes + 1, 11):
        made = build()
        made.store.crash_at = (point, "before" if when == "before" else "after")
        account = made.run()
        assert made.crashes == 1
        assert (account.produced, len(account.entries)) == (EXPECTED, EXPECTED)
        assert made.shelf() == whole.shelf()
        assert made.orders() == whole.orders()


def test_failure_mode_05_what_is_delivered_twice_is_done_once() -> None:
    """Longer: tests/faults/test_session_in_memory.py, with events in any order and attempts that speak late."""
    made = build(delivery=Delivery(copies=lambda _event: 3))
    account = made.run()
    assert account.produced == EXPECTED
    assert set(attempts(made).values()) == {1}
    assert len(made.launcher.states) == len(attempts(made)) == len(set(made.orders())) == 7


@pytest.mark.usefixtures("_quiet")
def test_failure_mode_06_a_processor_that_hangs_is_ended_and_keeps_nobody() -> None:
    """Longer: tests/integration/test_runtime_jobs.py and test_runner_ipf_sh.py, real processes that hang."""
    result = played(Profile(hung=0.15))
    assert result.strikes
    assert result.broken == []
    assert all(entry.ended == "produced" for each in result.ended for entry in each.entries)
    workflow = load_workflow("open")
    for step, processor in workflow.processors.items():
        job = JobSpec(
            f"{step}-1", f"sessions/{SESSION}/work/{step}/u/{'0' * 64}/", 1, SESSION, step, "u", 1, 512,
            processor.time_limit_s, START, 0, "",
        )  # fmt: skip
        manifest = job_manifest(job, processor, Settings(), START)
        assert manifest["spec"]["activeDeadlineSeconds"] > 0


class Forgetful(StandInLauncher):
    """Its Jobs die for want of memory, as Kubernetes would tell."""

    def run_one(self) -> JobSpec | None:
        names = set(self.pending)
        try:
            return super().run_one()
        except Crash:
            for name in names - set(self.pending):
                self.states[name] = JobState("failed", 137, "OOMKilled")
            raise


def test_failure_mode_07_what_ran_out_of_memory_gets_more() -> None:
    """Longer: tests/unit/functions/job_launch, job_settlement and ipf/runner (out of memory in a stage, full disks)."""
    died: list[str] = []

    def once(order: Order) -> Outputs:
        if order.step == "l1b" and not died:
            died.append(order.step)
            raise Crash
        return script(order)

    made = build()
    launcher = Forgetful(made.store, made.services.ledger, made.settings.bucket_work, made.clock, script=once)
    made.launcher = vars(made.services)["launcher"] = launcher
    assert made.run().produced == EXPECTED
    (place,) = {
        found[0]
        for info in made.memory.list(made.settings.bucket_ledger)
        if (found := parse_work(info.key)) and found[0].step == "l1b"
    }
    first, second = (made.services.ledger.read(place.attempt(number), Attempt) for number in (1, 2))
    assert second.memory_mb == 2 * first.memory_mb


def test_failure_mode_09_one_command_runs_failed_work_again_out_of_the_same_inputs() -> None:
    """Longer: tests/faults/test_steering_{interrupted,races}.py, at any moment, by two operators at once."""
    broken = True

    def fails(order: Order) -> Outputs:
        if broken and order.step == "l1b":
            return Outputs((), status="failed")
        return script(order)

    made = build()
    made.launcher.script = fails
    account = made.run()
    assert account.parked > 0
    orders = made.orders()
    broken = False
    services, _ = made.operator()
    steering.retry(services, SESSION, who="ada", reason="the table was wrong")
    assert made.run().produced == EXPECTED
    # No order was made anew for what had failed: its inputs are those that it had.
    assert [order for order in made.orders() if order in orders] == orders
    (action,) = [
        services.ledger.read(info.key, Action)
        for info in made.memory.list(made.settings.bucket_ledger, f"sessions/{SESSION}/actions/")
    ]
    assert (action.action, action.who, action.reason) == ("retry", "ada", "the table was wrong")


def poison(made: House) -> list[tuple[str, Event]]:
    """An event that cannot be handled, for each function that takes one."""
    ledger, wrong = made.settings.bucket_ledger, f"sessions/{SESSION}/no-such-thing.json"
    return [
        (name, object_created(ledger, wrong, "e"))
        for name in ("file-transfer", "session-assembly", "job-preparation", "job-launch", "job-settlement",
                     "product-publication")
    ]  # fmt: skip


def test_failure_mode_17_a_poison_event_of_each_kind_delays_no_other() -> None:
    """Longer: tests/unit/eventing/local/test_delivery.py and tests/integration/test_containers.py."""
    whole, made = build(), build()
    whole.run()
    for name, event in poison(made) * 3:
        made.queue.insert(0, (name, event, 0))
    account = made.run()
    assert made.clock.now() == whole.clock.now()
    assert account.produced == EXPECTED
    assert made.shelf() == whole.shelf()
    # Each once and for good: nothing permanent is tried again.
    assert Counter(name for name, _, _ in made.dead) == {name: 3 for name, _ in poison(made)}


def test_failure_mode_17_attempts_come_with_pauses_that_double_to_a_bound() -> None:
    assert [pause(30, tried).total_seconds() for tried in range(1, 11)] == [
        30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600,
    ]  # fmt: skip


def test_failure_mode_17_an_endpoint_that_is_down_is_not_flooded() -> None:
    """Longer: tests/unit/shared/adapters/test_breaker.py, with the adapters of stations and store."""
    now, sent, refused = 0.0, 0, 0
    breaker = Breaker("object store", StoreUnavailableError, clock=lambda: now)
    for second in range(3600):
        now = float(second)
        for _ in range(10):
            try:
                breaker.admit()
            except StoreUnavailableError:
                refused += 1
                continue
            sent += 1
            breaker.failed()
    assert sent + refused == 36_000
    assert sent < 150
    now += LONGEST_PAUSE_S
    breaker.admit()
    breaker.worked()
    for _ in range(10):
        breaker.admit()
