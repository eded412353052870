"""Each function as its manifest starts it: with right settings it serves, with a wrong one it does not start."""

from __future__ import annotations

import json
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


# What only some call needs: heavy, or of the console and the set-up of a store.
AT_START = {"boto3", "botocore", "opentelemetry", "requests", "uvicorn", "starlette", "watchdog", "multiprocessing"}
EVER = {
    "minio",
    "Crypto",
    "rich",
    "pygments",
    "numpy",
    "numba",
    "cv2",
    "rasterio",
    "lxml",
    "weed",
    "wsgidav",
    "kubernetes",
}
MODULES = """
import json, sys, functions_framework as f
f.create_app("main", sys.argv[1])
begun = {name.partition(".")[0] for name in sys.modules}
services = sys.modules["main"].SERVICES
services.store, services.ledger, services.sink
print(json.dumps([sorted(begun), sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.__stdout__)
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_imports_what_it_needs_when_it_needs_it(function: str) -> None:
    environment = {**os.environ, "K_SINK": "http://127.0.0.1:9/", "S2PS_STORE_ENDPOINT": "http://127.0.0.1:9"}
    source = str(ROOT / "functions" / function / "main.py")
    done = subprocess.run(
        [sys.executable, "-c", MODULES, source], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    begun, working = map(set, json.loads(done.stdout))
    assert begun & (AT_START | EVER) == set()
    assert working & EVER == set()
    assert "botocore" in working, "the store was asked for"
