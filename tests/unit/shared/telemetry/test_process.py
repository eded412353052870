from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.telemetry import process
from shared.telemetry.process import age_s, first_answer, ready


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_READY", [])


def test_a_process_knows_since_when_it_is_there() -> None:
    began = time.monotonic()
    script = "from shared.telemetry.process import age_s; print(age_s())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 0 < float(done.stdout) <= time.monotonic() - began + 2 / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("content", [None, "", "17 (name) S 1", "17 (a ) b) S " + "x " * 40])
def test_where_the_system_does_not_say_it_is_none(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "stat").write_text(content)
    assert age_s(tmp_path / "stat") == 0.0


def test_a_commands_name_may_hold_anything(tmp_path: Path) -> None:
    fields = ["S", *map(str, range(4, 22)), "0", "99"]
    (tmp_path / "stat").write_text("17 (a ) 1 2) " + " ".join(fields))
    assert age_s(tmp_path / "stat") == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=1)


def test_the_first_answer_alone_is_a_cold_start() -> None:
    assert first_answer(0.5) is None  # the server did not say since when
    ready(1.25)
    assert first_answer(0.5) == 1.75
    assert first_answer(0.5) is None
