"""Failing on demand: which rule applies here, and what it does."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal, Self

from functions.ipf.standin.config import Config, Fault, Rule

_DAY_S: Final = 86_400.0
_MIB: Final = 1 << 20
AT_ONCE: Final[tuple[Fault, ...]] = ("exit", "signal", "slow", "out-of-memory", "disk-full", "hang", "ignore-sigterm")
"""Faults of a program that begin when it does; the others hit what it would have done."""


@dataclass(frozen=True, slots=True)
class Here:
    """Where a program stands; rules are held against it."""

    call: Literal["eisp", "launcher", "l2ds", "l2tl"]
    mode: str = ""
    tile: str = ""
    datatake: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class Ended(Exception):
    """The program ends with this exit code; ``text`` is its last word."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that hold for one run of a program."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def at(cls, config: Config, here: Here, home: Path | None) -> Self:
        """Those that hold at a place, each used up by one; ``home`` is where that is counted."""
        return cls(tuple(r for i, r in enumerate(config.rules) if _fits(r, here) and _left(i, r, here, home)))

    def take(self, faults: Sequence[Fault], task: str = "") -> Rule | None:
        """The first rule for one of these faults, of this task; of the program where none is named."""
        return next((rule for rule in self.rules if rule.fault in faults and rule.task == task), None)

    def hits(self, fault: Fault, path: Path) -> bool:
        """Whether a file is to be damaged so, by its name or its folder's."""
        names = (path.name, path.parent.name)
        return any(r.fault == fault and any(fnmatchcase(n, r.output) for n in names) for r in self.rules)


def _fits(rule: Rule, here: Here) -> bool:
    return (
        rule.call in {"", here.call}
        and rule.mode in {"", here.mode}
        and rule.tile in {"", here.tile}
        and any(fnmatchcase(name, rule.datatake) for name in here.datatake)
    )


def _left(index: int, rule: Rule, here: Here, home: Path | None) -> bool:
    """Whether it may be used once more: each use leaves a file, which only one process can make."""
    if rule.times is None or home is None:
        return True
    key = hashlib.sha256(f"{index}{rule.model_dump_json()}{here}".encode()).hexdigest()[:16]
    folder = home / "used"
    folder.mkdir(exist_ok=True)
    for number in range(rule.times):
        try:
            os.close(os.open(folder / f"{key}-{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            continue
        return True
    return False


def perform(rule: Rule) -> None:
    """What a rule does to the whole program. Raises Ended, MemoryError or OSError; returns where it only took time."""
    held = b"\xa5" * (rule.memory_mb * _MIB)
    if rule.fault == "ignore-sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if rule.fault in {"hang", "ignore-sigterm"}:
        time.sleep(rule.seconds or _DAY_S)
    elif rule.seconds:
        time.sleep(rule.seconds)
    if rule.fault == "signal":
        os.kill(os.getpid(), rule.code or signal.SIGKILL)
    if rule.fault == "out-of-memory":
        raise MemoryError(f"{len(held)} bytes were had")
    if rule.fault == "disk-full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if rule.fault == "exit":
        raise Ended(rule.code, f"ends with exit code {rule.code}, as a rule says")
