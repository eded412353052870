"""PingSources of the local runtime: each tick an event, straight to its sink."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from eventing.cron import Schedule
from eventing.local.broker import LocalBroker
from eventing.manifests import Manifest, PingSource
from shared.domain.events import PING, Event, event_id

_LOG: Final = logging.getLogger(__name__)


class Ticker:
    """Sends the PingSources' events. Each begins at once: a start after a crash has the most to catch up."""

    def __init__(self, manifests: Iterable[Manifest], broker: LocalBroker) -> None:
        self._sources = [each for each in manifests if isinstance(each, PingSource)]
        self._broker = broker
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def close(self) -> None:
        """Tick no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        now = datetime.now(UTC)
        due = {source.metadata.name: now for source in self._sources}
        while self._sources:
            now = datetime.now(UTC)
            for source in self._sources:
                name = source.metadata.name
                if due[name] <= now:
                    if not self._broker.ping(name, tick(source, due[name])):
                        _LOG.info("source %s: the tick before is still under way", name)
                    due[name] = Schedule.parse(source.local_schedule).next(now)
            wait_s = (min(due.values()) - datetime.now(UTC)).total_seconds()
            if self._stop.wait(max(0.0, wait_s)):
                return


def tick(source: PingSource, when: datetime) -> Event:
    """A PingSource's event: Knative's type, and as source the resource's path."""
    namespace = source.metadata.namespace or "default"
    where = f"/apis/v1/namespaces/{namespace}/pingsources/{source.metadata.name}"
    data = source.spec.data
    decoded = json.loads(data) if data and source.spec.content_type == "application/json" else data.encode() or None
    return Event(event_id("ping", where, when.isoformat()), where, PING, "", when, decoded)
