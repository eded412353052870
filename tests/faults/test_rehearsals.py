"""Rehearsals end with every account closed, whatever is let loose; what is broken is found, and told in short."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from functions.rehearse import scenario as rehearsals
from functions.rehearse.command import rehearse as command
from functions.rehearse.faults import PROFILES, Profile
from functions.rehearse.passes import drawn, largest, session_name
from functions.rehearse.picture import picture
from functions.rehearse.report import hourly, timeliness, utilisation, warnings
from functions.rehearse.scenario import START, Result, Scenario, rehearse
from functions.rehearse.shrinking import minimal, shrink
from functions.rehearse.steps import steps
from shared.domain.mission_plan import Pass
from shared.domain.strategy import Split
from shared.workflow.graph import load_workflow

LEVELS = {
    str(output.publish) for processor in load_workflow("open").processors.values() for output in processor.outputs
} - {"None"}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Functions log what is meant to go wrong here."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def small(count: int = 2, scenes: int = 12) -> tuple[Pass, ...]:
    """Passes with short datastrips: the service has as much to do, and there are fewer tiles."""
    found = drawn(["S2A", "S2B"], START, 3, 5)[:count]
    return tuple(
        replace(one, segments=tuple(replace(segment, scenes=min(segment.scenes, scenes)) for segment in one.segments))
        for one in found
    )


def of(profile: str | Profile = "none", seed: int = 7, **more: Any) -> Scenario:
    faults = PROFILES[profile] if isinstance(profile, str) else profile
    return Scenario(**{"passes": small(), "hours": 2.0, "profile": faults, "seed": seed, **more})


@pytest.fixture(scope="module")
def calm() -> Result:
    return rehearse(of())


def test_without_faults_all_is_produced_and_in_time(calm: Result) -> None:
    assert calm.broken == []
    assert sorted(each.session for each in calm.ended) == sorted(session_name(one) for one in calm.scenario.passes)
    lines = {line.level: line for line in timeliness(calm)}
    assert set(lines) == LEVELS
    assert all(line.produced == line.expected for line in lines.values())
    assert all(line.in_time == 1.0 for line in lines.values())
    assert lines["L1C"].expected == lines["L2A"].expected > 20
    assert lines["L0"].p50 < lines["L1C"].p50 < lines["L2A"].p50


def test_the_same_seed_plays_the_same(calm: Result) -> None:
    again = rehearse(of())
    assert again.counts == calm.counts
    assert [(each.session, each.entries) for each in again.ended] == [(e.session, e.entries) for e in calm.ended]


def test_the_cluster_is_used_as_its_jobs_are_long(calm: Result) -> None:
    mean, peak = utilisation(calm)
    assert 0 < mean < peak <= 1
    span = len(hourly(calm)) * 900
    assert sum(use for _, use in hourly(calm)) * 900 == pytest.approx(calm.busy_core_s, rel=0.05), span


def test_the_picture_is_an_svg_with_a_line_for_each_session(calm: Result) -> None:
    root = ET.fromstring(picture(calm))
    said = " ".join(element.text or "" for element in root.iter() if element.tag.endswith("text"))
    assert all(each.session in said for each in calm.ended)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("profile", ["light", "heavy"])
def test_whatever_goes_wrong_each_account_is_closed(profile: str, seed: int) -> None:
    result = rehearse(of(profile, seed))
    assert result.broken == []
    assert len(result.ended) == 2
    if profile == "heavy":
        assert len(result.strikes) > 20
    ends = [entry.ended for each in result.ended for entry in each.entries]
    assert ends.count("produced") > len(ends) // 2


def test_the_longest_datastrip_is_in_time_as_the_open_set_cuts_it() -> None:
    """212 scenes, 2 544 granules, by the strategy and the set that come with the service."""
    result = rehearse(of(passes=(largest("S2A", START),), nodes=30))
    assert result.broken == []
    lines = {line.level: line for line in timeliness(result)}
    assert all(line.in_time == 1 for line in lines.values())
    assert lines["L1C"].latest < 65
    whole = result.scenario.workflow().with_split(None)
    assert result.scenario.cut is not None
    assert replace(result.scenario, uncut=True).workflow().steps == whole.steps
    assert any(each.job.unit == "DT01-P03" for each in result.ran)


def test_the_longest_datastrip_is_in_time_when_it_is_cut() -> None:
    """By the licensed chain, an hour over without, within the budgets with parts of 24 scenes."""
    one = (largest("S2A", START),)
    uncut = rehearse(of(passes=one, nodes=30, processor_set="esa"))
    cut = rehearse(of(passes=one, nodes=30, processor_set="esa", split=Split(scenes=24, overlap=2)))
    assert uncut.broken == cut.broken == []
    late, early = ({line.level: line for line in timeliness(each)} for each in (uncut, cut))
    assert late["L1C"].p50 - late["L1C"].budget > 45
    assert late["L1C"].in_time == late["L2A"].in_time == 0
    assert early["L1C"].in_time > 0.99
    assert early["L2A"].in_time > 0.99
    assert early["L0"].expected == 212 + 1
    # A tile on a seam has a product from either side.
    assert late["L1C"].expected < early["L1C"].expected < 1.2 * late["L1C"].expected


def test_the_licensed_chain_is_rehearsed_with_its_auxiliary_files() -> None:
    result = rehearse(of("heavy", processor_set="esa", seed=2))
    assert result.broken == []
    lines = {line.level: line for line in timeliness(result)}
    assert set(lines) == {"HKTM", "SAD", "L0", "L1B", "L1C", "L2A"}
    assert lines["L1C"].produced > 0


def test_half_the_room_loses_nothing() -> None:
    tight = rehearse(of(nodes=1, node_cpus=4))
    assert tight.broken == []
    lines = timeliness(tight)
    assert all(line.produced == line.expected for line in lines)
    assert any(line.in_time < 1 for line in lines)
    # What is late was told a quarter of an hour before it was.
    told = warnings(tight)
    assert told.late > 0
    assert told.early == told.before == told.late


def test_a_service_that_loses_something_is_found_out_and_the_story_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep is taken away: what a lost event leaves behind stays so."""
    monkeypatch.setattr(rehearsals, "steps", lambda services: {**steps(services), "sweep": lambda _event: None})
    result = rehearse(of(Profile(lost=0.02), seed=3))
    assert any("has no account" in text for text in result.broken)
    story = shrink(result, most_runs=40)
    assert story is not None
    assert len(story.scenario.passes) == 1
    assert len(story.strikes) == 1
    assert "lost" in story.strikes[0]
    # Told again, it ends as before.
    assert rehearse(story.scenario).broken == list(story.broken)


@pytest.mark.parametrize(("needs", "items"), [({3}, 8), ({1, 6}, 8), ({0, 4, 7}, 8), (set(), 5), ({0}, 1)])
def test_the_smallest_part_that_fails(needs: set[int], items: int) -> None:
    assert set(minimal(range(items), lambda kept: needs <= set(kept))) == needs


def test_the_command_finds_the_nodes_and_prints_what_it_assumed() -> None:
    ran = CliRunner().invoke(command, ["--hours", "1", "--satellites", "S2A", "-o", "json", "--no-shrink"])
    assert ran.exit_code == 0, ran.output
    document = json.loads(ran.stdout)
    assert f"{document['nodes']} nodes of 32 cores are needed for 99% in time." in ran.stderr
    assert any(line.startswith("l1c: ") for line in document["durations"])
    assert document["broken"] == []
    assert {line["level"] for line in document["timeliness"]} == LEVELS


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--satellites", "S3A"], "--satellites"),
        (["--nodes", "many"], "--nodes"),
        (["--faults", "some"], "--faults"),
        (["--split", "some"], "--split"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], named: str) -> None:
    ran = CliRunner().invoke(command, arguments)
    assert ran.exit_code != 0
    assert named in f"{ran.output}{ran.exception}"
