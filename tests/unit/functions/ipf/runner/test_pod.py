"""What stage-in lays for the IPF's container."""

from __future__ import annotations

from pathlib import Path

from functions.ipf.runner.job import Scratch
from functions.ipf.runner.pod import is_static, lay


def test_a_second_run_of_the_pod_begins_anew(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "job")
    for _ in range(2):
        lay(scratch)
        assert sorted(path.name for path in scratch.root.iterdir()) == [".s2ps"]
        scratch.skip.touch()
        (scratch.root / "working/deep").mkdir(parents=True)
        scratch.execution.write_text("{}")
        scratch.log.symlink_to("/etc/passwd")
        assert scratch.root.stat().st_mode & 0o7777 == 0o2775


def test_a_folder_that_is_not_ours_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    lay(Scratch(tmp_path))
    assert (tmp_path / "mine").read_text() == "x"


def test_only_a_static_program_is_taken_along(tmp_path: Path) -> None:
    assert not is_static(Path("/bin/sh"))
    assert not is_static(Path(__file__))
    assert not is_static(tmp_path / "none")
    lay(Scratch(tmp_path / "job"), Path("/bin/sh"))
    assert not (tmp_path / "job/.s2ps/busybox").exists()
