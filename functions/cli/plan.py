"""``s2ps plan``: which passes are planned, which were seen, and which are missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from functions.cli.options import Shape, looks, shape_options
from shared.domain.names import SATELLITES
from shared.errors import BadInputError

if TYPE_CHECKING:
    from functions.cli.places import Place
    from shared.domain.expected import Owed
    from shared.sla.passes import Foresight, Standing
    from shared.sla.planned import PlannedPass

_LARGEST: Final = 64 << 20


@click.group()
def plan() -> None:
    """Passes of the mission plan, and what they owe."""


@plan.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--reason", default="no reason given", help="Why; it is kept with the action.")
@looks
def load(place: Place, file: Path, reason: str) -> None:
    """Expect the passes of FILE, a mission timeline as CSV.

    In the time that FILE spans, passes of earlier plans that it does not hold are expected no longer.
    """
    from functions.cli.steering import operator
    from shared.domain.mission_plan import passes, read_mission_plan
    from shared.sla.passes import load_plan
    from shared.steering.done import Deed

    if file.stat().st_size > _LARGEST:
        raise BadInputError(str(file), f"at most {_LARGEST} bytes", file.stat().st_size)
    planned = passes(read_mission_plan(file.read_bytes(), str(file)))
    Deed(place.services, "plan-load", "", operator(), reason, dry_run=False).begin(file.name)
    found = load_plan(place.services, planned, _foresight())
    click.echo(f"{file}: {found.new} new passes, {found.known} known, {found.withdrawn} planned no longer")
    if found.unforeseen:
        click.echo(f"{file}: the tiles of {found.unforeseen} segments are not foreseen: orbit and time do not agree")


def _foresight() -> Foresight | None:
    """The tiles of a segment, where what it takes is installed: the image of functions has none of it."""
    try:
        from shared.geometry.groundtrack import tiles_owed
    except ModuleNotFoundError as error:
        click.echo(f'Tiles are not foreseen: {error.name} is not installed (extra "processors")', err=True)
        return None
    return tiles_owed


@plan.command()
@click.option("--satellite", type=click.Choice(SATELLITES), help="Of this one alone.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="From this day on.  [default: yesterday]")
@click.option("--days", type=click.IntRange(1, 60), default=3, show_default=True, help="So many days.")
@shape_options
@looks
def show(place: Place, shape: Shape, satellite: str | None, day: datetime | None, days: int) -> None:
    """Planned passes: how each stands, and what it owes.

    Tiles are those of nominal datatakes: from how many the orbit foretells with certainty to how many it allows, or (~)
    an estimate from the scenes, where the plan was loaded without them.
    """
    from functions.cli.output import Column
    from functions.cli.output import show as show_rows
    from shared.sla.passes import standing

    now = place.services.clock.now()
    first = day.replace(tzinfo=UTC) if day else now.replace(hour=0, minute=0, second=0) - timedelta(days=1)
    wanted = [satellite] if satellite else list(SATELLITES)
    rows = sorted(
        standing(place.services, wanted, first, first + timedelta(days=days, seconds=-1)),
        key=lambda row: row.planned.start,
    )
    columns: tuple[Column[Standing], ...] = (
        Column("start", lambda row: f"{row.planned.start:%Y-%m-%dT%H:%M:%SZ}"),
        Column("satellite", lambda row: row.planned.satellite),
        Column("station", lambda row: row.planned.station),
        Column("scenes", lambda row: str(sum(row.planned.scenes))),
        Column("granules", lambda row: str(row.owed.l0_granules)),
        Column("tiles", _tiles),
        Column("stands", lambda row: row.stands),
        Column("session", lambda row: row.session),
    )
    show_rows(shape, "PlannedPass", rows, columns, lambda row: row.planned.key, "No pass is planned there.")


def _tiles(row: Standing) -> str:
    return tiles(row.planned, row.owed)


def tiles(planned: PlannedPass, owed: Owed) -> str:
    """How many tiles a planned pass owes: a range, or (~) an estimate from its scenes."""
    from shared.domain.expected import from_to

    foreseen = planned.tiles_owed
    return f"~{owed.l1c_tiles}" if foreseen is None else from_to(*foreseen)
