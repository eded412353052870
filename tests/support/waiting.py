"""Many work items that wait for auxiliary files, and the requests that an event makes of the store among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from functions.job_preparation.step import prepare
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import TIMER_DUE, Event, object_created
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.keys import WorkKey
from shared.ledger.provision import Awaiter, Waiting, awaiter, place_of
from shared.ledger.records import Artifact, Complete, Outcome, SessionChunk
from shared.settings import Settings
from tests.support.auxiliary import AWAITING, for_l0u
from tests.support.house import START, VirtualClock

PAGE: Final = 1000
"""Keys in one answer of a listing."""
AWAITED: Final = "GIP_ATMIMA"
THERE: Final = ("GIP_DATATI", "GIP_ATMSAD", "AUX_UT1UTC")


@dataclass
class CountingStore:
    """The in-memory store; counts requests by their kind, of a listing each page."""

    inner: MemoryStore
    requests: Counter[str] = field(default_factory=Counter)

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[Any]:
        self.requests["list"] += 1
        for number, info in enumerate(self.inner.list(bucket, prefix, start_after=start_after)):
            if number and number % PAGE == 0:
                self.requests["list"] += 1
            yield info

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.inner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.requests[name] += 1
            return real(*args, **kwargs)

        return counted


def session_named(number: int) -> str:
    """A session id; the number stands for its orbit."""
    return f"S2A_20261122100000{number:06d}"


def complete(services: Services, number: int) -> int:
    """A session becomes complete, and is prepared; returns how many orders that makes."""
    session, bucket = session_named(number), services.settings.bucket_ledger
    record = Complete(
        created=START,
        session=session,
        station="SGS_",
        satellite="S2A",
        t0=START,
        pass_stop=START + timedelta(minutes=8),
        files=(SessionChunk(name="a.raw", key="a.raw", channel=1, size=1, sha256="0" * 64),),
    )
    services.ledger.create(keys.complete(session), record)
    return prepare(object_created(bucket, keys.complete(session), "e"), services)


def item(services: Services, number: int) -> WorkKey:
    """The work item of a session."""
    (found,) = sort_work(services.ledger.list(f"{keys.session(session_named(number))}work/")).values()
    return found.place


@dataclass
class Crowd:
    """``waiting`` work items, a session each, that lack a file of type ``AWAITED``."""

    waiting: int

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.memory = MemoryStore(self.clock)
        self.store = CountingStore(self.memory)
        self.services = Services(Settings(processor_set=str(AWAITING)), self.clock)
        vars(self.services).update(store=self.store)
        for_l0u(self.services, *THERE)
        if self.waiting:
            self._fill()

    def _fill(self) -> None:
        """The first one waits by what the service does; the others are its records under other sessions' names."""
        self.complete(0)
        first = self.services.ledger.read(self.item(0).waiting, Waiting)
        for number in range(1, self.waiting):
            order = first.order.model_copy(update={"session": session_named(number), "unit": session_named(number)})
            self.put(first.model_copy(update={"order": order}))

    def put(self, record: Waiting) -> None:
        """Write what a waiting work item has in the ledger, its timer apart."""
        place = place_of(record.order)
        self.services.ledger.create(place.waiting, record)
        entry = Awaiter(created=record.created, traceparent=record.traceparent, work=place.prefix)
        for kind in record.types:
            self.services.ledger.create(awaiter(kind, place), entry)

    def complete(self, number: int) -> int:
        """A session becomes complete, and is prepared; returns how many orders that makes."""
        return complete(self.services, number)

    def item(self, number: int) -> WorkKey:
        """The work item of a session."""
        return item(self.services, number)

    def orders(self) -> int:
        """How many of all work items have their order."""
        return sum(info.key.endswith("/order.json") for info in self.memory.list("s2-ledger", "sessions/"))

    def arrival(self, kind: str = AWAITED) -> Counter[str]:
        """The requests of the event that a file of this type has come."""
        return self.requests(object_created("s2-ledger", f"arrivals/{kind}.json", "e"))

    def outcome(self, number: int) -> Counter[str]:
        """The requests of the event that the work item of a session, which is complete, has its outcome."""
        place, now = self.item(number), self.clock.now()
        made = Artifact(file_type="PDI_L0U", name="DT01", bucket="b", prefix="p/", digest="1" * 64, size=1, unit="DT01")
        record = Outcome(
            created=now,
            step=place.step,
            unit=place.unit,
            attempt=1,
            status="succeeded",
            started=now,
            finished=now,
            outputs=(made,),
            units={"datastrip": ("DT01",)},
        )
        self.services.ledger.create(place.outcome, record)
        return self.requests(object_created("s2-ledger", place.outcome, "e"))

    def timer(self, number: int) -> Counter[str]:
        """The requests of the event that the wait of a work item is over."""
        subject, due = self.item(number).waiting, self.clock.now()
        data = {"key": "timers/20261122T1010/auxiliary-1.json", "session": session_named(number), "subject": subject}
        return self.requests(Event("e", "timers", TIMER_DUE, "auxiliary", due, {**data, "due": due.isoformat()}))

    def requests(self, event: Event) -> Counter[str]:
        """What one event asks of the store."""
        self.store.requests.clear()
        prepare(event, self.services)
        return Counter(self.store.requests)
