"""A pick-up point on OData v4 (CADIP): ``Sessions``, ``Files``, ``Files(<id>)/$value``.

Source: the CADU Interface delivery Point as its clients in operation use it. Stations differ in what they understand of
a query, so each is asked from the richest form to the plainest, the first that it takes is kept, and whatever it does
not filter is filtered here: no answer is relied on for being complete, in order, or only what was asked for.
"""

from __future__ import annotations

import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

from shared.adapters.cadip_dsib import MadeDsib, channels, made, modified_of, wanting
from shared.adapters.cadip_listing import (
    Item,
    ListedFile,
    ListedSession,
    date_literal,
    listed_file,
    listed_session,
    listed_totals,
    literal,
)
from shared.adapters.odata import ODataService, RejectedQueryError
from shared.adapters.odata_paging import items, without_paging
from shared.domain.blocks import NO_FINAL, Totals
from shared.domain.names import SessionId
from shared.errors import BadInputError, ConfigurationError, ObjectAbsentError, S2psError
from shared.places import StationSettings
from shared.ports import StationFile

Tree = Literal["NOMINAL", "RETRANSFER"]
Form = tuple[dict[str, str], bool]
"""Options of a query, and whether its answer is asked for in pages."""

_log: Final = logging.getLogger(__name__)
_ORDER: Final = {"$orderby": "PublicationDate asc"}
_MOST_TOLD: Final = 1000
_FILE: Final = re.compile(r"Files\(([0-9A-Za-z-]{1,36})\)")
_MADE: Final = re.compile(r"made/(S2[A-D]_\d{20}|L\d{23})/ch([12])", re.ASCII)


@dataclass
class _Held:
    """What was listed of one query: sessions by their identity, and when it was last listed as a whole."""

    sessions: dict[tuple[str, str, bool], ListedSession] = field(default_factory=dict)
    whole_at: float | None = None


class CadipStation:
    """``shared.ports.Station`` over CADIP. Listing is for one thread at a time, reading for any number.

    A file's path is its address below the service's root; that of a DSIB of ours names the channel to make it of.
    """

    def __init__(self, settings: StationSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._base = settings.url.rstrip("/") + "/"
        self._service = ODataService(
            f"station {settings.name}",
            settings.access,
            timeout_s=settings.timeout_s,
            ca_file=settings.ca_file,
            parallel=settings.parallel,
        )
        self._forms: dict[str, int] = {}
        self._held: defaultdict[str, _Held] = defaultdict(_Held)
        self._by_id: dict[str, list[ListedSession]] = {}
        self._windows, self._nameless = True, True
        self._lacking: dict[tuple[str, int], tuple[str, ...]] = {}
        self._told: set[str] = set()

    @property
    def name(self) -> str:
        return self._settings.name

    # sessions ---------------------------------------------------------------------------------------------------
    def sessions(self) -> Iterator[tuple[Tree, str, str]]:
        """See the port. Each satellite is asked for by itself: an error of one does not hide the others' sessions."""
        found: list[ListedSession] = []
        failures: list[S2psError] = []
        for satellite in self._settings.satellites:
            try:
                found += self._of_satellite(satellite)
            except S2psError as error:
                failures.append(error)
        if not failures:
            found += self._of_no_satellite()
        grouped: defaultdict[str, list[ListedSession]] = defaultdict(list)
        for session in found:
            grouped[session.session].append(session)
        self._by_id = dict(grouped)
        self._lacking = {key: reasons for key, reasons in self._lacking.items() if key[0] in grouped}
        for name, entities in grouped.items():
            of = next((each.satellite for each in entities if each.satellite), "")
            if not of:
                self._once(f"session {name!r:.60}: neither its id nor the station says of which satellite it is")
            elif of in self._settings.satellites:
                yield "RETRANSFER" if all(each.retransfer for each in entities) else "NOMINAL", of, name
        if failures:
            raise failures[0]

    def _of_satellite(self, satellite: str) -> list[ListedSession]:
        """Sessions of a satellite: all every ``relist_s``, those published of late in between."""
        held = self._held[satellite]
        if self._windows and not self._due(held):
            newest = max((each.published for each in held.sessions.values() if each.published), default=None)
            if newest is not None:
                since = date_literal(newest - timedelta(seconds=self._settings.overlap_s))
                # gt and not ge: some stations know the one only.
                only = f"Satellite eq {literal(satellite)} and PublicationDate gt {since}"
                try:
                    held.sessions |= self._read_sessions("sessions since", [({"$filter": only} | _ORDER, True)])
                except RejectedQueryError:
                    _log.info("station %s takes no filter on dates: its sessions are always listed whole", self.name)
                    self._windows = False
                else:
                    return list(held.sessions.values())
        only = f"Satellite eq {literal(satellite)}"
        held.sessions = self._read_sessions(f"sessions of {satellite}", [*_forms(only), ({}, True), ({}, False)])
        held.whole_at = self._clock()
        return list(held.sessions.values())

    def _of_no_satellite(self) -> list[ListedSession]:
        """Sessions of which the station does not say the satellite: no filter by satellite gives them."""
        held = self._held[""]
        if self._nameless and self._due(held):
            try:
                held.sessions = self._read_sessions("sessions of none", [({"$filter": "Satellite eq null"}, True)])
                held.whole_at = self._clock()
            except RejectedQueryError:
                self._nameless = False
            except S2psError as error:
                _log.debug("station %s: sessions without satellite: %s", self.name, error)
        return list(held.sessions.values())

    def _due(self, held: _Held) -> bool:
        return held.whole_at is None or self._clock() - held.whole_at >= self._settings.relist_s

    def _read_sessions(self, kind: str, forms: list[Form]) -> dict[tuple[str, str, bool], ListedSession]:
        try:
            found = [listed_session(item) for item in self._list("Sessions", kind, forms)]
        except ObjectAbsentError as error:
            raise ConfigurationError(f"{error}: is its url the root of an OData service?") from None
        return {(each.id, each.session, each.retransfer): each for each in found if each is not None}

    # files ------------------------------------------------------------------------------------------------------
    def files(self, tree: Tree, satellite: str, folder: str) -> Iterator[StationFile]:
        """See the port; each file is of the tree that it says itself. Then the DSIBs of whole channels without one."""
        del tree
        session, listed = SessionId.parse(folder), self._files(folder)
        for file in listed:
            of: Tree = "RETRANSFER" if file.retransfer else "NOMINAL"
            when = modified_of(file, session)
            yield StationFile(f"Files({file.id})", file.name, of, satellite, folder, file.size, when)
        entities = self._by_id.get(folder, [])
        whole, missing = wanting(session, listed, lambda: self._totals(entities))
        for channel in whole:
            dsib = made(session, channel, entities)
            yield StationFile(
                f"made/{folder}/ch{dsib.channel}",
                dsib.name,
                "NOMINAL",
                satellite,
                folder,
                len(dsib.document),
                dsib.modified,
            )
        self._tell(folder, missing)

    def _files(self, session: str) -> list[ListedFile]:
        """All that the station lists of a session; nothing where it says that there is nothing."""
        forms = _forms(f"SessionId eq {literal(session)}") + _forms(f"SessionID eq {literal(session)}")
        try:
            found = [listed_file(item) for item in self._list("Files", "files", forms)]
        except ObjectAbsentError:
            return []
        return [
            file
            for file in found
            if file is not None and (file.session == session or (not file.session and session in file.name))
        ]

    def _totals(self, entities: list[ListedSession]) -> Mapping[int, Totals]:
        """The station's own totals by channel, a check beside the block numbers; nothing where it gives none."""
        for entity in entities:
            if self._settings.quality and entity.id and not entity.retransfer:
                try:
                    url = f"{self._base}Sessions({entity.id})?$expand=QualityInfo"
                    return dict(listed_totals(self._service.get_json(url)))
                except S2psError as error:
                    _log.debug("station %s, quality of %s: %s", self.name, entity.session, error)
        return {}

    def _tell(self, session: str, missing: list[tuple[int, tuple[str, ...]]]) -> None:
        """What still keeps a channel, whose final block is known, from being whole: what the poll before found too."""
        for channel, reasons in missing:
            if NO_FINAL not in reasons and self._lacking.get((session, channel)) == reasons:
                self._once(f"{session}, channel {channel} lacks {'; '.join(reasons)}")
            self._lacking[session, channel] = reasons

    def _once(self, what: str) -> None:
        if what not in self._told:
            self._told = {what} if len(self._told) >= _MOST_TOLD else {what, *self._told}
            _log.warning("station %s: %s", self.name, what)

    # reading ----------------------------------------------------------------------------------------------------
    def read(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        """See the port."""
        file, ours = _FILE.fullmatch(path), _MADE.fullmatch(path)
        if file is not None:
            yield from self._service.read(f"{self._base}{path}/$value", start=start)
        elif ours is not None:
            yield self._make(ours[1], int(ours[2])).document[start:]
        else:
            raise BadInputError(f"station {self.name}, path", "Files(<id>), or made/<session>/ch<n>", path)

    def _make(self, session: str, number: int) -> MadeDsib:
        """A DSIB once more. ObjectAbsentError where the channel is not whole any more, or the station has one now."""
        only = f"SessionId eq {literal(session)}"
        entities = self._read_sessions("session", [*_forms(only), ({}, True), ({}, False)]).values()
        named = SessionId.parse(session)
        for channel in channels(named, self._files(session)):
            if channel.number == number and not channel.given and not channel.missing():
                return made(named, channel, [each for each in entities if each.session == session])
        raise ObjectAbsentError(f"station {self.name}: no DSIB can be made of channel {number} of {session}")

    # lists ------------------------------------------------------------------------------------------------------
    def _list(self, what: str, kind: str, forms: list[Form]) -> list[Item]:
        """The list ``what`` by the first of ``forms`` that the station takes; it is asked by that one from then on."""
        begin = self._forms.get(kind, 0)
        for number, (options, paged) in enumerate(forms[begin:], begin):
            fetch = self._document if paged else without_paging(self._document)
            try:
                found = list(items(fetch, self._base + what, options, self._settings.page))
            except RejectedQueryError as error:
                if number == len(forms) - 1:
                    raise
                _log.debug("%s; asked in a plainer form", error)
            else:
                self._forms[kind] = number
                return found
        raise AssertionError("a form at least")

    def _document(self, url: str) -> Any:
        """A list as OData has it, also where the station answers a bare list, or the one entity by itself."""
        document = self._service.get_json(url)
        if isinstance(document, list):
            return {"value": document}
        if isinstance(document, dict) and "value" not in document and "Id" in document:
            return {"value": [document]}
        return document


def _forms(only: str) -> list[Form]:
    """A filtered query from its richest form to its plainest."""
    return [({"$filter": only} | _ORDER, True), ({"$filter": only}, True), ({"$filter": only}, False)]
