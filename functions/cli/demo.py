"""``s2ps run``: everything once, from a simulated pass to products, watched to the end of the session's account."""

from __future__ import annotations

import shutil
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click
from pydantic import SecretStr
from rich.console import Console

from eventing.local import control
from eventing.local.config import RunConfig, RunDir, settings_from
from functions.cli.accounts import print_account
from functions.cli.ground import Elevations
from functions.cli.items import read_story
from functions.cli.options import assigned, local_output_option, settings_option, stations_json
from functions.cli.output import echo_json
from functions.cli.progress import Watch
from functions.cli.recording import Demo, planned, recorded_faults, recording
from shared.bootstrap import Services
from shared.errors import AbsentError, ConfigurationError, RetryableError
from shared.ledger import keys
from shared.ledger.records import Account
from shared.places import StationSettings

if TYPE_CHECKING:
    from shared.rehearsal.station import WebDavServer

DEFAULT_RUN: Final = Path("runs/demo")
EXIT_INCOMPLETE: Final = 3
"""Exit code where the session has its account, and not every product was produced."""
_STATION: Final = "SGS_"
_POLL_S: Final = 0.5
_OURS: Final = frozenset(
    {"run.json", "runtime.json", "runtime.lock", "front.json", "logs", "store", "jobs", "scratch", "traces", "products"}
    | {"recording", "recording.truth.json", "truth.json", "truth.part", "station", "station.incoming"}
    | {"shared", "delivered", "quicklook.png", "recording.dem", "processors.yaml"}
)
# A demonstration is in a hurry, and its functions sleep only when all is done; the service's own defaults are in
# shared/settings.py.
_IDLE_S: Final = 300.0
_HURRIED: Final = {"S2PS_RETRY_DELAY_S": "3", "S2PS_SWEEP_GRACE_S": "10", "S2PS_SESSION_WAIT_S": "180"}


@click.command()
@click.option(
    "--run-dir", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_RUN, show_default=True,
    help="Folder of the run; what an earlier `s2ps run` left in it is removed, unless --resume.",
)  # fmt: skip
@click.option(
    "--scenes", type=click.IntRange(min=1), default=2, show_default=True, help="Scenes to acquire, 3.608 s each."
)
@click.option("--detectors", default="6,7", show_default=True, help="Detectors that take images, 1 to 12.")
@click.option("--scene", "image", type=click.Path(path_type=Path, exists=True), help="L1C or L2A SAFE, or GeoTIFF.")
@click.option(
    "--dem", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Elevation tiles of the image's ground; without them it is taken to lie on the ellipsoid.",
)  # fmt: skip
@click.option(
    "--geoid", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Heights of the geoid, from which these elevations count.",
)  # fmt: skip
@click.option(
    "--relief", "relief_m", type=click.FloatRange(0, 8000), default=600.0, show_default=True,
    help="Height of the bundled landscape's mountains, metres; 0 for a plain.",
)  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Of the bundled landscape.")
@click.option(
    "--chunk-mib", type=click.IntRange(min=1), default=16, show_default=True, help="Size of the session's files."
)
@click.option(
    "--rate", type=click.FloatRange(min=0), default=40.0, show_default=True,
    help="Megabytes in a second that appear at the station; 0 for at once.",
)  # fmt: skip
@click.option(
    "--fault", "faults", multiple=True, metavar="FAULT",
    help="What goes wrong on the link or at the station, e.g. drop:channel=2,frame=40,frames=3 (all of them: "
    "shared/rehearsal/README.md); may be repeated.",
)  # fmt: skip
@settings_option
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=1), default=900.0, show_default=True,
    help="Seconds until it gives up.",
)  # fmt: skip
@click.option("--keep", is_flag=True, help="Leave the run up; `s2ps down` ends it.")
@click.option("--resume", is_flag=True, help="Go on with the session that this folder holds, after a crash.")
@local_output_option
def run(
    run_dir: Path,
    scenes: int,
    detectors: str,
    image: Path | None,
    dem: Path | None,
    geoid: Path | None,
    relief_m: float,
    seed: int,
    chunk_mib: int,
    rate: float,
    faults: tuple[str, ...],
    assignments: tuple[str, ...],
    timeout_s: float,
    keep: bool,
    resume: bool,
    output: str,
) -> None:
    """Play a simulated pass through the whole service, and show the session's account.

    A session is simulated and served by a WebDAV station, file after file, as during a pass. The service fetches it,
    processes it to L0, L1C and L2A and puts the products on the shelf.

    Exit code 0: every product was produced. 3: the session has its account, and some are absent or parked; the account
    says why. 1: there is no account.
    """
    from shared.rehearsal.faults import FaultPlan, parse_fault

    try:
        chosen = tuple(int(text) for text in detectors.split(","))
    except ValueError:
        raise click.BadParameter("expected numbers, e.g. 6,7", param_hint="--detectors") from None
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    plan = FaultPlan(tuple(parse_fault(text) for text in faults), seed)
    environment = assigned(assignments)
    ground = Elevations(image, relief_m, dem, geoid)
    demo = Demo(RunDir.at(run_dir), scenes, chosen, ground, seed, chunk_mib, rate, timeout_s, plan, environment)
    if resume and demo.truth.exists():
        if faults:
            raise click.UsageError("--fault: the session that this folder holds has its faults already")
        demo = replace(demo, faults=recorded_faults(demo.truth))
    settings_from(environment)
    planned(demo, None)  # what cannot be is refused before an earlier run is removed
    console = Console(stderr=output != "table", soft_wrap=True)
    try:
        account = perform(demo, console, resume=resume)
    finally:
        if not keep:
            control.stop(demo.run)
    if keep:
        console.print(f"The run is still up: s2ps status {account.session} --run-dir {run_dir}, s2ps down ends it.")
    if output == "json":
        echo_json(account)
    if account.produced < len(account.entries) or not account.entries:
        raise click.exceptions.Exit(EXIT_INCOMPLETE)


def _end(number: int, _frame: FrameType | None) -> None:
    """A signal ends the command as an error does: by way of everything that must be taken down."""
    raise SystemExit(128 + number)


def perform(demo: Demo, console: Console, *, resume: bool) -> Account:
    """The demonstration from begin to end; ConfigurationError where its folder is not one, or time is up."""
    from shared.rehearsal.station import WebDavServer

    began = time.monotonic()
    control.stop(demo.run)
    if not resume:
        clear(demo.run)
    with WebDavServer(demo.served, faults=demo.faults) as station:
        found = control.start(demo.run, _config(demo, station))
        services = Services(settings_from(found.settings))
        session, player = recording(demo, console)
        with ThreadPoolExecutor(1, "pass") as pool, Watch(console) as watch:
            try:
                account = _await_account(demo, services, session, began, watch, pool.submit(player.play))
            finally:
                player.stop()
    print_account(account, err=console.stderr)
    _take_home(demo, services, session, console)
    console.print(f"{time.monotonic() - began:.0f} s in all.")
    return account


def clear(run: RunDir) -> None:
    """Remove what an earlier run left. ConfigurationError where the folder holds something else."""
    if not run.path.exists() or not any(run.path.iterdir()):
        return
    if not {entry.name for entry in run.path.iterdir()} <= _OURS:
        raise ConfigurationError(f"{run.path}: expected an empty folder or one of an earlier run")
    shutil.rmtree(run.path)


def _config(demo: Demo, station: WebDavServer) -> RunConfig:
    pickup = StationSettings(
        name=_STATION, url=station.url, user=station.user, password=SecretStr(station.password), timeout_s=20.0
    )
    environment = {
        **_HURRIED,
        **demo.ground.environment(demo.run.path),
        **demo.environment,
        "S2PS_STATIONS": stations_json([pickup]),
    }
    return RunConfig(idle_s=_IDLE_S, environment=environment)


def _await_account(
    demo: Demo, services: Services, session: str, began: float, watch: Watch, playing: Future[None]
) -> Account:
    while True:
        if playing.done():
            playing.result()  # a pass that failed is not waited for
        try:
            story = read_story(services, session)
            watch.update(story)
            if story.account is not None:
                return services.ledger.read(keys.account(session), Account)
        except RetryableError:
            pass  # a store that died is started anew, as long as there is a runtime
        if not control.is_served(demo.run):
            raise RetryableError(f"run {demo.run.path}: its runtime has ended; `s2ps run --resume` goes on")
        if time.monotonic() - began > demo.timeout_s:
            raise ConfigurationError(
                f"session {session}: no account within {demo.timeout_s:.0f} s; the logs are in {demo.run.logs}, "
                f"those of Jobs in {demo.run.jobs}"
            )
        time.sleep(_POLL_S)


def _take_home(demo: Demo, services: Services, session: str, console: Console) -> None:
    from functions.cli.overhead import session_overhead, told
    from functions.cli.quicklook import make_quicklook
    from functions.cli.shelf import fetch
    from functions.cli.views import products

    with console.status("fetching the products"):
        folders = fetch(services, products(services, session=session), demo.products)
        picture = make_quicklook(folders, demo.run.path / "quicklook.png")
    with suppress(AbsentError):  # nothing is on the shelf
        console.print(f"Own time:   {told(session_overhead(services, session))}")
    console.print(f"Products:   {demo.products}")
    console.print(f"Quicklook:  {picture or 'none, there is no L1C or L2A product'}")
    console.print(f"Trace:      {demo.run.traces}, s2ps trace {session} --run-dir {demo.run.path}")
