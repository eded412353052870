"""Harvest: what an IPF left in its output folders, as artifacts; nothing is read through a symbolic link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from functions.ipf.runner import metadata
from functions.ipf.runner.arranging import FORM
from functions.ipf.runner.filling import fill
from functions.ipf.runner.paths import checked
from functions.ipf.runner.plain import storable
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
_OF_FILES: Final = frozenset({"file", "files", "tile-list"})
# So many metadata files are read of one artifact: those of its datastrip, not of each of its granules.
_READ: Final = 4


def harvest(base: Path, outputs: Sequence[Output], values: Mapping[str, str] | None = None) -> Harvested:
    """Find the artifacts of all ``outputs``, each in its folder below ``base``; ``values`` fill in the placeholders.

    An artifact whose metadata cannot be read is left aside, as is an empty one. BadInputError where a path could not
    be part of an object key, where a link leads elsewhere, or a tile list names what is no tile.
    """
    found: list[Found] = []
    units: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for output in outputs:
        folder = plain_below(base, fill(output.folder, values or {}, f"output {output.file_type}, path"))
        items = list(_of_output(folder, output, problems))
        found += items
        if output.harvest.unit and items:
            units[output.harvest.unit] = _units(items, output)
    return Harvested(tuple(found), units, tuple(map(storable, problems)))


def plain_below(base: Path, relative: str) -> Path:
    """``relative`` below ``base``; BadInputError where one of its steps is a link."""
    path = base
    for step in relative.split("/"):
        path /= step
        if path.is_symlink():
            raise BadInputError(relative, "a folder, not a link", step)
    return path


def _units(items: Sequence[Found], output: Output) -> tuple[str, ...]:
    if output.harvest.rule != "tile-list":
        return tuple(item.unit for item in items)
    paths = [item.root / item.files[0][0] for item in items]
    return tuple(tile for path in paths for tile in metadata.tiles(metadata.parse(path), path.name))


def _of_output(folder: Path, output: Output, problems: list[str]) -> Iterator[Found]:
    rule = output.harvest.rule
    if rule in {"whole", "place"}:
        candidates = [(output.artifact, folder)]
    else:
        wanted = output.file_name if rule in {"file", "tile-list"} and output.file_name else output.harvest.pattern
        entries = sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
        candidates = [(entry.name, entry) for entry in entries if fnmatchcase(entry.name, wanted)]
    for name, path in candidates:
        if rule in _OF_FILES:
            item = _file(output, name, path, problems)
        elif rule == "place":
            item = _place(output, path, problems)
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


def _place(output: Output, path: Path, problems: list[str]) -> Found | None:
    """A folder that stays where it is, where it holds anything; its files are not looked at."""
    if path.is_symlink() or not path.is_dir():
        return None
    with os.scandir(path) as entries:
        if next(entries, None) is None:
            problems.append(f"{output.file_type}: the folder is empty")
            return None
    return Found(output, output.artifact, "", path, ())


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
        for file in _metadata([file for file, _ in files]):
            described = metadata.attributes(metadata.parse(path / file)) | described
    except BadInputError as error:
        # Deep within an output that is one artifact lies what the IPF works with, and no product.
        if output.harvest.rule == "folders" or "/" not in file:
            problems.append(f"{output.file_type}/{name}: not valid: {error}")
            return None
    return Found(output, checked(name), name if output.harvest.unit else "", path, files, described)


def _metadata(files: Sequence[str]) -> list[str]:
    """Which files describe an artifact: the XML that stands least deep in it."""
    found = [file for file in files if file.lower().endswith(".xml")]
    least = min((file.count("/") for file in found), default=0)
    shallow = [file for file in found if file.count("/") == least]
    return shallow if least == 0 else shallow[:_READ]


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
