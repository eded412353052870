"""``s2ps account``: are the accounts those that were closed?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from functions.cli.options import looks
from functions.cli.safe import safe

if TYPE_CHECKING:
    from functions.cli.places import Place


@click.group()
def account() -> None:
    """Accounts of sessions."""


@account.command()
@looks
def verify(place: Place) -> None:
    """Walk the chains of accounts: none was changed, put in or taken out. Exit code 1: one was.

    The digest that is printed is that of the last link: noted elsewhere, it shows a chain that was made anew as well.
    """
    from shared.sla import chain

    broken = False
    found = list(chain.verify(place.services.ledger))
    for each in found:
        broken = broken or bool(each.wrong)
        stands = "BROKEN" if each.wrong else "whole"
        click.echo(f"{safe(each.satellite)}: {each.links} accounts, {stands}, {each.head}")
        for line in each.wrong:
            click.echo(safe(f"  {line}"))
    if not found:
        click.echo("No account was closed yet.")
    if broken:
        raise SystemExit(1)
