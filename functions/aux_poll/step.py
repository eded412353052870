"""Auxiliary poll: list what each AUXIP has published, and take in what is not here, oldest publication first."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import Final

from functions.aux_poll.listing import Lister
from functions.aux_poll.records import Pending, Refused, pending_prefix, refused_key
from shared.auxiliary.intake import Delivery, Intake
from shared.auxiliary.table import load_types
from shared.auxiliary.unpacking import Limits
from shared.bootstrap import Services
from shared.errors import AbsentError, BadInputError, IntegrityError, RetryableError, S2psError, StationUnavailableError
from shared.ledger.ledger import Ledger
from shared.telemetry import span

_log: Final = logging.getLogger(__name__)
_MIB: Final = 1 << 20
_AT_A_TIME: Final = 4
_FIRST_PAUSE_S: Final = 20.0
_LONGEST_PAUSE_S: Final = 120.0
_MOST_TRIES: Final = 6
_ABOUT_THE_PRODUCT: Final = (BadInputError, IntegrityError, AbsentError)
"""After so many tries with such errors a product is refused. What may pass is tried for ever, with pauses."""


@dataclass
class AuxPoll:
    """Polls with the memory of one instance; what is forgotten is listed and looked up again."""

    services: Services
    _busy: Lock = field(default_factory=Lock)

    def run(self) -> int:
        """Poll all sources once; returns how many files became usable.

        One source's trouble does not keep the others from being polled: it is raised at the end. A source that is away
        is no trouble, but one warning: the next tick asks it again. What a file meets while it is taken in is written
        down, and it is tried again. A poll that finds another under way leaves the work to it.
        """
        if not self._busy.acquire(blocking=False):
            return 0
        try:
            return self._poll()
        finally:
            self._busy.release()

    def _poll(self) -> int:
        started, failures = self.services.clock.now(), list[S2psError]()
        for name, lister in self._listers.items():
            with span("aux_poll", attributes={"s2ps.source": name}) as here:
                try:
                    new = lister.run(here.traceparent)
                    _log.debug("AUXIP %s: %d new", name, new)
                except StationUnavailableError as error:
                    _log.warning("AUXIP %s is away, asked again by the next poll: %s", name, error)
                except S2psError as error:
                    failures.append(error)
        taken = self._take_in(started + timedelta(seconds=self.services.settings.aux_budget_s))
        _raise(failures)
        return taken

    @cached_property
    def intake(self) -> Intake:
        settings = self.services.settings
        limits = Limits(files=settings.aux_most_files, size=settings.aux_unpacked_mb * _MIB)
        return Intake(
            self.services.store,
            settings.bucket_auxiliary,
            self.services.clock,
            load_types(),
            limits,
            settings.aux_largest_mb * _MIB,
            ledger=self.services.ledger,
        )

    @cached_property
    def records(self) -> Ledger:
        """The poll's own records, as a ledger in the bucket of auxiliary files."""
        return Ledger(self.services.store, self.services.settings.bucket_auxiliary, self.services.clock)

    @cached_property
    def _listers(self) -> dict[str, Lister]:
        named = {each.name: each for each in self.services.settings.auxip}
        return {
            name: Lister(source, named[name], self.intake, self.records) for name, source in self.services.auxip.items()
        }

    def _take_in(self, until: datetime) -> int:
        """Take in what is pending, several at a time; none is begun once the poll's time is over."""

        def one(key: str) -> bool:
            now = self.services.clock.now()
            pending = self.records.find(key, Pending) if now < until else None
            if pending is None or (pending.not_before is not None and pending.not_before > now):
                return False
            return self._take(key, pending)

        prefixes = [pending_prefix(source) for source in self.services.auxip]
        keys = [info.key for prefix in prefixes for info in self.records.list(prefix)]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return sum(pool.map(one, sorted(keys, key=lambda key: key.rpartition("/")[2])))

    def _take(self, key: str, pending: Pending) -> bool:
        """Take one product in; False where it is here already, or has to be tried again, or is refused."""
        what = f"AUXIP {pending.source}, {pending.file}"
        attributes = {"s2ps.source": pending.source, "s2ps.file": pending.file}
        with span("aux_intake", traceparent=pending.traceparent, attributes=attributes) as here:
            try:
                name = self.intake.name_of(pending.file)
                taken = not self.intake.catalogue.has(name)
                if taken:
                    chunks = self.services.auxip[pending.source].read(pending.id)
                    self.intake.take(_delivery(pending), chunks, here.traceparent)
            except S2psError as error:
                self._put_off(key, pending, error)
                return False
        self.records.delete(key)
        if taken and pending.published is not None:
            waited = (self.services.clock.now() - pending.published).total_seconds()
            _log.info("%s is usable, %.0f s after its publication", what, waited)
        return taken

    def _put_off(self, key: str, pending: Pending, error: S2psError) -> None:
        tries, now = pending.tries + 1, self.services.clock.now()
        _log.warning("AUXIP %s, %s, try %d: %s", pending.source, pending.file, tries, error)
        if tries >= _MOST_TRIES and isinstance(error, _ABOUT_THE_PRODUCT):
            refusal = Refused(
                created=now,
                traceparent=pending.traceparent,
                source=pending.source,
                id=pending.id,
                file=pending.file,
                tries=tries,
                reason=str(error),
            )
            self.records.create(refused_key(pending.source, pending.id), refusal)
            self.records.delete(key)
            return
        pause = min(_FIRST_PAUSE_S * 2 ** min(tries - 1, 10), _LONGEST_PAUSE_S)
        later = {"tries": tries, "not_before": now + timedelta(seconds=pause), "trouble": str(error)[:500]}
        again = pending.model_copy(update=later)
        self.records.store.put(self.records.bucket, key, again.to_json())


def _delivery(pending: Pending) -> Delivery:
    return Delivery(
        pending.file, pending.source, pending.id, pending.published, pending.size, pending.md5, pending.sha256
    )


def _raise(failures: list[S2psError]) -> None:
    """What may pass comes before what will not: the sender tries again for the former only."""
    for error in failures:
        _log.warning("auxiliary poll: %s", error)
    for error in sorted(failures, key=lambda error: not isinstance(error, RetryableError)):
        raise error
