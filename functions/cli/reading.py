"""``s2ps sessions``, ``status`` and ``products``: what the ledger says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from functions.cli.completing import complete_session
from functions.cli.options import Shape, looks, shape_options

if TYPE_CHECKING:
    from functions.cli.places import Place
    from functions.cli.views import SessionStatus
    from shared.errors import PermanentError


@click.command()
@click.option("--open", "only_open", is_flag=True, help="Only those whose account is not closed.")
@looks
@shape_options
def sessions(place: Place, shape: Shape, only_open: bool) -> None:
    """Sessions of the ledger, and how each stands.

    FILES and WORK count what is here or done, of what is known, while a session is open; PRODUCED, ABSENT and PARKED
    are those of its account.
    """
    from functions.cli.output import Column, end, instant, show
    from functions.cli.views import SessionRow
    from functions.cli.views import sessions as read_sessions

    def number(value: int | None) -> str:
        return "" if value is None else str(value)

    def parts(some: int | None, of: int | None) -> str:
        return "" if some is None else f"{some}/{of}"

    columns: list[Column[SessionRow]] = [
        Column("session", lambda row: row.session, fold=True),
        Column("stands", lambda row: row.stands),
        Column("t0", lambda row: instant(row.t0)),
        Column("files", lambda row: parts(row.files, row.files_seen)),
        Column("work", lambda row: parts(row.work_done, row.work)),
        Column("produced", lambda row: number(row.produced)),
        Column("absent", lambda row: number(row.absent)),
        Column("parked", lambda row: number(row.parked)),
    ]
    unread: list[PermanentError] = []
    rows = read_sessions(place.services, only_open=only_open, unreadable=unread.append)
    show(shape, "Session", rows, columns, lambda row: row.session, "No sessions found.")
    end(unread)


@click.command()
@click.argument("session", shell_complete=complete_session)
@looks
@shape_options
def status(place: Place, shape: Shape, session: str) -> None:
    """How SESSION stands: files, work items, account. The begin of its id will do."""
    from functions.cli.named import session_named
    from functions.cli.output import show_one
    from functions.cli.views import status as read_status

    found = read_status(place.services, session_named(place.services, session))
    levels = place.services.workflow.datatakes.levels("NOBS") if found.planned is not None else ()
    show_one(shape, "SessionStatus", found, lambda: _print_status(found, levels, headers=shape.headers), found.session)


def _print_status(found: SessionStatus, levels: tuple[str, ...], *, headers: bool) -> None:
    from functions.cli.accounts import print_account
    from functions.cli.output import instant
    from functions.cli.plan import tiles
    from functions.cli.safe import safe
    from functions.cli.working import print_work

    click.echo(f"{safe(found.session)}: {found.stands}; {_data(found)}")
    if found.planned is not None:
        owed = found.planned.owed(levels)
        scenes, granules = sum(found.planned.scenes), owed.l0_granules
        click.echo(f"Planned: {scenes} scenes, {granules} granules, {tiles(found.planned, owed)} tiles")
    if found.complete is not None:
        click.echo(f"T0 {instant(found.complete.t0)}")
        if found.complete.missing:
            click.echo(f"Went on without all files, {safe(found.complete.reason)}. Missing:")
            for each in found.complete.missing:
                click.echo(f"  {safe(each)}")
    if found.work:
        click.echo()
        print_work(found.work, headers=headers)
    if found.account is not None:
        click.echo()
        print_account(found.account)


def _data(found: SessionStatus) -> str:
    """What a session is made of."""
    from shared.domain.names import downlink_of

    if found.complete is not None and found.complete.given is not None:
        return "a product that was submitted"
    if found.complete is not None and (downlink := downlink_of(found.session)) != found.session:
        return f"{len(found.complete.files)} raw files of {downlink}"
    refused = f", {found.refused} refused" if found.refused else ""
    return f"{found.received} of {found.seen} files here{refused}"


@click.command()
@click.option("--session", default="", help="Only this session's.", shell_complete=complete_session)
@click.option("--level", default="", help="Only this level: SAD, L0, L1C, L2A.")
@looks
@shape_options
def products(place: Place, shape: Shape, session: str, level: str) -> None:
    """Products on the shelf, by level and date."""
    from functions.cli.named import session_named
    from functions.cli.output import Column, instant, show, since
    from functions.cli.views import products as read_products
    from functions.cli.views import superseded_products
    from shared.ledger import keys
    from shared.ledger.records import Published

    of = session_named(place.services, session) if session else ""
    rows = list(read_products(place.services, session=of, level=level))
    old = superseded_products(rows)

    def shelf(row: Published) -> str:
        gone = keys.product(row.level, row.sensing_start, row.product) in old
        return since(row.t0, row.created) + (" superseded" if gone else "")

    columns: list[Column[Published]] = [
        Column("level", lambda row: row.level),
        Column("product", lambda row: row.product, fold=True),
        Column("sensing", lambda row: instant(row.sensing_start)),
        Column("mb", lambda row: f"{row.size / 1e6:.1f}"),
        Column("shelf", shelf),
    ]
    show(shape, "Product", rows, columns, lambda row: row.product, "No products found.")
