"""Options that commands share: where they look, and what they print. Light: help texts and completion need them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from shared.errors import BadInputError

if TYPE_CHECKING:
    from shared.places import StationSettings

DEFAULT_RUN: Final = Path("runs/default")
FORMATS: Final = ("table", "json", "yaml", "name")
_ASSIGNMENT: Final = re.compile(r"S2PS_[A-Z0-9_]+=.*", re.DOTALL)

Command = Callable[..., None]

run_dir_option = click.option(
    "--run-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_RUN,
    show_default=True,
    help="Folder of the run: store, logs, jobs, traces. Two runs with two folders do not disturb each other.",
)
settings_option = click.option(
    "--set", "assignments", multiple=True, metavar="S2PS_NAME=VALUE", help="A setting; may be repeated."
)
local_output_option = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="What to print."
)


@dataclass(frozen=True, slots=True)
class Where:
    """What a command line says of where to look; ``functions.cli.places`` makes a place of it."""

    run_dir: Path | None = None
    namespace: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None

    @property
    def cluster(self) -> bool:
        """Whether a cluster is asked for by name."""
        return bool(self.namespace or self.context or self.kubeconfig)


@dataclass(frozen=True, slots=True)
class Shape:
    """What to print: one of ``FORMATS``, and whether tables have their line of headers."""

    form: str = "table"
    headers: bool = True


def where_options(command: Command) -> Command:
    """The options of ``Where``; the command gets it as ``where``."""

    @wraps(command)
    def wrapper(
        *args: Any,
        run_dir: Path | None,
        namespace: str | None,
        context: str | None,
        kubeconfig: Path | None,
        **kwargs: Any,
    ) -> None:
        command(*args, where=Where(run_dir, namespace, context, kubeconfig), **kwargs)

    # Options show in help in the reverse order of their decoration.
    for option in (
        click.option("--kubeconfig", type=click.Path(path_type=Path), help="File that kubectl takes for it."),
        click.option("--context", metavar="NAME", help="Context of the kubeconfig.  [default: its current one]"),
        click.option("-n", "--namespace", metavar="NAME", help="Look at the cluster, in this namespace."),
        click.option(
            "--run-dir",
            type=click.Path(path_type=Path, file_okay=False),
            help="Look at the run of this folder, on this machine.",
        ),
    ):
        wrapper = option(wrapper)
    return wrapper


def looks(command: Command) -> Command:
    """The options of ``Where``; the command gets ``place``, open as long as it runs."""

    @wraps(command)
    def wrapper(*args: Any, where: Where, **kwargs: Any) -> None:
        from functions.cli.places import opened

        with opened(where) as place:
            command(*args, place=place, **kwargs)

    return where_options(wrapper)


def shape_options(command: Command) -> Command:
    """``-o`` and ``--no-headers``; the command gets them as ``shape``."""

    @wraps(command)
    def wrapper(*args: Any, output: str, no_headers: bool, **kwargs: Any) -> None:
        command(*args, shape=Shape(output, not no_headers), **kwargs)

    for option in (
        click.option("--no-headers", is_flag=True, help="Tables without their line of headers."),
        click.option(
            "-o", "--output", type=click.Choice(FORMATS), default="table", show_default=True, help="What to print."
        ),
    ):
        wrapper = option(wrapper)
    return wrapper


def stations_json(stations: list[StationSettings]) -> str:
    """Stations as the setting ``S2PS_STATIONS`` takes them, passwords in clear."""
    import json

    from shared.places import in_clear

    return json.dumps(in_clear(stations))


def assigned(assignments: tuple[str, ...]) -> dict[str, str]:
    """The settings of ``--set``, by name. BadInputError where one is none."""
    for text in assignments:
        if not _ASSIGNMENT.fullmatch(text):
            raise BadInputError("--set", "S2PS_NAME=VALUE", text)
    return {name: value for name, _, value in (text.partition("=") for text in assignments)}
