"""One process, in this program: its order and links laid, its inputs checked, its outputs written, its end noted."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from functions.ipf.standin import SOFTWARE
from functions.ipf.standin.context import Context
from functions.ipf.standin.inventory import control, take_stock
from functions.ipf.standin.laying import check_inputs, lay_links
from functions.ipf.standin.place import Place
from functions.ipf.standin.tasks import Setting, write_outputs
from shared.errors import BadInputError
from shared.joborder import format_job_order
from shared.tasktable import Process
from shared.tasktable.logs import NOT_STARTED, NOT_THERE
from shared.tasktable.model import TaskTable
from shared.tasktable.status import FAILED_FROM, Row, Status, current_state_name, format_current_state

# As the Orchestrator has it where a program cannot be started: 128 and the number of the error.
_NOT_EXECUTABLE: Final = 128 + errno.EINVAL
_MISSING: Final = 128 + errno.ENOENT
_MIB: Final = 1 << 20


class Killed(Exception):
    """The Launcher gives up: a process failed, or its time is over."""


@dataclass
class Board:
    """The status table while a mode runs, and what is told of its end.

    ``died``: why the scheduler ended between two pools. ``context``: what is left for the next mode.
    """

    rows: list[Row] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    orders: dict[str, bytes] = field(default_factory=dict)
    errors: dict[str, bytes] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    died: str = ""
    context: dict[str, Any] | None = None
    began: float = field(default_factory=time.monotonic)

    def expect(self, table: TaskTable) -> None:
        """One row for each task, until its pool starts."""
        self.rows = [
            Row(pool, task.name, task_id=number)
            for pool, each in enumerate(table.pools, 1)
            for number, task in enumerate(each.tasks, 1)
        ]

    def start(self, pool: int, processes: Sequence[Process]) -> None:
        """The rows of a pool's processes take the place of those of its tasks."""
        numbers = Counter[str]()
        rows = []
        for process in processes:
            numbers[process.task] += 1
            rows.append(Row(pool, process.task, process.number, numbers[process.task], status="SCHEDULED"))
        self.rows = [*(r for r in self.rows if r.pool < pool), *rows, *(r for r in self.rows if r.pool > pool)]

    def set(self, process: Process, row: Row) -> None:
        """Replace the row of a process."""
        self.rows = [row if old.pid == process.number else old for old in self.rows]

    def row(self, process: Process) -> Row:
        """The row of a process."""
        return next(row for row in self.rows if row.pid == process.number)

    def pool_done(self, pool: int, place: Place, context: Context) -> None:
        """Save the context after a pool, where nothing in it failed."""
        self.context = context.to_json(place.mode)
        place.processing.mkdir(parents=True, exist_ok=True)
        (place.processing / current_state_name(pool)).write_text(format_current_state(self.context))

    def scheduler_died(self, why: str) -> None:
        """The rest is never run, and nobody is told."""
        self.died = why

    def finish(self) -> None:
        """Killed where a process failed. The others of its pool ran beside it; later pools never do."""
        failed = next((row for row in self.rows if row.status == "ERROR"), None)
        if failed is not None:
            said = next(iter(self.errors.values()), b"").decode().strip()
            end = f"{failed.name} {failed.pid} ended with {failed.exit_code}"
            raise Killed(f"Processing finished with error !!! {end}. {said}".rstrip(". "))


def run_process(process: Process, setting: Setting, board: Board | None, kill_s: int, *, written: bool) -> int:
    """Run one; returns its exit code. Killed where the time of the mode is over while it runs."""
    begun = datetime.now(UTC)
    if board is not None:
        row = replace(board.row(process), begin=f"{begun:%H:%M:%S.%f}"[:10], status="RUNNING")
        board.set(process, row)
    memory, code, said = 0, 0, ""
    try:
        code, memory = _by_rule(process, setting, board, kill_s)
        if code < FAILED_FROM:
            _work(process, setting, written=written)
    except BadInputError as error:
        code, said = FAILED_FROM, str(error)
    except FileNotFoundError as error:
        code, said = FAILED_FROM, str(error)
    except OSError as error:
        code, said = FAILED_FROM + 1, str(error)
    if board is not None:
        if said or code in {_NOT_EXECUTABLE, _MISSING}:
            told = NOT_THERE % process.program if code == _MISSING else NOT_STARTED % (said or process.program)
            board.log += [told] * (told not in board.log)
        status: Status = "ERROR" if code >= FAILED_FROM else "FINISHED"
        seconds = int((datetime.now(UTC) - begun).total_seconds())
        board.set(process, replace(board.row(process), elapsed=seconds, ram=memory, status=status, exit_code=code))
        name = f"{process.task}/JobOrder_{process.task}_{process.number}"
        if said:
            board.errors[f"{name}.err"] = f"{SOFTWARE}: {said}\n".encode()
    elif said:
        raise BadInputError(process.task, "to do its work", said)
    return code


def _work(process: Process, setting: Setting, *, written: bool) -> None:
    lay_links(process.links)
    if written:
        path = Path(process.order_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(format_job_order(process.order, path.name))
    check_inputs(process)
    if process.task.startswith("OLQC"):
        control(process, setting)
    if process.task.startswith("INV_MTD"):
        take_stock(process, setting)
    write_outputs(process, setting)


def _by_rule(process: Process, setting: Setting, board: Board | None, kill_s: int) -> tuple[int, int]:
    """(exit code, memory in MiB) that a rule gives it."""
    rule = setting.maker.rules.take(
        ("exit", "signal", "not-executable", "missing-program", "slow", "disk-full", "out-of-memory"), process.task
    )
    if rule is None:
        return 0, 0
    held = b"\xa5" * (rule.memory_mb * _MIB)
    left = kill_s - (time.monotonic() - (board.began if board else time.monotonic()))
    time.sleep(min(rule.seconds, max(0.0, left)))
    if rule.seconds >= left:
        raise Killed(f"Maximum time reached for processing {kill_s}")
    if rule.fault == "disk-full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    codes = {
        "exit": rule.code,
        "signal": 256 - (rule.code or 9),
        "out-of-memory": 256 - 9,
        "not-executable": _NOT_EXECUTABLE,
        "missing-program": _MISSING,
    }
    return codes.get(rule.fault, 0), len(held) // _MIB
