"""What a run is: its folder's layout, and its configuration, kept there so that a restart finds it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import PydanticBaseSettingsSource

from eventing.local.processes import MARK
from shared.errors import ConfigurationError
from shared.settings import Settings, wrong_settings

ROOT: Final = Path(__file__).resolve().parents[2]
"""Where this machine has what the function image has below ``/app``."""


@dataclass(frozen=True, slots=True)
class RunDir:
    """The layout of a run folder."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> RunDir:
        """Absolute, so that every process means the same."""
        return cls(path.expanduser().resolve())

    @property
    def config(self) -> Path:
        return self.path / "run.json"

    @property
    def state(self) -> Path:
        """Written by the runtime when it is ready, removed when it ends."""
        return self.path / "runtime.json"

    @property
    def lock(self) -> Path:
        return self.path / "runtime.lock"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def store(self) -> Path:
        return self.path / "store"

    @property
    def jobs(self) -> Path:
        return self.path / "jobs"

    @property
    def scratch(self) -> Path:
        return self.path / "scratch"

    @property
    def shared(self) -> Path:
        """What stands for the volumes that the steps of a datastrip share."""
        return self.path / "shared"

    @property
    def traces(self) -> Path:
        return self.path / "traces"


def physical_memory_mb() -> int:
    """Physical memory of this machine, MiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


class RunConfig(BaseModel):
    """How a run is set up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifests: Annotated[Path, Field(description="Folder of kustomization.yaml and what it names")] = (
        ROOT / "knative" / "base"
    )
    root: Annotated[Path, Field(description="What the function image has below /app")] = ROOT
    cpus: Annotated[float, Field(gt=0, description="Processor cores for Jobs")] = float(os.cpu_count() or 1)
    memory_mb: Annotated[int, Field(gt=0, description="Memory for Jobs, MiB")] = Field(
        default_factory=physical_memory_mb
    )
    idle_s: Annotated[float, Field(gt=0, description="A function without events for this long is stopped")] = 60.0
    job_command: Annotated[tuple[str, ...], Field(description="What runs a Job; empty: the job runner")] = ()
    environment: Annotated[dict[str, str], Field(description="Settings of functions and Jobs: S2PS_ variables")] = {}
    store: Annotated[bool, Field(description="Start the embedded store; else the environment names one")] = True


def load_config(run: RunDir) -> RunConfig:
    """The configuration of a run; the defaults where it has none yet. ConfigurationError names file and field."""
    try:
        return RunConfig.model_validate_json(run.config.read_bytes())
    except FileNotFoundError:
        return RunConfig()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ", ".join(filter(None, [str(run.config), ".".join(str(part) for part in first["loc"])]))
        raise ConfigurationError(f"{where}: {first['msg']}") from None


class _GivenSettings(Settings):
    """Settings by what is given alone: whoever asks for a run's has an environment of its own."""

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # called by these names, and only one is wanted
        cls, *_: object, init_settings: PydanticBaseSettingsSource, **__: object
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the constructor gets."""
        return (init_settings,)


def settings_from(environment: Mapping[str, str]) -> Settings:
    """The settings that these variables make, for a process which does not have them in its own environment.

    ConfigurationError names each variable that is wrong, or that is no setting; others than ``S2PS_`` are passed over.
    """
    names = {f"S2PS_{name.upper()}": name for name in Settings.model_fields}
    unknown = [name for name in environment if name.startswith("S2PS_") and name not in names and name != MARK]
    if unknown:
        raise ConfigurationError(f"{', '.join(unknown)}: no such setting; they are in shared/settings.py")
    try:
        return _GivenSettings(**{names[name]: value for name, value in environment.items() if name in names})  # type: ignore[arg-type]
    except ValidationError as error:
        raise wrong_settings(error) from None
