"""A comparison of strategies, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from functions.cli.options import Shape
from functions.cli.output import Column, show

if TYPE_CHECKING:
    from functions.rehearse.simulation import Comparison, Figures, Timeliness

Row = tuple["Figures", "Timeliness"]


def tell(found: Comparison, shape: Shape) -> None:
    """Cost and load of each way, then timeliness by level, then what all of it assumes."""
    ways = (found.recorded, found.replayed, found.other)
    memory = found.node_memory_mb / 1024
    click.echo(
        f"{found.sessions} sessions; replayed on {found.nodes} nodes of {found.node_cpus:g} cores, {memory:g} GiB.\n"
    )
    figures: tuple[Column[Figures], ...] = (
        Column("way", lambda row: row.name),
        Column("jobs", lambda row: str(row.jobs)),
        Column("core-hours", lambda row: f"{row.core_hours:.2f}"),
        Column("peak cores", lambda row: f"{row.peak_cores:g}"),
        Column("not asked for", lambda row: str(row.left_out)),
        Column("held", lambda row: str(row.held)),
    )
    show(shape, "Figures", ways, figures, lambda row: row.name, "")
    click.echo("")
    levels: tuple[Column[Row], ...] = (
        Column("level", lambda row: row[1].level),
        Column("way", lambda row: row[0].name),
        Column("jobs", lambda row: str(row[1].made)),
        Column("in time", lambda row: f"{row[1].in_time:.1%}"),
        Column("median", lambda row: f"{row[1].median_min:.1f} min"),
        Column("p95", lambda row: f"{row[1].p95_min:.1f} min"),
    )
    rows = sorted(((way, level) for way in ways for level in way.levels), key=lambda row: row[1].level)
    show(shape, "Timeliness", rows, levels, lambda row: row[0].name, "Nothing is published.")
    click.echo("\nAssumed:")
    for line in found.assumed:
        click.echo(f"- {line}")
