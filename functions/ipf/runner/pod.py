"""What stage-in lays into the scratch folder of a pod, beside the inputs, for the IPF's container.

``.s2ps/ipf.sh`` runs the command there, in an image that holds nothing of ours. It and the IPF may run as another user
of the same group (the pod's fsGroup), so folders are the group's, and stay so below (setgid, umask 002).
"""

from __future__ import annotations

import shlex
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from functions.ipf.runner.job import Scratch

UMASK: Final = 0o002
SCRIPT: Final = Path(__file__).with_name("ipf.sh")
BUSYBOX: Final = Path("/bin/busybox")
_FOLDER: Final = 0o2775
_PROGRAM: Final = 0o755
_RESERVE: Final = 64 << 10
_PT_INTERP: Final = 3
_LINES: Final = "\n"


@dataclass(frozen=True, slots=True)
class Calls:
    """What is to be run: ``commands`` one after the other.

    They are stopped when nothing that matches ``activity`` below ``base``, nor the log, changes for ``quiet_limit_s``
    (0: never).
    """

    commands: tuple[tuple[str, ...], ...]
    base: Path
    quiet_limit_s: int = 0
    activity: tuple[str, ...] = ()


def lay_calls(scratch: Scratch, calls: Calls) -> None:
    """Write what ``ipf.sh`` reads: assignments of the shell's. A command is kept as shell words within one word."""
    scratch.own.mkdir(exist_ok=True)
    words = {
        "calls": str(len(calls.commands)),
        "base": str(calls.base),
        "quiet": str(calls.quiet_limit_s),
        "activity": _LINES.join(calls.activity),
        **{f"call_{number}": shlex.join(command) for number, command in enumerate(calls.commands, 1)},
    }
    text = _LINES.join(f"_s2ps_{name}={shlex.quote(value)}" for name, value in words.items())
    scratch.calls.write_bytes(f"{text}\n".encode(errors="surrogateescape"))
    scratch.calls.chmod(0o664)


def read_calls(scratch: Scratch) -> Calls:
    """What ``lay_calls`` wrote, for the local runtime."""
    text = scratch.calls.read_bytes().decode(errors="surrogateescape")
    words = dict(word.partition("=")[::2] for word in shlex.split(text))
    numbers = range(1, int(words["_s2ps_calls"]) + 1)
    return Calls(
        commands=tuple(tuple(shlex.split(words[f"_s2ps_call_{number}"])) for number in numbers),
        base=Path(words["_s2ps_base"]),
        quiet_limit_s=int(words["_s2ps_quiet"]),
        activity=tuple(filter(None, words["_s2ps_activity"].split(_LINES))),
    )


def lay(scratch: Scratch, busybox: Path = BUSYBOX) -> None:
    """Prepare the folder for a run from its beginning: whatever an earlier run of this pod left here goes.

    Only a folder that holds our own ``.s2ps`` is emptied.
    """
    scratch.root.mkdir(parents=True, exist_ok=True)
    scratch.root.chmod(_FOLDER)
    if scratch.own.is_dir() and not scratch.own.is_symlink():
        for path in scratch.root.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    scratch.own.mkdir()
    scratch.own.chmod(_FOLDER)
    if is_static(busybox):
        shutil.copyfile(busybox, scratch.own / "busybox")
        (scratch.own / "busybox").chmod(_PROGRAM)
    # On a full disk, ipf.sh empties this one and so has room to tell of it.
    (scratch.own / "reserve").write_bytes(bytes(_RESERVE))
    (scratch.own / "reserve").chmod(0o664)
    shutil.copyfile(SCRIPT, scratch.own / "ipf.sh")
    (scratch.own / "ipf.sh").chmod(_PROGRAM)


def lay_skip(scratch: Scratch) -> None:
    """Nothing is to be run: the work is over, or this attempt was given up."""
    scratch.skip.touch()


def is_static(program: Path) -> bool:
    """Whether ``program`` is a 64-bit little-endian ELF executable that needs no loader: one that runs in any image."""
    try:
        with program.open("rb") as file:
            head = file.read(64)
            if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
                return False
            (offset,) = struct.unpack_from("<Q", head, 32)
            size, count = struct.unpack_from("<HH", head, 54)
            file.seek(offset)
            table = file.read(size * count)
    except OSError:
        return False
    kinds = [struct.unpack_from("<I", table, at)[0] for at in range(0, len(table) - 3, size or 1)]
    return bool(kinds) and _PT_INTERP not in kinds
