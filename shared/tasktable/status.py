"""The status tables of the licensed chain: how each process of a mode ended, as the Orchestrator tells the Launcher.

The Launcher writes the last one it was told to
``<working>/ipf_output_<mode>_<time>/result_<mode>_T<tile>_<time>.txt``: some lines that begin with ``#``, and a table
laid out by the library ``tabulate``. Forms as written by ``orchestrator/Status.py`` and ``orchestrator/Scheduler.py``
of CS-SI/S2IPF_Orchestrator, and by ``OrchestratorTools.py`` (``output_results``) and ``LaunchIPF.py`` of
CS-SI/S2IPF_Orchestrator_Launcher. What else a mode leaves: ``shared.tasktable.logs``.

"Global status : SUCCESS" is to be read with care: it is written where no process has status ``ERROR``, thus also where
some never ran, or run still.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final, Literal, get_args

from shared.errors import BadInputError

Status = Literal["NORUN", "SCHEDULED", "RUNNING", "PAUSED", "ABORTED", "FINISHED", "ERROR", "SKIPPED"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
# What stands in place of an exit code until there is one.
NO_EXIT_CODE: Final = 666
# From this exit code on a process has failed; below, its exit code is a warning that the Launcher does not pass on.
FAILED_FROM: Final = 128
NOT_BEGUN: Final = "00:00:00.0"
COLUMNS: Final = ("Pool", "Name", "Pid", "Task_id", "begin_time", "Time", "RAM", "Status ", "ExitCode")
MAX_BYTES: Final = 16 << 20
_MAX_ROWS: Final = 50_000
_RULE: Final = "#########################"
_HEAD: Final = re.compile(r"# (Date|Mode|Tasktable|Global status) : (\S{1,1000})", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_BEGIN: Final = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?", re.ASCII)
_INTEGER: Final = re.compile(r"-?[0-9]{1,12}", re.ASCII)
_SIGNALS: Final = frozenset({4, 5, 6, 7, 8, 9, 11, 15, 31})


@dataclass(frozen=True, slots=True)
class Row:
    """One process. ``pool`` and ``task_id`` count from 1, ``ram`` is MiB, ``elapsed`` seconds (without whole days).

    Before its pool starts, a task has one row with status ``NORUN``; with the pool it is split into its processes.
    """

    pool: int
    name: str
    pid: int = 0
    task_id: int = 1
    begin: str = NOT_BEGUN
    elapsed: int = 0
    ram: int = 0
    status: Status = "NORUN"
    exit_code: int = NO_EXIT_CODE

    @property
    def signal(self) -> int:
        """The signal that ended it, 0 where none did.

        A program that signal n ended gives 256 - n (the Orchestrator's process ends with -n, of which the system keeps
        one byte), 128 + n where a shell stood between, and -n where the Orchestrator's process itself was hit: which it
        calls finished.
        """
        for number in (-self.exit_code, 256 - self.exit_code, self.exit_code - 128):
            if number in _SIGNALS:
                return number
        return 0


@dataclass(frozen=True, slots=True)
class Table:
    """The status table of one run of a mode. ``said``: the global status as the Launcher wrote it."""

    mode: str
    date: str
    task_table: str
    said: str
    rows: tuple[Row, ...]


def global_status(rows: Iterable[Row]) -> str:
    """The global status by the Launcher's own rule: ``ERROR`` where there is a row with that status, or no row."""
    found = [row.status for row in rows]
    return "ERROR" if not found or "ERROR" in found else "SUCCESS"


def format_result(mode: str, date: str, task_table: str, rows: Sequence[Row]) -> str:
    """A ``result_*.txt``, or what is appended to one; ``date`` is the 14 digits that its name ends with."""
    head = (
        ("Date", date),
        ("Mode", mode),
        ("Tasktable", task_table),
        ("Global status", global_status(rows)),
    )
    lines = "".join(f"# {name} : {value}\n" for name, value in head)
    return f"{_RULE}\n{lines}{format_table(rows)}\n\n{_RULE}\n\n\n"


def format_table(rows: Iterable[Row]) -> str:
    """The table alone: numbers to the right, texts to the left, two spaces between columns."""
    cells = [tuple(str(value) for value in astuple(row)) for row in rows]
    widths = [max([len(name) + 2, *(len(line[at]) for line in cells)]) for at, name in enumerate(COLUMNS)]
    texts = {1, 4, 7}

    def laid(line: Sequence[str]) -> str:
        pairs = zip(line, widths, strict=True)
        return "  ".join(
            text.ljust(width) if at in texts else text.rjust(width) for at, (text, width) in enumerate(pairs)
        ).rstrip()

    return "\n".join([laid(COLUMNS), "  ".join("-" * width for width in widths), *map(laid, cells)])


def parse_result(document: bytes, what: str) -> tuple[Table, ...]:
    """The tables of a ``result_*.txt``: one, or several where the Launcher was run twice within a second.

    BadInputError names file ``what`` and line where there is no table, or one that is not whole.
    """
    if len(document) > MAX_BYTES:
        raise BadInputError(what, f"at most {MAX_BYTES} bytes", len(document))
    tables: list[Table] = []
    head: dict[str, str] = {}
    rows: list[Row] | None = None
    for number, line in enumerate(document.decode(errors="replace").splitlines(), 1):
        if match := _HEAD.fullmatch(line.rstrip()):
            head[match[1]] = match[2]
        elif line.split() == [name.strip() for name in COLUMNS]:
            rows = []
        elif rows is not None and line.startswith("#"):
            tables.append(_table(head, rows, f"{what}, line {number}"))
            head, rows = {}, None
        elif rows is not None and line.strip(" -"):
            rows.append(_row(line, f"{what}, line {number}"))
            if len(rows) > _MAX_ROWS:
                raise BadInputError(what, f"at most {_MAX_ROWS} rows")
    if rows is not None or not tables:
        raise BadInputError(what, f"a status table, and a line of {_RULE[:3]}... below it")
    return tuple(tables)


def _table(head: dict[str, str], rows: list[Row], where: str) -> Table:
    for name in ("Date", "Mode", "Tasktable", "Global status"):
        if name not in head:
            raise BadInputError(where, f"a line '# {name} : ...' above the table")
    if head["Global status"] not in {"SUCCESS", "ERROR"}:
        raise BadInputError(f"{where}, Global status", "SUCCESS or ERROR", head["Global status"])
    return Table(head["Mode"], head["Date"], head["Tasktable"], head["Global status"], tuple(rows))


def _row(line: str, where: str) -> Row:
    cells = line.split()
    if len(cells) != len(COLUMNS):
        raise BadInputError(where, f"{len(COLUMNS)} columns", line)
    pool, name, pid, task_id, begin, elapsed, ram, status, exit_code = cells
    if not _NAME.fullmatch(name):
        raise BadInputError(f"{where}, Name", "the name of a task", name)
    if not _BEGIN.fullmatch(begin):
        raise BadInputError(f"{where}, begin_time", "hh:mm:ss", begin)
    for known in STATUSES:
        if known == status:
            break
    else:
        raise BadInputError(f"{where}, Status", f"one of {', '.join(STATUSES)}", status)
    numbers = {"Pool": pool, "Pid": pid, "Task_id": task_id, "Time": elapsed, "RAM": ram, "ExitCode": exit_code}
    for column, text in numbers.items():
        if not _INTEGER.fullmatch(text):
            raise BadInputError(f"{where}, {column}", "an integer", text)
    return Row(int(pool), name, int(pid), int(task_id), begin, int(elapsed), int(ram), known, int(exit_code))


def result_name(mode: str, tile: str, date: str) -> str:
    """The name of a result file; ``tile`` is as it was given with ``-t``, empty where none was."""
    return f"result_{mode}_T{tile or '000'}_{date}.txt"


def current_state_name(pool: int) -> str:
    """The name of the context that is saved in ``TaskTable_<time>`` after pool ``pool``, counted from 1, succeeded."""
    return f"CurrentState_{pool - 1}.json"


def format_current_state(context: dict[str, Any]) -> str:
    """The context of the chain after a pool, as later modes read it."""
    return json.dumps(context)


def parse_current_state(document: bytes, what: str) -> dict[str, Any]:
    """The context of the chain after a pool; BadInputError names file ``what`` where it is none."""
    if len(document) > MAX_BYTES:
        raise BadInputError(what, f"at most {MAX_BYTES} bytes", len(document))
    try:
        context = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise BadInputError(what, "JSON", type(error).__name__) from None
    if not isinstance(context, dict) or not isinstance(context.get("outputs"), list):
        raise BadInputError(what, "an object with a list of outputs")
    return context
