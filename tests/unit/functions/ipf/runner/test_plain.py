"""What an IPF may leave in place of a file that stage-out reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from functions.ipf.runner.plain import open_plain, read_note, tail
from shared.errors import BadInputError


def test_links_pipes_and_folders_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc/self/environ")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        with pytest.raises(BadInputError, match="plain file"):
            open_plain(tmp_path / name)
        assert tail(tmp_path / name) == []
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "none")
    assert tail(tmp_path / "none") == []


def test_a_note_is_small(tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(bytes(1 << 16))
    assert len(read_note(tmp_path / "note")) == 1 << 16
    (tmp_path / "note").write_bytes(bytes((1 << 16) + 1))
    with pytest.raises(BadInputError, match="at most"):
        read_note(tmp_path / "note")


def test_the_end_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"first\n" + b"x" * 100 + b"\nlast \xff\n")
    assert tail(tmp_path / "log", lines=1) == ["last \ufffd"]
    assert tail(tmp_path / "log", most=3) == [" \ufffd"]
