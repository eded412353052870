"""What the Launcher of the licensed chain leaves, and the verdict on it: each row of what was measured with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from functions.ipf.runner.job import Execution
from functions.ipf.runner.tables import Launched, mode_of, read_tables, rule
from functions.ipf.runner.verdict import Verdict, judge
from shared.tasktable.logs import NOT_STARTED, NOT_THERE, log_name
from shared.tasktable.status import Row, Status, Table, format_result, global_status, result_name
from shared.workflow.graph import Output, Processor

DATE = "20261122101112"
PROCESSOR = Processor(
    name="IDPSC",
    version="6.1.0",
    commands=(("LaunchIPF.sh", "-m", "L0"),),
    inputs=(),
    outputs=(Output(file_type="PDI_DS"),),
    status="launcher",
    quiet_limit_s=600,
)


def row(name: str, status: Status = "FINISHED", exit_code: int = 0, pool: int = 1, number: int = 1) -> Row:
    return Row(pool, name, 100 + number, number, "10:11:12", 3, 10, status, exit_code)


def quicklooks(status: Status, exit_code: int, count: int = 60) -> tuple[Row, ...]:
    """Mode L0, whose second pool ended so; what comes after it has not run where there was an error."""
    after: Status = "NORUN" if status in {"ERROR", "RUNNING"} else "FINISHED"
    last = row("QL_CLOUD_MASK", after, 666 if after == "NORUN" else 0, pool=3)
    return row("INIT_LOC_L0"), *(row("QL_GEO", status, exit_code, 2, n) for n in range(count)), last


def table(rows: Sequence[Row], mode: str = "L0") -> Table:
    return Table(mode, DATE, "TaskTable_L0.xml", global_status(rows), tuple(rows))


def verdict(
    rows: Sequence[Row] | None,
    launcher: int,
    made: Sequence[str] = ("PDI_DS",),
    errors: Sequence[str] = (),
    stopped: str = "",
) -> Verdict:
    told = {"exit_code": launcher, "exits": (launcher,), "seconds": 9, "cpu_seconds": 1, "peak_rss_mb": 1}
    execution = Execution.model_validate(told | ({stopped: True} if stopped else {}))
    launched = Launched(() if rows is None else (table(rows),), tuple(errors))
    return judge(PROCESSOR, execution, made, [], rule(launched, ["L0"], execution.exits))


@dataclass(frozen=True)
class Case:
    """One behaviour of the reference, and what is to be made of it."""

    number: str
    rows: tuple[Row, ...]
    launcher: int
    status: str
    reason: str
    errors: tuple[str, ...] = ()


# The rows of the reference's table of measured behaviours, in its order.
MEASURED = (
    Case("1: exits 1, the Launcher says 0", quicklooks("FINISHED", 1), 0, "succeeded-with-warnings", ""),
    Case("2: exits 127, the Launcher says 0", quicklooks("FINISHED", 127), 0, "succeeded-with-warnings", ""),
    Case("3a: exits 128", quicklooks("ERROR", 128), 1, "failed", "task QL_GEO failed with exit code 128"),
    Case("3b: exits 130", quicklooks("ERROR", 130), 1, "failed", "task QL_GEO failed with exit code 130"),
    Case("3c: exits 255", quicklooks("ERROR", 255), 1, "failed", "task QL_GEO failed with exit code 255"),
    Case("4: SIGKILL", quicklooks("ERROR", 247), 1, "infrastructure", "OOMKilled: mode L0: task QL_GEO was killed"),
    Case(
        "5a: not executable",
        quicklooks("ERROR", 150),
        1,
        "infrastructure",
        "ConfigurationError: mode L0: task QL_GEO could not be started",
        (NOT_STARTED % "[Errno 13] Permission denied",),
    ),
    Case(
        "5b: not there",
        quicklooks("ERROR", 130),
        1,
        "infrastructure",
        "Task script not found: [/dpc/QL_GEO.bash]",
        (NOT_THERE % "/dpc/QL_GEO.bash",),
    ),
    Case("6: beyond -k", quicklooks("RUNNING", 666), 1, "retry", "DeadlineExceeded: mode L0: task QL_GEO ran still"),
    Case(
        "7: the scheduler dies between pools, the Launcher says 0",
        (row("INIT_LOC_L0"), row("QL_GEO", "NORUN", 666, 2), row("QL_CLOUD_MASK", "NORUN", 666, 3)),
        0,
        "failed",
        "task QL_GEO never ran",
    ),
)


@pytest.mark.parametrize("case", MEASURED, ids=lambda case: case.number)
def test_what_was_measured_ends_in_the_right_class(case: Case) -> None:
    found = verdict(case.rows, case.launcher, errors=case.errors)
    assert found.status == case.status
    assert case.reason in found.reason
    if case.status == "succeeded-with-warnings":
        code = case.rows[1].exit_code
        assert found.warnings == (f"mode L0: task QL_GEO ended with exit code {code} in 60 of 60 processes",)


@pytest.mark.parametrize("case", MEASURED, ids=lambda case: case.number)
def test_without_its_outputs_nothing_is_a_success(case: Case) -> None:
    found = verdict(case.rows, case.launcher, made=(), errors=case.errors)
    assert found.status not in {"succeeded", "succeeded-with-warnings", "no-product"}


@pytest.mark.parametrize(
    ("rows", "launcher", "status", "reason"),
    [
        (quicklooks("FINISHED", 0), 0, "succeeded", ""),
        (quicklooks("FINISHED", 0), 1, "failed", "the Launcher ended with exit code 1, after all tasks"),
        (quicklooks("FINISHED", 3), 1, "failed", "the Launcher ended with exit code 1"),
        (quicklooks("FINISHED", -9), 0, "infrastructure", "OOMKilled"),
        (quicklooks("ERROR", 137), 1, "infrastructure", "OOMKilled"),
        (quicklooks("ERROR", 241), 1, "infrastructure", "signal 15"),
        (quicklooks("ERROR", 245), 1, "failed", "signal 11"),
        (quicklooks("FINISHED", 666), 0, "failed", "exit code 666"),
        (quicklooks("RUNNING", 666), 0, "failed", "when the Orchestrator's scheduler ended"),
        (quicklooks("ABORTED", 666), 1, "failed", "was aborted"),
        (quicklooks("SCHEDULED", 666), 0, "failed", "SCHEDULED"),
        (quicklooks("PAUSED", 666), 0, "failed", "PAUSED"),
        ((row("INIT_LOC_L0", "SKIPPED"), row("QL_GEO", pool=2)), 0, "succeeded", ""),
        ((), 1, "failed", "ran no task"),
        (None, 0, "failed", "mode L0: the Orchestrator left no status (exit code 0)"),
        (None, 1, "failed", "mode L0: the Orchestrator left no status (exit code 1)"),
    ],
)
def test_the_stricter_of_tables_and_exit_code_counts(
    rows: tuple[Row, ...] | None, launcher: int, status: str, reason: str
) -> None:
    found = verdict(rows, launcher)
    assert found.status == status
    assert reason in found.reason


def test_how_many_processes_it_was_is_told() -> None:
    rows = [row("QL_GEO", "ERROR" if n < 3 else "FINISHED", 128 if n < 3 else 0, 2, n) for n in range(60)]
    assert "(3 of 60 processes)" in verdict(rows, 1).reason


@pytest.mark.parametrize(
    ("stopped", "status", "reason"),
    [
        ("timed_out", "retry", "DeadlineExceeded: stopped after 9 s"),
        ("hung", "retry", "Hung: no output for 600 s"),
        ("out_of_memory", "infrastructure", "OOMKilled"),
        ("disk_full", "infrastructure", "DiskFull"),
    ],
)
def test_what_stopped_the_launcher_itself_counts_before_its_tables(stopped: str, status: str, reason: str) -> None:
    found = verdict(quicklooks("ERROR", 128), 1, stopped=stopped)
    assert (found.status, found.reason[: len(reason)]) == (status, reason)


def test_each_call_must_have_left_its_own_table() -> None:
    fine = table(quicklooks("FINISHED", 0))
    olqc = table((row("OLQC_DS_L0"),), "OLQC_L0DS")
    modes = ["L0", "OLQC_L0DS", "OLQC_L0GR"]
    assert rule(Launched((olqc, fine)), modes, (0, 0)).trouble == "", "the third was never called"
    found = rule(Launched((olqc, fine)), modes, (0, 0, 0))
    assert (found.trouble, found.reason[:14]) == ("failed", "mode OLQC_L0GR")
    found = rule(Launched((fine, fine)), ["L0", "L0", "L0"], (0, 0, 0))
    assert found.trouble == "failed", "one table does not stand for two calls"


@pytest.mark.parametrize(
    ("call", "mode"),
    [
        (("x", "-m", "L0", "-a", "y"), "L0"),
        (("x", "-a", "y", "--mode", "{MODE}"), "L1BNoGRI"),
        (("x", "-a"), ""),
        (("x", "-m"), ""),
    ],
)
def test_the_mode_of_a_call(call: tuple[str, ...], mode: str) -> None:
    assert mode_of(call, {"MODE": "L1BNoGRI"}) == mode


def test_tables_and_logs_are_found_where_the_launcher_leaves_them(tmp_path: Path) -> None:
    working = tmp_path / f"working/ipf_output_L0_{DATE}"
    working.mkdir(parents=True)
    output = tmp_path / "output/L0"
    output.mkdir(parents=True)
    rows = quicklooks("ERROR", 150, 2)
    (working / result_name("L0", "", DATE)).write_text(format_result("L0", DATE, "TaskTable_L0.xml", rows))
    (output / log_name("L0", "", DATE, "err")).write_text(f"ERROR {NOT_STARTED % 'no'}\n")
    (output / "result_broken.txt").write_text("nothing")
    (tmp_path / "output/L1A").symlink_to(output)
    (output / "result_link.txt").symlink_to("/etc/passwd")
    found = read_tables(tmp_path, ("working/ipf_output_*", "output/*"))
    assert found.tables == (table(rows),)
    assert found.errors == (NOT_STARTED % "no",)
    assert [problem.partition(":")[0] for problem in found.problems] == ["result_broken.txt", "result_link.txt"]
