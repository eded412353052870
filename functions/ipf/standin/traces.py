"""What the Launcher leaves of a run: the status table, logs, and the archive of job orders, logs and reports."""

from __future__ import annotations

import json
from pathlib import Path

from functions.ipf.standin import SOFTWARE
from functions.ipf.standin.place import Place
from functions.ipf.standin.running import Board
from shared.tasktable.logs import POOL_FAILED, LogsName, log_name, write_logs
from shared.tasktable.status import format_result, result_name


def leave_traces(place: Place, board: Board, *, success: bool, said: str = "") -> None:
    """Write them. After a scheduler that died, ``success`` is what the Launcher says all the same."""
    if board.rows:
        table = f"{place.root / place.mode}/TaskTable_{place.mode}.xml"
        text = format_result(place.mode, place.stamp, table, board.rows)
        (place.root / result_name(place.mode, place.tile, place.stamp)).write_text(text)
    lines = [SOFTWARE, f"{place.mode} {place.suffix}", *board.log]
    if board.died or said:
        lines.append(POOL_FAILED % (board.died or said))
    (place.kept / log_name(place.mode, place.tile, place.stamp)).write_text("\n".join(lines) + "\n")
    (place.kept / log_name(place.mode, place.tile, place.stamp, "err")).write_text("")
    if success and board.context is not None:
        path = place.kept / f"ContextFile_{place.suffix}.json"
        if not path.exists():
            path.write_text(json.dumps(board.context))
    name = LogsName(success, place.mode, place.tile or "000", place.stamp)
    with (place.kept / str(name)).open("wb") as stream:
        write_logs(stream, name, {**_orders(place.processing), **board.errors})


def _orders(processing: Path) -> dict[str, bytes]:
    """The job orders of a mode, by their paths."""
    return {
        f"{processing.name}/{path.relative_to(processing).as_posix()}": path.read_bytes()
        for path in sorted(processing.glob("*/JobOrder_*.xml"))
    }
