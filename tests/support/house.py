"""The whole service in memory, on a virtual clock: the real steps, the real Trigger manifests, faults on demand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from eventing.filters import matches
from eventing.manifests import Trigger, load_manifests
from functions.dead_letters.step import keep
from functions.file_transfer.step import transfer
from functions.job_launch.step import launch
from functions.job_preparation.step import prepare
from functions.job_settlement.step import settle
from functions.product_publication.step import publish
from functions.session_account.step import Accountant
from functions.session_assembly.step import assemble
from functions.station_poll.step import StationPoll
from functions.sweep.step import Sweep, job_ended
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import Event, object_created
from shared.errors import AbsentError, PermanentError, RetryableError
from shared.ledger import keys
from shared.ledger.keys import parse_work
from shared.ledger.ledger import Ledger
from shared.ledger.records import Account, Published
from shared.ledger.standing import account_in_force
from shared.ports import ObjectInfo
from shared.settings import Settings
from tests.support.standin import SESSION, StandInLauncher, StandInStation

BASE = Path(__file__).resolve().parents[2] / "knative" / "base"
TRIGGERS = tuple(m for m in load_manifests(BASE) if isinstance(m, Trigger))
START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


class Crash(BaseException):
    """The process died here. No ``except Exception`` may catch it."""


@dataclass
class VirtualClock:
    """A clock that moves when it is told to."""

    instant: datetime = START

    def now(self) -> datetime:
        return self.instant

    def advance(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


class FaultyStore:
    """A store that dies before or after its n-th write (from 1), once, and lets others in before its n-th operation."""

    WRITES = frozenset({"put", "put_new", "put_if", "copy", "delete", "upload", "put_part", "complete", "abort"})

    def __init__(self, inner: MemoryStore) -> None:
        self._inner = inner
        self.writes = 0
        self.crash_at: tuple[int, Literal["before", "after"]] | None = None
        self.operations = 0
        self.meanwhile: Callable[[int], None] | None = None
        self._lock = Lock()

    def multipart(self, *args: Any, **kwargs: Any) -> Any:
        return FaultyUpload(self, self._inner.multipart(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        return self.watched(real) if name in self.WRITES else self._let_in(real)

    def _let_in(self, real: Callable[..., Any]) -> Callable[..., Any]:
        if self.meanwhile is None:
            return real

        def operation(*args: Any, **kwargs: Any) -> Any:
            self._others()
            return real(*args, **kwargs)

        return operation

    def _others(self) -> None:
        with self._lock:
            self.operations += 1
            number, meanwhile = self.operations, self.meanwhile
        if meanwhile is not None:
            meanwhile(number)

    def watched(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            if self.meanwhile is not None:
                self._others()
            with self._lock:
                self.writes += 1
                number = self.writes
            due = self.crash_at is not None and self.crash_at[0] == number
            if due and self.crash_at and self.crash_at[1] == "before":
                raise Crash(f"before write {number}")
            result = real(*args, **kwargs)
            if due:
                raise Crash(f"after write {number}")
            return result

        return write


class FaultyUpload:
    """A multipart upload whose writes count as the store's."""

    def __init__(self, store: FaultyStore, inner: Any) -> None:
        self._store, self._inner = store, inner

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        return self._store.watched(real) if name in FaultyStore.WRITES else real


@dataclass
class Delivery:
    """How notifications fare: each event is handed over ``copies(event)`` times, in FIFO order or by ``shuffle``."""

    copies: Callable[[Event], int] = lambda _event: 1
    shuffle: random.Random | None = None


@dataclass
class House:
    """Everything; ``run`` lets the clock go until the session's account is closed."""

    delivery: Delivery = field(default_factory=Delivery)
    settings: Settings = field(
        default_factory=lambda: Settings(sweep_grace_s=15, retry_delay_s=5, session_wait_s=300, transfer_part_mb=5)
    )
    station: StandInStation = field(default_factory=StandInStation)
    dead: list[tuple[str, Event, Exception]] = field(default_factory=list)
    crashes: int = 0

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.memory = MemoryStore(self.clock, [self._notify])
        self.store = FaultyStore(self.memory)
        self.queue: list[tuple[str, Event, int]] = []
        self.services = Services(self.settings, self.clock)
        # cached properties keep their value in the instance: these are the doubles of the real adapters
        vars(self.services).update(store=self.store, sink=self, stations={self.station.name: self.station})
        self.launcher = StandInLauncher(self.store, self.services.ledger, self.settings.bucket_work, self.clock)
        vars(self.services).update(launcher=self.launcher)
        self._start_instances()

    def operator(self) -> tuple[Services, FaultyStore]:
        """What an operator's console works with: the same store through a connection of its own, and nothing else."""
        store = FaultyStore(self.memory)
        services = Services(self.settings, self.clock)
        vars(services).update(store=store)
        return services, store

    def _start_instances(self) -> None:
        """Fresh function instances: what they remembered is gone."""
        poll, sweep, accountant = StationPoll(self.services), Sweep(self.services), Accountant(self.services)
        self.functions: dict[str, Callable[[Event], object]] = {
            "station-poll": lambda _e: poll.run(),
            "sweep": lambda _e: sweep.run(),
            "file-transfer": lambda e: transfer(e, self.services),
            "session-assembly": lambda e: assemble(e, self.services),
            "job-preparation": lambda e: prepare(e, self.services),
            "job-launch": lambda e: launch(e, self.services),
            "job-settlement": lambda e: settle(e, self.services),
            "product-publication": lambda e: publish(e, self.services),
            "session-account": accountant.account,
            "dead-letters": lambda e: keep(e, self.services),
        }

    # events -------------------------------------------------------------------------------------------------
    def _notify(self, bucket: str, info: ObjectInfo) -> None:
        event = object_created(bucket, info.key, info.etag, size=info.size, when=info.modified)
        for _ in range(self.delivery.copies(event)):
            self.send(event)

    def send(self, event: Event) -> None:
        """The broker: every trigger whose filters accept the event gets it."""
        for trigger in TRIGGERS:
            if matches(trigger.spec.filters, event):
                assert trigger.spec.subscriber.ref is not None
                self.queue.append((trigger.spec.subscriber.ref.name, event, 0))

    def deliver(self) -> None:
        """Until the queue is empty."""
        while self.queue:
            at = self.delivery.shuffle.randrange(len(self.queue)) if self.delivery.shuffle else 0
            name, event, tries = self.queue.pop(at)
            self.call(name, event, tries)

    def call(self, name: str, event: Event, tries: int = 0) -> None:
        try:
            self.functions[name](event)
        except Crash:
            # The event dies with the process: nobody delivers it again.
            self.crashes += 1
            self._start_instances()
        except AbsentError:
            pass
        except RetryableError as error:
            if tries < 3:
                self.queue.append((name, event, tries + 1))
            else:
                self.dead.append((name, event, error))
        except PermanentError as error:
            self.dead.append((name, event, error))

    # time ---------------------------------------------------------------------------------------------------
    def tick(self, seconds: float = 10, *, jobs: bool = True) -> None:
        """One round of everything; without ``jobs``, no Job gets on."""
        ping = Event("tick", "ping", "dev.knative.sources.ping")
        self.call("station-poll", ping)
        self.deliver()
        self.call("sweep", ping)
        self.deliver()
        if jobs:
            self._run_jobs()
        self.clock.advance(seconds)

    def _run_jobs(self) -> None:
        while self.launcher.pending:
            try:
                job = self.launcher.run_one()
            except Crash:
                self.crashes += 1
                continue
            if job is not None and self.delivery.copies(Event("", "", "job")):
                place = parse_work(f"{job.work}order.json")
                assert place is not None
                self.send(job_ended(place[0], job.attempt, self.launcher.states[job.name], ""))
            self.deliver()

    def run(self, ticks: int = 200) -> Account:
        """The session's account, once it is closed."""
        for _ in range(ticks):
            self.tick()
            if self.account is not None and not list(self.memory.list(self.settings.bucket_ledger, keys.OPEN)):
                return self.account
        raise AssertionError(f"the session never closed; its ledger:\n{self.story()}")

    # what came of it ------------------------------------------------------------------------------------------
    @property
    def account(self) -> Account | None:
        """The account in force."""
        return account_in_force(Ledger(self.memory, self.settings.bucket_ledger, self.clock), SESSION)

    def story(self) -> str:
        return "\n".join(info.key for info in self.memory.list(self.settings.bucket_ledger))

    def orders(self) -> list[tuple[str, str]]:
        places = (parse_work(info.key) for info in self.memory.list(self.settings.bucket_ledger))
        return sorted((p[0].step, p[0].unit) for p in places if p is not None and p[1] == "order.json")

    def shelf(self) -> dict[str, tuple[str, ...]]:
        """Product to the digests of its files, each file checked to be there; every manifest has its record."""
        records = [
            self.services.ledger.read(info.key, Published)
            for info in self.memory.list(self.settings.bucket_ledger, "products/")
        ]
        for record in records:
            for file in record.files:
                found = self.memory.head(record.bucket, record.prefix + file.path)
                assert found is not None
                assert found.size == file.size
            assert self.memory.head(record.bucket, record.manifest) is not None
        manifests = [i.key for i in self.memory.list(self.settings.bucket_products) if i.key.endswith("/manifest.json")]
        assert sorted(manifests) == sorted(record.manifest for record in records)
        return {_timeless(r.product): tuple(f.sha256 for f in r.files) for r in records}


def _timeless(product: str) -> str:
    """A product's name without its creation stamp, which is the time of the run."""
    return "_".join(
        part for part in product.split("_") if not part.startswith("2026112") or part.startswith("20261122T0930")
    )


def statuses(entries: Iterable[Any]) -> set[str]:
    return {entry.ended for entry in entries}
