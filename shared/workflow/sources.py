"""Reading, out of the ledger, what the pure plan works on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Complete, Outcome
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


def _there(_key: str) -> bool:
    return True


class LedgerRecords:
    """The records of a session for ``shared.workflow.walk``, each read once at most.

    ``listed`` says whether a key is in a listing that was made already: what is not is not asked for.
    """

    def __init__(self, ledger: Ledger, listed: Callable[[str], bool] = _there) -> None:
        self._ledger = ledger
        self._listed = listed
        self._known: dict[str, Complete | Outcome | None] = {}

    def find(self, key: str) -> Complete | Outcome | None:
        """The record at ``key``, or None. BadInputError where it breaks its model."""
        if key not in self._known:
            self._known[key] = self._read(key) if self._listed(key) else None
        return self._known[key]

    def know(self, source: Source) -> None:
        """A record that was read already."""
        self._known[source.key] = source.record

    def expect(self, wanted: Iterable[str]) -> None:
        """Read these, several at a time."""
        keys_ = [key for key in dict.fromkeys(wanted) if key not in self._known and self._listed(key)]
        if len(keys_) < 2:
            return
        with ThreadPoolExecutor(_READERS) as pool:
            self._known.update(zip(keys_, pool.map(self._read, keys_), strict=True))

    def _read(self, key: str) -> Complete | Outcome | None:
        if keys.parse_work(key) is None:
            return self._ledger.find(key, Complete)
        return self._ledger.find(key, Outcome)
