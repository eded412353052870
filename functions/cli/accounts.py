"""The account of a session, as the console prints it."""

from __future__ import annotations

from typing import Final

import click

from functions.cli.output import age, echo_lines, instant, layout, minutes, since, terminal_width
from functions.cli.safe import safe
from shared.ledger.records import Account, AccountEntry

_DAY_S: Final = 86400


def account_lines(account: Account, width: int | None) -> list[str]:
    """Each expected product, how it ended, when, and with how much slack; then what is to be known of them."""
    rows = [
        (
            entry.level,
            entry.ended,
            since(account.t0, entry.at),
            minutes(entry.slack_s),
            entry.product or f"{entry.step} {entry.unit}",
        )
        for entry in _in_order(account)
    ]
    title = (
        f"Account of {account.session}: {account.produced} of {len(account.entries)} produced, "
        f"{account.absent} absent, {account.parked} parked"
    )
    table = layout(("level", "ended", "when", "slack", "product"), rows, folds={4}, width=width)
    return [safe(title), *table, *(safe(each) for each in remarks(account))]


def remarks(account: Account) -> list[str]:
    """What is to be known of the products, once for all of which it is true; then what was refused."""
    found: dict[str, list[str]] = {}
    for entry in _in_order(account):
        remark = entry.reason or entry.warning
        if remark:
            found.setdefault(remark, []).append(f"{entry.level} {entry.unit}")
    told = [f"{', '.join(dict.fromkeys(products))}: {remark}" for remark, products in found.items()]
    repaired = [f"Refused, and came whole later: {each}" for each in account.repaired]
    refused = [f"Refused: {each}" for each in account.refused]
    unlike = [f"Unlike the plan: {each}" for each in account.unlike_plan]
    unlike += [f"Tiles, {each}" for each in account.planned_tiles]
    not_asked = [f"Not asked for: {each}" for each in account.not_owed]
    return [*_second_clock(account), *told, *unlike, *not_asked, *refused, *repaired]


def _second_clock(account: Account) -> list[str]:
    """When the last product of each level came, after the last sensing; of a recording, months may lie between."""
    if account.last_sensed is None:
        return []
    last: dict[str, float] = {}
    for entry in _in_order(account):
        if entry.ended == "produced" and entry.at is not None:
            took = (entry.at - account.last_sensed).total_seconds()
            last[entry.level] = max(took, last.get(entry.level, took))
    told = ", ".join(
        f"{level} {minutes(seconds) if seconds < _DAY_S else age(seconds)}" for level, seconds in last.items()
    )
    return [f"After the last sensing, {instant(account.last_sensed)}: {told}"] if told else []


def _in_order(account: Account) -> list[AccountEntry]:
    return sorted(account.entries, key=lambda each: (each.level, each.unit, each.product))


def print_account(account: Account, *, err: bool = False) -> None:
    """The account on standard output, or on standard error."""
    title, *lines = account_lines(account, terminal_width(err=err))
    click.echo(title, err=err)
    echo_lines(lines, err=err)
