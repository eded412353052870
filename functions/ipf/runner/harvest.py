"""Harvest: what an IPF left in its output folders, as artifacts; nothing is read through a symbolic link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from functions.ipf.runner import metadata
from functions.ipf.runner.paths import checked
from functions.ipf.runner.plain import storable
from functions.ipf.runner.stage_in import FORM
from shared.errors import BadInputError
from shared.workflow.graph import Output


@dataclass(frozen=True, slots=True)
class Found:
    """One artifact on disk: ``files`` are (relative path, size), below ``root``."""

    output: Output
    name: str
    unit: str
    root: Path
    files: tuple[tuple[str, int], ...]
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Harvested:
    """``problems``: what was left aside, and why, in one sentence each."""

    found: tuple[Found, ...]
    units: dict[str, tuple[str, ...]]
    problems: tuple[str, ...]

    @property
    def made(self) -> tuple[str, ...]:
        """The output file types of which something is there."""
        return tuple(dict.fromkeys(item.output.file_type for item in self.found))


_FILE: Final = {FORM: "file"}


def harvest(folder: Path, outputs: Sequence[Output]) -> Harvested:
    """Find the artifacts of all ``outputs`` below ``folder`` (one folder per output file type).

    An artifact whose metadata cannot be read is left aside, as is an empty one. BadInputError where a path could not
    be part of an object key, or a tile list names what is no tile.
    """
    found: list[Found] = []
    units: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for output in outputs:
        items = list(_of_output(folder / output.file_type, output, problems))
        found += items
        if output.harvest.unit and items:
            units[output.harvest.unit] = _units(items, output)
    return Harvested(tuple(found), units, tuple(map(storable, problems)))


def _units(items: Sequence[Found], output: Output) -> tuple[str, ...]:
    if output.harvest.rule != "tile-list":
        return tuple(item.unit for item in items)
    paths = [item.root / item.files[0][0] for item in items]
    return tuple(tile for path in paths for tile in metadata.tiles(metadata.parse(path), path.name))


def _of_output(folder: Path, output: Output, problems: list[str]) -> Iterator[Found]:
    rule = output.harvest.rule
    if rule == "whole":
        candidates = [(output.artifact, folder)]
    else:
        wanted = output.file_name if rule in {"file", "tile-list"} and output.file_name else output.harvest.pattern
        entries = sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
        candidates = [(entry.name, entry) for entry in entries if fnmatchcase(entry.name, wanted)]
    for name, path in candidates:
        if rule in {"file", "tile-list"}:
            item = _file(output, name, path, problems)
        else:
            item = _folder(output, name, path, problems)
        if item is not None:
            yield item


def _file(output: Output, name: str, path: Path, problems: list[str]) -> Found | None:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        problems.append(f"{output.file_type}/{name}: expected a file with content")
        return None
    return Found(output, checked(name), "", path.parent, ((name, found.st_size),), dict(_FILE))


def _folder(output: Output, name: str, path: Path, problems: list[str]) -> Found | None:
    if path.is_symlink() or not path.is_dir():
        if path.is_symlink() or path.exists():
            problems.append(f"{output.file_type}/{name}: expected a folder")
        return None
    files = tuple(_walk(path, problems))
    if not files:
        if output.harvest.rule == "folders":
            problems.append(f"{output.file_type}/{name}: the folder is empty")
        return None
    described: dict[str, str] = {}
    try:
        for file, _ in files:
            if "/" not in file and file.lower().endswith(".xml"):
                described = metadata.attributes(metadata.parse(path / file)) | described
    except BadInputError as error:
        problems.append(f"{output.file_type}/{name}: not valid: {error}")
        return None
    return Found(output, checked(name), name if output.harvest.unit else "", path, files, described)


def _walk(root: Path, problems: list[str]) -> Iterator[tuple[str, int]]:
    """(relative path, size) of the regular files below ``root``, by path."""
    for here, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names + [f for f in folders if Path(here, f).is_symlink()]):
            path = Path(here, name)
            relative, found = path.relative_to(root).as_posix(), path.lstat()
            if stat.S_ISREG(found.st_mode):
                yield checked(relative), found.st_size
            else:
                problems.append(f"{root.name}/{relative}: neither file nor folder, left out")
