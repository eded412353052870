"""Which work items are to ask again for their auxiliary files: the sweep's view, from the records alone."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.auxiliary.catalogue import Catalogue
from shared.bootstrap import Services
from shared.errors import BadInputError
from shared.ledger.provision import WAITING, Awaiter, Waiting, awaiter, place_of
from shared.ports import ObjectInfo

_log: Final = logging.getLogger(__name__)


@dataclass
class AwaitedFiles:
    """Remembers what ``waiting.json`` records say, by etag; losing the memory costs reads, nothing else."""

    services: Services
    _known: dict[tuple[str, str], Waiting] = field(default_factory=dict)
    _marks: dict[str, str] = field(default_factory=dict)
    _listed: dict[str, str] = field(default_factory=dict)

    def begin(self) -> None:
        """A new sweep: the catalogue is looked at anew, once for each type that somebody waits for."""
        self._marks.clear()
        self._listed.clear()

    def again(self, waiting: Iterable[ObjectInfo], now: datetime) -> Iterator[ObjectInfo]:
        """Those records of ``waiting`` (``waiting.json`` of work without order and outcome) whose work is to ask again.

        Its wait is over, or the catalogue holds other files of a type than when it last asked: an event was lost. A
        record that cannot be read is announced as well: whoever reads it refuses it by name.
        """
        listed = {(info.key, info.etag): info for info in waiting}
        waits = {key for key, _ in listed}
        for mark in [mark for mark in self._known if mark[0] in waits and mark not in listed]:
            del self._known[mark]
        for mark, info in listed.items():
            try:
                record = self._known.get(mark) or self.services.ledger.read(info.key, Waiting)
            except BadInputError as error:
                _log.warning("sweep: %s", error)
                yield info
                continue
            self._known[mark] = record
            place = place_of(record.order)
            self._listed.update((awaiter(kind, place), place.prefix) for kind in record.types)
            if now >= record.until or any(self._mark(kind) != record.marks.get(kind) for kind in record.types):
                yield info

    def heal(self, now: datetime, grace: timedelta) -> None:
        """Make the lists of those that wait for a type what the records say; ``again`` has seen all open sessions.

        What was listed less than ``grace`` ago stays: its record may be younger than what was seen.
        """
        ledger = self.services.ledger
        there = {info.key: info for info in ledger.list(WAITING)}
        for key in self._listed.keys() - there.keys():
            ledger.create(key, Awaiter(created=now, work=self._listed[key]))
        for key in there.keys() - self._listed.keys():
            if there[key].modified + grace <= now:
                ledger.delete(key)

    def forget(self, session: str) -> None:
        """A session was closed."""
        for mark in [mark for mark in self._known if mark[0].startswith(f"sessions/{session}/")]:
            del self._known[mark]

    def _mark(self, kind: str) -> str:
        if kind not in self._marks:
            catalogue = Catalogue(self.services.store, self.services.settings.bucket_auxiliary)
            self._marks[kind] = catalogue.mark(kind)
        return self._marks[kind]
