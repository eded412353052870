"""``s2ps actions``: what operators did, who, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click

from functions.cli.completing import complete_session
from functions.cli.options import Shape, looks, shape_options

if TYPE_CHECKING:
    from functions.cli.places import Place


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action; ``name`` is the ledger's key of it."""

    name: str
    when: datetime
    who: str
    action: str
    target: str
    reason: str
    concerns: tuple[str, ...]


@click.command()
@click.argument("session", default="", shell_complete=complete_session)
@shape_options
@looks
def actions(place: Place, shape: Shape, session: str) -> None:
    """What operators did to SESSION, or what concerned no session: who, when, and why; the oldest first.

    Which strategies were activated, by whom and why, `strategy history` tells.
    """
    from functions.cli.items import read_found
    from functions.cli.named import session_named
    from functions.cli.output import Column, instant, show
    from shared.ledger import keys
    from shared.ledger.records import Action

    services = place.services
    prefix = keys.session(session_named(services, session)) if session else ""
    found = read_found(services, [info.key for info in services.ledger.list(f"{prefix}{keys.ACTIONS}")], Action)
    rows = [
        ActionRow(key, each.created, each.who, each.action, each.target, each.reason, each.concerns)
        for key, each in sorted(found.items())
    ]
    columns: tuple[Column[ActionRow], ...] = (
        Column("when", lambda row: instant(row.when)),
        Column("who", lambda row: row.who),
        Column("action", lambda row: row.action),
        Column("target", lambda row: row.target.removeprefix(prefix), fold=True),
        Column("reason", lambda row: row.reason, fold=True),
    )
    show(shape, "Action", rows, columns, lambda row: row.name, "No action is on record.")
