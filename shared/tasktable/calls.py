"""Calls that stand in no task table: ingestion, GSE, quality control of tiles, inventory, and Level 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.errors import ConfigurationError, NotReadyError
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask
from shared.tasktable.history import History, latest
from shared.tasktable.parameters import Run
from shared.tasktable.process import Link, Process, merges, product_names, source_paths, working_folder
from shared.tasktable.scheme import Call, Follow, Safe, Scheme, kind_of
from shared.tasktable.splitting import Facts, split_list

_PROGRAMS: Final = "IDPSC_EXE_DIR"


def call_order(
    scheme: Scheme,
    name: str,
    run: Run,
    parameters: Mapping[str, str],
    inputs: Mapping[str, tuple[str, ...]],
    outputs: Mapping[str, str],
) -> JobOrder:
    """The job order of call ``name``.

    ConfigurationError, with the name, for a parameter, input or output that is missing or that the call does not have.
    An input without paths is left out: not every centre uses every file. An optional output that is not wanted stands
    without a name.
    """
    call = scheme.calls.get(name)
    if call is None:
        raise ConfigurationError(f"call {name}: expected one of {', '.join(scheme.calls)}")
    for what, given, known in (
        ("parameter", parameters, set(call.parameters)),
        ("input", inputs, {kind_of(text)[0] for text in call.inputs}),
        ("output", outputs, {kind_of(text)[0] for text in call.outputs}),
    ):
        if lost := sorted(set(given) - known):
            raise ConfigurationError(f"call {name}: it has no {what} {', '.join(lost)}")
    values = {key: parameters.get(key, default) for key, default in call.parameters.items()}
    missing = [key for key, value in values.items() if value is None]
    missing += [kind_of(text)[0] for text in call.inputs if kind_of(text)[0] not in inputs]
    missing += [kind_of(text)[0] for text in call.outputs if kind_of(text)[0] not in outputs and not text.endswith("?")]
    if missing:
        raise ConfigurationError(f"call {name}: {', '.join(missing)} must be given")
    return JobOrder(
        processor_name=call.processor,
        version=run.version,
        acquisition_station=run.acquisition_station if call.stations else "",
        processing_station=run.processing_station if call.stations else "",
        parameters={key: value for key, value in values.items() if value is not None},
        tasks=(_task(call, run.versions.get(call.task, scheme.version(call.task)), inputs, outputs),),
        stdout_log_level=run.log_level,
        stderr_log_level=run.log_level,
        sensing_time=run.sensing_time if call.sensing_time else None,
        test=False if call.test else None,
        breakpoint_enable=call.breakpoints if call.test else None,
        config_files=("",),
    )


def _task(call: Call, version: str, inputs: Mapping[str, tuple[str, ...]], outputs: Mapping[str, str]) -> JobTask:
    kinds = [kind_of(text) for text in call.inputs]
    return JobTask(
        call.task,
        version,
        tuple(JobInput(file_type, inputs[file_type], kind) for file_type, kind in kinds if inputs[file_type]),
        tuple(
            JobOutput(kind_of(text)[0], outputs.get(kind_of(text)[0], ""), not text.endswith("?"), kind_of(text)[1])
            for text in call.outputs
        ),
    )


def followers(
    scheme: Scheme, run: Run, follows: tuple[Follow, ...], facts: Facts, history: History, stage: int
) -> tuple[Process, ...]:
    """The processes of calls before (``stage`` 0) or after the pools of a mode, in the order of the mode."""
    processes: list[Process] = []
    for follow in follows:
        call = scheme.calls[follow.call]
        units = () if call.safe is None else product_names(facts, call.safe.unit)
        shares: list[tuple[str, ...]] = [units]
        if follow.per == "instance":
            shares = [tuple(share) for share in split_list(list(units), facts.instances)]
        elif follow.per == "tile":
            shares = [(unit,) for unit in units]
        for share in shares:
            number = stage * 10_000 + len(processes) + 1
            processes.append(_follower(scheme, run, follow.call, facts, history, share, number))
    return tuple(processes)


def _follower(
    scheme: Scheme, run: Run, name: str, facts: Facts, history: History, names: tuple[str, ...], number: int
) -> Process:
    call, folder = scheme.calls[name], f"{run.processing}/{name}"
    inputs: dict[str, tuple[str, ...]] = {
        "WORKING": (working_folder(folder, number),),
        "IDP_INFOS": (f"{run.processing}/IDP_INFOS/idp_infos.xml",),
    }
    links: list[Link] = []
    if call.safe is not None:
        inputs[call.safe.input] = _products(history, name, call.safe, names)
        output = latest(history, call.safe)
        if output is not None:
            links += merges(history, name, call.safe, output, names)
    if call.of is not None:
        inputs[call.of.input] = _products(history, name, call.of, product_names(facts, call.of.unit))
    for file_type, footprint in call.footprints.items():
        made = latest(history, footprint)
        if made is None:
            raise NotReadyError(f"call {name}: {footprint.task} has not written {footprint.type}")
        inputs[file_type] = (f"{made.path}/{footprint.file}",)
    needed = [kind_of(text)[0] for text in call.inputs]
    for file_type in needed:
        if file_type not in inputs:
            inputs[file_type] = source_paths(scheme, run, name, file_type)
    order = call_order(
        scheme,
        name,
        run,
        _parameters(scheme, call, run, facts, names),
        {file_type: inputs[file_type] for file_type in needed},
        {file_type: _output(run, folder, file_type, number) for file_type in _wanted(call)},
    )
    return Process(
        task=name,
        number=number,
        order=order,
        order_path=f"{folder}/JobOrder_{name}_{number}.xml",
        links=tuple(links),
        program=f"${_PROGRAMS}/{call.task}",
    )


def _wanted(call: Call) -> list[str]:
    """Of optional outputs, only the report."""
    return [kind_of(t)[0] for t in call.outputs if not t.endswith("?") or kind_of(t)[0] == "REPORT"]


def _output(run: Run, folder: str, file_type: str, number: int) -> str:
    if file_type == "REPORT":
        return f"{folder}/REPORT_{number}/report.xml"
    # GSE corrects the ancillary data where they are.
    return run.sources["PDI_L0U"][0] if file_type == "PDI_L0U" else f"{folder}/output/{file_type}"


def _products(history: History, name: str, safe: Safe, names: tuple[str, ...]) -> tuple[str, ...]:
    output = latest(history, safe)
    if output is None:
        raise NotReadyError(f"call {name}: no earlier task wrote {safe.level} {safe.type}")
    return tuple(f"{output.path}/{unit}" for unit in names)


def _parameters(scheme: Scheme, call: Call, run: Run, facts: Facts, names: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    if "SOURCE_SW_VERSION" in call.parameters:
        values["SOURCE_SW_VERSION"] = run.versions.get(call.task, scheme.version(call.task))
    if "SENSING_START" in call.parameters:
        (tile,) = names
        if tile not in facts.sensing:
            raise NotReadyError(f"call {call.task}: the sensing time of tile {tile} is not known yet")
        values["SENSING_START"] = values["SENSING_STOP"] = facts.sensing[tile]
    return values
