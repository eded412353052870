"""A trace as a waterfall in the terminal: the tree of spans, and a bar for each on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.table import Table
from rich.text import Text

from functions.cli.traces import Node, SpanRow, idle_seconds

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_MIN_AXIS: Final = 20
_SHALLOW: Final = 8
_COLOURS: Final = {"consumer": "cyan", "internal": "green", "producer": "magenta", "client": "blue"}


def bar(span: SpanRow, start: int, end: int, width: int) -> tuple[int, int]:
    """(offset, length) of a span's bar in eighths of a cell, on an axis ``width`` cells wide; length at least 1."""
    scale = 8 * width / max(end - start, 1)
    left = min(int((span.start - start) * scale), 8 * width - 1)
    return left, max(1, min(int((span.end - start) * scale), 8 * width) - left)


def draw_bar(left: int, length: int, width: int) -> str:
    """A bar in block characters, to an eighth of a cell at its end."""
    cells, spare = divmod(left, 8)
    if spare and length + spare >= 8:  # a block cannot begin within a cell: begin with the cell
        length += spare
    full, rest = divmod(length, 8)
    drawn = "█" * full + (_EIGHTHS[rest] if rest else "")
    return (" " * cells + (drawn or _EIGHTHS[1]))[:width].ljust(width)


def waterfall(nodes: Sequence[Node], width: int) -> Table:
    """The table of a trace, for a terminal ``width`` columns wide."""
    spans = [node.span for node in nodes]
    start, end = min(span.start for span in spans), max(span.end for span in spans)
    indent = 2 if max(node.depth for node in nodes) <= _SHALLOW else 1
    label = min(max(len(_label(node, indent)) for node in nodes), max(24, 2 * width // 5))
    axis = max(_MIN_AXIS, width - label - 32)
    total = (end - start) / 1e9
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, title_justify="left")
    table.title = Text(
        f"{datetime.fromtimestamp(start / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC, {total:.1f} s, {len(spans)} spans, "
        f"{idle_seconds(spans):.1f} s with nothing under way"
    )
    table.add_column("span", width=label, no_wrap=True, overflow="ellipsis")
    table.add_column("start s", justify="right", width=8)
    table.add_column("s", justify="right", width=8)
    table.add_column(_ruler(total, axis), width=axis, no_wrap=True)
    for node in nodes:
        span = node.span
        colour = "red" if span.error else _COLOURS.get(span.kind, "white")
        drawn = draw_bar(*bar(span, start, end, axis), axis)
        name = Text(_label(node, indent), style="bold" if node.depth == 0 and not node.orphan else "")
        table.add_row(name, f"{(span.start - start) / 1e9:.2f}", f"{span.seconds:.2f}", Text(drawn, style=colour))
    return table


def _label(node: Node, indent: int) -> str:
    span = node.span
    what = span.attributes.get("s2ps.step") or span.attributes.get("cloudevents.event_subject") or ""
    brief = str(what).removesuffix(".json").rsplit("/", 1)[-1]
    mark = "~ " if node.orphan else ""
    return " " * (indent * node.depth) + mark + span.name + (f" {brief}" if brief and brief not in span.name else "")


def _ruler(total: float, width: int) -> str:
    """Marks at the quarters of the axis."""
    line = [" "] * width
    for quarter in range(4):
        text = f"|{total * quarter / 4:.0f}s"
        at = quarter * width // 4
        line[at : at + len(text)] = text
    return "".join(line)[:width]
