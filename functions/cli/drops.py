"""``s2ps drops``: what lay in the drop box, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click

from functions.cli.options import Shape, looks, shape_options

if TYPE_CHECKING:
    from functions.cli.places import Place


@dataclass(frozen=True, slots=True)
class DropRow:
    """One drop; ``name`` is the ledger's key of its record. ``refused`` is empty where it became a session."""

    name: str
    when: datetime
    place: str
    session: str
    refused: str


@click.command()
@click.option("--refused", is_flag=True, help="Only what was refused.")
@shape_options
@looks
def drops(place: Place, shape: Shape, refused: bool) -> None:
    """What lay in the drop box, and what came of it: a session, or why it was refused; the oldest first.

    What is still being uploaded is not among it.
    """
    from functions.cli.items import read_found
    from functions.cli.output import Column, instant, show
    from shared.ledger import keys
    from shared.ledger.records import Drop

    services = place.services
    found = read_found(services, [info.key for info in services.ledger.list(keys.DROPS)], Drop)
    rows = sorted(
        (DropRow(key, each.created, each.place, each.session, each.refused) for key, each in found.items()),
        key=lambda row: (row.when, row.name),
    )
    columns: tuple[Column[DropRow], ...] = (
        Column("when", lambda row: instant(row.when)),
        Column("place", lambda row: row.place.rpartition("/")[2], fold=True),
        Column("session", lambda row: row.session, fold=True),
        Column("refused", lambda row: row.refused, fold=True),
    )
    show(
        shape,
        "Drop",
        [row for row in rows if row.refused or not refused],
        columns,
        lambda row: row.name,
        "Nothing was dropped.",
    )
