"""The logs of a mode of the licensed chain, in ``<output>/<mode>``: the Orchestrator's, and an archive of all others.

``orchlog_<mode>_T<tile>_<time>.log`` and ``.err`` are what the Orchestrator wrote, ``logs_SUCCESS_...tar`` or
``logs_FAILURE_...tar`` holds job orders, logs and reports below one folder of the archive's name. ``FAILURE`` says that
the Launcher ended with an error, ``SUCCESS`` no more than that it saw none. Names and sentences as in ``LaunchIPF.py``
of CS-SI/S2IPF_Orchestrator_Launcher and ``orchestrator/Scheduler_Task.py`` of CS-SI/S2IPF_Orchestrator.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from shared.errors import BadInputError

MAX_MEMBERS: Final = 50_000
MAX_MEMBER_BYTES: Final = 64 << 10
MAX_READ_BYTES: Final = 4 << 20
_NAME: Final = re.compile(r"logs_(SUCCESS|FAILURE)_([A-Za-z0-9_]{1,40}?)_T([0-9-]{1,200})_([0-9]{14})\.tar", re.ASCII)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
# What the Orchestrator logs where a program is not there, and where it cannot prepare or start a task.
NOT_THERE: Final = "Task script not found: [%s]"
NOT_STARTED: Final = "[Exiting] Something was wrong in runtask: %s"
# Where the scheduler ends, a failed task apart.
POOL_FAILED: Final = "[Exiting] Something was wrong..: %s"
_ERRORS: Final = tuple(
    re.compile(re.escape(text).replace("%s", "(.{0,300})")) for text in (NOT_THERE, NOT_STARTED, POOL_FAILED)
)


@dataclass(frozen=True, slots=True)
class LogsName:
    """What the name of an archive says; ``tile`` is ``000`` where the mode ran for no tile."""

    success: bool
    mode: str
    tile: str
    date: str

    def __str__(self) -> str:
        return f"logs_{'SUCCESS' if self.success else 'FAILURE'}_{self.mode}_T{self.tile}_{self.date}.tar"


@dataclass(frozen=True, slots=True)
class Logs:
    """Sizes of all members by name, and the beginnings of those that tell of errors (``*.err``, not empty)."""

    sizes: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def parse_logs_name(name: str) -> LogsName | None:
    """The parts of an archive's name; None where it is another file's."""
    match = _NAME.fullmatch(name)
    return None if match is None else LogsName(match[1] == "SUCCESS", match[2], match[3], match[4])


def log_name(mode: str, tile: str, date: str, suffix: str = "log") -> str:
    """The name of the Orchestrator's log; ``suffix`` is ``log`` or ``err``."""
    return f"orchlog_{mode}_T{tile or '000'}_{date}.{suffix}"


def log_errors(document: bytes) -> tuple[str, ...]:
    """Sentences of the Orchestrator's log that tell why it did not go on, each once."""
    text = _COLOUR.sub("", document.decode(errors="replace"))
    found = [match[0] for line in text.splitlines() for form in _ERRORS if (match := form.search(line))]
    return tuple(dict.fromkeys(found))


def write_logs(stream: BinaryIO, name: LogsName, members: Mapping[str, bytes]) -> None:
    """An archive with these members (paths below its one folder)."""
    folder = str(name).removesuffix(".tar")
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, body in sorted(members.items()):
            info = tarfile.TarInfo(f"{folder}/{path}")
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))


def read_logs(stream: BinaryIO, what: str) -> Logs:
    """What an archive holds; nothing is unpacked, and no more than ``MAX_READ_BYTES`` are read of its members.

    BadInputError names file ``what`` where it is no archive, is cut off, or holds too many members.
    """
    sizes: dict[str, int] = {}
    errors: dict[str, str] = {}
    room = MAX_READ_BYTES
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                if len(sizes) >= MAX_MEMBERS:
                    raise BadInputError(what, f"at most {MAX_MEMBERS} members")
                if not member.isreg():
                    continue
                sizes[member.name] = member.size
                if not member.name.endswith(".err") or not member.size or room <= 0:
                    continue
                file = archive.extractfile(member)
                body = b"" if file is None else file.read(min(MAX_MEMBER_BYTES, room))
                room -= len(body)
                errors[member.name] = _COLOUR.sub("", body.decode(errors="replace"))
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BadInputError(what, "a tar archive", type(error).__name__) from None
    return Logs(sizes, errors)
