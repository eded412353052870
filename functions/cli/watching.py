"""``s2ps watch``: sessions as they go on, until their accounts are closed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from functions.cli.completing import complete_session
from functions.cli.options import looks
from functions.cli.safe import safe
from shared.errors import RetryableError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from functions.cli.places import Place
    from functions.cli.story import SessionStory
    from shared.bootstrap import Services
    from shared.ledger.records import Account


_BAR: Final = 24


@dataclass(frozen=True, slots=True)
class Frame:
    """One session at one moment; ``steps``: (name, done, begun), files first. ``account``: the end of it."""

    session: str
    steps: tuple[tuple[str, int, int], ...]
    under_way: tuple[str, ...]
    slack_s: float | None
    account: Account | None = None


@click.command()
@click.argument("session", required=False, default="", shell_complete=complete_session)
@click.option(
    "--interval", type=click.FloatRange(min=0.2), default=2.0, show_default=True, help="Seconds between two looks."
)
@looks
def watch(place: Place, session: str, interval: float) -> None:
    """Watch SESSION, or all open ones, until their accounts are closed.

    Each look is one listing for each session, and at most one read. Without a terminal, a line for each change.
    Sessions that open meanwhile are watched too, where none is named.
    """
    from rich.console import Console
    from rich.live import Live

    from functions.cli.items import open_sessions
    from functions.cli.named import session_named

    services, console = place.services, Console()
    chosen = [session_named(services, session)] if session else open_sessions(services)
    if not chosen:
        click.echo("No open sessions found.")
        return
    with ExitStack() as held:
        live = held.enter_context(Live(console=console, auto_refresh=False)) if console.is_terminal else None
        told: dict[str, Frame] = {}
        while True:
            trouble, frames = "", [told[each] for each in chosen if each in told]
            try:
                if not session:
                    chosen += [each for each in open_sessions(services) if each not in chosen]
                frames = look(services, chosen, told)
            except RetryableError as error:
                trouble = str(error)
            if live is not None:
                live.update(_drawn(frames, trouble), refresh=True)
            else:
                for line in (*changes(told, frames), *([f"waiting: {trouble}"] if trouble else [])):
                    click.echo(safe(line))
            told = {frame.session: frame for frame in frames}
            if len(told) == len(chosen) and all(frame.account is not None for frame in told.values()):
                break
            pause(interval)


def pause(seconds: float) -> None:
    """Between two looks."""
    time.sleep(seconds)


def look(services: Services, sessions: Sequence[str], before: dict[str, Frame]) -> list[Frame]:
    """These sessions now. One that is closed is not looked at again."""
    found = []
    for session in sessions:
        known = before.get(session)
        found.append(known if known is not None and known.account is not None else _frame(services, session))
    return found


def _frame(services: Services, session: str) -> Frame:
    from functions.cli.items import read_story, workflow_of
    from functions.cli.progress import counts
    from shared.ledger import keys
    from shared.ledger.records import Account, Complete

    story = read_story(services, session)
    account = services.ledger.find(keys.account(session), Account) if story.account is not None else None
    steps = tuple((name, done, begun) for name, (done, begun) in counts(story).items())
    slack_s = None
    if story.complete is not None and account is None:
        complete = services.ledger.find(keys.complete(session), Complete)
        if complete is not None:
            from shared.domain.deadlines import deadline

            levels = {step.name: step.level for step in workflow_of(services).steps}
            pending = {work.place.step for work in story.work.values() if work.outcome is None} & set(levels)
            now = services.clock.now()
            left = [(deadline(complete.t0, levels[step]) - now).total_seconds() for step in pending]
            slack_s = min(left, default=None)
    return Frame(session, steps, tuple(_under_way(story)), slack_s, account if story.in_force(account) else None)


def _under_way(story: SessionStory) -> Iterator[str]:
    for work in story.work.values():
        if work.under_way:
            yield f"{work.place.step} {work.place.unit}"


def changes(before: dict[str, Frame], now: Sequence[Frame]) -> Iterator[str]:
    """A line for each session that is not as it was."""
    for frame in now:
        known = before.get(frame.session)
        if known is not None and (known.steps, known.account) == (frame.steps, frame.account):
            continue
        if frame.account is not None:
            yield f"{frame.session}: {_end(frame.account)}"
        else:
            yield f"{frame.session}: " + ", ".join(f"{name} {done}/{begun}" for name, done, begun in frame.steps)


def _end(account: Account) -> str:
    total = len(account.entries)
    return f"closed, {account.produced} of {total} produced, {account.absent} absent, {account.parked} parked"


def _bar(done: int, begun: int) -> str:
    """A bar that can be read without colours."""
    full = _BAR * done // max(begun, 1)
    return "━" * full + "·" * (_BAR - full)


def _drawn(frames: Sequence[Frame], trouble: str) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from functions.cli.output import minutes

    parts: list[RenderableType] = []
    for frame in frames:
        slack = "" if frame.slack_s is None else f"   slack {minutes(frame.slack_s)}"
        colour = "red" if frame.slack_s is not None and frame.slack_s < 0 else "bold"
        parts.append(Text(safe(frame.session) + slack, style=colour))
        if frame.account is not None:
            parts.append(Text(f"  {_end(frame.account)}", style="green" if not frame.account.parked else "yellow"))
            continue
        table = Table.grid(padding=(0, 2))
        for name, done, begun in frame.steps:
            table.add_row(Text(f"  {safe(name)}"), Text(_bar(done, begun), style="cyan"), Text(f"{done}/{begun}"))
        parts.append(table)
        if frame.under_way:
            more = f" and {len(frame.under_way) - 4} more" if len(frame.under_way) > 4 else ""
            parts.append(Text(safe(f"  running: {', '.join(frame.under_way[:4])}{more}"), style="cyan"))
    if trouble:
        parts.append(Text(safe(f"waiting: {trouble}"), style="red"))
    return Group(*parts)
