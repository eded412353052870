"""What the actions share: targets, the record of who did what, opening an account again, waking functions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from shared.bootstrap import Services
from shared.errors import BadInputError, NotReadyError, ObjectAbsentError
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords, sort_work
from shared.ledger.keys import WorkKey, parse_work
from shared.ledger.records import Action, Complete, OpenMarker, Record, Reopened, Seen, timer_due
from shared.ledger.standing import REOPENED, SUBMITTED, marker_of, reopenings
from shared.ports import ObjectInfo

_WHO_LENGTH: Final = 128
_REASON_LENGTH: Final = 500
_TRIES: Final = 5
_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Done:
    """What was done about ``target``: ``changes`` are the records written, ``note`` says what comes of it."""

    action: str
    target: str
    changes: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Target:
    """A session, or one work item of it (``place``), with the session's records by key."""

    session: str
    place: WorkKey | None
    listing: dict[str, ObjectInfo]

    @property
    def name(self) -> str:
        return self.session if self.place is None else self.place.prefix

    @property
    def work(self) -> list[WorkRecords]:
        """The target's work items: all of the session's, or the one."""
        found = sort_work(self.listing.values())
        if self.place is None:
            return list(found.values())
        return [found[self.place.prefix]] if self.place.prefix in found else []


def find_target(services: Services, target: str) -> Target:
    """A session by its id, or a work item by its ledger prefix. ObjectAbsentError where nothing is known of it."""
    trimmed = target.strip("/")
    work = parse_work(f"{trimmed}/order.json")
    session = work[0].session if work else trimmed.removeprefix("sessions/")
    if keys.safe_name(session) != session:
        raise BadInputError("target", "a session, or a work item (sessions/<s>/work/<step>/<unit>/<digest>/)", target)
    listing = {info.key: info for info in services.ledger.list(keys.session(session))}
    if not listing and not services.ledger.exists(keys.open_marker(session)):
        raise ObjectAbsentError(f"session {session}: the ledger knows nothing of it")
    if work and listing.keys().isdisjoint({work[0].order, work[0].waiting, work[0].outcome}):
        raise ObjectAbsentError(f"work {work[0].prefix}: it was never ordered")
    return Target(session, work[0] if work else None, listing)


@dataclass
class Deed:
    """One action under way. Every write goes through here: a dry run writes nothing, and says the same."""

    services: Services
    action: str
    session: str
    who: str
    reason: str
    dry_run: bool
    changes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, text, limit in (("who", self.who, _WHO_LENGTH), ("reason", self.reason, _REASON_LENGTH)):
            if not text.strip() or not text.isprintable() or len(text) > limit:
                raise BadInputError(name, f"1 to {limit} printable characters", text)
        self.now = self.services.clock.now()
        self.trace = self.services.trace(self.session) if self.session else ""

    def begin(self, target: str, concerns: tuple[str, ...] = ()) -> None:
        """Write down who asked for what and why, before anything is changed."""
        record = Action(
            created=self.now,
            traceparent=self.trace,
            action=self.action,
            target=target,
            who=self.who,
            reason=self.reason,
            concerns=concerns,
        )
        said = f"{self.action}\x1f{target}\x1f{self.who}\x1f{self.reason}"
        digest = hashlib.sha256(said.encode()).hexdigest()[:12]
        self.write(keys.action(self.session, self.now, self.action, digest), record)

    def write(self, key: str, record: Record) -> bool:
        """Create a record; False where one was there."""
        ledger = self.services.ledger
        written = not ledger.exists(key) if self.dry_run else ledger.create(key, record)
        if written:
            self.changes.append(key)
        return written

    def replace(self, key: str, record: Record, etag: str) -> None:
        """Replace the record that has ``etag``. NotReadyError where it has changed meanwhile."""
        if not self.dry_run and not self.services.ledger.replace(key, record, etag):
            raise NotReadyError(f"ledger record {key}: somebody changed it meanwhile; look at it, and decide anew")
        self.changes.append(key)

    def all(self, do: Callable[[WorkRecords], object], work: Sequence[WorkRecords]) -> None:
        """Do something about each work item, several at a time."""
        with ThreadPoolExecutor(_THREADS) as pool:
            for future in [pool.submit(do, item) for item in work]:
                future.result()

    def done(self, target: str, note: str) -> Done:
        """What was done since the last ``done``."""
        changes, self.changes = tuple(self.changes), []
        return Done(self.action, target, changes, note)

    def again(self, key: str) -> bool:
        """Write the record at ``key`` with its own bytes, so that the store announces it; False where it has gone."""
        store, bucket = self.services.store, self.services.ledger.bucket
        for _ in range(_TRIES):
            info = store.head(bucket, key)
            if info is None:
                return False
            body, read = store.get(bucket, key)
            if read.etag != info.etag:
                continue
            if self.dry_run or store.put_if(bucket, key, body, info.etag, metadata=info.metadata):
                self.changes.append(key)
                return True
        raise NotReadyError(f"ledger record {key}: it changes all the time; the same command can be given again")

    def start(self, made: Complete) -> None:
        """Let the processing of a session begin that no station sends. NotReadyError where it has begun otherwise.

        The timer comes first: once ``complete.json`` is there, a sweep puts down the marker that was not written.
        """
        timer = timer_due(self.now, self.now, SUBMITTED, made.session, traceparent=made.traceparent)
        self.write(keys.timer(self.now, SUBMITTED, made.session), timer)
        key = keys.complete(made.session)
        if not self.write(key, made):
            there = self.services.ledger.read(key, Complete)
            if (there.given, there.strategy) != (made.given, made.strategy):
                raise NotReadyError(f"session {made.session}: somebody submitted it meanwhile; give the command again")
        self.write(keys.open_marker(made.session), marker_of(made, self.now))

    def reopen(self, target: Target, *, incomplete: bool = False) -> None:
        """Open the session's account again. To be called when all else that this action changes is written.

        The timer comes first and stays until an account that knows of this reopening is in force: whatever happens
        after the reopening is written, a sweep finds the session, and puts back the marker that a late closing removed.
        """
        ledger, session = self.services.ledger, self.session
        station, satellite = _origin(self.services, target)
        while True:
            number = reopenings(ledger, session) + 1
            timer = timer_due(self.now, self.now, REOPENED, session, str(number), self.trace)
            self.write(keys.timer(self.now, REOPENED, f"{session}-{number}"), timer)
            former = self._copy_account(number)
            record = Reopened(
                created=self.now,
                traceparent=self.trace,
                session=session,
                number=number,
                action=self.action,
                who=self.who,
                reason=self.reason,
                station=station,
                satellite=satellite,
                incomplete=incomplete,
            )
            if self.write(keys.reopened(session, number), record):
                break
        self._remove_account(former)
        self.write(keys.open_marker(session), marker_of(record, self.now))

    def _copy_account(self, number: int) -> str:
        """Keep the account that is there; returns its etag, empty where there is none."""
        store, bucket, key = self.services.store, self.services.ledger.bucket, keys.account(self.session)
        try:
            body, info = store.get(bucket, key)
        except ObjectAbsentError:
            return ""
        former = keys.former_account(self.session, number)
        if self.dry_run or store.put_new(bucket, former, body, metadata=info.metadata):
            self.changes.append(former)
        return info.etag

    def _remove_account(self, etag: str) -> None:
        """Readers that ask for the account alone are to find none. It is superseded already: this is for them only."""
        key = keys.account(self.session)
        info = self.services.store.head(self.services.ledger.bucket, key)
        if info is None or info.etag != etag:
            return
        if not self.dry_run:
            self.services.ledger.delete(key)
        self.changes.append(key)


def _origin(services: Services, target: Target) -> tuple[str, str]:
    """Station and satellite of a session, from whichever record tells them."""
    ledger, session = services.ledger, target.session
    marker = ledger.find(keys.open_marker(session), OpenMarker)
    if marker is not None:
        return marker.station, marker.satellite
    complete = ledger.find(keys.complete(session), Complete)
    if complete is not None:
        return complete.station, complete.satellite
    for key in target.listing:
        if key.startswith(f"{keys.session(session)}seen/"):
            seen = ledger.read(key, Seen)
            return seen.station, seen.satellite
    return "", ""
