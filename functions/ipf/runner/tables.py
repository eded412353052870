"""The status tables that the Launcher of the licensed chain left, and what they say of a run. Hostile input.

Stricter than the Launcher: it calls a run a success in which tasks never ran, run still, or could not be found (rules
as measured with CS-SI/S2IPF_Orchestrator_Launcher 1.0.0; forms: ``shared.tasktable.status``).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from functions.ipf.runner.plain import open_plain
from shared.errors import BadInputError
from shared.tasktable.logs import log_errors
from shared.tasktable.status import FAILED_FROM, MAX_BYTES, Row, Table, parse_result

_MOST_FILES: Final = 200
_LOG_BYTES: Final = 1 << 20
_MODE: Final = frozenset({"-m", "--mode"})
# The Orchestrator's exit codes for a program that is not there, and for a task that could not be prepared or started.
_NOT_THERE: Final = 128 + 2
_NOT_STARTED: Final = 128 + 22
_KILL, _TERM = 9, 15

Trouble = Literal["late", "memory", "killed", "configuration", "failed"]
_FIRST: Final[tuple[Trouble, ...]] = ("late", "memory", "killed", "configuration", "failed")


@dataclass(frozen=True, slots=True)
class Launched:
    """What the Launcher left: its tables, why the Orchestrator did not go on, and what could not be read."""

    tables: tuple[Table, ...] = ()
    errors: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the tables say of a run: the gravest ``trouble``, empty where all tasks ended well, and the warnings."""

    trouble: Trouble | Literal[""] = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()


def read_tables(base: Path, patterns: Sequence[str]) -> Launched:
    """All tables and logs of the Orchestrator in the folders below ``base`` that match; links are not followed."""
    tables: list[Table] = []
    errors: list[str] = []
    problems: list[str] = []
    for path in _files(base, patterns):
        try:
            with open_plain(path) as file:
                if path.name.startswith("result_"):
                    tables += parse_result(file.read(MAX_BYTES + 1), path.name)
                else:
                    file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_BYTES))
                    errors += log_errors(file.read(_LOG_BYTES))
        except BadInputError as error:
            problems.append(str(error))
        except FileNotFoundError:
            continue
    return Launched(tuple(tables), tuple(dict.fromkeys(errors)), tuple(problems))


def _files(base: Path, patterns: Sequence[str]) -> Iterator[Path]:
    seen = 0
    for folder in sorted({path for pattern in patterns for path in base.glob(pattern)}):
        if folder.is_symlink() or not folder.is_dir():
            continue
        for form in ("result_*.txt", "orchlog_*"):
            for path in sorted(folder.glob(form)):
                seen += 1
                if seen > _MOST_FILES:
                    return
                yield path


def mode_of(call: Sequence[str], values: Mapping[str, str]) -> str:
    """The mode that a call of the Launcher asks for; empty where it asks for none."""
    for option, value in pairwise(call):
        if option in _MODE:
            return values.get(value.strip("{}"), value) if re.fullmatch(r"\{\w+\}", value) else value
    return ""


def rule(launched: Launched, modes: Sequence[str], exits: Sequence[int]) -> Ruling:
    """What the tables say of calls of the Launcher for ``modes``, which ended with ``exits``.

    The stricter of the two counts: a table without fault does not make up for an exit code, nor the other way round.
    """
    troubles: list[tuple[Trouble, str]] = []
    warnings: list[str] = []
    left = list(launched.tables)
    for mode, code in zip(modes, exits, strict=False):
        table = next((each for each in left if each.mode == mode or not mode), None)
        if table is None:
            because = "".join(f": {text}" for text in (*launched.errors, *launched.problems)[:1])
            troubles.append(("failed", f"mode {mode}: the Orchestrator left no status (exit code {code}){because}"))
            continue
        left.remove(table)
        found = list(_troubles(table, code, launched.errors))
        if not found and code != 0:
            found = [("failed", f"mode {mode}: the Launcher ended with exit code {code}, after all tasks")]
        troubles += found
        warnings += _warnings(table)
    for kind in _FIRST:
        for trouble, reason in troubles:
            if trouble == kind:
                return Ruling(kind, reason, tuple(warnings))
    return Ruling(warnings=tuple(warnings))


def _troubles(table: Table, code: int, errors: Sequence[str]) -> Iterator[tuple[Trouble, str]]:
    if not table.rows:
        yield "failed", f"mode {table.mode}: the Orchestrator ran no task"
    kinds: dict[tuple[Trouble, str], list[Row]] = {}
    for row in table.rows:
        kind = _trouble(row, code, errors)
        if kind is not None:
            kinds.setdefault(kind, []).append(row)
    for (trouble, how), rows in kinds.items():
        name = rows[0].name
        of_task = sum(row.name == name for row in table.rows)
        others = len({row.name for row in rows}) - 1
        more = f", and {others} other tasks" if others else ""
        count = sum(row.name == name for row in rows)
        yield trouble, f"mode {table.mode}: task {name} {how} ({count} of {of_task} processes{more})"


def _trouble(row: Row, code: int, errors: Sequence[str]) -> tuple[Trouble, str] | None:
    """What is wrong with one process; None where it ended well, with a warning, or was left out by rule."""
    if row.status in {"FINISHED", "ERROR"}:
        return _ended(row, errors)
    if row.status == "SKIPPED":
        return None
    if row.status == "RUNNING" and code != 0:
        return "late", "ran still when the Launcher's time was over"
    return "failed", {
        "NORUN": "never ran",
        "RUNNING": "ran still when the Orchestrator's scheduler ended",
        "ABORTED": "was aborted",
    }.get(row.status, f"was not run to its end ({row.status})")


def _ended(row: Row, errors: Sequence[str]) -> tuple[Trouble, str] | None:
    code = row.exit_code
    if row.status == "FINISHED" and 0 <= code < FAILED_FROM:
        return None
    if row.signal == _KILL:
        return "memory", "was killed by signal 9"
    if row.signal == _TERM:
        return "killed", "was stopped from outside by signal 15"
    if row.signal:
        return "failed", f"ended by signal {row.signal}"
    because = "".join(f": {text}" for text in errors[:1])
    absent = any("not found" in text for text in errors)
    if code == _NOT_STARTED or (code == _NOT_THERE and absent):
        return "configuration", f"could not be started (exit code {code}){because}"
    return "failed", f"failed with exit code {code}"


def _warnings(table: Table) -> Iterator[str]:
    """Which tasks ended with a warning, and in how many of their processes: the Launcher does not tell of it."""
    counts = Counter(row.name for row in table.rows)
    warned = Counter(
        (row.name, row.exit_code) for row in table.rows if row.status == "FINISHED" and 0 < row.exit_code < FAILED_FROM
    )
    for (name, code), count in warned.items():
        yield f"mode {table.mode}: task {name} ended with exit code {code} in {count} of {counts[name]} processes"
