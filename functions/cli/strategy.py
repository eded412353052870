"""``s2ps strategy``: the rules by which sessions are processed, seen, compared, and made the active ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from functions.cli.options import Shape, looks, shape_options
from functions.cli.safe import safe

if TYPE_CHECKING:
    from functions.cli.places import Place
    from shared.domain.strategy import Strategy
    from shared.strategy.shelf import StrategyShelf

_file = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
_why = click.option("--reason", required=True, help="Why; it is kept with the activation.")


@click.group()
def strategy() -> None:
    """Rules that decide what is made of what, with what, in which order."""


@strategy.command()
@_file
def validate(file: Path) -> None:
    """Say whether FILE is a strategy, and what is wrong with it if not."""
    from shared.strategy.document import parse_strategy

    found = parse_strategy(file.read_bytes(), str(file))
    click.echo(f"{file}: strategy {found.name}, version {found.version}, {len(found.rules)} rules")


@strategy.command()
@click.argument("version", default="")
@looks
def show(place: Place, version: str) -> None:
    """Print the document of VERSION, or of the active one."""
    from shared.domain.strategy import DEFAULT
    from shared.strategy.document import format_strategy

    shelf = _shelf(place)
    active = shelf.active()
    wanted = version or (active.version if active is not None else "")
    if wanted in {"", DEFAULT.version}:
        click.echo(format_strategy(DEFAULT).decode(), nl=False)
    else:
        click.echo(safe(shelf.document(wanted)), nl=False)


@strategy.command()
@shape_options
@looks
def history(place: Place, shape: Shape) -> None:
    """Which versions were active since when, the newest first."""
    from functions.cli.output import Column
    from functions.cli.output import show as show_rows
    from shared.strategy.shelf import Activation

    columns = (
        Column[Activation]("since", lambda row: f"{row.created:%Y-%m-%dT%H:%M:%SZ}"),
        Column[Activation]("version", lambda row: row.version or "(default)"),
        Column[Activation]("name", lambda row: row.name),
        Column[Activation]("by", lambda row: row.who),
        Column[Activation]("reason", lambda row: row.reason, fold=True),
    )
    rows = list(_shelf(place).history())
    show_rows(shape, "Activation", rows, columns, lambda row: row.version, "No strategy was ever activated.")


@strategy.command()
@_file
@click.option("--version", "against", default="", help="Compare with this version instead of the active one.")
@looks
def diff(place: Place, file: Path, against: str) -> None:
    """Say what would change if FILE were activated. Exit code 1: something would."""
    from shared.domain.strategy import differences

    shelf = _shelf(place)
    active = shelf.active()
    before = shelf.load(against or (active.version if active is not None else ""))
    lines = differences(before, _read(file))
    for line in lines:
        click.echo(safe(line))
    if lines:
        raise SystemExit(1)
    click.echo(f"The same as {before.name} {before.version}.")


@strategy.command()
@_file
@_why
@looks
def activate(place: Place, file: Path, reason: str) -> None:
    """Make FILE the active strategy: sessions that become complete from now on run under it."""
    from functions.cli.steering import operator

    document = file.read_bytes()
    _read(file)
    done = _shelf(place).activate(document.decode(), who=operator(), reason=reason, now=place.services.clock.now())
    former = done.former or "the default"
    click.echo(safe(f"{done.name} {done.version} is active; `s2ps strategy rollback` brings back {former}."))


@strategy.command()
@_why
@looks
def rollback(place: Place, reason: str) -> None:
    """Make active again what was active before."""
    from functions.cli.steering import operator

    done = _shelf(place).roll_back(who=operator(), reason=reason, now=place.services.clock.now())
    click.echo(safe(f"{done.name} {done.version or '(default)'} is active again."))


def _read(file: Path) -> Strategy:
    from shared.strategy.document import parse_strategy

    return parse_strategy(file.read_bytes(), str(file))


def _shelf(place: Place) -> StrategyShelf:
    from shared.strategy.shelf import StrategyShelf

    return StrategyShelf(place.services.ledger)
