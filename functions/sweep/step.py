"""The sweep: rule 4's guarantee. What an open session lacks is found by listing, and its event is sent again.

Its cost grows with what is in flight: closed sessions are never looked at, and within an open one a record whose
consequences were once all seen is not read again by this instance.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from functions.sweep.following import Following
from functions.sweep.lost import Story, answered_files, lost_files, lost_work, tell
from functions.sweep.watch import Watch
from shared.auxiliary.awaited import AwaitedFiles
from shared.bootstrap import Services
from shared.domain.events import JOB_CHANGED, TIMER_DUE, Event, event_id, object_created
from shared.errors import ObjectAbsentError, PermanentError, RetryableError
from shared.ledger import keys
from shared.ledger.attempts import Sorting
from shared.ledger.keys import WorkKey
from shared.ledger.provision import ARRIVALS, parse_arrival
from shared.ledger.records import Account, OpenMarker, Receipt, Reopened, Seen, Timer
from shared.ledger.standing import REOPENED, active_hold
from shared.ports import JobState, ObjectInfo
from shared.sla.closing import PARKED_TIMER, Closing
from shared.sla.passes import EXPECTED_TIMER, look_for
from shared.workflow.reruns import read_reruns

_log: Final = logging.getLogger(__name__)
# So many events in a row that the broker could not take: it is not the events' fault.
_BROKER_IS_DOWN: Final = 10
# The timer of a reopening that was never written (an operator's command that was cut off) is kept this long.
_FORGET: Final = timedelta(hours=1)


class Sweep:
    """Sweeps with the memory of one instance; losing the memory costs reads, nothing else."""

    def __init__(self, services: Services) -> None:
        self._services = services
        # Of each open session, the records (by key and etags) from which all has followed.
        self._done: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        # And what its work items were sorted to.
        self._sortings: defaultdict[str, Sorting] = defaultdict(Sorting)
        self._in_a_row = 0
        # Why this sweep asks for no further Job: whoever runs them does not answer, or refuses to.
        self._unanswered: list[PermanentError | RetryableError] = []
        self._files = AwaitedFiles(services)
        self._watch = Watch(services)
        self._following = Following(services, self._watch)
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
        self._unanswered.clear()
        self._files.begin()
        sent = self._send(self._timers(failures), failures)
        sent += self._send(self._arrivals(), failures)
        sessions = [info.key.removeprefix(keys.OPEN) for info in self._services.ledger.list(keys.OPEN)]
        for closed in {*self._done, *self._sortings}.difference(sessions):
            self._done.pop(closed, None)
            self._sortings.pop(closed, None)
            self._files.forget(closed)
        self._watch.forget(sessions)
        for session in sessions:
            sent += self._send(self._session(session), failures)
        sent += self._promise(failures)
        if not failures:
            grace = timedelta(seconds=self._services.settings.sweep_grace_s)
            self._files.heal(self._services.clock.now(), grace)
        for failure in (*failures, *self._unanswered):
            raise failure
        return sent

    def _promise(self, failures: list[PermanentError | RetryableError]) -> int:
        """Tell which levels are at risk or missed, and do what follows from accounts that were written."""
        sent = 0

        def hand_over(event: Event) -> bool:
            nonlocal sent
            taken = self._hand_over(event, failures)
            sent += taken
            return taken

        self._watch.measure()
        for _ in self._watch.tell(hand_over):
            pass
        passes, self._passes = self._passes, {}
        for timer, planned in passes.items():
            if look_for(self._services, planned, hand_over):
                self._services.ledger.delete(timer)
        closing = Closing(self._services, hand_over)
        for info in self._services.ledger.list(keys.CLOSED):
            try:
                closing.follow(info.key.removeprefix(keys.CLOSED))
            except PermanentError as error:
                _log.error("sweep: %s", error)
                failures.append(error)
        return sent

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
            if timer.timer == REOPENED:
                self._reopened(key, timer)
                continue
            if timer.timer == PARKED_TIMER:
                Closing(self._services, lambda _event: False).again(timer.session)
                self._services.ledger.delete(key)
                continue
            if timer.timer == EXPECTED_TIMER:
                self._passes[key] = timer.subject
                continue
            data = {"key": key, "session": timer.session, "subject": timer.subject, "due": timer.due.isoformat()}
            extensions = {"traceparent": timer.traceparent} if timer.traceparent else {}
            # The kind is the subject: triggers tell timers apart by it.
            yield Event(
                event_id(key, timer.due.isoformat()), "timers", TIMER_DUE, timer.timer, timer.due, data, extensions
            )

    def _arrivals(self) -> Iterator[Event]:
        """Where the waking of those that wait for a type of auxiliary file broke off, it goes on."""
        now, grace = self._services.clock.now(), timedelta(seconds=self._services.settings.sweep_grace_s)
        for info in self._services.ledger.list(ARRIVALS):
            found = parse_arrival(info.key)
            if found is not None and found[1] and info.modified + grace <= now:
                yield self._again(info, "")

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
            marker = OpenMarker(
                created=self._services.clock.now(),
                traceparent=record.traceparent,
                session=record.session,
                station=record.station,
                satellite=record.satellite,
            )
            ledger.create(keys.open_marker(timer.session), marker)
        elif timer.due + _FORGET < self._services.clock.now():
            ledger.delete(key)

    def _session(self, session: str) -> Iterator[Event]:
        services = self._services
        listing = {info.key: info for info in services.ledger.list(keys.session(session))}
        story = tell(session, listing, self._sortings[session])
        trace = services.trace(session)
        if story.account is not None and self._in_force(session, story):
            services.ledger.delete(keys.open_marker(session))
            return
        try:
            yield from self._lacking(session, story, listing, trace)
        finally:
            # Afterwards: an instance that has just begun knows by then what is on the shelf, and calls it not missed.
            self._watch.look(session, story, listing.__contains__)

    def _lacking(self, session: str, story: Story, listing: dict[str, ObjectInfo], trace: str) -> Iterator[Event]:
        now, grace = self._services.clock.now(), timedelta(seconds=self._services.settings.sweep_grace_s)
        held = self._held(story)
        for info in (*lost_files(story, now, grace), *self._superseded(session, story, now, grace)):
            yield self._again(info, trace)
        for work, lacks in lost_work(story, now, grace, held):
            if lacks == "retry":
                yield self._again(work.ended[work.newest], trace)
            elif lacks == "attempt" and work.order is not None:
                yield self._again(work.order, trace)
            elif work.order is not None:
                yield from self._attempt(work.place, work.newest, work.order, trace)
        for info in self._files.again([w.waiting for w in story.unended.values() if w.asks and w.waiting], now):
            yield self._again(info, trace)
        yield from self._consequences(session, story, listing, trace, held)

    def _in_force(self, session: str, story: Story) -> bool:
        """Whether the account knows of every reopening, and of ``complete.json`` where there is one."""
        if story.reopened == 0 and story.complete is None:
            return True
        account = self._services.ledger.read(keys.account(session), Account)
        return account.reopened >= story.reopened and (account.t0 is not None or story.complete is None)

    def _held(self, story: Story) -> frozenset[str]:
        """The prefixes of the work that has not ended, and that an operator holds."""
        ledger = self._services.ledger
        if story.hold is not None and active_hold(ledger, story.hold.key) is not None:
            return frozenset(story.unended)
        return frozenset(
            prefix
            for prefix, work in story.unended.items()
            if work.hold is not None and active_hold(ledger, work.hold.key) is not None
        )

    def _superseded(self, session: str, story: Story, now: datetime, grace: timedelta) -> Iterator[ObjectInfo]:
        """Seen records whose receipt is of another version. Only the records say so: stores tell time by the second."""
        done, ledger = self._done[session], self._services.ledger
        pairs = {(seen.key, seen.etag, got.etag): (seen, got) for seen, got in answered_files(story, now, grace)}
        pairs = {mark: pair for mark, pair in pairs.items() if mark not in done}
        listed = ledger.read_many([seen.key for seen, _ in pairs.values()], Seen)
        receipts = ledger.read_many([got.key for _, got in pairs.values()], Receipt)
        for (mark, (info, _)), seen, got in zip(pairs.items(), listed, receipts, strict=True):
            if (seen.size, seen.modified) == (got.size, got.modified):
                done.add(mark)
            else:
                yield info

    def _again(self, info: ObjectInfo, trace: str) -> Event:
        bucket = self._services.settings.bucket_ledger
        return object_created(bucket, info.key, info.etag, size=info.size, when=info.modified, traceparent=trace)

    def _attempt(self, place: WorkKey, number: int, order: ObjectInfo, trace: str) -> Iterator[Event]:
        """An attempt under way for long: is its Job alive? The Job's own word is the second witness.

        Where nobody can be asked, all else of the session goes on.
        """
        if self._unanswered:
            return
        try:
            state = self._services.launcher.state(place.job_name(number))
        except (RetryableError, PermanentError) as error:
            _log.warning("sweep: %s", error)
            self._unanswered.append(error)
            return
        if state is None:
            yield self._again(order, trace)
        elif state.phase in {"succeeded", "failed"}:
            yield job_ended(place, number, state, trace)

    def _consequences(
        self, session: str, story: Story, listing: dict[str, ObjectInfo], trace: str, held: frozenset[str]
    ) -> Iterator[Event]:
        """complete.json and outcomes from which not everything has followed yet."""
        done = self._done[session]
        now, grace = self._services.clock.now(), timedelta(seconds=self._services.settings.sweep_grace_s)
        sources = [story.complete, *[work.outcome for work in story.work.values()]]
        reruns = read_reruns(self._services.ledger, session) if story.reruns else ()
        # Something else follows from a record once a rerun was asked for.
        anew = str(len(reruns))
        unknown = [info for info in sources if info is not None and (info.key, info.etag, anew) not in done]
        looked = [info for info in unknown if info.modified + grace <= now]
        waiting = len(looked) < len(unknown)
        for info, followed in self._following.look(session, looked, listing, reruns):
            if followed:
                done.add((info.key, info.etag, anew))
            else:
                waiting = True
                yield self._again(info, trace)
        if not waiting and story.settled(held):
            # What wakes the account: an outcome, or where held work is all there is, the hold.
            ends = [work.outcome or work.hold or story.hold for work in story.work.values()]
            newest = max((info for info in ends if info is not None), key=lambda info: info.modified, default=None)
            if newest is not None:
                yield self._again(newest, trace)


def job_ended(place: WorkKey, number: int, state: JobState, trace: str) -> Event:
    """The event that an ApiServerSource would send of this Job's end."""
    name = place.job_name(number)
    condition = {
        "type": "Failed" if state.phase == "failed" else "Complete",
        "status": "True",
        "reason": state.reason or ("BackoffLimitExceeded" if state.phase == "failed" else "CompletionsReached"),
    }
    annotations = {"s2ps.org/work": place.prefix, "s2ps.org/attempt": str(number)}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "annotations": annotations},
        "status": {"conditions": [condition]},
    }
    return Event(event_id("job", name, state.phase), "jobs", JOB_CHANGED, name, None, job, {"traceparent": trace})
