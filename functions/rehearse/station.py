"""The stations of a rehearsal: files appear as passes come down, and are gone a few hours later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from shared.errors import ObjectAbsentError, StationUnavailableError
from shared.ports import StationFile

Tree = Literal["NOMINAL", "RETRANSFER"]


@dataclass
class VirtualStation:
    """A pick-up point whose files are in a dict, by session folder and path."""

    name: str
    away: bool = False
    held: dict[tuple[Tree, str, str], dict[str, tuple[bytes, datetime]]] = field(default_factory=dict)

    def put(self, satellite: str, session: str, file: str, content: bytes, modified: datetime) -> None:
        channel = "ch_2" if "_ch2_" in file else "ch_1"
        place: tuple[Tree, str, str] = ("NOMINAL", satellite, f"DCS_05_{session}_dat")
        self.held.setdefault(place, {})[f"{channel}/{file}"] = (content, modified)

    def remove(self, satellite: str, session: str) -> None:
        self.held.pop(("NOMINAL", satellite, f"DCS_05_{session}_dat"), None)

    def sessions(self) -> Iterator[tuple[Tree, str, str]]:
        self._ask()
        yield from sorted(self.held)

    def files(self, tree: Tree, satellite: str, folder: str) -> Iterator[StationFile]:
        self._ask()
        for path, (content, modified) in self.held.get((tree, satellite, folder), {}).items():
            whole = f"{tree}/{satellite}/{folder}/{path}"
            yield StationFile(whole, path.rpartition("/")[2], tree, satellite, folder, len(content), modified)

    def read(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        self._ask()
        tree, satellite, folder, rest = path.split("/", 3)
        place: tuple[Tree, str, str] = ("RETRANSFER" if tree == "RETRANSFER" else "NOMINAL", satellite, folder)
        found = self.held.get(place, {}).get(rest)
        if found is None:
            raise ObjectAbsentError(path)
        yield found[0][start:]

    def _ask(self) -> None:
        if self.away:
            raise StationUnavailableError(f"station {self.name} is away")
