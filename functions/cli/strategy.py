"""``s2ps strategy``: the rules by which sessions are processed, seen, compared, and made the active ones."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from functions.cli.options import Shape, looks, shape_options
from functions.cli.safe import safe

if TYPE_CHECKING:
    from functions.cli.places import Place
    from shared.bootstrap import Services
    from shared.domain.strategy import Strategy
    from shared.strategy.explaining import Explanation
    from shared.strategy.shelf import StrategyShelf

_MOST: Final = 10
"""So many things that are wrong are told at once."""
_file = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
_why = click.option("--reason", required=True, help="Why; it is kept with the activation.")


@click.group()
def strategy() -> None:
    """Rules that decide what is made of what, with what, in which order."""


@strategy.command()
@_file
@click.option(
    "--processor-set",
    envvar="S2PS_PROCESSOR_SET",
    default="open",
    show_default=True,
    help="The service's own, by name or path: with it those that rules name must go together.",
)
def validate(file: Path, processor_set: str) -> None:
    """Say whether FILE is a strategy, and what is wrong with it if not.

    Processor sets that rules name are looked at, where they can be read here.
    """
    from shared.bootstrap import Services
    from shared.settings import Settings

    found = _read(file)
    _check_sets(found, Services(Settings(processor_set=processor_set)))
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

    columns: tuple[Column[Activation], ...] = (
        Column("since", lambda row: f"{row.created:%Y-%m-%dT%H:%M:%SZ}"),
        Column("version", lambda row: row.version or "(default)"),
        Column("name", lambda row: row.name),
        Column("by", lambda row: row.who),
        Column("reason", lambda row: row.reason, fold=True),
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
    _check_sets(_read(file), place.services)
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


@strategy.command()
@click.argument("session")
@shape_options
@looks
def explain(place: Place, session: str, shape: Shape) -> None:
    """Say which rule decided what of SESSION, of each step and unit of it, as far as its facts are known."""
    from functions.cli.named import find_session
    from functions.cli.output import show_one
    from shared.errors import ObjectAbsentError
    from shared.strategy.explaining import explain as explained

    name = find_session(place.services, session)
    if name is None:
        raise ObjectAbsentError(f"session {session}: there is none")
    found = explained(place.services, name)
    show_one(shape, "StrategyExplanation", found, lambda: _tell(found, shape), found.version)


@strategy.command()
@_file
@click.option("--sessions", multiple=True, metavar="SESSION", help="Which; else all that were ever complete.")
@click.option("--nodes", type=click.IntRange(1), help="Of the cluster.  [default: those in use at the record's peak]")
@click.option("--node-cpus", type=click.FloatRange(1), default=32.0, show_default=True, help="Cores of a node.")
@click.option(
    "--node-memory", type=click.IntRange(1), default=128, show_default=True, metavar="GIB", help="Memory of a node."
)
@shape_options
@looks
def simulate(
    place: Place,
    file: Path,
    sessions: tuple[str, ...],
    nodes: int | None,
    node_cpus: float,
    node_memory: int,
    shape: Shape,
) -> None:
    """Replay recorded sessions under the strategy of FILE, and compare timeliness, cost and load with what was."""
    from functions.cli.items import all_sessions
    from functions.cli.named import find_session
    from functions.cli.output import show_one
    from functions.cli.simulated import tell
    from functions.rehearse.recorded import read_session
    from functions.rehearse.simulation import compare
    from shared.errors import ObjectAbsentError

    services, other, recorded = place.services, _read(file), []
    _check_sets(other, services)
    for text in sessions or all_sessions(services):
        name = find_session(services, text) if sessions else text
        found = read_session(services, name) if name is not None else None
        if found is None and sessions:
            raise ObjectAbsentError(f"session {text}: there is none, or it was never complete")
        recorded += [found] if found is not None and found.items else []
    if not recorded:
        raise ObjectAbsentError("no session of this ledger has Jobs that succeeded: there is nothing to replay")
    result = compare(services, recorded, other, nodes=nodes, node_cpus=node_cpus, node_memory_mb=node_memory * 1024)
    show_one(shape, "StrategySimulation", result, lambda: tell(result, shape), result.other.name)


def _tell(found: Explanation, shape: Shape) -> None:
    from functions.cli.output import Column
    from functions.cli.output import show as show_rows
    from shared.strategy.explaining import Explained

    since = "to its end" if found.bound else "if it were complete now"
    click.echo(safe(f"{found.session} ({found.work_class}) runs under {found.strategy} {found.version}, {since}."))
    columns: tuple[Column[Explained], ...] = (
        Column("step", lambda row: row.step),
        Column("of", lambda row: row.units[0] + (f" +{len(row.units) - 1}" if len(row.units) > 1 else "")),
        Column("matter", lambda row: row.matter),
        Column("decided", lambda row: row.value, fold=True),
        Column("rule", lambda row: row.rule or "-"),
    )
    nothing = "No rule decides anything of it: processor set and settings stand."
    show_rows(shape, "Explained", found.decided, columns, lambda row: row.rule, nothing)


def _read(file: Path) -> Strategy:
    from shared.strategy.document import parse_strategy

    return parse_strategy(file.read_bytes(), str(file))


def _check_sets(strategy: Strategy, services: Services) -> None:
    """BadInputError where a processor set that rules name is none, or does not go together with another.

    What cannot be read here is told, and not looked at: of a path, functions have the file.
    """
    from shared.errors import BadInputError, ConfigurationError
    from shared.strategy.sets import disagreements

    sets = {}
    for rule in strategy.rules:
        name = rule.then.processor_set or ""
        if not name:
            continue
        try:
            sets[name] = services.workflow_in(name)
        except ConfigurationError as error:
            if "/" not in name or Path(name).exists():
                raise BadInputError(
                    f"rule {rule.name}, processor_set", f"one that can be read ({error})", name
                ) from None
            click.echo(safe(f"rule {rule.name}: its processor set was not looked at: {error}"), err=True)
    wrong = list(islice(disagreements(strategy, sets, services.workflow), _MOST))
    if wrong:
        raise BadInputError("; ".join(wrong), "processor sets that go together, as docs/strategy.md has it")


def _shelf(place: Place) -> StrategyShelf:
    from shared.strategy.shelf import StrategyShelf

    return StrategyShelf(place.services.ledger)
