"""Each function as its manifest starts it: with right settings it serves, with a wrong one it does not start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py") if path.parent.name != "cli")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_wrong_setting_stops_a_function_at_its_start_and_is_named(function: str) -> None:
    load = f"import functions_framework as f; f.create_app('main', {str(ROOT / 'functions' / function / 'main.py')!r})"
    right = subprocess.run([sys.executable, "-c", load], cwd=ROOT, capture_output=True, text=True, check=False)
    assert right.returncode == 0, right.stderr
    environment = {**os.environ, "S2PS_MAX_ATTEMPTS": "many", "S2PS_STATIONS": "[{"}
    wrong = subprocess.run(
        [sys.executable, "-c", load], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert wrong.returncode != 0
    assert "ConfigurationError: S2PS_" in wrong.stderr.splitlines()[-1]
