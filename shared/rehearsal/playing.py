"""A pass as the station's users see it: files appear one after another, each at once and whole.

``deliveries`` decides what appears, in which order, from which bytes; it is pure. ``Pass`` makes it happen on disk,
at a chosen rate, by renaming finished files into the served tree.
"""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from shared.domain.names import SessionFile
from shared.errors import BadInputError, ConfigurationError
from shared.rehearsal.faults import (
    Clutter,
    DeliveryFault,
    DsibFault,
    FaultPlan,
    LateChunk,
    RetransferChunk,
    TruncateChunk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Tree = Literal["NOMINAL", "RETRANSFER"]
Change = Literal["whole", "truncated", "damaged", "not-xml", "entity-bomb", "short-list", "clutter"]

_DAMAGED_OCTETS: Final = 64 << 10
_BOMB: Final = b"""<?xml version="1.0"?>
<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c
"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"> <!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e
"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;"><!ENTITY f "&e;&e;&e;&e;&e;&e;&e;">]>
<DCSU_Session_Information_Block><session_id>&f;</session_id></DCSU_Session_Information_Block>
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file's appearance.

    Attributes:
        path: below the tree, ``S2A/DCS_05_<session>_dat/ch_1/<file>``; below the recording too, but for clutter.
        change: what is done to the recorded bytes on the way; ``keep`` octets of a truncated file are left.
        tree: NOMINAL or RETRANSFER.
    """

    path: str
    change: Change = "whole"
    tree: Tree = "NOMINAL"
    keep: int = 0


def deliveries(paths: Sequence[str], faults: Sequence[DeliveryFault] = ()) -> list[Delivery]:
    """What a pass delivers of a recording's files, in order: both channels' chunks in turn, DSIBs last; then the late.

    Raises:
        ConfigurationError: where a fault names a file that the session has not.
    """
    named = {path: _session_file(path) for path in paths}
    order = sorted(paths, key=lambda path: (named[path].number is None, named[path].number or 0, named[path].channel))
    first = [Delivery(path) for path in order]
    early: list[Delivery] = []
    late: list[Delivery] = []
    for fault in faults:
        match fault:
            case TruncateChunk(channel, number, keep):
                at = _find(first, named, channel, number, fault)
                first[at] = replace(first[at], change="truncated", keep=keep)
            case LateChunk(channel, number):
                late.append(first.pop(_find(first, named, channel, number, fault)))
            case RetransferChunk(channel, number, tree):
                at = _find(first, named, channel, number, fault)
                late.append(Delivery(first[at].path, tree=tree))
                first[at] = replace(first[at], change="damaged")
            case DsibFault(channel, how):
                at = _find(first, named, channel, None, fault)
                if how == "first":
                    early.append(first.pop(at))
                elif how == "corrected-later":
                    late.append(first[at])
                    first[at] = replace(first[at], change="short-list")
                elif how == "absent":
                    del first[at]
                else:
                    first[at] = replace(first[at], change=how)
            case Clutter():
                early += _clutter(order)
            case _:
                pass  # a traversal is the listing's, not a file's
    return early + first + late


def _session_file(path: str) -> SessionFile:
    return SessionFile.parse(PurePosixPath(path).name)


def _find(
    entries: Sequence[Delivery], named: dict[str, SessionFile], channel: int, number: int | None, fault: DeliveryFault
) -> int:
    for at, entry in enumerate(entries):
        file = named.get(entry.path)
        if file is not None and (file.channel, file.number) == (channel, number):
            return at
    raise ConfigurationError(f"fault {fault}: expected a file that the session has and no other fault took away")


def _clutter(paths: Sequence[str]) -> list[Delivery]:
    folder, _, name = paths[0].rpartition("/")
    return [
        Delivery(f"{folder}/{clutter}", "clutter")
        for clutter in (f".{name}.part", f"{name}.tmp", "db.lock", "lost+found/remains.raw")
    ]


def content(delivery: Delivery, recorded: Path) -> bytes:
    """The bytes that the station shows of a recorded file."""
    match delivery.change:
        case "clutter":
            return b"half a file"
        case "not-xml":
            return b"\x89DSIB was here\x00\xff"
        case "entity-bomb":
            return _BOMB
    whole = recorded.read_bytes()
    match delivery.change:
        case "truncated":
            return whole[: delivery.keep]
        case "damaged":
            lost = min(_DAMAGED_OCTETS, len(whole) // 2)
            return whole[: len(whole) - lost] + bytes(lost)
        case "short-list":
            return _without_last_name(whole)
    return whole


def _without_last_name(dsib: bytes) -> bytes:
    head, mark, tail = dsib.rpartition(b"<dsdb_name>")
    if not mark:
        raise BadInputError("recorded DSIB", "at least one dsdb_name")
    return head + tail.partition(b"</dsdb_name>")[2]


@dataclass
class Pass:
    """Plays a recording into a served folder.

    Args:
        recording: root of a simulated session (the folder that holds ``S2A/...``).
        served: root of the station: files appear under its NOMINAL and RETRANSFER trees.
        faults: the delivery faults are applied.
        bytes_s: rate at which files appear, octets in a second; 0 for as fast as the disk allows.
        station_folder: a folder between tree and satellite, as some stations have (``SGS_``); none where empty.
        journal: file that remembers how many have appeared, so that a pass which was cut short goes on from there.
    """

    recording: Path
    served: Path
    faults: FaultPlan = field(default_factory=FaultPlan)
    bytes_s: float = 0.0
    station_folder: str = ""
    journal: Path | None = None

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        paths = [path.relative_to(self.recording).as_posix() for path in sorted(self.recording.rglob("DCS_*_ch*.*"))]
        if not paths:
            raise BadInputError(f"recording {self.recording}", "the files of a session", "none")
        self.deliveries = deliveries(paths, self.faults.delivery)
        for tree in ("NOMINAL", "RETRANSFER"):
            (self.served / tree).mkdir(parents=True, exist_ok=True)

    def play(self, seen: Callable[[Delivery], None] | None = None) -> None:
        """Deliver all files; ``seen`` is called after each. Returns early, between files, once ``stop`` is called."""
        begun = self._appeared()
        for number, delivery in enumerate(self.deliveries[begun:], begun + 1):
            size = self.deliver(delivery)
            if self.journal is not None:
                part = self.journal.with_name(self.journal.name + ".part")
                part.write_text(str(number), encoding="utf-8")
                part.replace(self.journal)
            if seen is not None:
                seen(delivery)
            if self._stop.wait(size / self.bytes_s if self.bytes_s > 0 else 0):
                return

    def _appeared(self) -> int:
        """How many files appeared before this pass was cut short; the last may have done so unnoticed."""
        if self.journal is None or not self.journal.exists():
            return 0
        count = int(self.journal.read_text(encoding="utf-8"))
        return count + int(count < len(self.deliveries) and self._is_there(self.deliveries[count]))

    def _target(self, delivery: Delivery) -> Path:
        return self.served / delivery.tree / self.station_folder / delivery.path

    def _is_there(self, delivery: Delivery) -> bool:
        target = self._target(delivery)
        return target.exists() and target.read_bytes() == content(delivery, self.recording / delivery.path)

    def stop(self) -> None:
        """End ``play`` after the file under way; safe from any thread."""
        self._stop.set()

    def deliver(self, delivery: Delivery) -> int:
        """Make one file appear, its modification time now; returns its size."""
        target = self._target(delivery)
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = self.served.with_name(f"{self.served.name}.incoming")
        staging.mkdir(exist_ok=True)
        part = staging / target.name
        source = self.recording / delivery.path
        if delivery.change == "whole":
            shutil.copyfile(source, part)  # not its times: the file is new at the station
        else:
            part.write_bytes(content(delivery, source))
        size = part.stat().st_size
        if target.exists():
            # Listings tell times in whole seconds: what is delivered again must be seen to be newer.
            newer = max(part.stat().st_mtime, target.stat().st_mtime + 1)
            os.utime(part, (newer, newer))
        part.replace(target)
        return size
