"""What a session leaves on shared volumes goes when it has been closed for long enough, and not before."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from functions.ipf.runner.clearing import clean
from functions.job_launch.clearing import AGAIN, TRIES, clear
from functions.sweep.step import Sweep
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import Event
from shared.errors import BadInputError, PermanentError
from shared.ledger import keys
from shared.ledger.records import Account, Cleared, OpenMarker, Reopened, Timer
from shared.ports import CLEAN, JobSpec
from shared.settings import Settings
from shared.workflow import graph
from shared.workflow.clearing import arm
from tests.support.house import START, VirtualClock

SESSION = "S2A_20261122100000000123"
KEEP = timedelta(hours=12)
CLAIM = "s2-l1-shared"


class Launcher:
    def __init__(self) -> None:
        self.jobs: list[JobSpec] = []

    def launch(self, job: JobSpec) -> None:
        self.jobs.append(job)


class Sink:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def send(self, event: Event) -> None:
        self.events.append(event)


class World:
    """A ledger, a clock, and what was launched."""

    def __init__(self, processors: str = "esa") -> None:
        self.clock, self.launcher, self.sink = VirtualClock(), Launcher(), Sink()
        self.services = Services(Settings(processor_set=processors), self.clock)
        vars(self.services).update(store=MemoryStore(self.clock), launcher=self.launcher, sink=self.sink)

    def close(self, *, reopened: int = 0, held: bool = False) -> Account:
        """What session account does: the timer, the account, and the marker goes."""
        ledger = self.services.ledger
        record = Account(
            created=self.clock.now(),
            session=SESSION,
            t0=START,
            entries=(),
            produced=0,
            absent=0,
            parked=0,
            reopened=reopened,
            held=held,
        )
        arm(ledger, self.services.workflow, record, KEEP.total_seconds())
        ledger.delete(keys.account(SESSION))
        ledger.create(keys.account(SESSION), record)
        ledger.delete(keys.open_marker(SESSION))
        return record

    def open(self) -> None:
        """What an operator's retry does."""
        told = {"session": SESSION, "station": "SGS_", "satellite": "S2A"}
        record = Reopened(created=self.clock.now(), number=1, action="retry", who="me", reason="", **told)
        self.services.ledger.create(keys.reopened(SESSION, 1), record)
        marker = OpenMarker(created=self.clock.now(), **told)
        self.services.ledger.create(keys.open_marker(SESSION), marker)

    def timers(self) -> list[str]:
        return [info.key for info in self.services.ledger.list(keys.TIMERS)]

    def pass_by(self, time: timedelta) -> list[JobSpec]:
        """Time passes, and the sweep tells of what is due; what was launched for it."""
        self.clock.advance(time.total_seconds())
        self.launcher.jobs.clear()
        self.sink.events.clear()
        Sweep(self.services).run()
        for event in self.sink.events:
            assert event.subject == "clear"
            clear(event, self.services)
        return list(self.launcher.jobs)

    def cleared(self, account: Account) -> None:
        record = Cleared(created=self.clock.now(), session=SESSION, claim=CLAIM)
        self.services.ledger.create(keys.cleared(SESSION, account.created, CLAIM), record)


def test_it_goes_some_time_after_the_account_and_once(tmp_path: Path) -> None:
    world = World()
    account = world.close()
    assert world.pass_by(KEEP - timedelta(minutes=2)) == []
    (job,) = world.pass_by(timedelta(minutes=3))
    assert (job.step, job.unit, job.session, job.work) == (CLEAN, CLAIM, SESSION, "")
    folder = tmp_path / SESSION / "DT01"
    folder.mkdir(parents=True)
    (folder / "x").touch()
    (tmp_path / "other").mkdir()
    assert clean(SESSION, CLAIM, tmp_path, world.services) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    assert world.services.ledger.exists(keys.cleared(SESSION, account.created, CLAIM))
    assert world.pass_by(2 * AGAIN) == []
    assert world.timers() == []


def test_a_set_without_shared_volumes_arms_nothing() -> None:
    world = World("open")
    world.close()
    assert world.timers() == []


def test_an_event_that_comes_twice_or_is_cut_off_starts_the_same_job() -> None:
    world = World()
    world.close()
    world.clock.advance((KEEP + timedelta(minutes=1)).total_seconds())
    Sweep(world.services).run()
    (event,) = world.sink.events
    clear(event, world.services)
    clear(event, world.services)
    assert len({job.name for job in world.launcher.jobs}) == 1
    assert len(world.timers()) == 1


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_crash_before_the_timer_is_taken_away_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.close()
    with monkeypatch.context() as patched:
        patched.setattr(world.services.store, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            world.pass_by(KEEP + timedelta(minutes=1))
    first = world.launcher.jobs[0].name
    assert {job.name for job in world.pass_by(timedelta(minutes=1))} == {first}


def test_a_session_that_is_open_again_keeps_what_it_has(tmp_path: Path) -> None:
    world = World()
    world.close()
    world.open()
    (tmp_path / SESSION).mkdir()
    assert world.pass_by(KEEP + timedelta(minutes=1)) == []
    assert clean(SESSION, CLAIM, tmp_path, world.services) == 0
    assert (tmp_path / SESSION).exists()
    assert len(world.timers()) == 1, "it is looked at again"
    world.close(reopened=1)
    assert world.pass_by(timedelta(hours=11)) == []
    assert len({job.name for job in world.pass_by(timedelta(hours=2))}) == 1


def test_a_second_account_within_the_minute_keeps_its_own_timer() -> None:
    world = World()
    world.close()
    world.clock.advance(20)
    world.close(reopened=1)
    assert world.pass_by(KEEP - timedelta(seconds=10)) == [], "that of the first account: too early"
    assert len(world.pass_by(timedelta(minutes=1))) == 1


def test_what_an_operator_holds_stays() -> None:
    world = World()
    world.close(held=True)
    assert world.pass_by(KEEP + timedelta(minutes=1)) == []
    assert len(world.timers()) == 1


def test_a_volume_that_cannot_be_cleared_is_told_of_in_the_end() -> None:
    world = World()
    world.close()
    names = [job.name for job in world.pass_by(KEEP + timedelta(minutes=1))]
    for _ in range(TRIES - 1):
        names += [job.name for job in world.pass_by(AGAIN + timedelta(minutes=1))]
    assert len(set(names)) == TRIES
    with pytest.raises(PermanentError, match=f"remove the folder {SESSION} by hand"):
        world.pass_by(AGAIN + timedelta(minutes=1))
    assert world.timers() == []


def test_what_a_crash_left_half_removed_goes_too(tmp_path: Path) -> None:
    world = World()
    world.close()
    (tmp_path / f".going-{SESSION}-0123abcd/DT01").mkdir(parents=True)
    assert clean(SESSION, CLAIM, tmp_path, world.services) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_session_beside_it_set_aside_is_left_to_that(tmp_path: Path) -> None:
    world = World()
    world.close()
    theirs = tmp_path / f".going-{SESSION}-2-0123abcd"
    theirs.mkdir()
    assert clean(SESSION, CLAIM, tmp_path, world.services) == 0
    assert list(tmp_path.iterdir()) == [theirs]


@pytest.mark.parametrize("session", ["../x", "", ".", "a/../b"])
def test_a_session_that_is_no_name_of_a_folder_clears_nothing(tmp_path: Path, session: str) -> None:
    world = World()
    world.close()
    record = world.services.ledger.read(keys.account(SESSION), Account).model_copy(update={"session": session})
    world.services.ledger.create(keys.account(session), record)
    with pytest.raises(BadInputError):
        clean(session, CLAIM, tmp_path / "volume", world.services)


def test_the_timer_is_a_record_that_can_be_read() -> None:
    world = World()
    world.close()
    (key,) = world.timers()
    timer = world.services.ledger.read(key, Timer)
    assert (timer.timer, timer.session, timer.subject, timer.due - START) == ("clear", SESSION, "1", KEEP)


def test_no_step_of_the_graph_is_called_as_the_clearing_is() -> None:
    document = yaml.safe_load((Path(graph.__file__).parent / "graph.yaml").read_text())
    assert CLEAN not in {step["name"] for step in document["steps"]}
