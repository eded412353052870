"""``s2ps trace``: the waterfall of a session, from its spans or from what the ledger says when; and its own time."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from functions.cli.completing import complete_session
from functions.cli.options import DEFAULT_RUN, Shape, Where, shape_options, where_options
from shared.errors import AbsentError, ConfigurationError, RetryableError

if TYPE_CHECKING:
    from functions.cli.story import SessionStory
    from functions.cli.traces import SpanRow

_NANO: Final = 1_000_000_000


@click.command()
@click.argument("session", shell_complete=complete_session)
@click.option("--width", type=click.IntRange(min=80), help="Columns to draw in.  [default: the terminal's]")
@click.option("--ledger", "by_ledger", is_flag=True, help="From the times of the ledger's records, to the second.")
@click.option("--overhead", is_flag=True, help="The service's own time on the way of each product, in place of it.")
@where_options
@shape_options
def trace(where: Where, shape: Shape, session: str, width: int | None, by_ledger: bool, overhead: bool) -> None:
    """The waterfall of SESSION: what ran when, under what, and where nothing did.

    Of a run on this machine, from the OTLP JSON lines in its folder; the run need not be up. Elsewhere the spans went
    to a collector: what is drawn then are the times of the ledger's records, as with --ledger. A `~` marks a span whose
    parent is not there.

    With --overhead: of each product on the shelf the critical path from the last file seen at the station, and what of
    it is the service's own time: not the IPFs on it, not the transfer, not the wait for room in a cluster, for
    auxiliary files or for an operator. It is the ledger's records that tell, so a run on this machine is to be up;
    spans, where they are here, part the ways of events from the calls of functions.
    """
    if overhead:
        _overhead(where, shape, session, by_ledger=by_ledger)
        return
    from rich.console import Console

    from functions.cli.output import Column, show, terminal_width
    from functions.cli.traces import tree
    from functions.cli.waterfall import waterfall
    from shared.telemetry import session_context

    folder = None if by_ledger else _folder(where)
    if folder is None:
        session, spans = _from_ledger(where, session)
    else:
        session = _in_full(where, session)
        spans = _from_folder(folder, session, session_context(session).trace_id)
    root = session_context(session)
    if shape.form == "table":
        columns = width or terminal_width() or 160
        Console(width=columns, soft_wrap=True).print(waterfall(tree(spans, [root.span_id]), columns))
        return
    rows: list[Column[SpanRow]] = []
    show(shape, "Span", spans, rows, lambda span: span.span_id, "No spans found.")


def _overhead(where: Where, shape: Shape, session: str, *, by_ledger: bool) -> None:
    from functions.cli.named import session_named
    from functions.cli.overhead import session_overhead, show_overhead
    from functions.cli.places import opened
    from functions.cli.traces import read_spans
    from shared.telemetry import session_context

    with opened(where) as place:
        named = session_named(place.services, session)
        folder = None if by_ledger or place.run is None else place.run.traces
        spans = read_spans(folder, session_context(named).trace_id) if folder is not None else []
        show_overhead(shape, session_overhead(place.services, named, spans))


def _folder(where: Where) -> Path | None:
    """The run folder on this machine that is meant; None where another place is."""
    if where.run_dir is not None:
        return where.run_dir
    elsewhere = where.cluster or os.environ.get("S2PS_STORE_ENDPOINT") or os.environ.get("S2PS_STORE_KIND") == "aws"
    return DEFAULT_RUN if not elsewhere and (DEFAULT_RUN / "traces").is_dir() else None


def _in_full(where: Where, session: str) -> str:
    """The session that the begin of an id names, where the run is up to be asked; else what was given."""
    from functions.cli.named import find_session
    from functions.cli.places import opened

    try:
        with opened(where) as place:
            return find_session(place.services, session) or session
    except (ConfigurationError, RetryableError):
        return session


def _from_folder(run_dir: Path, session: str, trace_id: str) -> list[SpanRow]:
    from eventing.local.config import RunDir
    from functions.cli.traces import read_spans

    folder = RunDir.at(run_dir).traces
    spans = read_spans(folder, trace_id)
    if not spans:
        raise AbsentError(f"{session}: no span of its trace {trace_id} in {folder}; is that its id in full?")
    return spans


def _from_ledger(where: Where, session: str) -> tuple[str, list[SpanRow]]:
    from functions.cli.items import read_story
    from functions.cli.named import session_named
    from functions.cli.places import opened

    with opened(where) as place:
        named = session_named(place.services, session)
        spans = story_spans(read_story(place.services, named))
    if not spans:
        raise AbsentError(f"{named}: nothing of it has ended yet; `watch` shows how it goes on")
    return named, spans


def story_spans(story: SessionStory) -> list[SpanRow]:
    """A session as spans: its arrival, its work items, and the attempts at each; what has not ended is left out."""
    from functions.cli.traces import SpanRow
    from shared.telemetry import session_context

    root = session_context(story.session)

    def span(identity: str, parent: str, name: str, what: str, start: datetime, end: datetime) -> SpanRow:
        return SpanRow(
            root.trace_id, identity, parent, name, "ledger", "internal", _nanoseconds(start), _nanoseconds(end),
            attributes={"s2ps.step": what},
        )  # fmt: skip

    found = []
    first = min(story.seen.values(), default=None)
    if first is not None and story.account is not None:
        found.append(span(root.span_id, "", "session", story.session, first, story.account))
    if first is not None and story.complete is not None:
        found.append(span("arrival", root.span_id, "arrival", "", first, story.complete))
    for work in story.work.values():
        place, end = work.place, work.outcome
        if work.order is None or end is None:
            continue
        what = f"{place.step} {place.unit}"
        # A record that was announced again is newer than what followed from it.
        start = min([work.order.modified, *(attempt.modified for attempt in work.attempts.values())])
        found.append(span(place.digest, root.span_id, "work", what, start, end.modified))
        for number, attempt in sorted(work.attempts.items()):
            ended = work.ended.get(number, end).modified
            found.append(
                span(f"{place.digest}-{number}", place.digest, "attempt", str(number), attempt.modified, ended)
            )
    return sorted(found, key=lambda each: (each.start, -each.end))


def _nanoseconds(when: datetime) -> int:
    return int(when.timestamp() * _NANO)
