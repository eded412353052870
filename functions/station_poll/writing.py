"""What a poll writes of one session: its marker and deadline, files seen, files refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from functions.station_poll.changes import Changes, Known
from shared.bootstrap import Services
from shared.domain.strategy import Subject
from shared.errors import ObjectAbsentError
from shared.ledger import keys
from shared.ledger.records import OpenMarker, Refusal, Seen, timer_due
from shared.ports import StationFile

TIMER: Final = "session-incomplete"
_WRITERS: Final = 4
_log: Final = logging.getLogger(__name__)


@dataclass
class Memory:
    """An open session as one instance remembers it."""

    station: str
    files: dict[str, Known] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True)
class Writer:
    """Writes of one poll about one session, all under one trace context."""

    services: Services
    session: str
    memory: Memory
    trace: str

    def begin(self, satellite: str) -> bool:
        """Open the session; False where it is open already. The timer first: what is open always has its deadline."""
        services, now = self.services, self.services.clock.now()
        due = now + timedelta(seconds=self._wait_s(satellite))
        timer = timer_due(now, due, TIMER, self.session, traceparent=self.trace)
        services.ledger.create(keys.timer(due, TIMER, self.session), timer)
        marker = OpenMarker(
            created=now,
            traceparent=self.trace,
            session=self.session,
            station=self.memory.station,
            satellite=satellite,
        )
        return services.ledger.create(keys.open_marker(self.session), marker)

    def _wait_s(self, satellite: str) -> float:
        """How long is waited for the rest of it, by the strategy that is active now, s."""
        services = self.services
        subject = Subject(self.session, satellite, self.memory.station, when=services.clock.now())
        return services.active_ruling(subject).whole.decision.session_wait_s or services.settings.session_wait_s

    def write(self, found: Changes, refused: list[tuple[str, str]]) -> None:
        """All records of a poll, several at a time, oldest files first; each is tried, then a failure is raised."""
        tasks: list[Callable[[], None]] = [partial(self._refuse, *item) for item in refused]
        tasks += [partial(self._create, file) for file in sorted(found.new, key=_by_time)]
        tasks += [partial(self._replace, file) for file in sorted(found.changed, key=_by_time)]
        with ThreadPoolExecutor(_WRITERS) as pool:
            futures = [pool.submit(task) for task in tasks]
        for future in futures:
            future.result()

    def _refuse(self, file: str, reason: str) -> None:
        record = Refusal(
            created=self.services.clock.now(),
            traceparent=self.trace,
            session=self.session,
            file=file if file.isascii() and file.isprintable() else repr(file),
            reason=reason,
        )
        if self.services.ledger.create(keys.refusal(self.session, file, reason), record):
            _log.warning("session %s: %r refused: %s", self.session, file, reason)
        self.memory.refused.add((file, reason))

    def _create(self, file: StationFile) -> None:
        if self.services.ledger.create(keys.seen(self.session, file.name), self._seen(file)):
            self.memory.files[file.name] = Known.of(file)
        else:
            self._replace(file)

    def _replace(self, file: StationFile) -> None:
        """Where another instance wrote meanwhile, its word is taken, and compared by the next poll."""
        ledger, key = self.services.ledger, keys.seen(self.session, file.name)
        try:
            record, etag = ledger.read_with_etag(key, Seen)
        except ObjectAbsentError:
            return
        known = Known.of(record)
        if known == self.memory.files.get(file.name) and ledger.replace(key, self._seen(file), etag):
            known = Known.of(file)
        self.memory.files[file.name] = known

    def _seen(self, file: StationFile) -> Seen:
        return Seen(
            created=self.services.clock.now(),
            traceparent=self.trace,
            session=self.session,
            file=file.name,
            station=self.memory.station,
            tree=file.tree,
            satellite=file.satellite,
            path=file.path,
            size=file.size,
            modified=file.modified,
        )


def _by_time(file: StationFile) -> tuple[datetime, str]:
    return file.modified, file.name
