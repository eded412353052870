"""Models of a processor: what a set binds to a step of the graph.

Folders below which a processor works are given relative to its *base*: the attempt's own folder on the shared volume
where it has one (``shared``), else the scratch folder of the Job. Texts of commands, paths and parameters may hold
placeholders, filled when the attempt runs: ``{joborder}`` and ``{scratch}``, ``{base}``, ``{aux}`` (where the auxiliary
files lie),
``{input:<file type>}`` (the one artifact of that type, as it was laid), ``{cpus}``, ``{root:<name>}`` (of the set's
``roots``), ``{SITE}``, and any parameter of the order, as ``{TILE_NUMBER}``.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.domain.auxiliary.decision import WaitRules
from shared.domain.strategy import Split


def _relative(path: str) -> str:
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError("expected a relative path, without ..")
    return path


RelativePath = Annotated[str, AfterValidator(_relative)]


class Model(BaseModel):
    """What all models of the workflow share: a misspelt field is found at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Input(Model):
    """An input by file type, from the artifacts ``take`` (default: the same file type) of the step ``source``.

    ``to`` is where each artifact is laid, below the base; without ``{name}`` its contents are laid there themselves.
    """

    file_type: str
    source: str
    take: str = ""
    to: RelativePath = ""
    mandatory: bool = True

    @property
    def artifact(self) -> str:
        return self.take or self.file_type

    @property
    def place(self) -> str:
        """Where it is laid, as configured or by default."""
        if self.to:
            return self.to
        return f"inputs/{self.file_type}" if self.source == "session" else f"inputs/{self.file_type}/{{name}}"


class Harvest(Model):
    """How artifacts are found in an output, and what they become.

    ``whole``: the output folder is one artifact. ``folders``: each folder in it that matches ``pattern``. ``file``: one
    file, ``files``: each file that matches. ``tile-list``: one file, whose tiles become units. ``place``: the folder
    stays on the shared volume, and later steps find it there; nothing of it goes to the store.
    """

    rule: Literal["whole", "folders", "file", "files", "tile-list", "place"]
    pattern: str = "*"
    file_type: str = ""
    unit: Literal["datastrip", "tile"] | None = None


class Output(Model):
    """An output of a processor. ``publish`` is the level under which its artifacts become products.

    ``path``: the folder in which it is found, below the base; ``outputs/<file_type>`` where nothing is said.
    """

    file_type: str
    mandatory: bool = True
    file_name: str = ""
    path: RelativePath = ""
    harvest: Harvest = Harvest(rule="whole")
    publish: str | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.publish and self.harvest.rule == "place":
            raise ValueError(f"output {self.file_type}: what stays in its place cannot be published")
        return self

    @property
    def artifact(self) -> str:
        return self.harvest.file_type or self.file_type

    @property
    def folder(self) -> str:
        return self.path or f"outputs/{self.file_type}"


class Fact(Model):
    """Something that a run found out and later steps depend on, read from the first file that matches ``path``.

    ``element``: the text of the first XML element of this local name, without the prefix ``strip``. ``count``: how many
    elements have a local name that starts so. ``otherwise``: where there is no such file or element.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    path: RelativePath
    element: str = ""
    count: str = ""
    strip: str = ""
    otherwise: str = ""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if bool(self.element) == bool(self.count):
            raise ValueError("expected either element or count")
        return self


class Variant(Model):
    """Parameters that an order gets where the facts have the values of ``when``; the first variant that fits counts."""

    when: dict[str, str] = Field(default_factory=dict)
    parameters: dict[str, str]


class Link(Model):
    """Symbolic links in folder ``to`` of the base, to each thing that matches ``what`` below the base of ``source``."""

    source: str
    what: RelativePath
    to: RelativePath


class Volume(Model):
    """A volume that an IPF sees in a cluster: a persistent volume claim, e.g. a DEM or the GRI."""

    claim: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    path: Annotated[str, Field(pattern=r"^/[^:]+$")]
    sub_path: str = ""
    read_only: bool = True


class Shared(Model):
    """The volume on which the steps of a datastrip find each other's files by absolute path.

    Each Job sees only the sub-path ``<session>/<datastrip>`` of the claim, at ``path``; each attempt works in a folder
    of its own there. In the local runtime it is a folder.
    """

    claim: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    path: Annotated[str, Field(pattern=r"^/[^:{}]+$")] = "/shared"


class Derived(Model):
    """A parameter that is read out of an auxiliary file.

    ``element``: the text of the first element of this local name. ``pattern``: the first group, where it is found in
    the text of the file. ``unsigned``: without its sign; ``negated``: with the other sign.
    """

    file_type: str
    element: str = ""
    pattern: str = ""
    unsigned: bool = False
    negated: bool = False

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if bool(self.element) == bool(self.pattern):
            raise ValueError("expected either element or pattern")
        if self.unsigned and self.negated:
            raise ValueError("expected either unsigned or negated")
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            raise ValueError(f"pattern: {error}") from None
        if self.pattern and not groups:
            raise ValueError("pattern: expected a group")
        return self


class Auxiliary(Model):
    """The auxiliary files that a processor needs: those of a kind of job in ``shared/auxiliary/types.yaml``.

    They are laid below ``to`` in the folders that the IPFs expect. ``waits``: how long for which, and what then.
    """

    job: str
    to: RelativePath = "aux"
    waits: WaitRules = WaitRules()
    parameters: dict[str, Derived] = Field(default_factory=dict)


class CallOrder(Model):
    """The job order of a call that stands in no task table (``shared.tasktable.calls``): what it is given.

    Values may hold placeholders; ``{MISSION}``, ``{SESSION_START}``, ``{STATION}`` and ``{SITE}`` are the session's.
    """

    call: str
    version: str
    parameters: dict[str, str] = Field(default_factory=dict)
    inputs: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)


class Processor(Model):
    """One processor, bound to a step.

    ``command``, or several ``commands`` one after the other, each where none before ended with 128 or more. In a
    cluster they run in ``image`` through ``shell``, any POSIX shell of that image, as user ``user`` where the image's
    own does not do; ``scratch_gb`` bounds what inputs, outputs and temporary files may take together.

    ``status``: what tells how the run ended beside the exit code; ``launcher``: the status tables and logs that the
    Orchestrator of the licensed chain leaves below ``status_paths``. ``quiet_limit_s``: a run whose output and
    ``activity`` (patterns below the base) do not change for so long hangs, and is stopped. ``split``: longer datastrips
    are cut into virtual ones, of so many scenes and as many more at either end; of the first step after Level 0.

    Of a step that reads Level-0 granules: ``minimum_scenes``, below which it makes nothing of a datastrip; ``gaps``:
    whether it goes on, with a warning, where detectors lack granules of scenes that others have.
    """

    name: str
    version: str
    command: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    image: str = ""
    shell: tuple[str, ...] = ("/bin/sh",)
    env: dict[str, str] = Field(default_factory=dict)
    user: Annotated[int | None, Field(ge=1)] = None
    read_only_root: bool = False
    volumes: tuple[Volume, ...] = ()
    shared: Shared | None = None
    links: tuple[Link, ...] = ()
    scratch_gb: Annotated[int, Field(ge=1)] = 20
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    auxiliary: Auxiliary | None = None
    job_order: Literal["own", "none"] | CallOrder = "own"
    parameters: dict[str, str] = Field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    facts: tuple[Fact, ...] = ()
    cpus: float = 1.0
    memory_mb: int = 2048
    time_limit_s: int = 3600
    quiet_limit_s: Annotated[int | None, Field(ge=1)] = None
    activity: tuple[str, ...] = ()
    status: Literal["exit-code", "launcher"] = "exit-code"
    status_paths: tuple[str, ...] = ()
    warning_exits: tuple[int, int] = (1, 127)
    retry_exits: tuple[int, ...] = ()
    minimum_scenes: int = 0
    split: Split | None = None
    gaps: Literal["go-on", "park"] = "go-on"

    @model_validator(mode="after")
    def _runs_something(self) -> Self:
        if bool(self.command) == bool(self.commands) or not all(self.calls):
            raise ValueError("expected either command or commands, and none empty")
        return self

    @property
    def calls(self) -> tuple[tuple[str, ...], ...]:
        """The commands, in their order."""
        return self.commands or (self.command,)
