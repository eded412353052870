"""What a stand-in is to make, and how it is to fail: ``standin.json`` beside its scripts, and ``S2PS_STANDIN``.

The real command lines have no room for this. The scripts name their folder in ``S2PS_STANDIN_HOME``; what the variable
``S2PS_STANDIN`` holds (JSON) is laid over the file, its rules before the file's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shared.errors import ConfigurationError

HOME: Final = "S2PS_STANDIN_HOME"
GIVEN: Final = "S2PS_STANDIN"
FILE: Final = "standin.json"
Fault = Literal[
    "exit", "signal", "not-executable", "missing-program", "slow", "scheduler-dies", "missing-output",
    "invalid-metadata", "out-of-memory", "disk-full", "hang", "ignore-sigterm",
]  # fmt: skip


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Datatake(_Model):
    """A datatake of the session, as ingestion is to find it: one datastrip. ``tiles``: how many; ``gri``: how many
    reference images there are for it, those below ``-g`` where it is not said.
    """

    name: Annotated[str, Field(pattern=r"^DT[0-9]{1,3}$")] = "DT1"
    type: Annotated[str, Field(pattern=r"^[A-Z]{3,6}$")] = "NOBS"
    scenes: Annotated[int, Field(ge=1, le=999)] = 16
    start: AwareDatetime | None = None
    tiles: Annotated[int, Field(ge=0, le=999)] | None = None
    gri: Annotated[int, Field(ge=0, le=999)] | None = None


class Rule(_Model):
    """When to fail or to take long, and how. What is empty is any.

    Args:
        call: which program.
        mode: of the Launcher.
        tile: its number, as the command line has it; for Level 2, its name.
        datatake: pattern of the datatake's identifier or the datastrip's name.
        task: the program of the chain in which it happens; the command itself where empty.
        times: only in so many runs of the program at this place, counted beside ``standin.json``.
        fault: what happens. ``slow`` takes ``seconds`` and ``memory_mb`` and goes on. ``scheduler-dies``: after
            the pool of ``task``, the first where none is named.
        code: exit code of ``exit``, signal of ``signal``.
        output: pattern of the names of files, or of their folders, that ``missing-output`` and ``invalid-metadata``
            hit. Damaged, the files on which the number of processes depends stop the scheduler (``frame_file.xml``).
    """

    call: Literal["", "eisp", "launcher", "l2ds", "l2tl"] = ""
    mode: str = ""
    tile: str = ""
    datatake: str = "*"
    task: str = ""
    times: Annotated[int, Field(ge=1)] | None = None
    fault: Fault
    code: Annotated[int, Field(ge=0, le=255)] = 0
    seconds: Annotated[float, Field(ge=0)] = 0.0
    memory_mb: Annotated[int, Field(ge=0)] = 0
    output: str = "*"


class Config(_Model):
    """See the module.

    Args:
        datatakes: of every session; one of 16 scenes where none is given.
        mounts: where folders of the command lines are on this machine, as a cluster's volumes would bring them.
        light: granules consist of their metadata alone, tiles of one image: for runs of thousands of products.
        job_orders: ``all`` writes that of every process, ``first`` that of the first process of each task.
    """

    datatakes: tuple[Datatake, ...] = (Datatake(),)
    mounts: Mapping[str, str] = Field(default_factory=dict)
    light: bool = False
    job_orders: Literal["all", "first"] = "all"
    rules: tuple[Rule, ...] = ()

    def mounted(self, path: str) -> Path:
        """Where ``path`` of a command line is."""
        return Path(self.mounts.get(path.rstrip("/"), path))

    def datatake(self, start: str) -> Datatake:
        """The datatake whose datastrip starts at ``start`` (to the second); the only one, or a default, for others."""
        for datatake in self.datatakes:
            if datatake.start is not None and datatake.start.strftime("%Y%m%dT%H%M%S") == start:
                return datatake
        return Datatake() if len(self.datatakes) != 1 else self.datatakes[0]


def load(environment: Mapping[str, str]) -> Config:
    """The configuration; ConfigurationError names the file or variable, and the field, where it is wrong."""
    found: dict[str, Any] = {}
    home = environment.get(HOME, "")
    if home and (file := Path(home) / FILE).exists():
        found = _document(file.read_text(encoding="utf-8"), str(file))
    given = _document(environment.get(GIVEN) or "{}", GIVEN)
    rules = [*given.get("rules", []), *found.get("rules", [])]
    try:
        return Config.model_validate({**found, **given, "rules": rules})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{FILE} or {GIVEN}, {where}: {first['msg']}") from None


def _document(text: str, what: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{what}: expected JSON, found {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{what}: expected an object, found {type(document).__name__}")
    return document
