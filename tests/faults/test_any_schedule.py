"""Any schedule: crashes, lost and doubled events, dying Jobs, zombies and operators at once; the end is the same.

A seed makes a schedule. While it is wild, nothing is asked but that no step meets a bug. Then the world behaves and
nobody touches anything: the session must close by itself, with an account that says what is. Then the operators put
right what they, and the Jobs, left: every product must be there, once.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

import pytest

from functions.ipf.runner.stage_out import end_attempt
from shared.errors import NotReadyError, ObjectAbsentError, RefusedError
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords, conclude, over, sort_work
from shared.ledger.keys import WorkKey, parse_work
from shared.ledger.ledger import Ledger
from shared.ledger.records import FINISHED, Account, Complete, Grant, Hold, Outcome, Timer
from shared.ledger.standing import REOPENED
from shared.ports import JobSpec, JobState
from shared.settings import Settings
from shared.sla.closing import PARKED_TIMER
from shared.steering import done, park, release, replay, retry
from tests.support.house import START, Crash, Delivery, House
from tests.support.standin import JOINED, SESSION, StandInLauncher, StandInStation

# L0 datastrip, L0 granules, L1C tiles, L2A tiles; with joins, a datastrip product of each of the two levels more
EXPECTED = {"open": 1 + 2 + 2 + 2, str(JOINED): 1 + 2 + 3 + 3}
OPERATORS = ("ada@console", "bob@console")
SCHEDULES = [
    *(pytest.param("open", seed, id=f"open-{seed}") for seed in range(40)),
    *(pytest.param(str(JOINED), seed, id=f"joined-{seed}") for seed in range(40)),
]


@dataclass
class WildJobs(StandInLauncher):
    """Jobs that end in any way there is, are forgotten by their platform, or go on after they were given up."""

    dice: random.Random = field(default_factory=random.Random)
    wild: bool = True
    house: House | None = None
    zombies: list[JobSpec] = field(default_factory=list)

    def run_one(self) -> JobSpec | None:
        if not self.pending:
            return None
        job = self.pending.pop(self.dice.choice(sorted(self.pending)) if self.wild else min(self.pending))
        self.states[job.name] = JobState("failed", 137, "PodFailed")  # where it crashes in what follows
        if not self.wild:
            return self._whole(job)
        ends: list[Callable[[JobSpec], JobSpec | None]] = [
            self._whole,
            self._whole,
            self._dies,
            self._dies_after_its_word,
            self._gives_up,
            self._fails_for_good,
            self._says_nothing,
            self._is_forgotten,
            self._is_stuck,
        ]
        return self.dice.choice(ends)(job)

    def stop(self, name: str) -> None:
        self.states.pop(name, None)

    def rise(self) -> None:
        """A zombie: its node comes back, and it says what it had to say."""
        if self.zombies:
            job = self.zombies.pop(self.dice.randrange(len(self.zombies)))
            with suppress(Crash):
                if self.dice.random() < 0.5:
                    self._process(_place(job), job)
                else:
                    self._conclude_failure(job)

    def _whole(self, job: JobSpec) -> JobSpec:
        if not over(self.ledger, _place(job), job.attempt):
            self._process(_place(job), job)
        self.states[job.name] = JobState("succeeded", 0)
        return job

    def _dies(self, job: JobSpec) -> JobSpec:
        reason = self.dice.choice(["OOMKilled", "DeadlineExceeded", "NodeLost: node a", "BackoffLimitExceeded"])
        self.states[job.name] = JobState("failed", 137, reason)
        if self.dice.random() < 0.5:
            self.zombies.append(job)
        return job

    def _dies_after_its_word(self, job: JobSpec) -> JobSpec:
        self._whole(job)
        self.states[job.name] = JobState("failed", 143, "Evicted")
        return job

    def _gives_up(self, job: JobSpec) -> JobSpec:
        assert self.house is not None
        status = "retry" if self.dice.random() < 0.5 else "infrastructure"
        end_attempt(self.house.services, _place(job), job.attempt, status, "DiskFull", 1)  # type: ignore[arg-type]
        self.states[job.name] = JobState("succeeded", 0)
        return job

    def _fails_for_good(self, job: JobSpec) -> JobSpec:
        if self.dice.random() < 0.5:
            assert self.house is not None
            end_attempt(self.house.services, _place(job), job.attempt, "failed", "ConfigurationError: other version")
        else:
            self._conclude_failure(job)
        self.states[job.name] = JobState("succeeded", 0)
        return job

    def _says_nothing(self, job: JobSpec) -> JobSpec:
        self.states[job.name] = JobState("succeeded", 0)
        return job

    def _is_forgotten(self, job: JobSpec) -> None:
        del self.states[job.name]
        self.zombies.append(job)

    def _is_stuck(self, job: JobSpec) -> JobSpec:
        self.states[job.name] = JobState("failed", None, "ImagePullBackOff", stuck=True)
        return job

    def _conclude_failure(self, job: JobSpec) -> None:
        place, now = _place(job), self.clock.now()
        outcome = Outcome(
            created=now,
            step=place.step,
            unit=place.unit,
            attempt=job.attempt,
            status="failed",
            exit_code=200,
            reason="exit code 200",
            started=now,
            finished=now,
        )
        conclude(self.ledger, place, outcome)


def _place(job: JobSpec) -> WorkKey:
    place = parse_work(f"{job.work}order.json")
    assert place is not None
    return place[0]


class Schedule:
    """One wild run, by its seed."""

    def __init__(self, seed: int, processor_set: str = "open") -> None:
        self.dice = dice = random.Random(seed)
        self.wild = True
        station = StandInStation()
        station.fill(START - timedelta(minutes=2))
        partial_ = dice.choice(["proceed", "park"])
        settings = Settings(
            sweep_grace_s=dice.choice([0, 15, 40]),
            retry_delay_s=dice.choice([0, 5, 60]),
            session_wait_s=60,
            session_partial=partial_,
            max_attempts=dice.choice([1, 2, 3]),
            processor_set=processor_set,
        )
        lossy = dice.choice([[1], [0, 1, 1, 2, 3], [0]])
        self.delivery = Delivery(copies=lambda _event: dice.choice(lossy), shuffle=dice)
        self.house = House(settings=settings, station=station, delivery=self.delivery)
        services = self.house.services
        self.jobs = WildJobs(
            self.house.store, services.ledger, settings.bucket_work, self.house.clock, dice=dice, house=self.house
        )
        self.house.launcher = self.jobs
        vars(services).update(launcher=self.jobs)
        self.house.store.meanwhile = self._meanwhile
        self.often = dice.choice([0.0, 0.002, 0.02, 0.1])
        self.busy = False
        self.log: list[str] = []

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.house.memory, self.house.settings.bucket_ledger, self.house.clock)

    def works(self) -> list[WorkRecords]:
        return list(sort_work(self.house.memory.list(self.house.settings.bucket_ledger)).values())

    def _meanwhile(self, _number: int) -> None:
        """Between any two operations of a function: another one is at work, or an operator, or a zombie."""
        if self.busy or not self.wild or threading.current_thread() is not threading.main_thread():
            return
        if self.dice.random() >= self.often:
            return
        self.busy = True
        crash_at, self.house.store.crash_at = self.house.store.crash_at, None
        try:
            kind = self.dice.random()
            if kind < 0.4:
                self.operate()
            elif kind < 0.6:
                self.jobs.rise()
            elif self.house.queue:
                name, event, tries = self.house.queue.pop(self.dice.randrange(len(self.house.queue)))
                self.house.call(name, event, tries)
        finally:
            self.busy = False
            self.house.store.crash_at = crash_at

    def operate(self) -> None:
        """One of the operators does something; the state may refuse it, and the console may be cut off."""
        dice, (services, store) = self.dice, self.house.operator()
        works, who = self.works(), dice.choice(OPERATORS)
        target = SESSION if not works or dice.random() < 0.6 else dice.choice(works).place.prefix
        if dice.random() < 0.3:
            store.crash_at = (dice.randint(1, 8), dice.choice(["before", "after"]))
        act = dice.choice([retry, retry, park, release, release, replay])
        if act is replay:
            target = dice.choice(
                [info.key for info in self.house.memory.list(self.house.settings.bucket_ledger)] or [""]
            )
            if target.startswith("dead-letters/") or "/" not in target:
                return
        self.log.append(f"{self.house.clock.now():%H:%M:%S} {act.__name__} {target} by {who}")
        with suppress(RefusedError, ObjectAbsentError, NotReadyError, Crash):
            act(services, target, who=who, reason=f"reason {dice.randint(1, 3)}")

    def run_wild(self) -> None:
        dice, house = self.dice, self.house
        hidden = dict(house.station.held)
        for path in dice.sample(sorted(hidden), dice.choice([0, 0, 1])):
            del house.station.held[path]
        for _ in range(dice.randint(5, 60)):
            if dice.random() < 0.2:
                house.store.crash_at = (house.store.writes + dice.randint(1, 40), dice.choice(["before", "after"]))
            if dice.random() < 0.15:
                self.operate()
            if dice.random() < 0.1:
                self.jobs.rise()
            if dice.random() < 0.1:
                house.station.held.update(hidden)
            house.tick(dice.choice([1, 10, 30]), jobs=dice.random() < 0.7)

    def calm(self) -> None:
        """From now on all goes well, or at least the sweep comes."""
        self.wild = self.jobs.wild = False
        self.house.store.crash_at = None
        if self.dice.random() < 0.5:
            self.delivery.copies = lambda _event: 1

    def holds(self) -> list[Hold]:
        return [self.ledger.read(i.key, Hold) for i in self.ledger.list("sessions/") if i.key.endswith("/hold.json")]

    def put_right(self) -> None:
        """The operators release what is held, and retry what failed."""
        services, _ = self.house.operator()
        for hold in self.holds():
            with suppress(RefusedError):  # released already; a release that was cut off is completed
                release(services, hold.target, who=OPERATORS[0], reason="go on")
        with suppress(RefusedError):
            retry(services, SESSION, who=OPERATORS[1], reason="the cause is mended")
        if not self.ledger.exists(keys.complete(SESSION)):
            # Parked though files are at the station: none was fetched in time. No sweep looks at a closed session.
            self.delivery.copies = lambda _event: 1
            for seen in [info.key for info in self.ledger.list(f"{keys.session(SESSION)}seen/")]:
                replay(services, seen, who=OPERATORS[0], reason="the station is back")
            self.house.deliver()
            with suppress(RefusedError):
                release(services, SESSION, who=OPERATORS[0], reason="go on with what is there")

    def told(self) -> str:
        return "\n".join([*self.log, self.house.story()])


def settle_down(made: Schedule) -> Account:
    """Nobody does anything, and the session closes. Some rounds later nothing has changed."""
    try:
        account = made.house.run()
    except AssertionError:
        pytest.fail(f"never closed:\n{made.told()}")
    for _ in range(8):
        made.house.tick(30)
    account = made.house.account  # type: ignore[assignment]
    assert account is not None, made.told()
    check(made, account)
    return account


def check(made: Schedule, account: Account) -> None:
    """The account says what is."""
    house, ends = made.house, [entry.ended for entry in account.entries]
    assert (account.produced, account.absent, account.parked) == tuple(
        ends.count(end) for end in ("produced", "absent", "parked")
    )
    assert sum(ends.count(end) for end in ("produced", "absent", "parked")) == len(ends) > 0
    works, story = made.works(), made.told()
    # A console that was cut off after its grants, before it reopened the account: the command repeated completes it.
    # What was granted may have run since, where its order was replayed.
    grants = made.ledger.read_many([i.key for i in made.ledger.list("sessions/") if "/grants/" in i.key], Grant)
    cut_off = any(w.superseded for w in works) or any(grant.created > account.created for grant in grants)
    outcomes = [made.ledger.read(w.place.outcome, Outcome) for w in works if w.outcome]
    failed = [outcome for outcome in outcomes if outcome.status not in FINISHED]
    assert (account.parked > 0) == bool(failed or account.held or account.t0 is None or cut_off), story
    assert all(entry.reason for entry in account.entries if entry.ended != "produced")
    if not cut_off:
        named = {entry.product for entry in account.entries if entry.ended == "produced"}
        assert named == {i.key.rsplit("/", 1)[1].removesuffix(".json") for i in made.ledger.list("products/")}, story
        assert not [w for w in works if w.under_way], story
        assert account.held or all(w.outcome for w in works), story
    assert not list(made.ledger.list(keys.OPEN)), story
    timers = [i.key for i in made.ledger.list(keys.TIMERS)]
    left = [key for key in timers if not _waits(made, key)]
    assert not [key for key in left if not (REOPENED in key and _never_reopened(made, key))], story
    assert not [dead for dead in house.dead if not isinstance(dead[2], RefusedError)], house.dead


def _waits(made: Schedule, timer: str) -> bool:
    """At the deadline of a level that is parked it is looked at again, whatever has been put right until then."""
    return f"/{PARKED_TIMER}-" in timer and made.ledger.read(timer, Timer).due > made.house.clock.now()


def _never_reopened(made: Schedule, timer: str) -> bool:
    """The command was cut off between the timer and the reopening; the sweep forgets the timer in an hour."""
    number = int(timer.rsplit("-", 1)[1].removesuffix(".json"))
    return not made.ledger.exists(keys.reopened(SESSION, number))


@cache
def reference(processor_set: str) -> House:
    """The same session without any fault."""
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    made = House(station=station, settings=Settings(sweep_grace_s=15, processor_set=processor_set))
    made.run()
    return made


@pytest.mark.parametrize(("processor_set", "seed"), SCHEDULES)
def test_any_schedule_ends_in_a_true_account_and_can_be_put_right(
    processor_set: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(done, "_THREADS", 1)  # a seed is to mean the same schedule each time
    made, expected = Schedule(seed, processor_set), EXPECTED[processor_set]
    made.run_wild()
    made.calm()
    account = settle_down(made)
    for _ in range(3):
        if account.parked == 0:
            break
        made.put_right()
        account = settle_down(made)
    assert (account.produced, account.absent, account.parked) == (expected, 0, 0), made.told()
    shelf = made.house.shelf()
    assert len(shelf) == expected
    complete = made.ledger.read(keys.complete(SESSION), Complete)
    if not complete.missing:
        assert shelf == reference(processor_set).shelf()
        assert made.house.orders() == reference(processor_set).orders()
    # When all deadlines have passed, nothing waits any more.
    made.house.tick(3 * 3600)
    made.house.tick()
    made.house.tick()
    assert not [info.key for info in made.ledger.list(keys.TIMERS) if f"/{PARKED_TIMER}-" in info.key], made.told()
