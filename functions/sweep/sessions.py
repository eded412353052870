"""Open sessions, as the sweep looks at them: which of their objects lack their consequence.

Nothing of this is loaded before a session is open: between passes a sweep is over as soon as it has begun.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from functions.sweep.events import again, job_ended
from functions.sweep.following import Following
from functions.sweep.lost import Story, answered_files, lost_files, lost_work, tell
from functions.sweep.watch import Watch
from shared.auxiliary.awaited import AwaitedFiles
from shared.bootstrap import Services
from shared.domain.events import Event
from shared.errors import PermanentError, RetryableError
from shared.ledger import keys
from shared.ledger.attempts import Sorting
from shared.ledger.keys import WorkKey
from shared.ledger.records import Account, Receipt, Seen
from shared.ledger.standing import active_hold
from shared.ports import ObjectInfo
from shared.workflow.reruns import read_reruns

_log: Final = logging.getLogger(__name__)


class Sessions:
    """Looks at open sessions, with the memory of one instance.

    ``unanswered``: why this sweep asks for no further Job: whoever runs them does not answer, or refuses to.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        # Of each open session, the records (by key and etags) from which all has followed.
        self._done: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        # And what its work items were sorted to.
        self._sortings: defaultdict[str, Sorting] = defaultdict(Sorting)
        self.unanswered: list[PermanentError | RetryableError] = []
        self._hastens = True
        self.files = AwaitedFiles(services)
        self.watch = Watch(services)
        self._following = Following(services, self.watch)

    def begin(self, sessions: list[str]) -> None:
        """A new sweep, over these."""
        self.unanswered.clear()
        self._hastens = True
        self.files.begin()
        for closed in {*self._done, *self._sortings}.difference(sessions):
            self._done.pop(closed, None)
            self._sortings.pop(closed, None)
            self.files.forget(closed)
        self.watch.forget(sessions)

    def lacking(self, session: str) -> Iterator[Event]:
        """The events of whatever lacks its consequence; a session whose account is in force loses its marker."""
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
            self.watch.look(session, story, listing.__contains__)

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
        for info in self.files.again([w.waiting for w in story.unended.values() if w.asks and w.waiting], now):
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
        return again(self._services.settings.bucket_ledger, info, trace)

    def _attempt(self, place: WorkKey, number: int, order: ObjectInfo, trace: str) -> Iterator[Event]:
        """An attempt under way for long: is its Job alive? The Job's own word is the second witness.

        Where nobody can be asked, all else of the session goes on.
        """
        if self.unanswered:
            return
        try:
            state = self._services.launcher.state(place.job_name(number))
        except (RetryableError, PermanentError) as error:
            _log.warning("sweep: %s", error)
            self.unanswered.append(error)
            return
        if state is not None and state.phase == "waiting":
            self._hasten(place.job_name(number))
        if state is None:
            yield self._again(order, trace)
        elif state.phase in {"succeeded", "failed"}:
            yield job_ended(place, number, state, trace)

    def _hasten(self, name: str) -> None:
        """What a queue refuses is told, and no trouble: the Job keeps its place.

        Where it does not answer, no further Job is hastened in this sweep: each might take as long to say nothing.
        """
        if not self._hastens:
            return
        try:
            self._services.launcher.hasten(name)
        except (RetryableError, PermanentError) as error:
            _log.warning("sweep: Job %s goes on waiting as it did: %s", name, error)
            self._hastens = not isinstance(error, RetryableError)

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
