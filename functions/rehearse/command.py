"""``s2ps rehearse``: a day of passes through the real steps, on a virtual clock."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from functions.rehearse.faults import PROFILES
from shared.errors import BadInputError

if TYPE_CHECKING:
    from functions.rehearse.scenario import Result, Scenario
    from shared.domain.mission_plan import Pass
    from shared.domain.strategy import Split

SHARE: Final = 0.99
FOR_CHANCE: Final = 0.005
"""So much more is asked of the cluster's size: the next rehearsal draws other durations."""

_PLENTY: Final = 400


@click.command()
@click.option("--hours", type=click.FloatRange(0.1, 24 * 7), default=24.0, show_default=True, help="Of passes.")
@click.option("--satellites", default="S2A,S2B,S2C", show_default=True, help="Which fly.")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed plays the same rehearsal.")
@click.option("--faults", type=click.Choice(list(PROFILES)), default="none", show_default=True, help="What goes wrong.")
@click.option(
    "--nodes",
    default="auto",
    show_default=True,
    metavar="N|auto",
    help="Of the cluster; auto finds how many it takes for 99 % in time.",
)
@click.option("--node-cpus", type=click.FloatRange(1), default=32.0, show_default=True, help="Cores of a node.")
@click.option(
    "--node-memory", type=click.IntRange(1), default=128, show_default=True, metavar="GIB", help="Memory of a node."
)
@click.option("--set", "processor_set", default="open", show_default=True, help="Processor set, by name or path.")
@click.option(
    "--split",
    "split_text",
    metavar="SCENES[:OVERLAP]|none",
    help="Cut longer datastrips into virtual ones of so many scenes, or none; else as the processor set says.",
)
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Passes of a mission plan (CSV) instead of drawn ones.",
)
@click.option("--largest", is_flag=True, help="One pass alone: the longest datastrip there is, 212 scenes.")
@click.option(
    "--picture",
    "picture_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the timeline there, as SVG.",
)
@click.option("--no-shrink", is_flag=True, help="Do not look for the shortest story of a broken invariant.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="What to print."
)
def rehearse(
    hours: float,
    satellites: str,
    seed: int,
    faults: str,
    nodes: str,
    node_cpus: float,
    node_memory: int,
    processor_set: str,
    split_text: str | None,
    plan_file: Path | None,
    largest: bool,
    picture_file: Path | None,
    no_shrink: bool,
    output: str,
) -> None:
    """Rehearse: passes, functions, Jobs and faults on a virtual clock; the steps are those that run in earnest.

    Ends with timeliness, accounts and invariants. Exit code 1: an invariant is broken; then the shortest story of it
    is told. How long Jobs take is drawn from distributions, which are printed.
    """
    from functions.rehearse.scenario import Scenario

    scenario = Scenario(
        passes=_passes(plan_file, satellites, hours, seed, largest=largest),
        hours=hours,
        processor_set=processor_set,
        nodes=_PLENTY if nodes == "auto" else _number(nodes),
        node_cpus=node_cpus,
        node_memory_mb=node_memory * 1024,
        seed=seed,
        profile=PROFILES[faults],
        split=_split(split_text),
        uncut=split_text == "none",
    )
    if nodes == "auto":
        scenario = replace(scenario, nodes=_sized(scenario))
    result = _played(scenario)
    _tell(result, output)
    if picture_file is not None:
        from functions.rehearse.picture import picture

        picture_file.write_text(picture(result), encoding="utf-8")
    if result.broken:
        if not no_shrink:
            _tell_story(result)
        raise SystemExit(1)


def _passes(plan: Path | None, satellites: str, hours: float, seed: int, *, largest: bool) -> tuple[Pass, ...]:
    from datetime import timedelta

    from functions.rehearse import passes as known
    from functions.rehearse.scenario import START
    from shared.domain.mission_plan import passes, read_mission_plan
    from shared.domain.names import SATELLITES

    if plan is not None:
        found = passes(read_mission_plan(plan.read_bytes(), str(plan)))
        last = found[0].start + timedelta(hours=hours) if found else START
        return tuple(one for one in found if one.start < last)
    names = [name.strip() for name in satellites.split(",")]
    for name in names:
        if name not in SATELLITES:
            raise BadInputError("--satellites", f"some of {','.join(SATELLITES)}", name)
    if largest:
        return (known.largest(names[0], START),)
    return known.drawn(names, START, hours, seed)


def _split(text: str | None) -> Split | None:
    from pydantic import ValidationError

    from shared.domain.strategy import Split

    if text is None or text == "none":
        return None
    scenes, _, overlap = text.partition(":")
    try:
        return Split.model_validate({"scenes": scenes, "overlap": overlap or "1"})
    except ValidationError:
        raise BadInputError("--split", "SCENES (4 or more), SCENES:OVERLAP, or none", text) from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 100_000):
        raise BadInputError("--nodes", "a number, or auto", text)
    return int(text)


def _played(scenario: Scenario) -> Result:
    """Rehearse; what functions log of faults that are meant is not shown."""
    import logging

    from functions.rehearse.scenario import rehearse as play

    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        return play(scenario)
    finally:
        logging.disable(before)


def _sized(scenario: Scenario) -> int:
    """The nodes that the load takes, found without faults."""
    from functions.rehearse.faults import Profile
    from functions.rehearse.sizing import needed, tasks_of

    calm = _played(replace(scenario, profile=Profile()))
    tasks = tasks_of(calm.ran, scenario.workflow())
    found = needed(tasks, SHARE + FOR_CHANCE, scenario.node_cpus, scenario.node_memory_mb)
    if found is None:
        click.echo(
            f"No number of nodes brings {SHARE:.0%} in time: single Jobs take too long. Rehearsed with plenty.",
            err=True,
        )
        return scenario.nodes
    click.echo(f"{found} nodes of {scenario.node_cpus:g} cores are needed for {SHARE:.0%} in time.", err=True)
    return found


def _tell(result: Result, output: str) -> None:
    from dataclasses import asdict, is_dataclass

    from functions.rehearse.report import document, lines

    if output == "json":
        click.echo(json.dumps(document(result), indent=2, default=lambda v: asdict(v) if is_dataclass(v) else str(v)))  # type: ignore[arg-type]
        return
    for line in lines(result):
        click.echo(line)


def _tell_story(result: Result) -> None:
    from functions.rehearse.shrinking import shrink

    story = shrink(result)
    if story is None:
        return
    click.echo(f"\nThe shortest story, after {story.runs} rehearsals ({len(story.scenario.passes)} passes):", err=True)
    for line in (*story.strikes, *(f"-> {text}" for text in story.broken)):
        click.echo(f"  {line}", err=True)
