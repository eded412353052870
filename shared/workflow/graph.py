"""Models of the processing graph and of a processor set, and their loading from YAML.

``graph.yaml`` says which step follows which, on which unit; a processor set (``processors/open.yaml``, or a file of the
operator's) binds each step to a processor. A set is data: adding one touches no Python.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.domain.deadlines import BUDGETS
from shared.errors import ConfigurationError

_HERE = Path(__file__).parent


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Step(_Model):
    """One step of the graph.

    ``after`` names the step whose outcome readies it, or ``session``. ``over`` names the units of that outcome over
    which it fans out; without it, the step runs on the unit of the step before.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,15}$")]
    level: str
    after: str
    over: Literal["datastrip", "tile"] | None = None

    @model_validator(mode="after")
    def _known_level(self) -> Self:
        if self.level not in BUDGETS:
            raise ValueError(f"level: expected one of {', '.join(BUDGETS)}")
        return self


class Input(_Model):
    """An input by file type, from the artifacts ``take`` (default: the same file type) of the step ``source``."""

    file_type: str
    source: str
    take: str = ""

    @property
    def artifact(self) -> str:
        return self.take or self.file_type


class Harvest(_Model):
    """How artifacts are found in an output, and what they become.

    ``whole``: the output folder is one artifact. ``folders``: each folder in it that matches ``pattern``. ``file``: one
    file. ``tile-list``: one file, whose tiles become units.
    """

    rule: Literal["whole", "folders", "file", "tile-list"]
    pattern: str = "*"
    file_type: str = ""
    unit: Literal["datastrip", "tile"] | None = None


class Output(_Model):
    """An output of a processor. ``publish`` is the level under which its artifacts become products."""

    file_type: str
    mandatory: bool = True
    file_name: str = ""
    harvest: Harvest = Harvest(rule="whole")
    publish: str | None = None

    @property
    def artifact(self) -> str:
        return self.harvest.file_type or self.file_type


class Volume(_Model):
    """A volume that an IPF sees in a cluster: a persistent volume claim, e.g. a DEM or the GRI."""

    claim: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    path: Annotated[str, Field(pattern=r"^/[^:]+$")]
    sub_path: str = ""
    read_only: bool = True


class Processor(_Model):
    """One processor, bound to a step. ``command`` holds ``{joborder}`` and ``{scratch}``.

    In a cluster the command runs in ``image`` through ``shell``, any POSIX shell of that image, as user ``user`` where
    the image's own does not do; ``scratch_gb`` bounds what inputs, outputs and temporary files may take together.
    """

    name: str
    version: str
    command: tuple[str, ...]
    image: str = ""
    shell: tuple[str, ...] = ("/bin/sh",)
    env: dict[str, str] = Field(default_factory=dict)
    user: Annotated[int | None, Field(ge=1)] = None
    read_only_root: bool = False
    volumes: tuple[Volume, ...] = ()
    scratch_gb: Annotated[int, Field(ge=1)] = 20
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    parameters: dict[str, str] = Field(default_factory=dict)
    cpus: float = 1.0
    memory_mb: int = 2048
    time_limit_s: int = 3600
    warning_exits: tuple[int, int] = (1, 127)
    retry_exits: tuple[int, ...] = ()
    minimum_scenes: int = 0


class Workflow(_Model):
    """A graph with a processor set bound to it."""

    set_name: str
    site: Annotated[str, Field(pattern=r"^[A-Z0-9_]{4}$")]
    baseline: Annotated[str, Field(pattern=r"^\d{2}\.\d{2}$")]
    steps: tuple[Step, ...]
    processors: dict[str, Processor]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        known = {"session"}
        for step in self.steps:
            if step.after not in known:
                raise ValueError(f"step {step.name}: after: no step {step.after} stands before it")
            if step.name not in self.processors:
                raise ValueError(f"processors: none for step {step.name}")
            known.add(step.name)
            self._check_inputs(step)
        return self

    def _check_inputs(self, step: Step) -> None:
        for needed in self.processors[step.name].inputs:
            if needed.source != step.after:
                raise ValueError(f"step {step.name}: input {needed.file_type}: source: expected {step.after}")
            if needed.source == "session":
                continue
            made = {output.artifact for output in self.processors[needed.source].outputs}
            if needed.artifact not in made:
                raise ValueError(
                    f"step {step.name}: input {needed.file_type}: {needed.source} makes no {needed.artifact}"
                )

    def step(self, name: str) -> Step:
        """The step called ``name``; ConfigurationError where there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise ConfigurationError(f"step {name}: expected one of {', '.join(s.name for s in self.steps)}")

    def after(self, name: str) -> tuple[Step, ...]:
        """The steps that an outcome of ``name`` (or ``session``) readies."""
        return tuple(step for step in self.steps if step.after == name)

    def downstream(self, name: str) -> tuple[Step, ...]:
        """All steps that depend on ``name``, itself first."""
        found = [self.step(name)]
        for step in self.steps:
            if step.after in {s.name for s in found}:
                found.append(step)
        return tuple(found)

    def publishes(self, step: str) -> tuple[Output, ...]:
        """The outputs of a step that become products."""
        return tuple(output for output in self.processors[step].outputs if output.publish)


def _load(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"workflow file {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"workflow file {path}: no YAML: {error}") from None


@cache
def load_workflow(processor_set: str) -> Workflow:
    """The graph with a processor set: a name of one that comes with the service, or the path of a YAML file."""
    path = Path(processor_set) if "/" in processor_set else _HERE / "processors" / f"{processor_set}.yaml"
    document = {**_load(_HERE / "graph.yaml"), **_load(path)}
    try:
        return Workflow.model_validate(document)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise ConfigurationError(f"workflow {path.name}: {wrong}") from None
