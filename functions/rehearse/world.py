"""The world of a rehearsal: stations, store, broker, functions, a cluster, and a clock that jumps to what comes next.

The steps, the Triggers, the ledger and the launcher's contract are the service's own. What is not real is told by the
report: notifications take a fraction of a second (more where a function starts cold), Jobs take what a distribution
says and make files of a few bytes, and a closed session is checked and forgotten.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from eventing.filters import Filter, matches
from eventing.manifests import Trigger
from functions.rehearse.broken import Crash, FragileStore
from functions.rehearse.cluster import VirtualCluster
from functions.rehearse.faults import Dice
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import Event, event_id, object_created
from shared.errors import AbsentError, PermanentError, RetryableError
from shared.ledger import keys
from shared.ledger.records import Account, Published
from shared.ports import ObjectInfo
from shared.settings import Settings
from shared.workflow.products import product_key

Step = Callable[[Event], object]
Steps = Callable[[Services], dict[str, Step]]

WARM_S: Final = 60.0
"""A function that was not called for so long starts cold."""

COLD_START_S: Final = 2.5
_LATENCY_S: Final = (0.02, 0.25)
_LATE_S: Final = 180.0
_LONGEST_PAUSE_S: Final = 60.0


@dataclass
class VirtualClock:
    """A clock that moves when it is told to."""

    instant: datetime

    def now(self) -> datetime:
        return self.instant


@dataclass
class Counts:
    """What happened, by name. ``deliveries``: events handed to a Trigger's function; ``overtaken``: by later ones.

    ``idle``: notifications that were lost or doubled, and that no Trigger takes anyway, by what went wrong.
    """

    events: int = 0
    calls: int = 0
    deliveries: int = 0
    overtaken: int = 0
    crashes: int = 0
    dead: list[tuple[str, Event, str]] = field(default_factory=list)
    idle: Counter[str] = field(default_factory=Counter)


class World:
    """Everything but the steps and the Jobs.

    Args:
        start: the first instant.
        settings: of the functions.
        triggers: of the broker.
        steps: makes the functions' steps, by the names that Triggers give; called again after a crash.
        dice: what goes wrong.
    """

    def __init__(
        self, start: datetime, settings: Settings, triggers: tuple[Trigger, ...], steps: Steps, dice: Dice
    ) -> None:
        self.clock = VirtualClock(start)
        self.settings, self.dice, self.counts = settings, dice, Counts()
        self.memory = MemoryStore(self.clock, [self._notify])
        self.store = FragileStore(self.memory)
        self.services = Services(settings, self.clock)
        # Cached properties keep their value in the instance: these are the doubles of the real adapters.
        vars(self.services).update(store=self.store, sink=self, stations={})
        self._steps = steps
        self._triggers = [(each, each.spec.subscriber.ref.name) for each in triggers if each.spec.subscriber.ref]
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._used: dict[str, datetime] = {}
        self._routes: dict[tuple[str, str], list[tuple[Trigger, str, tuple[Filter, ...]]]] = {}
        self._sent = 0
        self._newest: dict[str, int] = {}
        self._latency = dice.of("latency")

    def settle_in(self, stations: dict[str, Any], cluster: VirtualCluster) -> None:
        """What the functions reach beside the store."""
        vars(self.services).update(stations=stations, launcher=cluster)
        self._functions = self._steps(self.services)

    # time -----------------------------------------------------------------------------------------------------
    def at(self, when: datetime, do: Callable[[], None]) -> None:
        """Do something at an instant (now, where it has passed); what comes first is done first."""
        heapq.heappush(self._heap, (max(when, self.clock.instant), next(self._count), do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        self.at(self.clock.instant + timedelta(seconds=seconds), do)

    def run(self, until: datetime, quiet: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until an instant, or until nothing is left to do, or ``quiet`` says that all is done."""
        while self._heap and self._heap[0][0] <= until:
            when, _, do = heapq.heappop(self._heap)
            self.clock.instant = when
            do()
            if quiet():
                return

    # events ---------------------------------------------------------------------------------------------------
    def _notify(self, bucket: str, info: ObjectInfo) -> None:
        """The store's notification of a write: of the ledger alone, as the service asks for them."""
        if bucket != self.settings.bucket_ledger:
            return
        event = object_created(bucket, info.key, info.etag, size=info.size, when=info.modified)
        if self.dice.strikes_now("lost", info.key):
            self.counts.idle["lost"] += not self._taken(event)
            return
        self.send(event)
        if self.dice.strikes_now("doubled", info.key):
            self.counts.idle["doubled"] += not self._taken(event)
            self.after(self.dice.of("latency").expovariate(1 / 30), partial(self.send, event))

    def send(self, event: Event) -> None:
        """The broker: every Trigger whose filters accept the event hands it over, a moment later."""
        self.counts.events += 1
        for trigger, name, rest in self._interested(event):
            if matches(rest, event):
                self._sent += 1
                late = self.dice.strikes_now("late", f"{name} {event.subject}")
                seconds = self.dice.of("late").expovariate(1 / _LATE_S) if late else self._latency.uniform(*_LATENCY_S)
                self.after(seconds + self._cold(name), partial(self._deliver, trigger, name, event, 0, self._sent))

    def _taken(self, event: Event) -> bool:
        return any(matches(rest, event) for _, _, rest in self._interested(event))

    def _interested(self, event: Event) -> list[tuple[Trigger, str, tuple[Filter, ...]]]:
        """The Triggers that take events of this type and source, and what else they ask: most are alike in both."""
        place = (event.type, event.source)
        found = self._routes.get(place)
        if found is None:
            found = self._routes[place] = []
            for trigger, name in self._triggers:
                general = [each for each in trigger.spec.filters if _is_general(each)]
                if matches(general, event):
                    # The last filter is the one that most events fail at.
                    rest = tuple(each for each in reversed(trigger.spec.filters) if each not in general)
                    found.append((trigger, name, rest))
        return found

    def _cold(self, name: str) -> float:
        """What a function's start adds, where it slept."""
        last, now = self._used.get(name), self.clock.instant
        self._used[name] = now
        return COLD_START_S if last is None or (now - last).total_seconds() > WARM_S else 0.0

    def _deliver(self, trigger: Trigger, name: str, event: Event, tries: int, sent: int) -> None:
        self.counts.deliveries += 1
        newest = self._newest.get(name, 0)
        self.counts.overtaken += sent < newest
        self._newest[name] = max(sent, newest)
        error = self.call(name, event)
        if error is None:
            return
        delivery = trigger.spec.delivery
        most = delivery.retry if delivery is not None and delivery.retry is not None else 0
        if isinstance(error, PermanentError) or tries >= most:
            self.counts.dead.append((name, event, str(error)))
            letter = Event(
                event.id, event.source, event.type, event.subject, event.time, event.data,
                {**event.extensions, "knativeerrordest": name},
            )  # fmt: skip
            self.call("dead-letters", letter)
            return
        again = partial(self._deliver, trigger, name, event, tries + 1, sent)
        self.after(min(0.5 * 2**tries, _LONGEST_PAUSE_S), again)

    def call(self, name: str, event: Event) -> Exception | None:
        """Call a function; the error for which its answer asks the broker to try again, or to give up."""
        self.counts.calls += 1
        self._used[name] = self.clock.instant
        if self.dice.strikes_now("crash", f"{name} {event.subject}"):
            dice = self.dice.of("crash at")
            self.store.die_at, self.store.before = dice.randint(1, 6), dice.random() < 0.5
        try:
            with self.store.used_by(name):
                self._functions[name](event)
        except Crash:
            self.counts.crashes += 1
            self._functions = self._steps(self.services)  # what its instance remembered is gone
            return RetryableError("the process died")
        except AbsentError:
            return None
        except (RetryableError, PermanentError) as error:
            return error
        return None

    def tick(self, name: str, every_s: float) -> None:
        """Call a function again and again."""

        def ping() -> None:
            ident = event_id(name, self.clock.instant.isoformat())
            self.call(name, Event(ident, "ping", "dev.knative.sources.ping", "", self.clock.instant))
            self.after(every_s, ping)

        ping()

    def outage(self, kind: str, begin: Callable[[bool], None], hours: float) -> None:
        """Something is away, some times a day: ``begin`` is called with True and, minutes later, with False."""
        a_day = float(getattr(self.dice.profile, kind))
        dice = self.dice.of(kind)
        for number in range(round(a_day * hours / 24)):
            if self.dice.only is not None and -1 - number not in self.dice.only:
                continue
            start = dice.uniform(0, hours * 3600)
            self.after(start, partial(begin, True))
            self.after(start + dice.uniform(30, 600), partial(begin, False))

    def forget(self, session: str) -> None:
        """Drop the objects of a session that is over: a rehearsal of a day must not hold a day's objects."""
        for bucket, prefix in (
            (self.settings.bucket_sessions, f"{session}/"),
            (self.settings.bucket_work, f"{session}/"),
            (self.settings.bucket_ledger, keys.session(session)),
        ):
            self.memory.forget(bucket, prefix)

    def forget_products(self, account: Account) -> None:
        """And what it has on the shelf."""
        for entry in account.entries:
            if entry.ended == "produced" and entry.at is not None:
                key = product_key(entry.level, entry.product, entry.at)
                if self.memory.head(self.settings.bucket_ledger, key) is None:
                    continue  # told already by the invariants
                body, _ = self.memory.get(self.settings.bucket_ledger, key)
                record = Published.model_validate_json(body)
                self.memory.forget(record.bucket, record.prefix)
                self.memory.delete(self.settings.bucket_ledger, key)


def _is_general(one: Filter) -> bool:
    """Whether a filter asks for an event's type and source alone."""
    asked = one.exact or one.prefix or one.suffix
    return asked is not None and asked.keys() <= {"type", "source"}
