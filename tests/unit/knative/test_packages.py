"""What the code reads beside itself comes along: into the images, and with ``pip install``."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

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


IMPORTS = re.compile(r"^\s*(?:import|from) ([A-Za-z_]\w*)", re.MULTILINE)


@pytest.mark.parametrize(("lock", "folders"), [("processors", ("functions/ipf",)), ("run", ("functions", "shared"))])
def test_what_is_imported_is_in_the_image(lock: str, folders: tuple[str, ...]) -> None:
    """Some distribution of the image's lock brings each module; programs that make tables run elsewhere."""
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / f"{lock}.txt").read_text(), re.MULTILINE))
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if not path.name.startswith("make_")]
    modules = {name for path in files for name in IMPORTS.findall(re.sub(r'"""[\s\S]*?"""', "", path.read_text()))}
    modules -= sys.stdlib_module_names | {"functions", "eventing", "shared"}
    known = packages_distributions()
    brought = {each for each in modules if {name.lower().replace("_", "-") for name in known.get(each, ())} & pinned}
    assert modules - brought == set()
    assert {"numpy", "pydantic"} <= modules
