"""``s2ps work``: the work items, how each stands, and how much time is left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from functions.cli.completing import complete_session
from functions.cli.options import Shape, looks, shape_options

if TYPE_CHECKING:
    from functions.cli.items import WorkRow
    from functions.cli.output import Column
    from functions.cli.places import Place
    from shared.errors import PermanentError

_STANDS = ("waiting", "running", "retry", "succeeded", "no-product", "failed", "held", "superseded")


@click.command()
@click.option("--session", default="", help="Only this session's, open or closed.", shell_complete=complete_session)
@click.option("--all", "everything", is_flag=True, help="Of closed sessions too.")
@click.option("--stands", type=click.Choice(_STANDS), multiple=True, help="Only what stands so; may be repeated.")
@click.option("--step", default="", help="Only this step's, e.g. l1c.")
@looks
@shape_options
def work(place: Place, shape: Shape, session: str, everything: bool, stands: tuple[str, ...], step: str) -> None:
    """Work items of the open sessions, how each stands, and its slack.

    SLACK is what is left to the deadline, mm:ss, or was left when it ended; WORK, the begin of its digest, or what
    `-o name` prints, names it to `why`, `retry`, `park` and `release`.
    """
    from functions.cli.items import all_sessions, open_sessions, work_rows
    from functions.cli.named import session_named
    from functions.cli.output import end, show

    services = place.services
    if session:
        chosen = [session_named(services, session)]
    else:
        chosen = all_sessions(services) if everything else open_sessions(services)
    unread: list[PermanentError] = []
    rows = list(work_rows(services, chosen, stands=stands, step=step, unreadable=unread.append))
    several = len({row.session for row in rows}) > 1
    nothing = "No work items found." if everything or session else "No work items found in open sessions."
    show(shape, "Work", rows, columns(services.clock.now().timestamp(), several), lambda row: row.name, nothing)
    end(unread)


def columns(now: float, several: bool) -> list[Column[WorkRow]]:
    """The columns of a table of work items, for an instant (seconds since 1970), of one session or several."""
    from functions.cli.output import Column, age, minutes

    def since(row: WorkRow) -> str:
        if row.retry_at is not None:
            left = row.retry_at.timestamp() - now
            return f"in {age(left)}" if left > 0 else "due"
        return "" if row.since is None else age(now - row.since.timestamp())

    found: list[Column[WorkRow]] = [
        Column("work", lambda row: row.digest[:8]),
        Column("session", lambda row: row.session, fold=True),
        Column("step", lambda row: row.step),
        Column("unit", lambda row: row.unit, fold=True),
        Column("stands", lambda row: row.stands),
        Column("age", since),
        Column("attempts", lambda row: str(row.attempts)),
        Column("slack", lambda row: minutes(row.slack_s)),
        Column("reason", lambda row: row.reason if len(row.reason) <= 60 else f"{row.reason[:59]}…", fold=True),
    ]
    return [column for column in found if several or column.title != "session"]


def print_work(rows: Iterable[WorkRow], *, headers: bool = True) -> None:
    """A table of one session's work items."""
    from datetime import UTC, datetime

    from functions.cli.output import show

    shown = columns(datetime.now(UTC).timestamp(), several=False)
    show(Shape("table", headers), "Work", rows, shown, lambda row: row.name, "No work items found.")
