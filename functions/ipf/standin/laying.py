"""Links before a process, and outputs kept for later modes: what Orchestrator and Launcher do to the file system."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from functions.ipf.standin.context import leftovers
from functions.ipf.standin.place import Place
from functions.ipf.standin.products import copy_tree
from functions.ipf.standin.strip import Strip
from shared.errors import BadInputError
from shared.tasktable import History, Link, Process


def lay_links(links: Iterable[Link]) -> None:
    """What must be laid before a process starts. BadInputError where a target is not there.

    What an earlier process of the task has laid stays.
    """
    for link in links:
        path = Path(link.path)
        if link.merged_into_product:
            for target in link.targets:
                if not Path(target).is_dir():
                    raise BadInputError(f"link {link.path}", f"its target {target}")
                copy_tree(Path(target), path)
        elif not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for target in link.targets:
                if not Path(target).exists():
                    raise BadInputError(f"link {link.path}", f"its target {target}")
            if len(link.targets) == 1:
                path.symlink_to(link.targets[0])
            else:
                path.mkdir()
                for target in link.targets:
                    _merge(Path(target), path)


def _merge(source: Path, into: Path) -> None:
    """The entries of ``source`` as links; those of folders that are in both are merged, the first one winning."""
    for entry in source.iterdir():
        there = into / entry.name
        if not os.path.lexists(there):
            there.symlink_to(entry)
        elif entry.is_dir() and there.is_dir():
            if there.is_symlink():
                first = there.resolve()
                there.unlink()
                there.mkdir()
                _merge(first, there)
            _merge(entry, there)


def check_inputs(process: Process) -> None:
    """BadInputError where something that the job order names is not there, or is another kind of thing."""
    for task in process.order.tasks:
        for needed in task.inputs:
            for name in needed.names:
                path = Path(name)
                if needed.file_type == "WORKING":
                    path.mkdir(parents=True, exist_ok=True)
                if not (path.is_dir() if needed.is_folder else path.is_file()):
                    kind = "folder" if needed.is_folder else "file"
                    raise BadInputError(f"{Path(process.order_path).name}, {needed.file_type}", f"a {kind} {name}")


def keep(place: Place, strip: Strip, history: History) -> History:
    """Copy what later modes may read from the working folder to ``-o``; the history with their new places."""
    root, copied = str(place.processing), set[str]()
    kept = []
    for made in history:
        if made.path.startswith(f"{root}/"):
            relative = made.path.removeprefix(f"{root}/")
            source, to = Path(made.path), place.kept / relative
            unwanted = leftovers(place, made, strip)
            if relative not in copied:
                copied.add(relative)
                to.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    copy_tree(source, to)
                elif source.is_file():
                    shutil.copyfile(source, to)
            if unwanted:
                for path in to.rglob("*.raw"):
                    if any(fnmatchcase(path.name, pattern) for pattern in unwanted):
                        path.unlink()
            kept.append(replace(made, path=str(to)))
        else:
            kept.append(made)
    return tuple(kept)
