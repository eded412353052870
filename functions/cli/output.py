"""How the console prints: tables as ``kn`` prints them, JSON and YAML for programs, names for other commands."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import click

from functions.cli.options import Shape
from functions.cli.safe import safe

T = TypeVar("T")

API_VERSION: Final = "s2ps.org/v1"
_GAP: Final = 3
_NARROWEST: Final = 12
_COLOURS: Final = {
    **dict.fromkeys(("produced", "succeeded", "closed"), "green"),
    **dict.fromkeys(("absent", "no-product", "held", "retry"), "yellow"),
    **dict.fromkeys(("parked", "failed"), "red"),
    **dict.fromkeys(("running", "processing", "arriving"), "cyan"),
}


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column of a table. ``fold``: it gives way where the terminal is narrow; its text goes on in the next line."""

    title: str
    cell: Callable[[T], str]
    fold: bool = False


def show(
    shape: Shape,
    kind: str,
    rows: Iterable[T],
    columns: Sequence[Column[T]],
    name: Callable[[T], str],
    nothing: str,
) -> None:
    """A list, in the shape that was asked for; ``nothing`` is what a table says where there is none."""
    found = list(rows)
    if shape.form in {"json", "yaml"}:
        echo_document(
            shape, {"apiVersion": API_VERSION, "kind": f"{kind}List", "items": [jsonable(row) for row in found]}
        )
    elif shape.form == "name":
        for row in found:
            click.echo(safe(name(row)))
    elif not found:
        click.echo(nothing)
    else:
        cells = [[column.cell(row) for column in columns] for row in found]
        titles = [column.title for column in columns]
        folds = {index for index, column in enumerate(columns) if column.fold}
        echo_lines(layout(titles, cells, folds=folds, headers=shape.headers, width=terminal_width()))


def end(errors: Sequence[Exception]) -> None:
    """What could not be shown, a line for each on standard error; with any, the program ends with exit code 1."""
    for error in errors:
        click.echo(f"Error: {safe(str(error))}", err=True)
    if errors:
        raise SystemExit(1)


def show_one(shape: Shape, kind: str, value: Any, lines: Callable[[], None], name: str) -> None:
    """One thing, in the shape that was asked for; ``lines`` prints it for people."""
    if shape.form in {"json", "yaml"}:
        echo_document(shape, {"apiVersion": API_VERSION, "kind": kind, **jsonable(value)})
    elif shape.form == "name":
        click.echo(safe(name))
    else:
        lines()


def echo_document(shape: Shape, document: Mapping[str, Any]) -> None:
    """JSON or YAML on standard output."""
    if shape.form == "json":
        echo_json(document)
        return
    import yaml

    click.echo(yaml.safe_dump(jsonable(document), sort_keys=False, width=10_000), nl=False)


def echo_json(value: Any) -> None:
    """JSON on standard output, in ASCII: nothing in it means anything to a terminal."""
    click.echo(json.dumps(jsonable(value), indent=2))


def echo_table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, err: bool = False) -> None:
    """A table whose last column gives way."""
    folds = {len(titles) - 1}
    echo_lines(layout(titles, rows, folds=folds, width=terminal_width(err=err)), err=err)


def echo_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Lines of a table; colours go no further than a terminal."""
    stream = sys.stderr if err else sys.stdout
    colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for line in lines:
        click.echo(line if colour else click.unstyle(line), err=err)


def terminal_width(*, err: bool = False) -> int | None:
    """Columns of the terminal; None where output goes elsewhere, and there is nothing to fit into."""
    stream = sys.stderr if err else sys.stdout
    return shutil.get_terminal_size().columns if stream.isatty() else None


def layout(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    folds: Iterable[int] = (),
    headers: bool = True,
    width: int | None = None,
) -> list[str]:
    """The lines of a table: columns side by side, no box, headers in upper case.

    Args:
        titles: of the columns.
        rows: their cells; made safe here.
        folds: indices of the columns that give way, where ``width`` is less than the table's.
        headers: whether the titles are a line of it.
        width: columns of the terminal; None for any number.
    """
    body = [[safe(cell) for cell in row] for row in rows]
    if headers:
        body.insert(0, [title.upper() for title in titles])
    widths = [max((len(row[index]) for row in body), default=0) for index in range(len(titles))]
    gap = _GAP if width is None else _narrow(widths, sorted(folds), width)
    lines = []
    for number, row in enumerate(body):
        parts = [_fold(cell, each) for cell, each in zip(row, widths, strict=True)]
        for line in range(max(map(len, parts))):
            cells = [part[line] if line < len(part) else "" for part in parts]
            last = max((index for index, cell in enumerate(cells) if cell), default=0)
            painted = [
                _paint(cell, heading=headers and number == 0) + " " * (0 if index == last else each + gap - len(cell))
                for index, (cell, each) in enumerate(zip(cells[: last + 1], widths, strict=False))
            ]
            lines.append("".join(painted))
    return lines


def _narrow(widths: list[int], folds: Sequence[int], width: int) -> int:
    """Take from the widest column that may fold, a cell at a time, until the table fits, or none can give more.

    Returns the blanks between columns: fewer, where the table fits by no other means.
    """
    least = sum(min(each, _NARROWEST) if index in folds else each for index, each in enumerate(widths))
    between = len(widths) - 1
    gap = next((each for each in range(_GAP, 1, -1) if least + each * between <= width), 1)
    while sum(widths) + gap * between > width:
        widest = max(folds, key=lambda index: widths[index], default=None)
        if widest is None or widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    return gap


def _fold(cell: str, width: int) -> list[str]:
    return [cell[at : at + width] for at in range(0, len(cell), width)] if len(cell) > width else [cell]


def _paint(cell: str, *, heading: bool) -> str:
    colour = None if heading else _COLOURS.get(cell.partition(" ")[0])
    return click.style(cell, fg=colour) if colour else cell


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


def age(seconds: float) -> str:
    """A time span as ``kn`` shows ages: two units at most, ``95s``, ``3m20s``, ``2h5m``, ``3d4h``."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole}s"
    for unit, size, below, part in (("m", 60, "s", 1), ("h", 3600, "m", 60), ("d", 86400, "h", 3600)):
        if whole < size * {"m": 120, "h": 48, "d": 1 << 40}[unit]:
            rest = whole % size // part
            return f"{whole // size}{unit}" + (f"{rest}{below}" if rest and whole < 10 * size else "")
    raise AssertionError(whole)


def jsonable(row: Any) -> Any:
    """A row, or rows, as JSON and YAML take it; instants in UTC, ``2026-06-21T10:45:00Z``."""
    if hasattr(row, "model_dump"):
        return row.model_dump(mode="json", by_alias=True)
    if hasattr(row, "__dataclass_fields__"):
        return {name: jsonable(getattr(row, name)) for name in row.__dataclass_fields__}
    if isinstance(row, (list, tuple, set, frozenset)):
        return [jsonable(each) for each in row]
    if isinstance(row, Mapping):
        return {str(key): jsonable(value) for key, value in row.items()}
    if isinstance(row, datetime):
        return row.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return row
