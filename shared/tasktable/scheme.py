"""The chain as data: parameters, producers, modes, task tables and calls, from ``chain/`` or an operator's folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.errors import ConfigurationError
from shared.tasktable.model import Alternative, Option, Pool, TableInput, TableOutput, Task, TaskTable

_PACKAGED: Final = Path(__file__).parent / "chain"
# libyaml, where PyYAML has it, reads the chain in a tenth of the time: a stand-in is started for each tile.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Key = Literal["BAND_QL", "BAND", "DETECTOR", "GRANULE", "ATF", "ATF_DETECTOR", "TILE"]
Unit = Literal["datastrip", "granule", "tile"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Producer(_Model):
    """What feeds an input: outputs of ``type`` of these tasks; of ``A|B``, the one that has run."""

    type: str
    level: str = ""
    tasks: tuple[str, ...]


class Source(_Model):
    """Outputs of a type: of ``task``, or of the last task that wrote it."""

    type: str
    level: str = ""
    task: str = ""


class Safe(Source):
    """Products, each a folder of its own within the output; ``merge`` goes into them first."""

    unit: Unit
    input: str = "PDI_SAFE"
    merge: tuple[Source, ...] = ()


class Footprint(Source):
    """A file within an output."""

    file: str


class Follow(_Model):
    """A call outside the task table: once, or per instance or tile."""

    call: str
    per: Literal["mode", "instance", "tile"] = "mode"


class Mode(_Model):
    """One mode of the chain; see ``chain/scheme.yaml``."""

    chain: str
    after: tuple[str, ...] = ()
    partitions: dict[Key, Annotated[int, Field(ge=1)]]
    by: tuple[Literal["ATF", "DETECTOR", "BAND", "GRANULE", "TILE"], ...]
    parameters: dict[str, str] = Field(default_factory=dict)
    task_parameters: dict[str, dict[str, str]] = Field(default_factory=dict)
    exclude: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    before: tuple[Follow, ...] = ()
    then: tuple[Follow, ...] = ()


class Call(_Model):
    """A call with a job order of its own. Of ``parameters``, those without a value must be given."""

    processor: str
    task: str
    breakpoints: bool = False
    stations: bool = True
    test: bool = True
    sensing_time: bool = False
    parameters: dict[str, str | None]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    safe: Safe | None = None
    of: Safe | None = None
    footprints: dict[str, Footprint] = Field(default_factory=dict)


class _TaskLine(_Model):
    task: str
    proc: tuple[str, ...] = ()
    db: tuple[str, ...] = ()
    gipp: tuple[str, ...] = ()
    out: tuple[str, ...] = ()
    out_db: tuple[str, ...] = ()
    options: dict[str, str] = Field(default_factory=dict)


class Scheme(_Model):
    """The whole chain."""

    parameters: dict[str, dict[str, str]]
    producers: dict[str, dict[str, tuple[Producer, ...]]]
    safe: dict[str, Safe]
    single_detector: tuple[str, ...]
    never_by_band: tuple[str, ...]
    kept: dict[str, str]
    within: dict[str, dict[str, str]]
    named: dict[str, str]
    versions: dict[str, str]
    modes: dict[str, Mode]
    tables: dict[str, tuple[tuple[_TaskLine, ...], ...]]
    calls: dict[str, Call]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name, mode in self.modes.items():
            for before in mode.after:
                if before not in self.modes:
                    raise ValueError(f"modes, {name}, after: no mode {before}")
            for follow in (*mode.before, *mode.then):
                if follow.call not in self.calls:
                    raise ValueError(f"modes, {name}: no call {follow.call}")
            if name not in self.tables:
                raise ValueError(f"tables: none for mode {name}")
            known = {parameter for parameters in self.parameters.values() for parameter in parameters}
            if lost := sorted(set(mode.parameters) - known):
                raise ValueError(f"modes, {name}, parameters: no task has {', '.join(lost)}")
            for task, values in mode.task_parameters.items():
                if lost := sorted(set(values) - set(self.parameters.get(task, ()))):
                    raise ValueError(f"modes, {name}, task_parameters, {task}: it has no {', '.join(lost)}")
        if "COMMON" not in self.parameters or "default" not in self.versions:
            raise ValueError("parameters: COMMON, and versions: default, must be there")
        return self

    def mode(self, name: str) -> Mode:
        """The mode ``name``; ConfigurationError where there is none."""
        try:
            return self.modes[name]
        except KeyError:
            raise ConfigurationError(f"mode {name}: expected one of {', '.join(self.modes)}") from None

    def version(self, task: str) -> str:
        """The version of a task's program."""
        return self.versions.get(task, self.versions["default"])

    def table(self, mode: str) -> TaskTable:
        """The task table of a mode."""
        self.mode(mode)
        pools = tuple(Pool(tuple(self._task(line) for line in pool), killing_signal=15) for pool in self.tables[mode])
        return TaskTable("S2IPF - L0c", "01.03", pools, sensing_time_flag=True)

    def _task(self, line: _TaskLine) -> Task:
        gipp = tuple(f"GIP_{name}*" for name in line.gipp)
        inputs = [
            _input(text, origin)
            for origin, texts in (("PROC", line.proc), ("DB", line.db), ("DB", gipp))
            for text in texts
        ]
        outputs = [
            TableOutput(file_type, destination, file_name_type=kind)
            for destination, texts in (("PROC", line.out), ("DB", line.out_db))
            for file_type, kind in map(kind_of, texts)
        ]
        program = "OLQC" if line.task.startswith("OLQC") else line.task.partition("-")[0]
        return Task(
            line.task,
            self.version(program),
            f"${program}_EXE_DIR",
            tuple(inputs),
            tuple(outputs),
            tuple(Option(name, value) for name, value in line.options.items()),
        )


def _input(text: str, origin: str) -> TableInput:
    file_type, kind = kind_of(text)
    # Quality control takes what there is: its table leaves the retrieval open.
    retrieval_mode = "" if file_type in {"PDI_SAFE", "PERSISTENT_RESOURCES"} else "ValIntersect"
    return TableInput(Alternative(file_type, origin, kind, retrieval_mode=retrieval_mode))


def kind_of(text: str) -> tuple[str, str]:
    """(type, kind) of a type with its mark: ``*`` a file, ``!`` a file under the kind ``File``, none a folder."""
    marks, text = {"*": "Physical", "!": "File"}, text.removesuffix("?")
    return (text[:-1], marks[text[-1]]) if text[-1:] in marks else (text, "Directory")


@cache
def load_scheme(folder: Path = _PACKAGED) -> Scheme:
    """The chain of ``folder``; ConfigurationError that names the file and the field where it is wrong."""
    parts: dict[str, Any] = {}
    for name in ("scheme", "tables", "calls"):
        path = folder / f"{name}.yaml"
        try:
            loaded = yaml.load(path.read_text(), Loader=_LOADER)  # noqa: S506 - both are safe loaders
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigurationError(f"{path}: expected a readable YAML file, found {error}") from None
        if not isinstance(loaded, dict):
            raise ConfigurationError(f"{path}: expected a mapping, found {type(loaded).__name__}")
        parts |= loaded if name == "scheme" else {name: loaded}
    try:
        return Scheme.model_validate(parts)
    except ValidationError as error:
        first = error.errors()[0]
        field = ", ".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"chain {folder}: {field}: {first['msg']}, found {str(first['input'])[:80]!r}"
        ) from None
