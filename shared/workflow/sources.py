"""Reading, out of the ledger, what the pure plan works on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Final

from shared.errors import BadInputError, ObjectAbsentError
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import FINISHED, Complete, Outcome
from shared.parallel import pool_of
from shared.workflow.plan import Source


def read_source(ledger: Ledger, key: str) -> Source:
    """The complete.json or outcome.json at ``key``. BadInputError for other keys, ObjectAbsentError where it is not."""
    place = keys.parse_work(key)
    if place is not None and place[1] == "outcome.json":
        return Source(key, ledger.read(key, Outcome), place[0].session)
    session = keys.parse_session(key)
    if session is not None and session[1] == "complete.json":
        return Source(key, ledger.read(key, Complete), session[0])
    raise BadInputError("event, subject", "the key of a complete.json or an outcome.json", key)


_READERS: Final = 8
_REMEMBERED: Final = 16


def _there(_key: str) -> bool:
    return True


class Memory:
    """The last few records that never change again, for an instance that is asked about one session many times.

    A ``complete.json`` and the outcome of work that succeeded are final. That of a datastrip's Level 0 names a thousand
    granules, and is asked for with each of its tiles.
    """

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._kept: OrderedDict[str, Complete | Outcome] = OrderedDict()
        self._lock = Lock()

    def find(self, key: str) -> Complete | Outcome | None:
        """The record, where it is remembered."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: str, record: Complete | Outcome | None) -> None:
        """Remember a record, where it is final."""
        if isinstance(record, Complete) or (record is not None and record.status in FINISHED):
            with self._lock:
                self._kept[key] = record
                self._kept.move_to_end(key)
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)


class LedgerRecords:
    """The records of a session for ``shared.workflow.walk``, each read once at most.

    ``listed`` says whether a key is in a listing that was made already: what is not is not asked for. ``memory``: what
    was read for other questions.
    """

    def __init__(self, ledger: Ledger, listed: Callable[[str], bool] = _there, memory: Memory | None = None) -> None:
        self._ledger = ledger
        self._listed = listed
        self._memory = memory or Memory(0)
        self._known: dict[str, Complete | Outcome | None] = {}

    def find(self, key: str) -> Complete | Outcome | None:
        """The record at ``key``, or None. BadInputError where it breaks its model."""
        if key not in self._known:
            self._known[key] = self._read(key) if self._listed(key) else None
        return self._known[key]

    def know(self, source: Source) -> None:
        """A record that was read already."""
        self._known[source.key] = source.record

    def source(self, key: str) -> Source:
        """What readies work, at ``key``. ObjectAbsentError where it has gone."""
        if (record := self.find(key)) is None:
            raise ObjectAbsentError(f"ledger record {key}: it is not there any more")
        place = keys.parse_session(key)
        return Source(key, record, place[0] if place is not None else "")

    def expect(self, wanted: Iterable[str]) -> None:
        """Read these, several at a time. What is wrong with one is for whoever asks for it."""
        unknown = [key for key in dict.fromkeys(wanted) if key not in self._known and self._listed(key)]
        if len(unknown) < _READERS:
            return
        with pool_of(_READERS, len(unknown)) as pool:
            self._known.update(found for found in pool.map(self._try, unknown) if found is not None)

    def _try(self, key: str) -> tuple[str, Complete | Outcome | None] | None:
        """A record with its key; None where it breaks its model."""
        try:
            return key, self._read(key)
        except BadInputError:
            return None

    def _read(self, key: str) -> Complete | Outcome | None:
        found = self._memory.find(key)
        if found is None:
            raw = keys.parse_work(key) is None
            found = self._ledger.find(key, Complete) if raw else self._ledger.find(key, Outcome)
            self._memory.keep(key, found)
        return found
