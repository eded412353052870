"""Delivery of events as Knative's broker does it: which answers come again, when, and what is a dead letter.

Source: Knative eventing, the table of retried statuses (``kncloudevents/retries.go``) and the filter's rule on replies:
an accepted answer is 2xx with an empty body or a CloudEvent. Queues are bounded and in memory: a crash loses them.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from eventing.local.functions import FunctionUnavailableError, Reply
from eventing.manifests import Delivery, parse_duration
from shared.cloudevents import from_http, to_http
from shared.domain.events import Event
from shared.errors import BadInputError

Call: TypeAlias = Callable[[Mapping[str, str], bytes, float], Reply]
Send: TypeAlias = Callable[[Event], bool]

CAPACITY: Final = 10_000
_RETRIED: Final = frozenset({404, 408, 409, 429})
_MAX_ERROR: Final = 1024
_MAX_RETRY_AFTER_S: Final = 300.0
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means. ``code`` is 0 where no answer came."""

    accepted: bool
    retried: bool
    code: int = 0
    said: bytes = b""
    reply: Event | None = None
    retry_after_s: float | None = None


def judge(reply: Reply | None) -> Verdict:
    """The broker's reading of an answer; ``None`` is no answer."""
    if reply is None:
        return Verdict(accepted=False, retried=True)
    said = reply.body[:_MAX_ERROR]
    if 200 <= reply.status < 300:
        if not reply.body:
            return Verdict(accepted=True, retried=False, code=reply.status)
        try:
            return Verdict(accepted=True, retried=False, code=reply.status, reply=from_http(reply.headers, reply.body))
        except BadInputError:
            # Knative takes a body that is no event for a failure of the subscriber, and tries again.
            return Verdict(accepted=False, retried=True, code=502, said=said)
    retried = reply.status >= 500 or reply.status in _RETRIED
    after = _retry_after(reply) if reply.status in {429, 503} else None
    return Verdict(accepted=False, retried=retried, code=reply.status, said=said, retry_after_s=after)


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "")
    return min(float(text), _MAX_RETRY_AFTER_S) if text.isdecimal() else None


def dead_letter(event: Event, destination: str, verdict: Verdict) -> Event:
    """The event as a dead-letter sink gets it: Knative's three extensions say who refused it and why."""
    extensions = dict(event.extensions) | {"knativeerrordest": destination}
    if verdict.code:
        extensions["knativeerrorcode"] = str(verdict.code)
    if verdict.said:
        extensions["knativeerrordata"] = base64.b64encode(verdict.said).decode()
    return replace(event, extensions=extensions)


class Subscription:
    """The bounded queue of one Trigger and the threads that empty it.

    Args:
        name: the Trigger's name.
        call: delivers one request to the subscriber.
        delivery: retries, pauses, timeout.
        concurrency: deliveries at a time.
        on_reply: takes an event that the subscriber answered with.
        on_dead: takes an event whose attempts are used up; False where it found no room.
        destination: the subscriber's address as dead letters name it.
    """

    def __init__(
        self,
        name: str,
        call: Call,
        delivery: Delivery,
        *,
        concurrency: int,
        on_reply: Send,
        on_dead: Send | None,
        destination: str,
        capacity: int = CAPACITY,
    ) -> None:
        self.name = name
        self.delivered = self.retried = self.dead = self.lost = 0
        self._call, self._delivery, self._capacity = call, delivery, capacity
        self._timeout_s = parse_duration(delivery.timeout).total_seconds()
        self._on_reply, self._on_dead, self._destination = on_reply, on_dead, destination
        self._queue: list[tuple[float, int, Event, int]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._busy = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(concurrency)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pending(self) -> int:
        """Events queued or under way."""
        with self._changed:
            return len(self._queue) + self._busy

    def has_room(self) -> bool:
        with self._changed:
            return not self._closed and len(self._queue) < self._capacity

    def offer(self, event: Event) -> bool:
        """Queue an event; False where there is no room."""
        with self._changed:
            if self._closed or len(self._queue) >= self._capacity:
                self.lost += 1
                return False
            self._push(event, 0, 0.0)
            return True

    def _push(self, event: Event, failures: int, delay_s: float) -> None:
        heapq.heappush(self._queue, (time.monotonic() + delay_s, next(self._order), event, failures))
        self._changed.notify()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            event, failures = taken
            try:
                self._deliver(event, failures)
            except Exception:  # noqa: BLE001 - one bad event must not end the thread
                _LOG.exception("trigger %s: delivery of event %s failed", self.name, event.id)
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _take(self) -> tuple[Event, int] | None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if self._queue and self._queue[0][0] <= now:
                    _, _, event, failures = heapq.heappop(self._queue)
                    self._busy += 1
                    return event, failures
                self._changed.wait(self._queue[0][0] - now if self._queue else None)
            return None

    def _deliver(self, event: Event, failures: int) -> None:
        headers, body = to_http(event)
        try:
            verdict = judge(self._call(headers, body, self._timeout_s))
        except FunctionUnavailableError as error:
            verdict = replace(judge(None), said=str(error).encode()[:_MAX_ERROR])
        if verdict.accepted:
            self.delivered += 1
            if verdict.reply is not None:
                self._on_reply(verdict.reply)
            return
        failures += 1
        if verdict.retried and failures <= self._delivery.retry:
            pause = self._delivery.delay_s(failures) if verdict.retry_after_s is None else verdict.retry_after_s
            _LOG.warning("trigger %s: %s, again in %.1f s", self.name, _summary(event, verdict), pause)
            with self._changed:
                self.retried += 1
                self._push(event, failures, pause)
            return
        self._give_up(event, verdict)

    def _give_up(self, event: Event, verdict: Verdict) -> None:
        self.dead += 1
        kept = self._on_dead is not None and self._on_dead(dead_letter(event, self._destination, verdict))
        fate = "dead letter" if kept else "lost"
        _LOG.error("trigger %s: %s, %s", self.name, _summary(event, verdict), fate)

    def close(self) -> None:
        """Deliver nothing more; what is queued is dropped."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()

    def join(self, timeout_s: float) -> None:
        """Wait for what is under way."""
        with self._changed:
            self._changed.wait_for(lambda: self._busy == 0, timeout_s)


def _summary(event: Event, verdict: Verdict) -> str:
    said = verdict.said.decode(errors="replace")[:200]
    return f"event {event.id} ({event.type} {event.subject}): {verdict.code or 'no answer'} {said}".rstrip()
