"""Passes are drawn as a real plan has them, and files come as they come down."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from statistics import mean, median

import pytest

from functions.rehearse.passes import MOST_SCENES, chunks, drawn, largest, session_name
from shared.domain.names import SessionFile, SessionId

START = datetime(2026, 6, 1, tzinfo=UTC)


def test_the_figures_are_those_of_the_plan() -> None:
    passes = drawn(["S2A"], START, 24 * 100, seed=3)
    a_day = len(passes) / 100
    scenes = [segment.scenes for one in passes for segment in one.segments]
    assert a_day == pytest.approx(35.6, abs=0.2)
    assert len(scenes) / 100 == pytest.approx(75.8, rel=0.05)
    assert sum(scenes) / 100 == pytest.approx(5163, rel=0.08)
    assert median(scenes) == pytest.approx(45, rel=0.1)
    assert max(one.scenes for one in passes) <= MOST_SCENES
    assert median((one.stop - one.start).total_seconds() for one in passes) < 715


def test_the_same_seed_draws_the_same() -> None:
    assert drawn(["S2A", "S2B"], START, 6, 7) == drawn(["S2A", "S2B"], START, 6, 7)
    assert drawn(["S2A"], START, 6, 7) != drawn(["S2A"], START, 6, 8)
    both = drawn(["S2A", "S2B"], START, 6, 7)
    assert [one for one in both if one.satellite == "S2A"] == list(drawn(["S2A"], START, 6, 7))


def test_files_have_names_of_the_field_and_come_in_time() -> None:
    one = largest("S2C", START)
    late = []
    for seed in range(50):
        files = chunks(one, 10, random.Random(seed))
        assert [file.when for file in files] == sorted(file.when for file in files)
        assert len(files) == 22
        late.append((files[-1].when - one.stop).total_seconds())
    assert SessionId.parse(session_name(one)).satellite == "S2C"
    assert {SessionFile.parse(file.name).kind for file in files} == {"DSDB", "DSIB"}
    assert min(late) >= 135
    assert max(late) <= 511
    assert mean(late) == pytest.approx(325, abs=40)
    assert (one.scenes, one.stop - one.start) == (212, timedelta(seconds=212 * 3.44))
