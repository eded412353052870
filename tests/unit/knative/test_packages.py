"""What the code reads beside itself comes along: into the images, and with ``pip install``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from tests.support.manifests import ROOT

MADE = {".py", ".pyc", ".nbi", ".nbc", ".md"}
"""Code, what is compiled of it, and what people read."""


def data_files() -> Iterator[Path]:
    for package in ("functions", "eventing", "shared"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.suffix not in MADE:
                yield path.relative_to(ROOT)


def test_data_files_are_installed_with_their_packages() -> None:
    """To setuptools each folder is a package, and its patterns reach no further."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    files = list(data_files())
    assert len(files) > 15
    for path in files:
        names = [*patterns["*"], *patterns.get(".".join(path.parent.parts), ())]
        assert any(fnmatch(path.name, each) for each in names), path


def test_no_data_file_is_kept_from_the_images() -> None:
    kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("**/")]
    assert kept
    for path in data_files():
        assert not any(fnmatch(part, line.removeprefix("**/")) for part in path.parts for line in kept), path
