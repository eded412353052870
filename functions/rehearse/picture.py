"""The timeline of a rehearsal as an SVG: a line for each session, and the load of the cluster below."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from xml.sax.saxutils import escape

from functions.rehearse.passes import session_name
from functions.rehearse.report import hourly
from functions.rehearse.scenario import Ended, Result
from shared.domain.deadlines import BUDGETS

_WIDTH: Final = 1200
_LEFT: Final = 190
_LINE: Final = 9
_LOAD: Final = 120
_COLOURS: Final = {"L0": "#4477aa", "L1C": "#228833", "L2A": "#ccbb44", "late": "#cc3311", "pass": "#bbbbbb"}


def picture(result: Result) -> str:
    """SVG 1.1: grey the downlink up to T0, then from T0 to the last product of each level; red beyond its budget."""
    rows = sorted(result.ended, key=lambda each: (each.session[:3], each.session))
    first = min((one.start for one in result.scenario.passes), default=result.finished)
    span = max((result.finished - first).total_seconds(), 1.0)
    scale = (_WIDTH - _LEFT - 10) / span
    height = 40 + len(rows) * _LINE + 20 + _LOAD + 30

    def x(when: datetime) -> float:
        return _LEFT + (when - first).total_seconds() * scale

    head = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="8"'
    parts = [
        f'<svg {head}><rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="14" font-size="12">{escape(_title(result))}</text>',
    ]
    for number, (name, colour) in enumerate(_COLOURS.items()):
        said = {"late": "beyond its budget", "pass": "downlink, to T0"}.get(name, f"T0 to the last {name}")
        at = _LEFT + number * 150
        parts.append(f'<rect x="{at}" y="20" width="10" height="8" fill="{colour}"/>')
        parts.append(f'<text x="{at + 14}" y="27">{said}</text>')
    starts = {session_name(one): one.start for one in result.scenario.passes}
    for number, row in enumerate(rows):
        y = 40 + number * _LINE
        parts.append(f'<text x="4" y="{y + 7}">{escape(row.session)} {row.scenes} scenes</text>')
        parts += _bars(row, starts[row.session], y, x)
    parts += _load(result, 40 + len(rows) * _LINE + 20, x)
    return "\n".join([*parts, "</svg>", ""])


def _title(result: Result) -> str:
    scenario = result.scenario
    return (
        f"Rehearsal: {len(scenario.passes)} passes, {scenario.nodes} nodes of {scenario.node_cpus:g} cores, "
        f"seed {scenario.seed}, {len(result.strikes)} faults"
    )


def _bars(row: Ended, start: datetime, y: float, x: Callable[[datetime], float]) -> list[str]:
    if row.t0 is None:
        return []
    bars = [(start, row.t0, "pass", y, 7.0)]
    for level, top in (("L2A", 5.0), ("L1C", 2.5), ("L0", 0.0)):
        ends = [entry.at for entry in row.entries if entry.level == level and entry.at is not None]
        if not ends:
            continue
        due, last = row.t0 + BUDGETS[level], max(ends)
        bars.append((row.t0, min(last, due), level, y + top, 2.0))
        if last > due:
            bars.append((due, last, "late", y + top, 2.0))
    return [
        f'<rect x="{x(a):.1f}" y="{top:.1f}" width="{max(x(b) - x(a), 0.5):.1f}" height="{high:g}" '
        f'fill="{_COLOURS[kind]}"/>'
        for a, b, kind, top, high in bars
    ]


def _load(result: Result, top: float, x: Callable[[datetime], float]) -> list[str]:
    capacity = result.scenario.nodes * result.scenario.node_cpus
    bottom = top + _LOAD
    bars = []
    for when, use in hourly(result):
        high = _LOAD * use / capacity
        wide = x(when + timedelta(minutes=15)) - x(when)
        bars.append(
            f'<rect x="{x(when):.1f}" y="{bottom - high:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="#6699cc"/>'
        )
        if when.minute == 0 and when.hour % 3 == 0:
            bars.append(f'<text x="{x(when):.1f}" y="{bottom + 12}">{when:%d %H:%M}</text>')
    return [
        f'<text x="4" y="{top + 8}">cores in use, of {capacity:g}</text>',
        f'<line x1="{_LEFT}" y1="{top}" x2="{_WIDTH - 10}" y2="{top}" stroke="#999999" stroke-dasharray="3"/>',
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{_WIDTH - 10}" y2="{bottom}" stroke="#999999"/>',
        *bars,
    ]
