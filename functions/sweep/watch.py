"""The promise, watched as part of the sweep: which level of an open session is at risk, and which was missed.

It costs no listing of its own: the sweep's tells which work began and ended, and what the sweep reads of outcomes tells
what does not run after them. Of its own are one read of ``complete.json`` for each session, and one of the durations
of each processor set every ten minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from functions.sweep.lost import Story
from shared.bootstrap import Services
from shared.domain.deadlines import BUDGETS
from shared.domain.events import Event
from shared.domain.forecast import AT_RISK, Durations, Leg, Outlook, outlook
from shared.ledger import keys
from shared.ledger.records import FINISHED, Complete, Outcome
from shared.sla.durations import StepDurations, expectation
from shared.sla.notices import Notice
from shared.sla.progress import ARRIVAL, PUBLICATION, Expected, Followed, Ways, progress
from shared.telemetry import metrics
from shared.workflow.granules import last_sensed
from shared.workflow.graph import Workflow
from shared.workflow.plan import Item, Ready, Source
from shared.workflow.reruns import read_reruns

MARGIN: Final = AT_RISK + timedelta(minutes=1)
"""What is not there so long before its deadline is told of: the sweep looks once a minute at the latest."""

_EVERY: Final = timedelta(seconds=30)
_READ_AGAIN: Final = timedelta(minutes=10)


@dataclass
class _Watched:
    """What is remembered of an open session."""

    complete: Complete | None = None
    sensed: datetime | None = None
    followed: dict[str, Followed] = field(default_factory=dict)
    looked: datetime | None = None
    slack: dict[str, float] = field(default_factory=dict)
    running: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)


@dataclass
class Watch:
    """The outlook of open sessions, with the memory of one instance; losing it costs reads."""

    services: Services
    _sessions: dict[str, _Watched] = field(default_factory=dict)
    _pending: list[Notice] = field(default_factory=list)
    _durations: dict[str, tuple[Mapping[str, Durations], datetime]] = field(default_factory=dict)

    def forget(self, open_sessions: Iterable[str]) -> None:
        """Sessions that are not among these are closed."""
        still = set(open_sessions)
        for closed in self._sessions.keys() - still:
            del self._sessions[closed]
        metrics.measure(metrics.OPEN, len(still))

    def measure(self) -> None:
        """The outlook of all open sessions, as metrics: the smallest slack of each level, and work by step."""
        slack: dict[str, float] = {}
        running: Counter[str] = Counter()
        waiting: Counter[str] = Counter()
        for watched in self._sessions.values():
            for level, seconds in watched.slack.items():
                slack[level] = min(seconds, slack.get(level, seconds))
            running += watched.running
            waiting += watched.waiting
        for level in BUDGETS:
            metrics.measure(metrics.SLACK, slack.get(level, BUDGETS[level].total_seconds()), level=level)
        for step in self.services.workflow.steps:
            metrics.measure(metrics.RUNNING, running[step.name], step=step.name)
            metrics.measure(metrics.WAITING, waiting[step.name], step=step.name)

    def followed(self, source: Source, items: Iterable[Item], *, superseded: bool = False) -> None:
        """All has followed from ``source``; ``items``: what it readied, and what a rule left out.

        ``superseded``: its work is made anew, so that what comes after it is still to come.
        """
        if isinstance(source.record, Outcome):
            left_out = tuple({item.step.name for item in items if not isinstance(item, Ready)})
            known = Followed(left_out, stopped=not superseded and source.record.status not in FINISHED)
            watched, sensed = self._of(source.session), last_sensed(source.record)
            watched.followed[source.key] = known
            if sensed is not None:
                watched.sensed = sensed if watched.sensed is None else max(sensed, watched.sensed)

    def look(self, session: str, story: Story, present: Callable[[str], bool]) -> None:
        """Work out the outlook of a session, from a story of it; ``present`` says whether a record is in the listing.

        What is to be told waits for ``tell``.
        """
        now, watched = self.services.clock.now(), self._of(session)
        if watched.looked is not None and now < watched.looked + _EVERY:
            return
        watched.looked = now
        watched.slack.clear()
        unended = story.unended.values()
        watched.running = Counter(work.place.step for work in unended if work.under_way)
        watched.waiting = Counter(work.place.step for work in unended if not work.under_way)
        t0 = self._t0(session, story)
        if t0 is None:
            return
        steps = progress(story.work.values(), watched.followed)
        reruns = read_reruns(self.services.ledger, session) if story.reruns else ()
        workflow = self.services.workflow_of(watched.complete, reruns)
        expected, arrival = self._expectation(workflow, now), None
        if story.complete is None:
            arrival = Leg(step=ARRIVAL, expected_s=expected(ARRIVAL, 1), since=t0)
        ways, ruling = Ways(workflow, steps, expected, now, arrival), workflow.ruling
        for level, legs in ways.levels().items():
            start = workflow.reruns.start([step.name for step in workflow.steps if step.level == level], t0)
            found = outlook(legs, ruling.deadline(level, ruling.whole, start), now, MARGIN)
            watched.slack[level] = found.slack.total_seconds()
            # An outcome that is announced once more is looked at anew: its products are most likely there.
            if story.reopened and all(leg.step == PUBLICATION for leg in legs):
                continue
            if found.state != "on-time" and not present(keys.notice(session, level, found.state)):
                self._pending.append(self._notice(session, level, start, found, legs, now))

    def tell(self, hand_over: Callable[[Event], bool]) -> Iterator[Notice]:
        """Send what is to be told; what the broker does not take is told at the next look."""
        pending, self._pending = self._pending, []
        for notice in pending:
            if hand_over(notice.event()):
                if self.services.ledger.create(notice.key, notice):
                    metrics.measure(metrics.NOTICES, level=notice.level, state=notice.state)
                yield notice

    def _of(self, session: str) -> _Watched:
        return self._sessions.setdefault(session, _Watched())

    def _t0(self, session: str, story: Story) -> datetime | None:
        """T0; of a session that is not complete, when its newest file was seen: the clock runs for it too."""
        watched = self._of(session)
        if story.complete is None:
            return max((info.modified for info in story.seen.values()), default=None)
        if watched.complete is None:
            watched.complete = self.services.ledger.read(keys.complete(session), Complete)
        return watched.complete.t0

    def _expectation(self, workflow: Workflow, now: datetime) -> Expected:
        """What is expected of the steps of a session: of the sets that its work may be bound to, the slowest."""
        seen = [self._seen(name, now) for name in dict.fromkeys(each.set_name for each in workflow.sets)]
        priors = self.services.settings.sla_priors
        return lambda step, units: max(expectation(each, priors, step, units) for each in seen)

    def _seen(self, set_name: str, now: datetime) -> Mapping[str, Durations]:
        known, read = self._durations.get(set_name, ({}, None))
        if read is None or read + _READ_AGAIN <= now:
            record = self.services.ledger.find(keys.durations(set_name), StepDurations)
            known = record.steps if record is not None else {}
            self._durations[set_name] = known, now
        return known

    def _notice(
        self, session: str, level: str, t0: datetime, found: Outlook, legs: tuple[Leg, ...], now: datetime
    ) -> Notice:
        eats = next(leg for leg in legs if leg.step == found.eats)
        return Notice(
            created=now,
            traceparent=self.services.trace(session),
            session=session,
            level=level,
            state="missed" if found.state == "missed" else "at-risk",
            t0=t0,
            deadline=found.deadline,
            expected=found.arrival,
            step=found.eats,
            cause=_cause(eats, now),
            sensing_stop=self._of(session).sensed,
        )


def _cause(leg: Leg, now: datetime) -> str:
    expected = f"{leg.expected_s / 60:.0f} min expected of it"
    if leg.since is None:
        return f"{leg.step} has not begun, {expected}"
    return f"{leg.step} has been under way for {(now - leg.since).total_seconds() / 60:.0f} min, {expected}"
