"""Models of a task table: the pools of tasks that the Orchestrator runs one after the other, and what each task needs.

A pool's tasks run side by side, a task's processes too; the next pool starts when all of them have ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MODES: Final = ("NRT", "SYSTEMATIC", "PREPROCESSING", "SUBS", "ALWAYS")
ORIGINS: Final = ("DB", "PROC", "LOG")
DESTINATIONS: Final = ("DB", "PROC", "DBPROC")
RETRIEVAL_MODES: Final = (
    *("ValIntersect", "LatestValIntersect", "ValCover", "LatestValCover", "LatestValidityClosest"),
    *("BestCenteredCover", "LatestValCoverClosest", "LargestOverlap", "LargestOverlap85", "LatestValidity"),
    "LatestValCoverNewestValidity",
)
DEFAULT_RETRIEVAL_MODE: Final = "LatestValidityClosest"
FILE_NAME_TYPES: Final = ("Physical", "Logical", "Stem", "Regexp", "Directory")


@dataclass(frozen=True, slots=True)
class Alternative:
    """Where an input comes from: auxiliary and input data (``DB``), an earlier task (``PROC``), or a log.

    ``t0`` and ``t1`` widen the window of retrieval, in seconds. ``retrieval_mode`` is empty where the table has none.
    """

    file_type: str
    origin: str
    file_name_type: str = "Directory"
    order: str = "1"
    retrieval_mode: str = "ValIntersect"
    t0: float = 0.0
    t1: float = 0.0

    @property
    def effective_retrieval_mode(self) -> str:
        """The retrieval mode, by the schema's default where it is empty."""
        return self.retrieval_mode or DEFAULT_RETRIEVAL_MODE


@dataclass(frozen=True, slots=True)
class TableInput:
    """An input of a task. The schema allows one alternative alone: Sentinel-2 has no chains of them."""

    alternative: Alternative
    mode: str = "ALWAYS"
    mandatory: bool = True
    id: str = ""
    ref: str = ""


@dataclass(frozen=True, slots=True)
class TableOutput:
    """An output of a task, into data of the processing (``PROC``), the data base (``DB``), or both."""

    file_type: str
    destination: str = "PROC"
    mandatory: bool = True
    file_name_type: str = "Directory"


@dataclass(frozen=True, slots=True)
class TableBreakpoint:
    """A file that a task may leave for inspection."""

    file_name: str
    file_name_type: str = "Physical"


@dataclass(frozen=True, slots=True)
class Option:
    """A parameter that the table sets for one task, before any default."""

    name: str
    value: str
    type: str = "String"
    default: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a pool. ``file_name`` names its program by an environment variable; ``cpus`` None: not said."""

    name: str
    version: str
    file_name: str
    inputs: tuple[TableInput, ...] = ()
    outputs: tuple[TableOutput, ...] = ()
    options: tuple[Option, ...] = ()
    critical: bool = True
    criticality_level: int = 1
    breakpoints: tuple[TableBreakpoint, ...] = ()
    cpus: int | None = None

    @property
    def base_name(self) -> str:
        """The name without the suffix (``TP_FILTER-REG``) that tells two calls of one program apart."""
        return self.name.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Pool:
    """Tasks that run side by side. ``killing_signal`` (1 to 30) ends them."""

    tasks: tuple[Task, ...]
    detached: bool = False
    killing_signal: int = 9


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file of the Orchestrator, and what it is for."""

    file_name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class DynamicParameter:
    """A parameter for all tasks."""

    name: str
    type: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class TaskTable:
    """A task table. ``min_disk_space_mb`` in MB, ``max_time_s`` in seconds, 0 for no bound."""

    processor_name: str
    version: str
    pools: tuple[Pool, ...]
    test: bool = False
    min_disk_space_mb: int = 512
    max_time_s: int = 36_000
    sensing_time_flag: bool = False
    config_files: tuple[ConfigFile, ...] = ()
    dynamic_parameters: tuple[DynamicParameter, ...] = ()
