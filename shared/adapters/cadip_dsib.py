"""The DSIB of a channel whose station gives none, made from the station's own list of files: pure.

A CADIP lists blocks with their numbers and sizes, and marks the final one; what a DSIB says of a channel follows from
that. It is made once the channel is whole, says in a comment that it is ours, and is the same document, byte for byte,
as long as the list is: whoever reads it later, and elsewhere, makes it again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from shared.adapters.cadip_listing import ListedFile, ListedSession
from shared.domain.blocks import Block, Totals, lacks
from shared.domain.names import SessionFile, SessionId
from shared.dsib import Dsib, make_dsib
from shared.errors import BadInputError

REMARK: Final = "Made by s2ps from the station's list of files: the station gives no DSIB of this channel."


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a session as listed: its chunks by name (the newest version of each), in the order of numbers.

    ``odd``: what the list says of a chunk against the chunk's own name. ``given``: the station has a DSIB of its own.
    """

    number: Literal[1, 2]
    chunks: tuple[tuple[SessionFile, ListedFile], ...]
    odd: tuple[str, ...]
    given: bool

    def missing(self, totals: Totals | None = None) -> tuple[str, ...]:
        """Why this is not the whole channel, in words; empty where it is."""
        blocks = [Block(file.name, name.number or 0, file.size, file.final) for name, file in self.chunks]
        return (*self.odd, *lacks(blocks, totals))


@dataclass(frozen=True, slots=True)
class MadeDsib:
    """A DSIB of ours. ``modified``: when the last of its chunks was published."""

    name: str
    channel: Literal[1, 2]
    document: bytes
    modified: datetime


def modified_of(file: ListedFile, session: SessionId) -> datetime:
    """When a file was published; where the station does not say, the begin of the pass: no later than the truth."""
    return file.published or session.start


def channels(session: SessionId, files: Iterable[ListedFile]) -> list[Channel]:
    """The channels of a session of which something is listed. What is no file of this session is left out."""
    newest: dict[str, ListedFile] = {}
    final: set[str] = set()
    for file in files:
        if file.size > 0:
            final |= {file.name} if file.final else set()
            newest[file.name] = max(newest.get(file.name, file), file, key=lambda each: _rank(each, session))
    found: defaultdict[Literal[1, 2], list[tuple[SessionFile, ListedFile]]] = defaultdict(list)
    for name, file in newest.items():
        parsed = _parsed(name, session)
        if parsed is not None:
            # A retransferred version may not repeat the mark.
            found[parsed.channel].append((parsed, replace(file, final=name in final)))
    return [_channel(number, found[number]) for number in sorted(found)]


def made(session: SessionId, channel: Channel, entities: Sequence[ListedSession]) -> MadeDsib:
    """The DSIB of a whole channel. Times of the pass from the station's, where it gives them."""
    last = max(modified_of(file, session) for _, file in channel.chunks)
    starts = [each.start for each in entities if each.start is not None]
    stops = [each.stop for each in entities if each.stop is not None]
    block = Dsib(
        session=str(session),
        channel=channel.number,
        time_start=min(starts, default=session.start),
        time_stop=max(stops, default=last),
        data_size=sum(file.size for _, file in channel.chunks),
        names=tuple(file.name for _, file in channel.chunks),
    )
    name = SessionFile(min(name.dcsu for name, _ in channel.chunks), session, channel.number, None, "xml")
    return MadeDsib(str(name), channel.number, make_dsib(block, REMARK), last)


def wanting(
    session: SessionId, files: Iterable[ListedFile], totals: Callable[[], Mapping[int, Totals]]
) -> tuple[list[Channel], list[tuple[int, tuple[str, ...]]]]:
    """Channels that are whole and have no DSIB; and (channel, what is missing) of those that are not whole.

    ``totals`` is asked for only where a channel is whole by its blocks.
    """
    without = [channel for channel in channels(session, files) if not channel.given]
    missing = {channel.number: channel.missing() for channel in without}
    said = totals() if any(not reasons for reasons in missing.values()) else {}
    for channel in without:
        if not missing[channel.number]:
            missing[channel.number] = channel.missing(said.get(channel.number))
    whole = [channel for channel in without if not missing[channel.number]]
    return whole, [(number, reasons) for number, reasons in missing.items() if reasons]


def _rank(file: ListedFile, session: SessionId) -> tuple[datetime, bool, str]:
    return modified_of(file, session), file.retransfer, file.id


def _parsed(name: str, session: SessionId) -> SessionFile | None:
    try:
        found = SessionFile.parse(name)
    except BadInputError:
        return None
    return found if found.session == session else None


def _channel(number: Literal[1, 2], files: list[tuple[SessionFile, ListedFile]]) -> Channel:
    chunks = sorted(
        ((name, file) for name, file in files if name.kind == "DSDB"), key=lambda each: (each[0].number, each[1].name)
    )
    odd = tuple(
        f"certainty of {file.name}: the station lists it as block {file.number}"
        for name, file in chunks
        if file.number not in {None, name.number}
    )
    return Channel(number, tuple(chunks), odd, given=len(chunks) < len(files))
