"""Station poll: list the open sessions of every station, and write down each file that is new or has changed."""

from __future__ import annotations

import logging
from collections import defaultdict
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Final, Literal

from functions.station_poll.changes import Known, changes, session_of
from functions.station_poll.writing import Memory, Writer
from shared.bootstrap import Services
from shared.domain.names import SessionId
from shared.errors import RetryableError, S2psError, StationUnavailableError
from shared.ledger import keys
from shared.ledger.records import OpenMarker, Seen
from shared.parallel import beside
from shared.ports import Station
from shared.telemetry import session_traceparent, span

_log: Final = logging.getLogger(__name__)

Place = tuple[Literal["NOMINAL", "RETRANSFER"], str, str]
Polled = tuple[int, list[S2psError]]


@dataclass
class StationPoll:
    """Polls with the memory of one instance; what is forgotten is read again from the ledger."""

    services: Services
    patience_s: float = 5.0
    _open: dict[str, Memory] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)
    _under_way: dict[str, Future[Polled]] = field(default_factory=dict)
    _busy: Lock = field(default_factory=Lock)

    def run(self) -> int:
        """Poll all stations once; returns how many files were new or changed.

        One station's or session's trouble does not keep the others from being polled: it is raised at the end. A
        station that is away is no trouble, but one warning: the next poll asks it again. One that hangs is given
        ``patience_s``, goes on beside the others, and is not polled anew before its answer or its time-out. A poll that
        finds another under way in this instance leaves the work to it.
        """
        if not self._busy.acquire(blocking=False):
            return 0
        try:
            return self._poll()
        finally:
            self._busy.release()

    def _poll(self) -> int:
        found, failures = 0, list[S2psError]()
        markers = {info.key.removeprefix(keys.OPEN) for info in self.services.ledger.list(keys.OPEN)}
        for session in set(self._open) - markers:
            del self._open[session]
        for name, station in self.services.stations.items():
            polled = self._under_way.pop(name, None)
            if polled is None:
                polled = beside(partial(self._poll_station, station, markers), "station-poll")
                wait([polled], self.patience_s)
            if polled.done():
                count, troubles = polled.result()
                found += count
                failures += _not_away(name, troubles)
            else:
                self._under_way[name] = polled
                _log.warning("station %s: its listing takes longer than a poll, going on beside it", name)
        _raise(failures)
        return found

    def _poll_station(self, station: Station, markers: set[str]) -> Polled:
        places: dict[SessionId, list[Place]] = defaultdict(list)
        found, failures = 0, list[S2psError]()
        try:
            for place in station.sessions():
                session = session_of(place[2])
                if session is not None:
                    places[session].append(place)
        except S2psError as error:
            failures.append(error)  # what was listed before it is polled
        for session, where in sorted(places.items(), key=lambda item: (item[0].start, str(item[0]))):
            try:
                found += self._poll_session(station, session, where, markers)
            except S2psError as error:
                failures.append(error)
        return found, failures

    def _poll_session(self, station: Station, session: SessionId, places: list[Place], markers: set[str]) -> int:
        name = str(session)
        if name in self._closed:
            return 0
        memory = self._open.get(name) or self._recall(name, station, known_open=name in markers)
        # A session is fetched from the station that had it first.
        if memory is None or memory.station != station.name:
            return 0
        found = changes(session, [file for place in places for file in station.files(*place)], memory.files)
        refused = [item for item in found.refused if item not in memory.refused]
        count = len(found.new) + len(found.changed)
        if not (count or refused):
            return 0
        attributes: dict[str, str | int] = {"s2ps.session": name, "s2ps.station": station.name, "s2ps.files": count}
        with span("station_poll", traceparent=session_traceparent(name), attributes=attributes) as here:
            writer = Writer(self.services, name, memory, here.traceparent)
            if name not in self._open:
                if not writer.begin(places[0][1]):
                    return 0  # another instance opened it just now, for whichever station: the next poll recalls it
                self._open[name] = memory
            writer.write(found, refused)
        return count

    def _recall(self, session: str, station: Station, *, known_open: bool) -> Memory | None:
        """What the ledger knows of a session; None where its account is closed: it is not listed again."""
        ledger = self.services.ledger
        if known_open:
            marker = ledger.find(keys.open_marker(session), OpenMarker)
            if marker is None:
                return None
            found = [info.key for info in ledger.list(f"{keys.session(session)}seen/")]
            files = {record.file: Known.of(record) for record in ledger.read_many(found, Seen)}
            self._open[session] = Memory(marker.station, files)
            return self._open[session]
        if ledger.exists(keys.account(session)):
            self._closed.add(session)
            return None
        return Memory(station.name)


def _not_away(station: str, troubles: list[S2psError]) -> list[S2psError]:
    """The troubles but for those of a station that is away, in whole or for some sessions: they are one warning."""
    away = [error for error in troubles if isinstance(error, StationUnavailableError)]
    if away:
        more = f" (and {len(away) - 1} more)" if len(away) > 1 else ""
        _log.warning("station %s is away, asked again by the next poll: %s%s", station, away[0], more)
    return [error for error in troubles if not isinstance(error, StationUnavailableError)]


def _raise(failures: list[S2psError]) -> None:
    """What may pass comes before what will not: the caller tries again for the former only."""
    for error in failures:
        _log.warning("station poll: %s", error)
    for error in sorted(failures, key=lambda error: not isinstance(error, RetryableError)):
        raise error
