"""The console over a store in memory: the commands themselves, with their real options and printing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from functions.cli.main import main
from functions.cli.options import Where
from functions.cli.places import Place
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.ledger import keys
from shared.ledger.keys import WorkKey
from shared.ledger.records import Attempt, AttemptEnded, Complete, Hold, OpenMarker, Order, Outcome, Record
from shared.settings import Settings

SESSION = "S2A_20261122100000057405"
T0 = datetime(2026, 11, 22, 10, tzinfo=UTC)


@dataclass
class StillClock:
    """A clock that stands where it is put."""

    instant: datetime = T0

    def now(self) -> datetime:
        return self.instant


class CountingStore(MemoryStore):
    """A store that counts what it is asked for."""

    def __init__(self, clock: StillClock) -> None:
        super().__init__(clock)
        self.calls: Counter[str] = Counter()

    def get(self, bucket: str, key: str) -> Any:
        self.calls["get"] += 1
        return super().get(bucket, key)

    def head(self, bucket: str, key: str) -> Any:
        self.calls["head"] += 1
        return super().head(bucket, key)

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Any:
        self.calls["list"] += 1
        return super().list(bucket, prefix, start_after=start_after)


@dataclass
class Desk:
    """A console, its clock, and the ledger that it reads. Records are written at the clock's time."""

    clock: StillClock = field(default_factory=StillClock)

    def __post_init__(self) -> None:
        self.store = CountingStore(self.clock)
        self.services = Services(Settings(), self.clock)
        vars(self.services).update(store=self.store)

    @property
    def place(self) -> Place:
        return Place("store", "memory", self.services, ("-n", "test"))

    def run(self, *arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    def ask(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*arguments, "-o", "json").stdout)
        return found

    def at(self, minutes: float) -> None:
        self.clock.instant = T0 + timedelta(minutes=minutes)

    def write(self, key: str, record: Record) -> None:
        self.store.put(self.services.settings.bucket_ledger, key, record.to_json())

    def open(self, session: str = SESSION) -> None:
        self.write(
            keys.open_marker(session),
            OpenMarker(created=self.clock.now(), session=session, station="SGS_", satellite="S2A"),
        )

    def complete(self, session: str = SESSION, **more: Any) -> Complete:
        record = Complete(
            created=self.clock.now(), session=session, station="SGS_", satellite="S2A", t0=T0, files=(), **more
        )
        self.write(keys.complete(session), record)
        return record

    def order(self, step: str = "l1c", unit: str = "DT01-T32TMQ", digest: str = "", session: str = SESSION) -> WorkKey:
        place = WorkKey(session, step, unit, digest or f"{len(self.store._objects):x}".ljust(64, "a"))
        record = Order(
            created=self.clock.now(), session=session, step=step, unit=unit, digest=place.digest, processor="P",
            version="1", inputs=(), parameters={}, t0=T0, deadline=T0 + timedelta(minutes=75),
        )  # fmt: skip
        self.write(place.order, record)
        return place

    def attempt(self, place: WorkKey, number: int = 1) -> None:
        record = Attempt(
            created=self.clock.now(), number=number, job=place.job_name(number), cpus=1, memory_mb=1, time_limit_s=600
        )
        self.write(place.attempt(number), record)

    def end(self, place: WorkKey, number: int = 1, *, status: Any = "retry", reason: str = "it hung") -> None:
        record = AttemptEnded(
            created=self.clock.now(), number=number, status=status, reason=reason,
            retry_at=self.clock.now() + timedelta(seconds=30),
        )  # fmt: skip
        self.write(place.ended(number), record)

    def outcome(self, place: WorkKey, status: Any = "succeeded", reason: str = "") -> None:
        now = self.clock.now()
        record = Outcome(
            created=now, step=place.step, unit=place.unit, attempt=1, status=status, reason=reason, started=now,
            finished=now,
        )  # fmt: skip
        self.write(place.outcome, record)

    def hold(self, key: str, target: str, **more: Any) -> None:
        record = Hold(
            created=self.clock.now(), session=SESSION, target=target, who="ana@ops", reason="bad weather", **more
        )
        self.write(key, record)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A console that looks at a store in memory, wherever it is told to look."""
    found = Desk()

    @contextmanager
    def opened(_where: Where, _environment: Any = None) -> Iterator[Place]:
        yield found.place

    monkeypatch.setattr("functions.cli.places.opened", opened)
    return found
