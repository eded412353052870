"""What a listing says that was not known: pure decisions over one session's files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal

from shared.domain.names import SessionFile, SessionId
from shared.errors import BadInputError
from shared.ledger.records import Seen
from shared.ports import StationFile

_FOLDER: Final = re.compile(r"(?:DCS_\d{2}_)?(?P<session>S2[A-D]_\d{20}|L\d{23})(?:_dat)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds of a file."""

    tree: Literal["NOMINAL", "RETRANSFER"]
    size: int
    modified: datetime

    @classmethod
    def of(cls, file: StationFile | Seen) -> Known:
        return cls(file.tree, file.size, file.modified)


@dataclass(frozen=True, slots=True)
class Changes:
    """``new`` and ``changed`` files, one for each name; ``refused``: (name, reason), once for each name."""

    new: tuple[StationFile, ...]
    changed: tuple[StationFile, ...]
    refused: tuple[tuple[str, str], ...]


def session_of(folder: str) -> SessionId | None:
    """The session of a folder: its bare id, or ``DCS_NN_<session>_dat``; None for a folder of something else."""
    match = _FOLDER.fullmatch(folder)
    try:
        return None if match is None else SessionId.parse(match["session"])
    except BadInputError:
        return None


def changes(session: SessionId, listing: Iterable[StationFile], known: Mapping[str, Known]) -> Changes:
    """Compare a listing of ``session`` with what is known of its files.

    A file without a byte is not there yet. Of one name in several places the newest counts, and a retransfer before a
    nominal of the same time. A known file has changed when its own tree lists another size or time, or the other tree a
    newer one: a nominal file does not come back when the retransfer that superseded it is cleared away.
    """
    best: dict[str, StationFile] = {}
    refused: dict[str, str] = {}
    for file in listing:
        reason = refusal(session, file.name, file.satellite)
        if reason is not None:
            refused[file.name] = reason
        elif file.size > 0:
            best[file.name] = max(best.get(file.name, file), file, key=_rank)
    new = tuple(file for name, file in best.items() if name not in known)
    changed = tuple(file for name, file in best.items() if name in known and _differs(file, known[name]))
    return Changes(new, changed, tuple(refused.items()))


def _rank(file: StationFile) -> tuple[datetime, bool, str]:
    return file.modified, file.tree == "RETRANSFER", file.path


def _differs(file: StationFile, known: Known) -> bool:
    if (file.size, file.modified) == (known.size, known.modified):
        return False
    return file.tree == known.tree or (file.modified, file.tree) > (known.modified, known.tree)


@lru_cache(maxsize=4096)
def refusal(session: SessionId, name: str, satellite: str) -> str | None:
    """Why a file of this name, listed for a satellite, is none of this session's, in one sentence; None where it is.

    Remembered, since a station lists the files of an open session every few seconds.
    """
    try:
        found = SessionFile.parse(name)
    except BadInputError as error:
        return str(error)
    if found.session != session:
        return f"the file is of session {found.session}, and stands in the folder of {session}"
    if found.session.satellite not in {None, satellite}:
        return f"the file is of satellite {found.session.satellite}, and stands in the folder of {satellite}"
    return None
