"""Staying on: a tick's request that goes on with its rounds while there is something to watch.

A function that must look every few seconds during a pass, and not at all between passes, is woken rarely; the request
that woke it then stays while sessions are under way, and ends at once where none is. No work goes on outside a
request: a platform may take the processor away from a process that is asked nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from shared.errors import S2psError
from shared.ledger import keys
from shared.ports import Clock

if TYPE_CHECKING:
    from shared.ledger.ledger import Ledger

_LOG: Final = logging.getLogger(__name__)

STOP: Final = threading.Event()
"""Set when this process was asked to end. Set by the server's handler of SIGTERM."""


@dataclass
class Vigil:
    """Rounds of one function, one tick's after the other.

    Args:
        round: one round of work.
        watchful: is there something for which to go on?
        clock: where the time comes from.
        stay_s: how long a tick's request goes on, from the tick's own time; 0: one round.
        interval_s: from the end of one round to the begin of the next.
        wait: waits this many seconds, or less where the process is to end; True where it is.
    """

    round: Callable[[], object]
    watchful: Callable[[], bool]
    clock: Clock
    stay_s: float
    interval_s: float
    wait: Callable[[float], bool] = STOP.wait
    _under_way: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, tick: datetime | None = None) -> int:
        """Go through the rounds of a tick; returns their number, 0 where another tick's request is going through them.

        The stay is counted from ``tick``, the instant at which the tick was sent (default: now): a tick that had to
        wait until an earlier one's request was over stays for what is left of its time, a stale one for one round.

        Raises:
            Exception: what the last round raised. What an earlier round raised is logged, and the rounds go on.
        """
        if not self._under_way.acquire(blocking=False):
            return 0
        try:
            return self._rounds(self._end(tick))
        finally:
            self._under_way.release()

    def _end(self, tick: datetime | None) -> datetime:
        now = self.clock.now()
        return min(now, tick or now) + timedelta(seconds=self.stay_s)

    def _rounds(self, end: datetime) -> int:
        count = 0
        while True:
            failure = self._round()
            count += 1
            left = (end - self.clock.now()).total_seconds()
            if left <= self.interval_s or not self._go_on() or self.wait(self.interval_s):
                break
            if failure is not None:
                _LOG.warning("round %d failed, going on: %s", count, _told(failure), exc_info=_trouble(failure))
        if failure is not None:
            raise failure
        return count

    def _round(self) -> Exception | None:
        try:
            self.round()
        except Exception as error:  # noqa: BLE001 - whatever it is: raised at the end, or logged and gone on from
            return error
        return None

    def _go_on(self) -> bool:
        """Where it cannot be known whether there is something to watch, there may be."""
        try:
            return self.watchful()
        except Exception as error:  # noqa: BLE001 - the next round meets it too, and says it
            _LOG.warning("cannot tell whether to go on, going on: %s", _told(error))
            return True


def sessions_open(ledger: Ledger) -> bool:
    """Is the account of any session still open?"""
    return next(ledger.list(keys.OPEN), None) is not None


def sessions_untold(ledger: Ledger) -> bool:
    """Is any account still open, or one that is closed not told of yet?"""
    return sessions_open(ledger) or next(ledger.list(keys.CLOSED), None) is not None


def session_incoming(ledger: Ledger) -> bool:
    """Is there an open session whose files are not all here?"""
    sessions = (info.key.removeprefix(keys.OPEN) for info in ledger.list(keys.OPEN))
    return any(not ledger.exists(keys.complete(session)) for session in sessions)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _trouble(error: Exception) -> Exception | None:
    """An error that is none of ours is a bug: its traceback goes to the log."""
    return None if isinstance(error, S2psError) else error
