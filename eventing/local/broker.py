"""The local Broker: every Trigger's filter over every event, and a subscription each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eventing.filters import matches
from eventing.local.delivery import Call, Subscription
from eventing.local.functions import FunctionProcess
from eventing.manifests import Broker, Delivery, Manifest, PingSource, Trigger
from shared.domain.events import Event
from shared.errors import ConfigurationError

DEAD_LETTERS: Final = "dead-letter-sink"


@dataclass(frozen=True, slots=True)
class _Edge:
    trigger: Trigger
    subscription: Subscription


class LocalBroker:
    """One Broker with its Triggers, delivering to the functions of this run."""

    def __init__(self, manifests: Iterable[Manifest], functions: Mapping[str, FunctionProcess]) -> None:
        known = tuple(manifests)
        brokers = {each.metadata.name: each for each in known if isinstance(each, Broker)}
        self._functions = functions
        self._sinks: dict[str, Subscription] = {}
        self._edges = tuple(self._edge(each, brokers) for each in known if isinstance(each, Trigger))
        self._pings = {each.metadata.name: self._ping(each) for each in known if isinstance(each, PingSource)}

    def accept(self, event: Event) -> bool:
        """Queue an event for every Trigger that wants it; False, and queued for none, where one has no room."""
        wanted = [edge.subscription for edge in self._edges if matches(edge.trigger.spec.filters, event)]
        if not all(subscription.has_room() for subscription in wanted):
            return False
        for subscription in wanted:
            subscription.offer(event)
        return True

    def ping(self, source: str, event: Event) -> bool:
        """Send a PingSource's event to its sink; False where the one before is still under way."""
        subscription = self._pings[source]
        return subscription.pending == 0 and subscription.offer(event)

    @property
    def pending(self) -> int:
        """Events queued or under way."""
        return sum(subscription.pending for subscription in self._all())

    def figures(self) -> dict[str, dict[str, int]]:
        """Counts per subscription since the start."""
        return {
            each.name: {
                "pending": each.pending,
                "delivered": each.delivered,
                "retried": each.retried,
                "dead": each.dead,
                "lost": each.lost,
            }
            for each in self._all()
        }

    def close(self, grace_s: float) -> None:
        """Stop delivering; what is under way may end within the grace time."""
        for subscription in self._all():
            subscription.close()
        for subscription in self._all():
            subscription.join(grace_s)

    def _all(self) -> list[Subscription]:
        return [*(edge.subscription for edge in self._edges), *self._pings.values(), *self._sinks.values()]

    def _edge(self, trigger: Trigger, brokers: Mapping[str, Broker]) -> _Edge:
        broker = brokers.get(trigger.spec.broker)
        if broker is None:
            raise ConfigurationError(f"Trigger {trigger.metadata.name}, spec.broker: no Broker {trigger.spec.broker}")
        delivery = trigger.spec.delivery or broker.spec.delivery
        sink = self._sink(delivery)
        return _Edge(
            trigger,
            self._subscribe(trigger.metadata.name, trigger.spec.subscriber.ref.name, delivery, sink),
        )

    def _sink(self, delivery: Delivery) -> Subscription | None:
        if delivery.dead_letter_sink is None:
            return None
        function = delivery.dead_letter_sink.ref.name
        if function not in self._sinks:
            again = delivery.model_copy(update={"dead_letter_sink": None})
            self._sinks[function] = self._subscribe(f"{DEAD_LETTERS}-{function}", function, again, None)
        return self._sinks[function]

    def _ping(self, source: PingSource) -> Subscription:
        function = source.spec.sink.ref.name
        limit = f"PT{self._function(function).spec.timeout_s:.0f}S"
        return self._subscribe(source.metadata.name, function, Delivery(retry=0, timeout=limit), None)

    def _subscribe(
        self, name: str, function: str, delivery: Delivery, dead_letters: Subscription | None
    ) -> Subscription:
        process = self._function(function)
        return Subscription(
            name,
            _caller(process),
            delivery,
            concurrency=process.spec.concurrency,
            on_reply=self.accept,
            on_dead=None if dead_letters is None else dead_letters.offer,
            destination=f"http://{function}/",
        )

    def _function(self, name: str) -> FunctionProcess:
        if name not in self._functions:
            raise ConfigurationError(f"manifests: a sink or subscriber refers to Service {name}, which is not there")
        return self._functions[name]


def _caller(process: FunctionProcess) -> Call:
    def call(headers: Mapping[str, str], body: bytes, timeout_s: float) -> Any:
        return process.call("POST", "/", headers, body, min(timeout_s, process.spec.timeout_s))

    return call
