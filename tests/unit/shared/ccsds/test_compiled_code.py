"""Compiled code: a filled cache that nobody may write to is taken, and whatever is wrong with it costs only time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.ccsds._jit import lay_out

REPOSITORY = Path(__file__).parents[4]
MODULE = """
import sys
from shared.ccsds._jit import jit

@jit("int64(int64)")
def twice(n: int) -> int:
    return 2 * n

assert twice(21) == 42
print(sum(twice.stats.cache_hits.values()), "found,", sum(twice.stats.cache_misses.values()), "compiled")
"""


def _run(folder: Path, **environment: str) -> str:
    (folder / "doubling.py").write_text(MODULE)
    os.utime(folder / "doubling.py", (1_600_000_000, 1_600_000_000))
    plain = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    path = os.pathsep.join([str(folder), str(REPOSITORY)])
    run = subprocess.run(
        [sys.executable, "-c", "import doubling"],
        env=plain | {"PYTHONPATH": path, "NUMBA_CPU_NAME": "generic", **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return run.stdout.strip()


def test_what_the_image_brings_is_not_compiled_again(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    assert _run(tmp_path, NUMBA_CACHE_DIR=str(seed)) == "0 found, 1 compiled"
    before = {path: path.stat().st_mtime_ns for path in seed.rglob("*")}
    job = {"NUMBA_CACHE_SEED": str(seed), "NUMBA_CACHE_DIR": str(tmp_path / "job")}
    assert _run(tmp_path, **job) == "1 found, 0 compiled"
    assert {path: path.stat().st_mtime_ns for path in seed.rglob("*")} == before


@pytest.mark.parametrize("broken", ["absent", "target there", "unwritable"])
def test_a_cache_that_cannot_be_laid_out_is_done_without(tmp_path: Path, broken: str) -> None:
    seed, target = tmp_path / "seed", tmp_path / "job" / "numba"
    (seed / "one").mkdir(parents=True)
    target.parent.mkdir()
    if broken == "absent":
        seed = tmp_path / "none"
    elif broken == "target there":
        target.mkdir()
    else:
        target = tmp_path / "no such folder" / "numba"
    lay_out(str(seed), str(target))
    assert not list(target.glob("*"))
    assert sorted(path.name for path in target.parent.glob("*")) == (["numba"] if broken == "target there" else [])
