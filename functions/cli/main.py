"""``s2ps``: the operator's console. Tables for people, ``-o json`` for programs; exit code 0 is success, 1 an error."""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

import click

from eventing.local import control
from eventing.local.config import RunConfig, RunDir, settings_from
from shared.bootstrap import Services
from shared.errors import BadInputError, S2psError
from shared.settings import StationSettings, load_settings

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_RUN: Final = Path("runs/default")
_ASSIGNMENT: Final = re.compile(r"S2PS_[A-Z0-9_]+=.*", re.DOTALL)

run_dir_option = click.option(
    "--run-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_RUN,
    show_default=True,
    help="Folder of the run: store, logs, jobs, traces. Two runs with two folders do not disturb each other.",
)
output_option = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="What to print."
)
settings_option = click.option(
    "--set", "assignments", multiple=True, metavar="S2PS_NAME=VALUE", help="A setting; may be repeated."
)


def told(command: Callable[P, R]) -> Callable[P, R]:
    """Errors of ours end a command with their sentence, not with a traceback."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except S2psError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:  # a full disk, a folder that may not be written
            where = error.filename or kwargs.get("run_dir", "system")
            raise click.ClickException(f"{where}: {error.strerror or error}") from None

    return wrapper


class LazyGroup(click.Group):
    """Commands that bring heavy imports (processors, simulator) are imported when they are called for."""

    LAZY: Final = {
        "run": "functions.cli.demo:run",
        "simulate": "shared.rehearsal.__main__:main",
        "station": "shared.rehearsal.station:main",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.LAZY})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.LAZY:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.LAZY[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        command.name = cmd_name
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="s2-production-service", prog_name="s2ps")
def main() -> None:
    """Sentinel-2 downlink sessions to products, on this machine or against a store.

    `s2ps run` shows it all: it brings a run up, plays a simulated pass, and ends with the session's account.
    """


@main.command()
@run_dir_option
@click.option(
    "--station", "stations", multiple=True, metavar="NAME=URL",
    help="A pick-up point, e.g. SGS_=https://user:password@host/pickup/; may be repeated.",
)  # fmt: skip
@click.option("--cpus", type=click.FloatRange(min=0.1), help="Processor cores for Jobs.  [default: all]")
@click.option("--idle", type=click.FloatRange(min=1), help="Seconds until an idle function is stopped.  [default: 60]")
@settings_option
@output_option
@told
def up(
    run_dir: Path,
    stations: tuple[str, ...],
    cpus: float | None,
    idle: float | None,
    assignments: tuple[str, ...],
    output: str,
) -> None:
    """Bring a run up: embedded store, event router, functions, job host.

    Without options a run comes up as it was set up last. What a crash left undone is taken up again.
    """
    run = RunDir.at(run_dir)
    config: RunConfig | None = None
    if stations or cpus or idle or assignments or not run.config.exists():
        environment = assigned(assignments)
        if stations:
            chosen = [_station(text) for text in stations]
            environment["S2PS_STATIONS"] = stations_json(chosen)
        given: dict[str, Any] = {"cpus": cpus, "idle_s": idle, "environment": environment}
        config = RunConfig(**{name: value for name, value in given.items() if value is not None})
    found = control.start(run, config)
    from functions.cli.output import emit_json, emit_table

    if output == "json":
        emit_json({"run_dir": str(run.path), "pid": found.pid, "url": found.url, "settings": dict(found.settings)})
        return
    rows = [("run folder", str(run.path)), ("process", str(found.pid)), ("router", found.url)]
    rows.append(("store", found.settings.get("S2PS_STORE_ENDPOINT", "")))
    emit_table(("up", ""), rows)


@main.command()
@run_dir_option
@output_option
@told
def down(run_dir: Path, output: str) -> None:
    """Bring a run down. Nothing of it is left running, whatever had crashed; its data stay."""
    try:
        count = control.stop(RunDir.at(run_dir))
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None
    if output == "json":
        click.echo(json.dumps({"ended": count}))
        return
    click.echo(f"{count} processes ended" if count else "nothing was running")


@main.command()
@click.argument("session")
@run_dir_option
@output_option
@told
def status(session: str, run_dir: Path, output: str) -> None:
    """How SESSION stands: files, work items, account."""
    from functions.cli.output import console, emit_json, emit_table, instant, print_account
    from functions.cli.views import status as read_status

    found = read_status(services_of(run_dir), session)
    if output == "json":
        emit_json(found)
        return
    click.echo(f"{session}: {found.stands}; {found.received} of {found.seen} files here, {found.refused} refused")
    if found.complete is not None:
        click.echo(f"T0 {instant(found.complete.t0)}")
        if found.complete.missing:
            click.echo(f"Went on without all files, {found.complete.reason}. Missing:")
            for each in found.complete.missing:
                click.echo(f"  {each}")
    if found.work:
        rows = [(each.step, each.unit, each.stands, str(each.attempts), instant(each.since)) for each in found.work]
        emit_table(("step", "unit", "stands", "attempts", "since"), rows)
    if found.account is not None:
        print_account(console(), found.account)


@main.command()
@run_dir_option
@output_option
@told
def sessions(run_dir: Path, output: str) -> None:
    """All sessions of the ledger, and how each stands."""
    from functions.cli.output import emit_json, emit_table, instant
    from functions.cli.views import sessions as read_sessions

    found = list(read_sessions(services_of(run_dir)))
    if output == "json":
        emit_json(found)
        return
    rows = [
        (each.session, each.stands, instant(each.t0), str(each.produced), str(each.absent), str(each.parked))
        for each in found
    ]
    emit_table(("session", "stands", "T0", "produced", "absent", "parked"), rows)


@main.command()
@click.option("--session", default="", help="Only this session's.")
@click.option("--level", default="", help="Only this level: L0, L1C, L2A.")
@run_dir_option
@output_option
@told
def products(session: str, level: str, run_dir: Path, output: str) -> None:
    """Products on the shelf."""
    from functions.cli.output import emit_json, emit_table, instant, since
    from functions.cli.views import products as read_products

    found = list(read_products(services_of(run_dir), session=session, level=level))
    if output == "json":
        emit_json(found)
        return
    rows = [
        (each.level, each.product, instant(each.sensing_start), f"{each.size / 1e6:.1f}", since(each.t0, each.created))
        for each in found
    ]
    emit_table(("level", "product", "sensing", "MB", "on the shelf"), rows)


@main.command()
@click.argument("session")
@run_dir_option
@click.option("--width", type=click.IntRange(min=80), help="Columns to draw in.  [default: the terminal's]")
@output_option
@told
def trace(session: str, run_dir: Path, width: int | None, output: str) -> None:
    """The waterfall of SESSION: what ran when, under what, and where nothing did.

    Reads the OTLP JSON lines in the run folder; the run need not be up. A `~` marks a span whose parent is not there.
    """
    from rich.console import Console

    from functions.cli.output import console, emit_json
    from functions.cli.traces import read_spans, tree
    from functions.cli.waterfall import waterfall
    from shared.telemetry import session_context

    root = session_context(session)
    spans = read_spans(RunDir.at(run_dir).traces, root.trace_id)
    if not spans:
        raise click.ClickException(f"{session}: no span of its trace {root.trace_id} in {RunDir.at(run_dir).traces}")
    if output == "json":
        emit_json(spans)
        return
    terminal = Console(width=width) if width else console()
    terminal.print(waterfall(tree(spans, [root.span_id]), terminal.width))


def services_of(run_dir: Path) -> Services:
    """The services of a run that is up; else of the environment, where ``S2PS_STORE_ENDPOINT`` names a store."""
    run = RunDir.at(run_dir)
    found = control.state(run)
    if found is not None:
        return Services(settings_from(found.settings))
    if os.environ.get("S2PS_STORE_ENDPOINT"):
        return Services(load_settings())
    raise click.ClickException(f"the run {run.path} is not up; `s2ps up --run-dir {run_dir}` brings it up")


def stations_json(stations: list[StationSettings]) -> str:
    """Stations as the setting ``S2PS_STATIONS`` takes them, passwords in clear."""
    rows = [{**each.model_dump(mode="json"), "password": each.password.get_secret_value()} for each in stations]
    return json.dumps(rows)


def _station(text: str) -> StationSettings:
    name, _, address = text.partition("=")
    parts = urlsplit(address)
    if not name or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInputError("--station", "NAME=URL with http or https", text)
    port = f":{parts.port}" if parts.port else ""
    fields = {
        "name": name,
        "url": f"{parts.scheme}://{parts.hostname}{port}{parts.path or '/'}",
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
    try:
        return StationSettings.model_validate(fields)
    except ValueError as error:
        raise BadInputError("--station", f"a station ({error})", name) from None


def assigned(assignments: tuple[str, ...]) -> dict[str, str]:
    """The settings of ``--set``, by name. BadInputError where one is none."""
    for text in assignments:
        if not _ASSIGNMENT.fullmatch(text):
            raise BadInputError("--set", "S2PS_NAME=VALUE", text)
    return {name: value for name, _, value in (text.partition("=") for text in assignments)}


if __name__ == "__main__":
    main()
