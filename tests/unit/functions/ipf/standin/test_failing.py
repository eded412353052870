"""What fails on demand, and what the Launcher says of it: the reference's table of measured status rules."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from functions.ipf.standin.config import Config, load
from functions.ipf.standin.failing import Here, Rules
from shared.errors import ConfigurationError
from shared.tasktable.status import parse_result
from tests.support.esa import lay_auxiliary, rows
from tests.support.runs import wait_for
from tests.unit.functions.ipf.standin.conftest import TAKE, Desk


def own_auxiliary(base: Path, without: Sequence[str] = ()) -> None:
    """Files in place of those that all tests share."""
    (base / "aux").unlink()
    lay_auxiliary(base / "aux", without)


def configure(desk: Desk, *rules: dict[str, Any]) -> None:
    desk.chain.configure(datatakes=[TAKE], light=True, job_orders="first", rules=list(rules))


@pytest.mark.parametrize(
    ("rule", "status", "code", "launcher"),
    [
        ({"fault": "exit", "code": 1}, "FINISHED", 1, 0),
        ({"fault": "exit", "code": 127}, "FINISHED", 127, 0),
        ({"fault": "exit", "code": 128}, "ERROR", 128, 1),
        ({"fault": "exit", "code": 130}, "ERROR", 130, 1),
        ({"fault": "exit", "code": 255}, "ERROR", 255, 1),
        ({"fault": "signal", "code": 9}, "ERROR", 247, 1),
        ({"fault": "out-of-memory"}, "ERROR", 247, 1),
        ({"fault": "not-executable"}, "ERROR", 128 + errno.EINVAL, 1),
        ({"fault": "missing-program"}, "ERROR", 128 + errno.ENOENT, 1),
    ],
)
def test_how_a_program_of_the_chain_ends_shows_in_the_table(
    desk: Desk, rule: dict[str, Any], status: str, code: int, launcher: int
) -> None:
    base = desk.lay_l0c()
    configure(desk, {"task": "QL_GEO", "mode": "L0", **rule})
    assert desk.mode("L0", base) == launcher
    table = rows(base, "L0")
    assert {(row.status, row.exit_code) for row in table if row.name == "QL_GEO"} == {(status, code)}
    assert sum(row.name == "QL_GEO" for row in table) == 60
    later = {(row.status, row.exit_code) for row in table if row.pool > 2}
    assert later == ({("FINISHED", 0)} if launcher == 0 else {("NORUN", 666)})
    kind = "SUCCESS" if launcher == 0 else "FAILURE"
    assert [path.name for path in (base / "output" / "L0").glob(f"logs_{kind}_L0_T000_*.tar")]


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "scheduler-dies", "task": "UPDATE_LOC"},
        {"fault": "invalid-metadata", "output": "frame_file.xml"},
    ],
)
def test_a_scheduler_that_dies_between_pools_is_reported_as_success(desk: Desk, rule: dict[str, Any]) -> None:
    base = desk.lay_l1()
    configure(desk, {"mode": "L1A", **rule})
    assert desk.mode("L1A", base) == 0
    assert "Finished processing successfully" in desk.said
    assert Counter(row.status for row in rows(base, "L1A") if row.pool > 4) == {"NORUN": 5}
    assert {row.status for row in rows(base, "L1A") if row.pool <= 4} == {"FINISHED"}
    assert list((base / "output" / "L1A").glob("logs_SUCCESS_L1A_*.tar"))


def test_beyond_its_kill_time_a_mode_ends_with_what_still_runs(desk: Desk) -> None:
    base = desk.lay_l0c()
    configure(desk, {"fault": "slow", "seconds": 60, "task": "QL_GEO"})
    command = desk.chain.launcher("L0", base)
    command[command.index("-k") + 1] = "0"
    assert desk.run(command) == 1
    assert "Maximum time reached" in desk.said
    assert rows(base, "L0")[49].status == "RUNNING"
    (result,) = base.glob("working/ipf_output_L0_*/result_*.txt")
    assert parse_result(result.read_bytes(), "result")[-1].said == "SUCCESS"


def test_a_mandatory_product_can_be_missing_or_damaged(desk: Desk) -> None:
    base = desk.lay_l0c()
    configure(desk, {"fault": "missing-output", "output": "*L0__DS*", "mode": "OLQC_L0DS"})
    assert desk.mode("L0", base) == 0
    assert desk.mode("OLQC_L0DS", base) == 0
    assert list((base / "working" / "INV_L0C_DS").iterdir()) == []
    configure(desk, {"fault": "invalid-metadata", "output": "*MTD_L0__GR*_D03.xml"})
    assert desk.mode("L0", base) == 0
    damaged = [p for p in base.rglob("output/L0/**/*MTD_L0__GR*.xml") if b"cut the document off" in p.read_bytes()]
    assert {p.name.rpartition("_")[2] for p in damaged} == {"D03.xml"}


def test_a_rule_holds_so_many_times_at_each_place(tmp_path: Path) -> None:
    config = Config.model_validate({"rules": [{"fault": "exit", "code": 1, "mode": "L1CTile", "times": 2}]})
    first, second = Here("launcher", "L1CTile", "001"), Here("launcher", "L1CTile", "002")
    counts = [len(Rules.at(config, here, tmp_path).rules) for here in (first, first, second, first, second, second)]
    assert counts == [1, 1, 1, 0, 1, 0]
    assert Rules.at(config, Here("launcher", "L1A"), tmp_path).rules == ()


def start(desk: Desk, base: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(desk.chain.launcher("L0", base), stdout=subprocess.PIPE, text=True)


def test_it_hangs_without_a_word_and_ends_by_sigterm_unless_it_ignores_it(desk: Desk) -> None:
    base = desk.lay_l0c()
    configure(desk, {"fault": "ignore-sigterm"})
    with start(desk, base) as process:
        wait_for(lambda: _ignores(process.pid, signal.SIGTERM) or process.poll(), "SIGTERM to be ignored")
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    configure(desk, {"fault": "hang"})
    with start(desk, base) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        process.terminate()
        assert process.wait() == -signal.SIGTERM


def _ignores(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(line.split()[1] for line in status if line.startswith("SigIgn"))
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize(
    ("rule", "code", "said"),
    [
        ({"fault": "exit", "code": 7}, 7, "exit code 7"),
        ({"fault": "out-of-memory", "memory_mb": 8}, 1, os.strerror(errno.ENOMEM)),
        ({"fault": "disk-full"}, 1, os.strerror(errno.ENOSPC)),
        ({"fault": "disk-full", "task": "QL_GEO"}, 1, os.strerror(errno.ENOSPC)),
        ({"fault": "slow", "seconds": 0.01, "memory_mb": 8}, 0, "Finished processing"),
    ],
)
def test_the_program_itself_can_fail(desk: Desk, rule: dict[str, Any], code: int, said: str) -> None:
    base = desk.lay_l0c()
    configure(desk, rule)
    assert desk.mode("L0", base) == code
    assert said in desk.said


def test_it_can_be_killed(desk: Desk) -> None:
    base = desk.lay_l0c()
    configure(desk, {"fault": "signal"})
    assert subprocess.run(desk.chain.launcher("L0", base), stdout=subprocess.PIPE, check=False).returncode == -9


def test_the_variable_goes_before_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "standin.json").write_text(json.dumps({"light": True, "rules": [{"fault": "hang"}]}))
    given = {"S2PS_STANDIN_HOME": str(tmp_path), "S2PS_STANDIN": '{"rules": [{"fault": "exit", "code": 3}]}'}
    config = load(given)
    assert config.light
    assert [rule.fault for rule in config.rules] == ["exit", "hang"]
    assert load({}) == Config()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "S2PS_STANDIN: expected JSON"),
        ("[]", "S2PS_STANDIN: expected an object"),
        ('{"rules": [{"fault": "explode"}]}', "rules.0.fault"),
        ('{"datatakes": [{"scenes": 0}]}', "datatakes.0.scenes"),
    ],
)
def test_a_wrong_configuration_is_named(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load({"S2PS_STANDIN": text})


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        ("aux/S2IPF-GIPP/*PROBAS*", "PROBAS"),
        ("aux/S2IPF-GIPP/*OLQCPA*", "OLQCPA"),
        ("aux/S2IPF-GIPP/*SPAMOD*", "GIP_SPAMOD"),
        ("aux/S2IPF-IERS/*", "S2IPF-IERS"),
        ("input/DS/*/*.xml", "its metadata"),
        ("input/DS/*/ANC_DATA/*", ""),
    ],
)
def test_the_launcher_looks_at_what_it_is_given(desk: Desk, spoil: str, named: str) -> None:
    base = desk.lay_l0c()
    own_auxiliary(base)
    found = list(base.glob(spoil))
    assert found
    for path in found:
        path.unlink()
    assert desk.mode("L0", base) == (1 if named else 0), desk.said
    assert named in desk.said


def test_what_an_earlier_mode_left_must_be_there(desk: Desk) -> None:
    base = desk.lay_l1()
    assert desk.mode("L1B", base) == 1
    assert "the context of L1A" in desk.said
    assert desk.mode("L1A", base) == 0
    assert desk.mode("L1CTile", base, "-t", "001") == 1
    assert desk.mode("L1B", base) == 0
    assert desk.mode("L1CTile", base) == 1
    assert desk.mode("L1CTile", base, "-t", "003") == 1
    assert "-t: expected the number of a tile" in desk.said
    (base / "output" / "L1A").rename(base / "output" / "elsewhere")
    assert desk.mode("OLQC_L1CDS", base) == 1
    assert "written by" in desk.said


def test_weather_is_asked_for_by_the_modes_that_need_it(desk: Desk) -> None:
    base = desk.lay_l1()
    own_auxiliary(base, without=("AUX_CAMSFO",))
    for mode in ("L1A", "L1B"):
        assert desk.mode(mode, base) == 0, desk.said
    assert desk.mode("L1CTile", base, "-t", "001") == 1
    assert "S2IPF-CAMS" in desk.said


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        ("INPUT/ch_2/*DSIB.xml", "ch_2: expected one DSIB"),
        ("INPUT/ch_1/*_00017.raw", "DSDB_00017.raw is not"),
        ("L0U_DUMP", "WORKING"),
    ],
)
def test_ingestion_holds_the_session_to_its_dsibs(desk: Desk, spoil: str, named: str) -> None:
    base = desk.chain.lay_session().parent
    (path,) = base.glob(spoil)
    path.rmdir() if path.is_dir() else path.unlink()
    assert desk.ingest() == 128
    assert named in desk.said


def test_ingestion_counts_the_octets(desk: Desk) -> None:
    base = desk.chain.lay_session().parent
    next(base.glob("INPUT/ch_1/*_00003.raw")).write_bytes(b"more than the DSIB says" * 9)
    assert desk.ingest() == 128
    assert "data_size" in desk.said


def test_every_stand_in_says_so_and_takes_no_other_call() -> None:
    command = [sys.executable, "-m", "functions.ipf.standin"]
    told = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert "STAND-IN" in told.stdout
    wrong = subprocess.run([*command, "l3"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, "expected eisp, launcher" in wrong.stderr) == (2, True)
