"""A breaker between the service and an endpoint that is down: a store, a station, a delivery point.

While an endpoint is down, each call to it costs its time-outs and its retries, and every event of the service waits for
them. After some failures one after the other the breaker opens: calls fail at once, with the same retryable error as
before, and nothing is sent. After a pause one call is let through to see; it closes the breaker, or begins a pause of
twice the length, up to a bound. What was refused here was never sent: a conditional write that is refused has surely
not been written.

A breaker belongs to one adapter of one process, and so to one endpoint. That it opened, and that it closed, is one line
in the log each.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import Final

from shared.errors import RetryableError

FAILURES: Final = 3
"""So many failures one after the other open a breaker."""

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
_GATEWAY: Final = frozenset({502, 503, 504})
"""What stands before a server says that it is down. Any other answer, 500 too, is of one that is there."""

_log: Final = logging.getLogger(__name__)


class Breaker:
    """The breaker before ``what``. Thread-safe.

    Args:
        what: the endpoint, in words.
        error: what a call is refused with while it is open.
        clock: seconds that only grow.
    """

    def __init__(self, what: str, error: type[RetryableError], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.what, self._error, self._clock = what, error, clock
        self._lock = Lock()
        self._failures = 0
        self._pause_s = 0.0
        self._until = 0.0
        self._trying = False

    @property
    def open(self) -> bool:
        """Whether calls are refused, but for the one that tries."""
        return self._pause_s > 0

    def admit(self) -> None:
        """Before a call. Raises the breaker's error while it is open, and it is not time to try again.

        Who is let through to try keeps all others out for another pause, unless it tells before how it went.
        """
        with self._lock:
            if not self.open:
                return
            left = self._until - self._clock()
            if left > 0:
                raise self._error(f"{self.what}: it is down, and asked again in {left:.0f} s")
            self._until, self._trying = self._clock() + self._pause_s, True

    def worked(self) -> None:
        """A call was answered."""
        with self._lock:
            was_open, self._failures, self._pause_s, self._trying = self.open, 0, 0.0, False
        if was_open:
            _log.warning("%s answers again", self.what)

    def undecided(self) -> None:
        """A call was answered in a way that tells nothing: where it was let through to try, the next one is."""
        with self._lock:
            if self._trying:
                self._until, self._trying = self._clock(), False

    def failed(self) -> None:
        """A call was not answered, or by a gateway that says so."""
        with self._lock:
            self._failures += 1
            if self._failures < FAILURES:
                return
            was_open = self.open
            if was_open and not self._trying:
                return  # a call that was under way when it opened
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S) if was_open else FIRST_PAUSE_S
            self._until, self._trying = self._clock() + self._pause_s, False
        if not was_open:
            _log.warning(
                "%s: %d failures one after the other; until it answers again, calls fail at once", self.what, FAILURES
            )

    def answered(self, status: int) -> None:
        """An HTTP answer came."""
        if status in _GATEWAY:
            self.failed()
        else:
            self.worked()
