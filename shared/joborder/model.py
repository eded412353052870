"""Models of a job order. What they hold is what the document says; see ``reading`` for what a document may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.errors import BadInputError

LOG_LEVELS: Final = ("DEBUG", "INFO", "PROGRESS", "WARNING", "ERROR")
# ``File`` stands in no schema, and in the orders of the inventory and of the Level-2 chain; it means ``Physical``.
FILE_NAME_TYPES: Final = ("Physical", "Logical", "Stem", "Regexp", "Directory", "File")


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """The part ``start`` to ``stop`` of the file ``file_name``."""

    start: str
    stop: str
    file_name: str


@dataclass(frozen=True, slots=True)
class Template:
    """Placeholders that a template of a job order has in place of an input's names, and of their number."""

    names: str
    count: str = ""


@dataclass(frozen=True, slots=True)
class JobInput:
    """Inputs of one file type; ``names`` are absolute paths of files or folders. ``template`` stands in their place."""

    file_type: str
    names: tuple[str, ...]
    file_name_type: str = "Physical"
    time_intervals: tuple[TimeInterval, ...] = ()
    template: Template | None = None

    @property
    def is_folder(self) -> bool:
        """Whether the names are folders. ``File``, of no schema, is a file as ``Physical`` is."""
        return self.file_name_type == "Directory"


@dataclass(frozen=True, slots=True)
class JobOutput:
    """Where outputs of one file type go; ``name`` is an absolute path, empty where an optional output is not wanted."""

    file_type: str
    name: str
    mandatory: bool = True
    file_name_type: str = "Directory"


@dataclass(frozen=True, slots=True)
class BreakFile:
    """A file that the task writes for inspection, where it is enabled."""

    file_type: str
    file_name: str
    enabled: bool = False
    file_name_type: str = "Physical"


@dataclass(frozen=True, slots=True)
class JobTask:
    """One ``Ipf_Proc``. ``breakpoint`` None: the element is not there."""

    name: str
    version: str
    inputs: tuple[JobInput, ...]
    outputs: tuple[JobOutput, ...]
    breakpoint: tuple[BreakFile, ...] | None = None


@dataclass(frozen=True, slots=True)
class JobOrder:
    """One call of an IPF.

    Stations are empty, and ``test`` and ``breakpoint_enable`` None, where the document does not have them.
    ``sensing_time`` is as written: ``yyyymmddThhmmss``, or ISO 8601. ``parameters`` keep the order of the document.

    The look-ups (``input_files``, ``output``) search all tasks, the first match winning: the open processors and most
    operational orders have one task.
    """

    processor_name: str
    version: str
    acquisition_station: str
    processing_station: str
    parameters: Mapping[str, str]
    tasks: tuple[JobTask, ...]
    stdout_log_level: str = "INFO"
    stderr_log_level: str = "INFO"
    sensing_time: tuple[str, str] | None = None
    test: bool | None = False
    breakpoint_enable: bool | None = False
    config_files: tuple[str, ...] = ()

    def input_files(self, file_type: str) -> tuple[str, ...]:
        """Paths of all inputs of ``file_type``; BadInputError where there are none."""
        found = tuple(name for task in self.tasks for i in task.inputs if i.file_type == file_type for name in i.names)
        if not found:
            raise BadInputError("job order, List_of_Inputs", f"an input of type {file_type}")
        return found

    def output(self, file_type: str) -> str:
        """Path of the output of ``file_type``; BadInputError where there is none."""
        for task in self.tasks:
            for out in task.outputs:
                if out.file_type == file_type:
                    return out.name
        raise BadInputError("job order, List_of_Outputs", f"an output of type {file_type}")

    def parameter(self, name: str) -> str:
        """The value of dynamic processing parameter ``name``; BadInputError where it is not given."""
        try:
            return self.parameters[name]
        except KeyError:
            raise BadInputError("job order, Dynamic_Processing_Parameters", f"parameter {name}") from None
