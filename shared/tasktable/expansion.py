"""From task table to processes: pools, each process with its job order, as the Orchestrator would make them.

Pure: nothing is read or written. Paths follow the Orchestrator's layout: a task works in ``<processing>/<task>``, finds
its inputs under ``input`` (links, which ``Process.links`` lists; several sources are merged into one folder), and
writes under ``output``. How many processes there are follows from ``Facts``, which earlier tasks wrote: expand a mode
at once where they are known, or pool by pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shared.errors import ConfigurationError, NotReadyError
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask
from shared.tasktable import calls
from shared.tasktable.history import History, add, feeders, latest, leave, made_by, output_path
from shared.tasktable.model import Alternative, Task, TaskTable
from shared.tasktable.parameters import Run, running_parameters
from shared.tasktable.process import Link, Process, merges, product_names, source_paths, working_folder
from shared.tasktable.scheme import Scheme
from shared.tasktable.splitting import Facts, Parameters, split


@dataclass(frozen=True, slots=True)
class Expansion:
    """The processes of a mode, pool by pool, and what later modes may read. Calls outside the table are apart."""

    before: tuple[Process, ...]
    pools: tuple[tuple[Process, ...], ...]
    then: tuple[Process, ...]
    history: History

    def processes(self) -> Iterator[Process]:
        """All processes, in the order in which they may start."""
        yield from self.before
        for pool in self.pools:
            yield from pool
        yield from self.then


def expand(scheme: Scheme, run: Run, facts: Facts, history: History = (), table: TaskTable | None = None) -> Expansion:
    """All processes of a mode, by its own task table where none is given.

    ``history`` is that of the modes before. NotReadyError where a fact or an earlier output is missing.
    """
    table, mode = table or scheme.table(run.mode), scheme.mode(run.mode)
    before = calls.followers(scheme, run, mode.before, facts, history, 0)
    pools = []
    for index in range(len(table.pools)):
        pool, history = expand_pool(scheme, run, table, index, facts, history)
        pools.append(pool)
    then = calls.followers(scheme, run, mode.then, facts, history, len(pools) + 1)
    return Expansion(before, tuple(pools), then, leave(history, mode, run.mode))


def expand_pool(
    scheme: Scheme, run: Run, table: TaskTable, index: int, facts: Facts, history: History
) -> tuple[tuple[Process, ...], History]:
    """The processes of pool ``index`` (from 0), and the history with their outputs."""
    processes: list[Process] = []
    for task in table.pools[index].tasks:
        for part, parameters in enumerate(_parts(scheme, run, table, task, facts)):
            number = (index + 1) * 10_000 + len(processes) + 1
            processes.append(_process(_Place(scheme, run, table, task, facts, history), part, parameters, number))
    made = [m for task in table.pools[index].tasks for m in made_by(task, run.mode, _folder(run, task))]
    return tuple(processes), add(history, made)


def _folder(run: Run, task: Task) -> str:
    return f"{run.processing}/{task.name}"


def _parts(scheme: Scheme, run: Run, table: TaskTable, task: Task, facts: Facts) -> list[Parameters]:
    parameters = running_parameters(scheme, run, table, task)
    safe = scheme.safe.get(task.name)
    if safe is not None and safe.unit != "datastrip":
        # Quality control of many products is spread over instances; none of them has nothing to do.
        return [parameters] * min(facts.instances, len(product_names(facts, safe.unit)))
    return split(task.base_name, parameters, scheme, scheme.mode(run.mode), facts)


@dataclass(frozen=True, slots=True)
class _Place:
    """A task where it stands."""

    scheme: Scheme
    run: Run
    table: TaskTable
    task: Task
    facts: Facts
    history: History


def _process(place: _Place, part: int, parameters: Parameters, number: int) -> Process:
    run, task, folder = place.run, place.task, _folder(place.run, place.task)
    inputs, links = _inputs(place, part, folder)
    inputs += [
        JobInput("WORKING", (working_folder(folder, number),), "Directory"),
        JobInput("IDP_INFOS", (f"{run.processing}/IDP_INFOS/idp_infos.xml",)),
    ]
    outputs = [*_outputs(place, folder), JobOutput("REPORT", f"{folder}/REPORT_{number}/report.xml", True, "Physical")]
    name = "OLQC" if task.name.startswith("OLQC") else task.base_name
    version = run.versions.get(name, task.version)
    order = JobOrder(
        processor_name=place.scheme.mode(run.mode).chain,
        version=run.version,
        acquisition_station=run.acquisition_station,
        processing_station=run.processing_station,
        parameters=parameters,
        tasks=(JobTask(name, version, tuple(inputs), tuple(outputs)),),
        stdout_log_level=run.log_level,
        stderr_log_level=run.log_level,
        sensing_time=run.sensing_time if place.table.sensing_time_flag else None,
    )
    return Process(
        task=task.name,
        number=number,
        order=order,
        order_path=f"{folder}/JobOrder_{task.name}_{number}.xml",
        links=tuple(links),
        program=task.file_name,
        critical=task.critical,
        cpus=task.cpus,
    )


def _inputs(place: _Place, part: int, folder: str) -> tuple[list[JobInput], list[Link]]:
    inputs: dict[str, JobInput] = {}
    links: list[Link] = []
    for needed in place.task.inputs:
        alternative = needed.alternative
        # A table may name a type twice, or what every process has; several elevation models stand under one name.
        file_type = "DEM_SRTM" if "DEM_SRTM" in alternative.file_type else alternative.file_type
        if file_type in inputs or file_type in {"WORKING", "IDP_INFOS"}:
            continue
        try:
            found = _sources(place, alternative, file_type, part, folder)
        except NotReadyError:
            if needed.mandatory:
                raise
            continue
        links += found
        within = place.scheme.within.get(place.task.name, {}).get(file_type)
        names = tuple(link.path + (f"/{within}" if within else "") for link in found if not link.merged_into_product)
        inputs[file_type] = JobInput(file_type, names, alternative.file_name_type)
    return list(inputs.values()), links


def _sources(place: _Place, alternative: Alternative, file_type: str, part: int, folder: str) -> list[Link]:
    """The links of one input: one folder for a type, or one link a file."""
    if file_type == "PDI_SAFE":
        return _products(place, part, folder)
    if alternative.origin == "PROC":
        made = feeders(place.history, place.scheme, place.task.base_name, file_type)
        if alternative.file_name_type != "Directory":
            return [Link(f"{folder}/input/{m.path.rpartition('/')[2]}", (m.path,)) for m in made]
        return [Link(f"{folder}/input/{file_type}", tuple(m.path for m in made))]
    if alternative.origin == "DB":
        paths = source_paths(place.scheme, place.run, place.task.name, file_type)
        if alternative.file_name_type != "Directory":
            return [Link(f"{folder}/input/{path.rpartition('/')[2]}", (path,)) for path in paths]
        return [Link(f"{folder}/input/{file_type}", paths)]
    raise ConfigurationError(f"task {place.task.name}, input {file_type}: origin {alternative.origin} is not supported")


def _products(place: _Place, part: int, folder: str) -> list[Link]:
    """The products that this part of a quality control looks at: of many, every n-th."""
    safe = place.scheme.safe.get(place.task.name)
    if safe is None:
        raise ConfigurationError(f"task {place.task.name}: the scheme does not say which products it looks at")
    output = latest(place.history, safe)
    if output is None:
        raise NotReadyError(f"task {place.task.name}, input PDI_SAFE: no earlier task wrote {safe.level} {safe.type}")
    names = product_names(place.facts, safe.unit)
    if safe.unit != "datastrip":
        names = names[part :: min(place.facts.instances, len(names))]
    products = [Link(f"{folder}/input/{name.rpartition('/')[2]}", (f"{output.path}/{name}",)) for name in names]
    return [*merges(place.history, place.task.name, safe, output, names), *products]


def _outputs(place: _Place, folder: str) -> Iterator[JobOutput]:
    for output in {output.file_type: output for output in place.task.outputs}.values():
        if output.file_type == "REPORT":
            continue
        if output.destination == "DB":
            (path,) = source_paths(place.scheme, place.run, place.task.name, output.file_type)
            within = place.scheme.within.get(place.task.name, {}).get(output.file_type)
            path += f"/{within}" if within else ""
        else:
            path = output_path(output.file_type, output.file_name_type, folder)
        yield JobOutput(output.file_type, path, output.mandatory, output.file_name_type)
