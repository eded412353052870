from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from eventing.local.config import ROOT
from functions.station_poll.step import StationPoll
from functions.sweep.step import Sweep
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import Event
from shared.errors import BadInputError, ConfigurationError, PermanentError, RetryableError
from shared.ledger import keys
from shared.ledger.keys import WorkKey
from shared.ledger.provision import WAITING, Awaiter, awaiters
from shared.ledger.records import Account, OpenMarker, Receipt, Record, Reopened, Seen, timer_due
from shared.ledger.standing import REOPENED
from shared.ports import JobState, ObjectInfo
from shared.settings import Settings
from tests.support.house import START, VirtualClock
from tests.support.standin import SESSION, StandInStation

FILE = f"DCS_05_{SESSION}_ch1_DSDB_00001.raw"
OTHER = "S2B_20261122101500000124"
SEEN = keys.seen(SESSION, FILE)


class Reads(MemoryStore):
    """Notes what is read."""

    read_keys: list[str]

    def get(self, bucket: str, key: str) -> tuple[bytes, ObjectInfo]:
        self.read_keys.append(key)
        return super().get(bucket, key)


class Sink:
    """Keeps events; refuses those about ``refused``."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refused: dict[str, Exception] = {}
        self.asked = 0

    def send(self, event: Event) -> None:
        self.asked += 1
        for part, error in self.refused.items():
            if part in event.subject:
                raise error
        self.events.append(event)

    @property
    def subjects(self) -> list[str]:
        return [event.subject for event in self.events]


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def services(sink: Sink) -> Services:
    clock = VirtualClock()
    made = Services(Settings(sweep_grace_s=20), clock)
    store = Reads(clock)
    store.read_keys = []
    vars(made).update(store=store, stations={"SGS_": StandInStation()}, sink=sink)
    return made


def see(services: Services, session: str = SESSION, content: bytes = b"x", modified: datetime = START) -> None:
    found = services.stations["SGS_"]
    assert isinstance(found, StandInStation)
    found.put(FILE.replace(SESSION, session), content, modified, session=session)
    found.held = {path.replace("/S2A/", f"/{session[:3]}/"): held for path, held in found.held.items()}
    StationPoll(services).run()


def receive(services: Services, size: int, modified: datetime = START) -> None:
    receipt = Receipt(
        created=START, session=SESSION, file=FILE, key=FILE, size=size, sha256="0" * 64, etag="e", modified=modified
    )
    assert services.ledger.create(keys.receipt(SESSION, FILE), receipt)


def later(services: Services, seconds: float = 60) -> None:
    assert isinstance(services.clock, VirtualClock)
    services.clock.advance(seconds)


def test_a_file_that_was_not_received_is_announced_again_after_the_grace(services: Services, sink: Sink) -> None:
    see(services)
    sweep = Sweep(services)
    assert sweep.run() == 0
    later(services)
    assert sweep.run() == 1
    assert sink.subjects == [SEEN]


def test_a_newer_version_seen_in_the_second_of_the_receipt_is_not_lost(services: Services, sink: Sink) -> None:
    """Stores tell the time of a write by the second: the records alone say which version was received."""
    see(services, content=b"x")
    see(services, content=b"whole", modified=START + timedelta(seconds=5))
    receive(services, size=1)
    later(services)
    Sweep(services).run()
    assert SEEN in sink.subjects
    assert services.ledger.read(SEEN, Seen).size == 5


def test_a_file_that_was_received_is_looked_at_once_by_an_instance(services: Services, sink: Sink) -> None:
    see(services)
    receive(services, size=1)
    later(services)
    store, sweep = services.store, Sweep(services)
    assert isinstance(store, Reads)
    store.read_keys.clear()
    sweep.run()
    durations = keys.durations(services.workflow.set_name)
    assert sorted(store.read_keys) == sorted([durations, SEEN, keys.receipt(SESSION, FILE)])
    sweep.run()
    assert len(store.read_keys) == 3
    assert SEEN not in sink.subjects
    assert set(sink.subjects) == {keys.receipt(SESSION, FILE)}, "the session may have to be assembled"


@pytest.mark.parametrize("trouble", ["a record that cannot be read", "an event that is refused"])
def test_one_session_that_is_broken_does_not_keep_the_others_from_being_swept(
    services: Services, sink: Sink, trouble: str
) -> None:
    see(services)
    see(services, OTHER)
    if trouble == "an event that is refused":
        sink.refused[SESSION] = PermanentError("refused")
    else:
        services.store.put(services.settings.bucket_ledger, keys.complete(SESSION), b"not JSON")
    later(services)
    with pytest.raises(PermanentError):
        Sweep(services).run()
    assert sink.subjects == [keys.seen(OTHER, FILE.replace(SESSION, OTHER))]


def test_an_event_that_cannot_be_delivered_does_not_keep_the_others_from_being_swept(
    services: Services, sink: Sink
) -> None:
    see(services)
    see(services, OTHER)
    sink.refused[SESSION] = RetryableError("its subscriber answered 500, as did the dead letters'")
    later(services)
    with pytest.raises(RetryableError):
        Sweep(services).run()
    assert sink.subjects == [keys.seen(OTHER, FILE.replace(SESSION, OTHER))]


def test_a_timer_that_cannot_be_read_does_not_stop_the_sweep(services: Services, sink: Sink) -> None:
    see(services)
    services.store.put(services.settings.bucket_ledger, keys.timer(START, "retry", "x"), b"{}")
    due = START + timedelta(seconds=30)
    services.ledger.create(keys.timer(due, "retry", "y"), timer_due(START, due, "retry", SESSION))
    later(services)
    with pytest.raises(BadInputError, match="timers/"):
        Sweep(services).run()
    assert [event.time for event in sink.events[:1]] == [due], "later timers are not kept back"
    assert sink.subjects[-1] == SEEN


def test_a_reopened_session_whose_account_cannot_be_read_keeps_back_no_later_timer(
    services: Services, sink: Sink
) -> None:
    services.store.put(services.settings.bucket_ledger, keys.account(SESSION), b"{}")
    services.ledger.create(keys.timer(START, REOPENED, "x"), timer_due(START, START, REOPENED, SESSION, "1"))
    due = START + timedelta(seconds=30)
    services.ledger.create(keys.timer(due, "retry", "y"), timer_due(START, due, "retry", OTHER))
    later(services)
    with pytest.raises(BadInputError, match="account"):
        Sweep(services).run()
    assert [event.time for event in sink.events] == [due]


def two_attempts_each(services: Services) -> None:
    """Two sessions, of each of which two attempts are under way."""
    for session in (SESSION, OTHER):
        see(services, session)
        for digest in "01":
            place = WorkKey(session, "l0u", session, digest * 64)
            services.ledger.create(place.order, Record(created=START))
            services.ledger.create(place.attempt(1), Record(created=START))


@pytest.mark.parametrize("error", [RetryableError("down"), ConfigurationError("403")], ids=["down", "refuses"])
def test_a_cluster_that_does_not_say_how_jobs_stand_keeps_back_nothing_else(
    services: Services, sink: Sink, error: Exception
) -> None:
    """The API server is asked once, and what needs no answer of its goes on: here, and in the other sessions."""
    two_attempts_each(services)
    asked: list[str] = []

    class Launcher:
        def state(self, name: str) -> None:
            asked.append(name)
            raise error

    vars(services)["launcher"] = Launcher()
    services.ledger.create(keys.receipt(OTHER, FILE), Record(created=START))
    later(services)
    with pytest.raises(type(error), match=str(error)):
        Sweep(services).run()
    assert len(asked) == 1
    assert set(sink.subjects) == {SEEN, keys.seen(OTHER, FILE.replace(SESSION, OTHER)), keys.receipt(OTHER, FILE)}


@pytest.mark.parametrize(("error", "tried"), [(RetryableError("no answer"), 1), (PermanentError("422"), 4)])
def test_a_queue_that_does_not_answer_is_asked_once_in_a_sweep(
    services: Services, sink: Sink, error: Exception, tried: int
) -> None:
    """Hundreds of tiles come into their class at once: a queue that is down must not keep the sweep for hours."""
    two_attempts_each(services)
    asked: list[str] = []

    class Launcher:
        def state(self, _name: str) -> JobState:
            return JobState("waiting")

        def hasten(self, name: str) -> None:
            asked.append(name)
            raise error

    vars(services)["launcher"] = Launcher()
    later(services)
    sweep = Sweep(services)
    for times in (1, 2):
        assert sweep.run() == 2, "the files that were never received"
        assert len(asked) == times * tried


def test_a_broker_that_is_down_is_not_asked_for_each_session(services: Services, sink: Sink) -> None:
    for number in range(20):
        see(services, f"S2A_2026112210000000{number:04d}")
    sink.refused = {"": RetryableError("down")}
    later(services)
    with pytest.raises(RetryableError):
        Sweep(services).run()
    assert sink.asked == 10


def test_only_due_timers_are_sent(services: Services, sink: Sink) -> None:
    for minutes in (-5, 0, 5):
        due = START + timedelta(minutes=minutes, seconds=30)
        services.ledger.create(keys.timer(due, "retry", str(minutes)), timer_due(START, due, "retry", SESSION))
    Sweep(services).run()
    assert [event.time for event in sink.events] == [START + timedelta(minutes=-5, seconds=30)]


def test_what_is_remembered_of_a_session_is_forgotten_with_it(services: Services) -> None:
    see(services)
    receive(services, size=1)
    later(services)
    sweep = Sweep(services)
    sweep.run()
    assert sweep._sessions is not None
    assert sweep._sessions._done[SESSION]
    services.ledger.delete(keys.open_marker(SESSION))
    sweep.run()
    assert not sweep._sessions._done


IDLE = """
import sys
from functions.sweep.step import Sweep
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services, SystemClock
from shared.settings import Settings
services = Services(Settings())
vars(services).update(store=MemoryStore(SystemClock()), sink=None)
assert Sweep(services).run() == 0
needed = ("shared.workflow", "shared.sla", "shared.auxiliary", "yaml")
print([name for name in sys.modules if name.startswith(needed)])
"""


def test_between_passes_a_sweep_loads_nothing_that_only_sessions_need() -> None:
    """Most ticks find nothing, and each of them may start an instance."""
    done = subprocess.run([sys.executable, "-c", IDLE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_list_of_those_that_wait_is_mended_where_no_session_is_open(services: Services) -> None:
    entry = Awaiter(created=START, work=f"sessions/{SESSION}/work/l1b/DT01/{'0' * 64}/")
    services.ledger.create(f"{awaiters('AUX_UT1UTC')}{'0' * 64}.json", entry)
    later(services)
    Sweep(services).run()
    assert not list(services.ledger.list(WAITING))


# reopened sessions ---------------------------------------------------------------------------------------------------
def reopening(services: Services, *, written: bool = True) -> str:
    """The timer of a reopening; ``written``: the reopening itself followed."""
    record = Reopened(
        created=START, session=SESSION, number=1, action="retry", who="w", reason="r", station="SGS_", satellite="S2A"
    )
    key = keys.timer(START, REOPENED, f"{SESSION}-1")
    services.ledger.create(key, timer_due(START, START, REOPENED, SESSION, "1"))
    if written:
        services.ledger.create(keys.reopened(SESSION, 1), record)
    return key


def closing(services: Services, reopened: int) -> None:
    record = Account(
        created=START, session=SESSION, t0=None, entries=(), produced=0, absent=0, parked=0, reopened=reopened
    )
    services.ledger.create(keys.account(SESSION), record)


def test_a_reopened_session_is_put_back_until_its_account_knows_of_it(services: Services, sink: Sink) -> None:
    timer = reopening(services)
    closing(services, reopened=0)
    sweep = Sweep(services)
    for _ in range(2):
        sweep.run()
        assert services.ledger.read(keys.open_marker(SESSION), OpenMarker).station == "SGS_"
        assert services.ledger.exists(timer)
        services.ledger.delete(keys.open_marker(SESSION))
    services.ledger.delete(keys.account(SESSION))
    closing(services, reopened=1)
    sweep.run()
    assert not services.ledger.exists(timer)
    assert not services.ledger.exists(keys.open_marker(SESSION))
    assert sink.events == []


def test_a_superseded_account_does_not_end_the_sweep_of_a_session(services: Services) -> None:
    reopening(services)
    see(services)
    closing(services, reopened=0)
    later(services)
    assert Sweep(services).run() == 1
    assert services.ledger.exists(keys.open_marker(SESSION))


def test_an_account_in_force_removes_the_marker(services: Services) -> None:
    reopening(services)
    see(services)
    closing(services, reopened=1)
    later(services)
    assert Sweep(services).run() == 0
    assert not services.ledger.exists(keys.open_marker(SESSION))


def test_the_timer_of_a_reopening_that_never_followed_is_forgotten_after_a_while(services: Services) -> None:
    timer = reopening(services, written=False)
    sweep = Sweep(services)
    sweep.run()
    assert services.ledger.exists(timer), "it may follow yet"
    later(services, 3700)
    sweep.run()
    assert not services.ledger.exists(timer)
    assert not services.ledger.exists(keys.open_marker(SESSION))
