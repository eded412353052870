"""A process of a task: its job order, and what must be laid where before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.errors import ConfigurationError, NotReadyError
from shared.joborder import JobOrder
from shared.tasktable.history import History, Made, latest
from shared.tasktable.parameters import Run
from shared.tasktable.scheme import Safe, Scheme, Unit
from shared.tasktable.splitting import Facts


@dataclass(frozen=True, slots=True)
class Link:
    """``path`` leads to one of ``targets``, or is a folder into which several are merged, the first winning.

    ``merged_into_product``: the targets go into a product that is there already, and no input is named by it.
    """

    path: str
    targets: tuple[str, ...]
    merged_into_product: bool = False


@dataclass(frozen=True, slots=True)
class Process:
    """One process. ``program`` is as the task table names it, by an environment variable."""

    task: str
    number: int
    order: JobOrder
    order_path: str
    links: tuple[Link, ...]
    program: str
    critical: bool = True
    cpus: int | None = None


def working_folder(folder: str, number: int) -> str:
    """Where a process may write what nobody reads: in the folder in which its task works."""
    return f"{folder}/tmp_{number}"  # noqa: S108 - the Orchestrator's name, not the system's folder


def product_names(facts: Facts, unit: Unit) -> tuple[str, ...]:
    """The names of all products of a unit; NotReadyError where they are not known."""
    names = {"datastrip": facts.datastrip_names, "granule": facts.granule_names, "tile": facts.tile_names}[unit]
    if not names:
        raise NotReadyError(f"the names of the {unit} products are not known yet")
    return names


def source_paths(scheme: Scheme, run: Run, task: str, file_type: str) -> tuple[str, ...]:
    """Where auxiliary and input data of a type are; ConfigurationError where the run has none."""
    if file_type in scheme.kept:
        return (f"{run.processing}/{scheme.kept[file_type]}",)
    paths = run.sources.get(file_type) or run.sources.get(scheme.named.get(file_type, ""), ())
    if not paths:
        raise ConfigurationError(f"mode {run.mode}, task {task}: no source is given for {file_type}")
    return paths


def gipp_sources(scheme: Scheme, paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Sources by GIPP type: all files with the type in their names, sorted. The caller has chosen them by time."""
    types = {f"GIP_{name}" for pools in scheme.tables.values() for pool in pools for line in pool for name in line.gipp}
    files = sorted(paths)
    found = {
        file_type: tuple(path for path in files if scheme.named.get(file_type, file_type) in path.rpartition("/")[2])
        for file_type in sorted(types)
    }
    return {file_type: of_type for file_type, of_type in found.items() if of_type}


def merges(history: History, task: str, safe: Safe, output: Made, names: tuple[str, ...]) -> Iterator[Link]:
    """What goes into products before a quality control looks at them: images that another task wrote."""
    for source in safe.merge:
        part = latest(history, source)
        if part is None:
            raise NotReadyError(f"task {task}: no earlier task wrote {source.level} {source.type}")
        for name in names:
            yield Link(f"{output.path}/{name}", (f"{part.path}/{name}",), merged_into_product=True)
