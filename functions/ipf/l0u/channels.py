"""The files of a session as two streams of octets: DSDB chunks in their order, and when they were received."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from shared.domain.names import SessionFile
from shared.dsib import MAX_SIZE, Dsib, parse_dsib
from shared.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHANNELS: Final[tuple[Literal[1, 2], ...]] = (1, 2)
_BLOCK_OCTETS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """Octets of one file, and where they stand in their channel: 0.0 at its first octet, up to 1.0."""

    file: str
    octets: bytes
    position: float


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a session: chunks by number, and the pass as its DSIB states it, where there is one.

    ``missing`` are chunks that the DSIB names and the folder does not have; ``notes`` what was wrong with the DSIB.
    """

    number: Literal[1, 2]
    files: tuple[Path, ...]
    session: str
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    time_start: datetime | None = None
    time_stop: datetime | None = None

    def blocks(self) -> Iterator[Block]:
        """The channel's octets, a megabyte at a time."""
        total = sum(path.stat().st_size for path in self.files) or 1
        done = 0
        for path in self.files:
            with path.open("rb") as source:
                while octets := source.read(_BLOCK_OCTETS):
                    done += len(octets)
                    yield Block(path.name, octets, done / total)

    def received(self, position: float) -> datetime:
        """Reception time at a position: from the DSIB, else the start of the session that the files' names give."""
        start = self.time_start or SessionFile.parse(self.files[0].name).session.start
        stop = self.time_stop or start
        return start + max(stop - start, start - start) * position


def find_channels(folder: Path) -> tuple[Channel, ...]:
    """Channels under ``folder``, which has ``ch_1`` and ``ch_2`` (or ``ch1``, ``ch01``, ...); BadInputError where
    there are none.
    """
    channels = tuple(
        channel for number in CHANNELS if (channel := _channel(folder, number)) is not None and channel.files
    )
    if not channels:
        raise BadInputError(f"session folder {folder.name}", "DSDB files under ch_1 or ch_2")
    return channels


def _channel(folder: Path, number: Literal[1, 2]) -> Channel | None:
    names = (f"ch_{number}", f"ch{number}", f"ch0{number}", f"ch_0{number}")
    place = next((folder / name for name in names if (folder / name).is_dir()), None)
    if place is None:
        return None
    chunks: list[tuple[int, Path]] = []
    dsib: Path | None = None
    session = ""
    for path in sorted(place.iterdir()):
        try:
            file = SessionFile.parse(path.name)
        except BadInputError:
            continue  # temporary and foreign files are the station's business
        if file.channel != number:
            raise BadInputError(f"{place.name}/{path.name}", f"a file of channel {number}")
        session = str(file.session)
        if file.number is None:
            dsib = path
        else:
            chunks.append((file.number, path))
    files = tuple(path for _, path in sorted(chunks))
    if dsib is None:
        return Channel(number, files, session, notes=(f"channel {number}: no DSIB",))
    try:
        said = _read_dsib(dsib, SessionFile.parse(dsib.name))
    except BadInputError as error:
        return Channel(number, files, session, notes=(str(error),))
    present = {path.name for path in files}
    missing = tuple(name for name in said.names if name not in present)
    return Channel(number, files, session, missing, (), said.time_start, said.time_stop)


def _read_dsib(path: Path, file: SessionFile) -> Dsib:
    if path.stat().st_size > MAX_SIZE:
        raise BadInputError(path.name, f"at most {MAX_SIZE} bytes", path.stat().st_size)
    return parse_dsib(path.read_bytes(), file)
