"""What follows from an account: events of what is absent, late or parked, its runs counted, its link of the chain.

All of it may be done again: events have the same ids, and the rest is done once. A ``closed/`` marker stands until all
has been done; the sweep goes by it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.bootstrap import Services
from shared.domain.deadlines import deadline
from shared.domain.events import Event
from shared.domain.names import downlink_of
from shared.errors import PermanentError
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords, sort_work
from shared.ledger.records import Account, AccountEntry, Complete, Order, timer_due
from shared.ledger.standing import ClosedMarker, account_in_force
from shared.sla.chain import account_digest, append
from shared.sla.durations import add_session, runs
from shared.sla.notices import Notice, State, absent_event, late_levels, parked_levels
from shared.telemetry import metrics

PARKED_TIMER: Final = "sla"
"""The kind of timer at the deadline of a level that is parked: is it still?"""

_FORGET: Final = timedelta(hours=1)
_log: Final = logging.getLogger(__name__)

Tell = Callable[[Event], bool]
"""Hands an event to the broker; False where it was not taken."""


@dataclass(frozen=True)
class Closing:
    """One account and what follows from it; ``tell`` hands an event over."""

    services: Services
    tell: Tell

    def follow(self, session: str) -> bool:
        """Do what follows from the session's account; True where all of it has been done."""
        ledger, marker = self.services.ledger, keys.closed_marker(session)
        account = account_in_force(ledger, session)
        if account is None:
            self._forget(marker)
            return False
        told = [self.tell(absent_event(account, entry)) for entry in account.entries if entry.ended == "absent"]
        told += [self._notify(notice) for notice in self._notices(account)]
        if not all(told):
            return False
        work = list(sort_work(ledger.list(f"{keys.session(session)}work/")).values())
        now = self.services.clock.now()
        try:
            took = self._runs(session, work)
        except PermanentError as error:  # a record or a set that cannot be read keeps no account from being told of
            _log.warning("session %s: its runs are not counted: %s", session, error)
            took = {}
        counted = [add_session(ledger, name, session, some, now) for name, some in took.items()]
        if any(counted) or not took:
            _measure(account, [run for some in took.values() for run in some])
            self._measure_ways(account, work)
        append(ledger, session, account_digest(ledger, session), now, account.traceparent)
        ledger.delete(marker)
        return True

    def _runs(self, session: str, work: list[WorkRecords]) -> dict[str, list[tuple[str, float]]]:
        """The runs of a session, by the name of the processor set; the orders are read where it has several."""
        ledger = self.services.ledger
        workflow = self.services.workflow_of(ledger.find(keys.complete(session), Complete), reruns=())
        if len(workflow.sets) == 1:
            took = runs(work)
            return {workflow.set_name: took} if took else {}
        ended = [each for each in work if each.order is not None and each.outcome is not None]
        orders = ledger.read_many([each.place.order for each in ended], Order)
        found: dict[str, list[WorkRecords]] = {}
        for each, order in zip(ended, orders, strict=True):
            found.setdefault(workflow.made_by(order.processor_set).set_name, []).append(each)
        return {name: took for name, some in found.items() if (took := runs(some))}

    def _measure_ways(self, account: Account, work: list[WorkRecords]) -> None:
        """The way of the last product of each level: reads for each file of the session, so where somebody measures."""
        ledger = self.services.ledger
        complete = ledger.find(keys.complete(account.session), Complete) if metrics.measured() else None
        if complete is None:
            return
        from shared.sla.overhead import Times

        if downlink_of(complete.session) == complete.session:
            metrics.measure(metrics.BYTES, sum(file.size for file in complete.files), satellite=complete.satellite)
        try:
            times = Times(ledger, self.services.workflow_of(complete), complete, work)
            ways = times.paths(times.last_of(account))
        except PermanentError as error:  # a record that cannot be read keeps no account from being told of
            _log.warning("session %s: its own time is not known: %s", account.session, error)
            return
        for way in ways:
            metrics.measure(metrics.OWN, way.own_s, level=way.product.level)
            metrics.measure(metrics.QUEUE, way.seconds_of("queue"), level=way.product.level)
        if firsts := [way.first_ipf_s for way in ways if way.first_ipf_s is not None]:
            metrics.measure(metrics.FIRST_IPF, min(firsts))

    def again(self, session: str) -> None:
        """A timer of a parked level is due: look at the account once more."""
        record = ClosedMarker(created=self.services.clock.now(), session=session)
        self.services.ledger.create(keys.closed_marker(session), record)

    def _forget(self, marker: str) -> None:
        """The account was never written, or was opened again: it will come with a marker of its own."""
        record = self.services.ledger.find(marker, ClosedMarker)
        if record is not None and record.created + _FORGET < self.services.clock.now():
            self.services.ledger.delete(marker)

    def _notify(self, notice: Notice) -> bool:
        """Tell of a level, once: the record says that it was told."""
        ledger = self.services.ledger
        if ledger.exists(notice.key):
            return True
        if not self.tell(notice.event()):
            return False
        if ledger.create(notice.key, notice):
            metrics.measure(metrics.NOTICES, level=notice.level, state=notice.state)
        return True

    def _notices(self, account: Account) -> Iterator[Notice]:
        if account.t0 is None:
            return
        now = self.services.clock.now()

        def notice(state: State, level: str, entry: AccountEntry, due: datetime, cause: str) -> Notice:
            return Notice(
                created=now,
                traceparent=account.traceparent,
                session=account.session,
                level=level,
                state=state,
                t0=account.t0 or now,
                deadline=due,
                expected=entry.at,
                step=entry.step,
                cause=cause,
                sensing_stop=account.last_sensed,
            )

        for level, entry in late_levels(account).items():
            due = entry.deadline or deadline(account.t0, level)
            minutes = -(entry.slack_s or 0.0) / 60
            warned = self.services.ledger.find(keys.notice(account.session, level, "at-risk"), Notice)
            cause = f"{entry.product} came {minutes:.0f} min late{f'; {warned.cause}' if warned is not None else ''}"
            yield notice("missed", level, entry, due, cause)
        for level, entry in parked_levels(account).items():
            due = entry.deadline or deadline(account.t0, level)
            if now < due:
                timer = timer_due(now, due, PARKED_TIMER, account.session, level, account.traceparent)
                self.services.ledger.create(keys.timer(due, PARKED_TIMER, account.session), timer)
                yield notice("at-risk", level, entry, due, f"parked: {entry.reason}")
            else:
                yield notice("missed", level, entry, due, f"parked: {entry.reason}")


def _measure(account: Account, took: list[tuple[str, float]]) -> None:
    """What a closed account adds to the metrics."""
    for step, seconds in took:
        metrics.measure(metrics.STEP, seconds, step=step)
    for entry in account.entries:
        metrics.measure(metrics.PRODUCTS, level=entry.level, ended=entry.ended)
        if entry.slack_s is not None:
            metrics.measure(metrics.MARGIN, entry.slack_s, level=entry.level)
        if account.last_sensed is not None and entry.at is not None and entry.ended == "produced":
            metrics.measure(metrics.AGE, (entry.at - account.last_sensed).total_seconds(), level=entry.level)
