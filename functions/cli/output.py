"""How the console prints: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from functions.cli.views import jsonable
from shared.ledger.records import Account, AccountEntry

_FOLDED = frozenset({"product", "session", "unit", ""})
"""Columns that give way where the terminal is narrow: a long name on two lines can still be read."""
_ENDED = {"produced": "green", "absent": "yellow", "parked": "red"}


def console() -> Console:
    """The terminal; where output goes to a file there is none to fit into, and lines are long."""
    return Console() if sys.stdout.isatty() else Console(width=160)


def emit_json(value: Any) -> None:
    """JSON on standard output."""
    click.echo(json.dumps(jsonable(value), indent=2))


def emit_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """A plain table; a line that says so where there is nothing."""
    table = Table(box=None, padding=(0, 2, 0, 0), title=title or None, title_justify="left")
    for name in columns:
        table.add_column(name.upper(), overflow="fold", no_wrap=name not in _FOLDED)
    for row in rows:
        table.add_row(*row)
    console().print(table if table.row_count else "nothing")


def instant(when: datetime | None) -> str:
    """UTC to the second."""
    return "" if when is None else f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def since(t0: datetime | None, when: datetime | None) -> str:
    """``T0+mm:ss``; hours go into the minutes, as budgets are in minutes."""
    if t0 is None or when is None:
        return ""
    seconds = round((when - t0).total_seconds())
    return f"T0{'-' if seconds < 0 else '+'}{abs(seconds) // 60:02d}:{abs(seconds) % 60:02d}"


def minutes(seconds: float | None) -> str:
    """``mm:ss``, with its sign where it is negative."""
    if seconds is None:
        return ""
    whole = round(abs(seconds))
    return f"{'-' if seconds < 0 else ''}{whole // 60:02d}:{whole % 60:02d}"


def account_table(account: Account) -> Table:
    """The account of a session: each expected product, how it ended, when, and with how much slack."""
    total = len(account.entries)
    table = Table(
        title=f"Account of {account.session}: {account.produced} of {total} produced, "
        f"{account.absent} absent, {account.parked} parked",
        title_justify="left",
        padding=(0, 1),
    )
    table.add_column("level", no_wrap=True)
    table.add_column("product", overflow="fold")
    table.add_column("ended", no_wrap=True)
    table.add_column("when", justify="right", no_wrap=True)
    table.add_column("slack", justify="right", no_wrap=True)
    for entry in _in_order(account):
        table.add_row(
            entry.level,
            entry.product or f"{entry.step} {entry.unit}",
            f"[{_ENDED[entry.ended]}]{entry.ended}[/]",
            since(account.t0, entry.at),
            minutes(entry.slack_s),
        )
    return table


def remarks(account: Account) -> list[str]:
    """What is to be known of the products, once for all of which it is true; then what was refused."""
    found: dict[str, list[str]] = {}
    for entry in _in_order(account):
        remark = entry.reason or entry.warning
        if remark:
            found.setdefault(remark, []).append(f"{entry.level} {entry.unit}")
    told = [f"{', '.join(dict.fromkeys(products))}: {remark}" for remark, products in found.items()]
    return told + [f"Refused: {each}" for each in account.refused]


def _in_order(account: Account) -> list[AccountEntry]:
    return sorted(account.entries, key=lambda each: (each.level, each.unit, each.product))


def print_account(console: Console, account: Account) -> None:
    """The account, and the remarks below it."""
    console.print(account_table(account))
    for each in remarks(account):
        console.print(each, markup=False, highlight=False)
