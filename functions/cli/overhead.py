"""``s2ps trace --overhead``: the service's own time on the way of each product of a session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from functions.cli.output import echo_lines, layout, show_one, terminal_width
from functions.cli.safe import safe
from shared.domain.overhead import OWN, Call, CriticalPath, Kind, Spread, calls_by_cause, refined, spread
from shared.errors import AbsentError
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.records import Complete
from shared.sla.overhead import Times, by_level

if TYPE_CHECKING:
    from functions.cli.options import Shape
    from functions.cli.traces import SpanRow
    from shared.bootstrap import Services

ALL: Final = "all"
_COLUMNS: Final = ("level", "n", "own p50", "own p95", "own max", "ipf p95", "transfer p95", "queue p95", "else p95")
_SKEW_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class LevelTimes:
    """The ways to the products of one level, seconds. ``other``: waits for files, attempts that failed, holds."""

    level: str
    total: Spread
    own: Spread
    ipf: Spread
    transfer: Spread
    queue: Spread
    other: Spread


@dataclass(frozen=True, slots=True)
class ProductTimes:
    """The way to one product, seconds: the whole, the service's own, and each kind of part."""

    product: str
    level: str
    total_s: float
    own_s: float
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Stretch:
    """One part of a way: so many seconds from the last file seen at the station, and how long."""

    at_s: float
    seconds: float
    kind: str
    own: bool
    what: str


@dataclass(frozen=True, slots=True)
class Overhead:
    """A session's own time. ``begin``: when its last file was seen at the station; ``t0``: since when it was there.

    ``spans``: whether spans tell events from calls. ``skew_s``: by how much times contradict each other at most.
    """

    session: str
    t0: datetime
    begin: datetime
    spans: bool
    first_ipf_s: float | None
    skew_s: float
    levels: tuple[LevelTimes, ...]
    worst: str
    path: tuple[Stretch, ...]
    products: tuple[ProductTimes, ...]


def session_overhead(services: Services, session: str, spans: Iterable[SpanRow] = ()) -> Overhead:
    """The own time of a session. AbsentError where no product of it is on the shelf."""
    complete = services.ledger.find(keys.complete(session), Complete)
    if complete is None:
        raise AbsentError(f"{session}: it is not complete yet, and has no product")
    work = sort_work(services.ledger.list(f"{keys.session(session)}work/")).values()
    times = Times(services.ledger, services.workflow_of(complete), complete, work)
    calls = calls_by_cause(calls_of(spans))
    paths = [refined(path, calls) for path in times.paths(times.products())]
    if not paths:
        raise AbsentError(f"{session}: no product of it is on the shelf")
    return summed(session, complete.t0, paths, spans=bool(calls))


def calls_of(spans: Iterable[SpanRow]) -> list[Call]:
    """The calls of functions that are among spans: those that tell which record the event was about."""
    return [
        Call(span.service, str(span.attributes["cloudevents.event_subject"]), _instant(span.start), _instant(span.end))
        for span in spans
        if span.kind == "consumer" and span.attributes.get("cloudevents.event_subject") and not span.error
    ]


def summed(session: str, t0: datetime, paths: Sequence[CriticalPath], *, spans: bool) -> Overhead:
    """All that is told of the paths of a session."""
    worst = max(paths, key=lambda path: (path.own_s, path.product.name))
    firsts = [path.first_ipf_s for path in paths if path.first_ipf_s is not None]
    return Overhead(
        session=session,
        t0=t0,
        begin=worst.begin,
        spans=spans,
        first_ipf_s=min(firsts, default=None),
        skew_s=max(path.skew_s for path in paths),
        levels=tuple(_level(name, of) for name, of in (*by_level(paths).items(), (ALL, paths))),
        worst=worst.product.name,
        path=tuple(
            Stretch((part.start - worst.begin).total_seconds(), part.seconds, part.kind, part.kind in OWN, part.what)
            for part in worst.parts
        ),
        products=tuple(_product(path) for path in paths),
    )


def _level(name: str, paths: Sequence[CriticalPath]) -> LevelTimes:
    known = {*OWN, "ipf", "transfer", "queue"}
    return LevelTimes(
        name,
        total=spread(path.total_s for path in paths),
        own=spread(path.own_s for path in paths),
        ipf=spread(path.seconds_of("ipf") for path in paths),
        transfer=spread(path.seconds_of("transfer") for path in paths),
        queue=spread(path.seconds_of("queue") for path in paths),
        other=spread(sum(part.seconds for part in path.parts if part.kind not in known) for path in paths),
    )


def _product(path: CriticalPath) -> ProductTimes:
    kinds: dict[str, Kind] = {part.kind: part.kind for part in path.parts}
    parts = {name: round(path.seconds_of(kind), 6) for name, kind in sorted(kinds.items())}
    return ProductTimes(path.product.name, path.product.level, round(path.total_s, 6), round(path.own_s, 6), parts)


def _instant(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def show_overhead(shape: Shape, found: Overhead) -> None:
    """For people: a line of summary, a table by level, and the worst product's way line by line."""
    show_one(shape, "Overhead", found, lambda: _print(shape, found), found.session)


def _print(shape: Shape, found: Overhead) -> None:
    click.echo(f"{safe(found.session)}: {told(found)}.")
    rows = [
        (each.level, str(each.own.n), *map(_seconds, (each.own.p50, each.own.p95, each.own.max, each.ipf.p95)),
         *map(_seconds, (each.transfer.p95, each.queue.p95, each.other.p95)))
        for each in found.levels
    ]  # fmt: skip
    echo_lines(layout(_COLUMNS, rows, headers=shape.headers, width=terminal_width()))
    click.echo(f"The way of {safe(found.worst)}, which took most; * is own time:")
    way = [
        (f"{each.at_s:.2f}", f"{each.seconds:.2f}", f"{each.kind}{' *' if each.own else ''}", each.what)
        for each in found.path
    ]
    echo_lines(layout(("at s", "s", "kind", "what"), way, folds={3}, headers=shape.headers, width=terminal_width()))
    if not found.spans:
        click.echo("No spans are here: what is a hand-over is an event's way and a function's call together.")
    if found.skew_s > _SKEW_S:
        click.echo(
            f"Times contradict each other by up to {found.skew_s:.2f} s (clocks differ); such stretches count 0."
        )


def told(found: Overhead) -> str:
    """The two figures that count, in half a sentence."""
    whole = next(each for each in found.levels if each.level == ALL)
    first = (
        "no IPF ran" if found.first_ipf_s is None else f"{found.first_ipf_s:.1f} s from its last file to the first IPF"
    )
    return f"{first}, own time {whole.own.p95:.1f} s at the 95th percentile of {whole.own.n} products"


def _seconds(value: float) -> str:
    return f"{value:.2f}"
