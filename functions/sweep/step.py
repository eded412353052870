"""The sweep: rule 4's guarantee. What an open session lacks is found by listing, and its event is sent again.

Its cost grows with what is in flight: closed sessions are never looked at, and within an open one a record whose
consequences were once all seen is not read again by this instance. What is needed for open sessions, timers and
accounts is loaded when there are some: most ticks find none, and each of them may start an instance.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from functions.sweep.events import again, job_ended
from shared.bootstrap import Services
from shared.domain.events import TIMER_DUE, Event, event_id
from shared.errors import ObjectAbsentError, PermanentError, RetryableError
from shared.ledger import keys
from shared.ledger.provision import ARRIVALS, WAITING, parse_arrival
from shared.ledger.records import Account, Complete, Reopened, Timer
from shared.ledger.standing import REOPENED, SUBMITTED, marker_of
from shared.telemetry import metrics

if TYPE_CHECKING:
    from functions.sweep.sessions import Sessions

__all__ = ["Sweep", "job_ended"]

_log: Final = logging.getLogger(__name__)
# So many events in a row that the broker could not take: it is not the events' fault.
_BROKER_IS_DOWN: Final = 10
# The timer of a reopening that was never written (an operator's command that was cut off) is kept this long.
_FORGET: Final = timedelta(hours=1)


class Sweep:
    """Sweeps with the memory of one instance; losing the memory costs reads, nothing else."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._in_a_row = 0
        # There is nothing to remember before the first open session.
        self._sessions: Sessions | None = None
        # Timers, by their keys, of planned passes whose time is over.
        self._passes: dict[str, str] = {}

    def run(self) -> int:
        """One sweep over all open sessions and due timers; returns how many events were sent again.

        What is wrong with one session (a record that cannot be read, an event that the broker refuses or cannot
        deliver) or one timer does not keep the others from being swept, nor does a cluster that does not say how Jobs
        stand: it is raised at the end. A broker that takes nothing ends the sweep.
        """
        failures: list[PermanentError | RetryableError] = []
        self._in_a_row = 0
        sent = self._send(self._timers(failures), failures)
        sent += self._send(self._arrivals(), failures)
        sessions = [info.key.removeprefix(keys.OPEN) for info in self._services.ledger.list(keys.OPEN)]
        looked = self._look(sessions)
        if looked is not None:
            for session in sessions:
                sent += self._send(looked.lacking(session), failures)
        sent += self._promise(looked, failures)
        if not failures:
            self._heal(looked)
        for failure in (*failures, *(looked.unanswered if looked is not None else ())):
            raise failure
        return sent

    def _look(self, sessions: list[str]) -> Sessions | None:
        """Who looks at open sessions; None where this instance has seen none."""
        if self._sessions is None and sessions:
            from functions.sweep.sessions import Sessions

            self._sessions = Sessions(self._services)
        if self._sessions is None:
            metrics.measure(metrics.OPEN, 0)
        else:
            self._sessions.begin(sessions)
        return self._sessions

    def _heal(self, looked: Sessions | None) -> None:
        """Make the lists of work that waits for auxiliary files what the records of all open sessions say."""
        now, grace = self._services.clock.now(), timedelta(seconds=self._services.settings.sweep_grace_s)
        if looked is not None:
            looked.files.heal(now, grace)
        elif any(True for _ in self._services.ledger.list(WAITING)):
            from shared.auxiliary.awaited import AwaitedFiles

            AwaitedFiles(self._services).heal(now, grace)

    def _promise(self, looked: Sessions | None, failures: list[PermanentError | RetryableError]) -> int:
        """Tell which levels are at risk or missed, and do what follows from accounts that were written."""
        sent = 0

        def hand_over(event: Event) -> bool:
            nonlocal sent
            try:
                taken = self._hand_over(event, failures)
            except PermanentError as error:
                # What is refused of one level or pass keeps nothing back of the others.
                _log.error("sweep: %s", error)
                failures.append(error)
                return False
            sent += taken
            return taken

        if looked is not None:
            looked.watch.measure()
            for _ in looked.watch.tell(hand_over):
                pass
        self._passed(hand_over, failures)
        for info in self._services.ledger.list(keys.CLOSED):
            from shared.sla.closing import Closing

            try:
                Closing(self._services, hand_over).follow(info.key.removeprefix(keys.CLOSED))
            except PermanentError as error:
                _log.error("sweep: %s", error)
                failures.append(error)
        return sent

    def _passed(self, hand_over: Callable[[Event], bool], failures: list[PermanentError | RetryableError]) -> None:
        """Planned passes whose time is over: were they seen?"""
        passes, self._passes = self._passes, {}
        for timer, planned in passes.items():
            from shared.sla.passes import look_for

            try:
                if look_for(self._services, planned, hand_over):
                    self._services.ledger.delete(timer)
            except PermanentError as error:
                _log.error("sweep: %s", error)
                failures.append(error)

    def _send(self, events: Iterable[Event], failures: list[PermanentError | RetryableError]) -> int:
        sent = 0
        try:
            for event in events:
                sent += self._hand_over(event, failures)
        except ObjectAbsentError as error:
            _log.info("sweep: closed while it was looked at: %s", error)
        except PermanentError as error:
            _log.error("sweep: %s", error)
            failures.append(error)
        return sent

    def _hand_over(self, event: Event, failures: list[PermanentError | RetryableError]) -> bool:
        try:
            self._services.sink.send(event)
        except RetryableError as error:
            _log.warning("sweep: %s %s: %s", event.type, event.subject, error)
            failures.append(error)
            self._in_a_row += 1
            if self._in_a_row >= _BROKER_IS_DOWN:
                raise
            return False
        self._in_a_row = 0
        return True

    def _timers(self, failures: list[PermanentError | RetryableError]) -> Iterator[Event]:
        for key, timer in self._services.ledger.due_timers(self._services.clock.now(), failures.append):
            try:
                if self._is_ours(key, timer):
                    continue
            except PermanentError as error:
                _log.error("sweep: %s", error)
                failures.append(error)
                continue
            data = {"key": key, "session": timer.session, "subject": timer.subject, "due": timer.due.isoformat()}
            extensions = {"traceparent": timer.traceparent} if timer.traceparent else {}
            # The kind is the subject: triggers tell timers apart by it.
            yield Event(
                event_id(key, timer.due.isoformat()), "timers", TIMER_DUE, timer.timer, timer.due, data, extensions
            )

    def _is_ours(self, key: str, timer: Timer) -> bool:
        """Whether a timer is the sweep's own; then what it is for is done, or noted."""
        from shared.sla.closing import PARKED_TIMER, Closing
        from shared.sla.passes import EXPECTED_TIMER

        if timer.timer == REOPENED:
            self._reopened(key, timer)
        elif timer.timer == SUBMITTED:
            self._submitted(key, timer)
        elif timer.timer == PARKED_TIMER:
            Closing(self._services, lambda _event: False).again(timer.session)
            self._services.ledger.delete(key)
        elif timer.timer == EXPECTED_TIMER:
            self._passes[key] = timer.subject
        else:
            return False
        return True

    def _arrivals(self) -> Iterator[Event]:
        """Where the waking of those that wait for a type of auxiliary file broke off, it goes on."""
        now, grace = self._services.clock.now(), timedelta(seconds=self._services.settings.sweep_grace_s)
        for info in self._services.ledger.list(ARRIVALS):
            found = parse_arrival(info.key)
            if found is not None and found[1] and info.modified + grace <= now:
                yield again(self._services.settings.bucket_ledger, info, "")

    def _submitted(self, key: str, timer: Timer) -> None:
        """A session that an operator lets begin has its marker, or an account."""
        ledger, session = self._services.ledger, timer.session
        complete = ledger.find(keys.complete(session), Complete)
        if complete is None and timer.due + _FORGET >= self._services.clock.now():
            return
        if complete is not None and not ledger.exists(keys.account(session)):
            ledger.create(keys.open_marker(session), marker_of(complete, self._services.clock.now()))
        ledger.delete(key)

    def _reopened(self, key: str, timer: Timer) -> None:
        """A session that an operator reopened stays open, whoever removes its marker, until its account knows of it."""
        ledger, number = self._services.ledger, int(timer.subject)
        if ledger.exists(keys.open_marker(timer.session)):
            return
        account = ledger.find(keys.account(timer.session), Account)
        record = ledger.find(keys.reopened(timer.session, number), Reopened)
        if account is not None and account.reopened >= number:
            ledger.delete(key)
        elif record is not None:
            ledger.create(keys.open_marker(timer.session), marker_of(record, self._services.clock.now()))
        elif timer.due + _FORGET < self._services.clock.now():
            ledger.delete(key)
