"""What one task of a mode is told: the parameters of its interface, in order, each with the value that wins.

An option of the task table wins over a parameter of the whole table, that over the settings of the mode and of the run,
and those over the default. Only parameters of the task's interface are given: an option that is none is left out, as
the Orchestrator does (GRI_NUMBER of RESAMPLE_TO_VS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from shared.errors import ConfigurationError
from shared.tasktable.model import Task, TaskTable
from shared.tasktable.scheme import Mode, Scheme

DETECTORS: Final = "-".join(f"{number:02d}" for number in range(1, 13))
BANDS: Final = "-".join(f"B{number:02d}" for number in range(13))


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a mode on one datastrip.

    Args:
        mode: its name.
        processing: absolute folder in which the mode works.
        acquisition_station: four characters, as ``SGS_``.
        processing_station: four characters; centre of processing and archiving as well.
        creation_date: of the products, as the processors take it.
        sensing_time: start and stop, as in a job order; given on where the task table's flag is set.
        sources: absolute paths of auxiliary and input data by type (``DB``), for GIPPs all files of the type.
        version: of the processor in the job orders.
        baseline: of processing.
        tile: of a mode by tile: number in the tile list, or several, ``011-002``.
        parameters: further values, for every task that has them.
        versions: of programs by task, before those of the scheme.
    """

    mode: str
    processing: str
    acquisition_station: str
    processing_station: str
    creation_date: str
    sensing_time: tuple[str, str] | None = None
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    version: str = "01.03.00"
    baseline: str = "04.00"
    tile: str = ""
    detectors: str = DETECTORS
    bands: str = BANDS
    log_level: str = "INFO"
    parameters: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def running_parameters(scheme: Scheme, run: Run, table: TaskTable, task: Task) -> dict[str, str]:
    """The parameters of a task before it is split; ConfigurationError where the scheme does not know the task."""
    mode, name = scheme.mode(run.mode), task.base_name
    own = scheme.parameters.get(name)
    if own is None:
        if not name.startswith("OLQC"):
            raise ConfigurationError(f"task {name} of mode {run.mode}: the scheme has no parameters for it")
        own = {}
    values = scheme.parameters["COMMON"] | own
    set_by_mode = mode.parameters | mode.task_parameters.get(name, {}) | _switches(scheme, mode, name, own, run)
    set_by_mode |= _of_run(own, run) | dict(run.parameters)
    set_by_table = {parameter.name: parameter.default for parameter in table.dynamic_parameters}
    set_by_table |= {option.name: option.value for option in task.options}
    return {
        parameter: set_by_table.get(parameter, set_by_mode.get(parameter, value)) for parameter, value in values.items()
    }


def _of_run(own: Mapping[str, str], run: Run) -> dict[str, str]:
    values = {
        "PROCESSING_BASELINE": run.baseline,
        "PROCESSING_CENTER": run.processing_station,
        "ARCHIVING_CENTER": run.processing_station,
        "CREATION_DATE": run.creation_date,
        "PARALLEL_DETECTOR_IDENT": run.detectors,
        "PARALLEL_BAND_IDENT": run.bands,
        # Where the detectors are given by another list, that of the fragments names the first alone.
        "PARALLEL_ATF_DETECTOR_IDENT": (
            run.detectors[:2] if "PARALLEL_DETECTOR_IDENT" in own and "PARALLEL_DETECTOR" not in own else run.detectors
        ),
    }
    if run.tile:
        values["PARALLEL_TILE_IDENT"] = run.tile
    return values


def _switches(scheme: Scheme, mode: Mode, name: str, own: Mapping[str, str], run: Run) -> dict[str, str]:
    """The splits that are in use. A task split into fragments is not split by granule or, by fragment, by detector."""

    def on(switch: bool) -> str:
        return "true" if switch else "false"

    fragments = "PARALLEL_ATF" in own and "ATF" in mode.by
    switches = {
        "PARALLEL_ATF": on("ATF" in mode.by),
        "PARALLEL_DETECTOR": on("DETECTOR" in mode.by and not (fragments and "PARALLEL_ATF_DETECTOR_IDENT" in own)),
        "PARALLEL_GRANULE": on("GRANULE" in mode.by and not fragments),
        "PARALLEL_TILE": on("TILE" in mode.by and bool(run.tile)),
    }
    if name not in scheme.never_by_band:
        switches["PARALLEL_BAND"] = switches["PARALLEL_BAND_QL"] = on("BAND" in mode.by)
    return switches
