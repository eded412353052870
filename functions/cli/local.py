"""``s2ps up`` and ``s2ps down``: a run on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click

from eventing.local import control
from eventing.local.config import RunConfig, RunDir
from functions.cli.options import assigned, local_output_option, run_dir_option, settings_option, stations_json
from functions.cli.output import echo_json, echo_table
from shared.errors import BadInputError
from shared.places import StationSettings


@click.command()
@run_dir_option
@click.option(
    "--station", "stations", multiple=True, metavar="NAME=URL",
    help="A pick-up point, e.g. SGS_=https://user:password@host/pickup/; may be repeated.",
)  # fmt: skip
@click.option("--cpus", type=click.FloatRange(min=0.1), help="Processor cores for Jobs.  [default: all]")
@click.option("--idle", type=click.FloatRange(min=1), help="Seconds until an idle function is stopped.  [default: 60]")
@settings_option
@local_output_option
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
    if output == "json":
        echo_json({"run_dir": str(run.path), "pid": found.pid, "url": found.url, "settings": dict(found.settings)})
        return
    rows = [("run folder", str(run.path)), ("process", str(found.pid)), ("router", found.url)]
    rows.append(("store", found.settings.get("S2PS_STORE_ENDPOINT", "")))
    echo_table(("up", ""), rows)


@click.command()
@run_dir_option
@local_output_option
def down(run_dir: Path, output: str) -> None:
    """Bring a run down. Nothing of it is left running, whatever had crashed; its data stay."""
    try:
        count = control.stop(RunDir.at(run_dir))
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None
    if output == "json":
        echo_json({"ended": count})
        return
    click.echo(f"{count} processes ended" if count else "nothing was running")


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
