from __future__ import annotations

import io
import tarfile
from dataclasses import replace

import pytest

from shared.errors import BadInputError
from shared.tasktable.logs import (
    MAX_MEMBER_BYTES,
    LogsName,
    log_errors,
    log_name,
    parse_logs_name,
    read_logs,
    write_logs,
)
from shared.tasktable.status import (
    Row,
    current_state_name,
    format_current_state,
    format_result,
    global_status,
    parse_current_state,
    parse_result,
    result_name,
)

# As the Launcher's tabulate lays it out.
RESULT = b"""#########################
# Date : 20261122101112
# Mode : L0
# Tasktable : /work/ipf_output_L0_20261122101112/L0/cfg_20261122101112/TaskTable_L0.xml
# Global status : SUCCESS
  Pool  Name           Pid    Task_id  begin_time      Time    RAM  Status       ExitCode
------  -----------  -----  ---------  ------------  ------  -----  ---------  ----------
     1  INIT_LOC_L0   4711          1  10:11:14           3    102  FINISHED            0
     1  FORMAT_ISP    4712          2  10:11:14           4     55  FINISHED            1
     2  QL_GEO           0          1  00:00:00.0         0      0  NORUN             666

#########################


"""
ROWS = (
    Row(1, "INIT_LOC_L0", 4711, 1, "10:11:14", 3, 102, "FINISHED", 0),
    Row(1, "FORMAT_ISP", 4712, 2, "10:11:14", 4, 55, "FINISHED", 1),
    Row(2, "QL_GEO"),
)


def test_the_status_table_of_a_mode_is_read() -> None:
    (table,) = parse_result(RESULT, "result.txt")
    assert (table.mode, table.date, table.said) == ("L0", "20261122101112", "SUCCESS")
    assert table.rows == ROWS
    assert table.task_table.endswith("/TaskTable_L0.xml")


@pytest.mark.parametrize("rows", [ROWS, (), (replace(ROWS[0], exit_code=-9, name="TP_FILTER-REG"),)])
def test_what_is_written_is_read(rows: tuple[Row, ...]) -> None:
    text = format_result("L1CTile", "20261122101112", "/x/TaskTable.xml", rows)
    first, second = parse_result((text + text).encode(), "result.txt")
    assert first == second
    assert (first.mode, first.rows) == ("L1CTile", rows)


def test_it_is_written_as_the_launcher_writes_it() -> None:
    table = "/work/ipf_output_L0_20261122101112/L0/cfg_20261122101112/TaskTable_L0.xml"
    written = format_result("L0", "20261122101112", table, ROWS)
    assert [line.split() for line in written.splitlines() if not line.startswith("-")] == [
        line.split() for line in RESULT.decode().splitlines() if not line.startswith("-")
    ]


def test_the_global_status_is_that_of_the_launcher() -> None:
    assert global_status(ROWS) == "SUCCESS", "what never ran is no error to it"
    assert global_status((*ROWS, replace(ROWS[0], status="RUNNING"))) == "SUCCESS"
    assert global_status((*ROWS, replace(ROWS[0], status="ERROR"))) == "ERROR"
    assert global_status(()) == "ERROR"


@pytest.mark.parametrize(
    ("exit_code", "signal"),
    [
        (0, 0),
        (1, 0),
        (127, 0),
        (128, 0),
        (150, 0),
        (255, 0),
        (666, 0),
        (247, 9),
        (-9, 9),
        (137, 9),
        (245, 11),
        (241, 15),
    ],
)
def test_the_signal_that_ended_a_process_is_told_from_its_exit_code(exit_code: int, signal: int) -> None:
    assert Row(1, "QL_GEO", status="ERROR", exit_code=exit_code).signal == signal


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (b"4711", b"x", "line 8, Pid"),
        (b"FINISHED            0", b"DONE                0", "line 8, Status"),
        (b"10:11:14           4", b"10.11             4", "line 9, begin_time"),
        (b"     2  QL_GEO", b"     2  QL GEO", "line 10"),
        (b"     2  QL_GEO  ", b"     2  ../../e ", "line 10, Name"),
        (b"# Global status : SUCCESS\n", b"", "Global status"),
        (b"SUCCESS", b"PERHAPS", "Global status"),
        (b"\n\n#########################\n", b"", "below it"),
        (b"  Pool  Name", b"  Tool  Name", "a status table"),
        (b"     2  QL", b"9" * 40 + b"  QL", "line 10, Pool"),
    ],
)
def test_a_table_that_is_not_whole_is_refused_by_file_and_line(old: bytes, new: bytes, named: str) -> None:
    assert old in RESULT
    with pytest.raises(BadInputError, match=r"result\.txt") as error:
        parse_result(RESULT.replace(old, new), "result.txt")
    assert named in str(error.value)


def test_names_are_the_launchers() -> None:
    assert result_name("L1CTile", "001", "20261122101112") == "result_L1CTile_T001_20261122101112.txt"
    assert log_name("L0", "", "20261122101112", "err") == "orchlog_L0_T000_20261122101112.err"
    assert current_state_name(1) == "CurrentState_0.json"
    name = LogsName(success=False, mode="OLQC_L0DS", tile="000", date="20261122101112")
    assert str(name) == "logs_FAILURE_OLQC_L0DS_T000_20261122101112.tar"
    assert parse_logs_name(str(name)) == name
    assert parse_logs_name("logs_PERHAPS_L0_T000_20261122101112.tar") is None


def test_a_context_is_read_back() -> None:
    context = {"outputs": ["PDI_DS"], "PROC": {}}
    assert parse_current_state(format_current_state(context).encode(), "CurrentState_0.json") == context
    for wrong in (b"[]", b"{", b"{}", b'{"outputs": 1}', b"[" * 100_000):
        with pytest.raises(BadInputError, match=r"CurrentState_0\.json"):
            parse_current_state(wrong, "CurrentState_0.json")


def test_the_log_tells_why_a_task_was_not_started() -> None:
    log = (
        b"\x1b[31m2026-11-22 ERROR Task script not found: [/dpc/app/s2ipf/QL_GEO/06.01.00/scripts/QL_GEO.bash]\x1b[0m\n"
        b"ERROR [Exiting] Something was wrong in runtask: [Errno 13] Permission denied\n" * 3 + b"\xff\n"
    )
    assert log_errors(log) == (
        "Task script not found: [/dpc/app/s2ipf/QL_GEO/06.01.00/scripts/QL_GEO.bash]",
        "[Exiting] Something was wrong in runtask: [Errno 13] Permission denied",
    )


def test_an_archive_of_logs_is_read_without_unpacking_it() -> None:
    stream, name = io.BytesIO(), LogsName(success=True, mode="L0", tile="000", date="20261122101112")
    write_logs(stream, name, {"cfg/a.err": b"broken\n", "QL/b.err": b"", "QL/c.log": b"x" * 10})
    stream.seek(0)
    logs = read_logs(stream, str(name))
    folder = "logs_SUCCESS_L0_T000_20261122101112"
    assert logs.sizes == {f"{folder}/cfg/a.err": 7, f"{folder}/QL/b.err": 0, f"{folder}/QL/c.log": 10}
    assert logs.errors == {f"{folder}/cfg/a.err": "broken\n"}


def test_a_hostile_archive_costs_little() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        link = tarfile.TarInfo("logs/passwd.err")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        large = tarfile.TarInfo("logs/../../large.err")
        large.size = MAX_MEMBER_BYTES * 3
        archive.addfile(large, io.BytesIO(bytes(large.size)))
    body = stream.getvalue()
    logs = read_logs(io.BytesIO(body), "logs.tar")
    assert {name: len(text) for name, text in logs.errors.items()} == {"logs/../../large.err": MAX_MEMBER_BYTES}
    with pytest.raises(BadInputError, match=r"logs\.tar"):
        read_logs(io.BytesIO(body[:1500]), "logs.tar")
    with pytest.raises(BadInputError, match=r"logs\.tar"):
        read_logs(io.BytesIO(b"no archive" * 200), "logs.tar")
