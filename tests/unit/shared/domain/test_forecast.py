"""Durations become percentiles, percentiles an outlook, and what will be late is told before it is."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.forecast import AT_RISK, RATIO, Durations, Leg, Prior, announced_in_time, expected_s, outlook

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECONDS = st.floats(min_value=1, max_value=1e6)


def seen(*seconds: float) -> Durations:
    durations = Durations()
    for each in seconds:
        durations = durations.plus(each)
    return durations


@given(st.lists(SECONDS, min_size=1, max_size=60), st.floats(min_value=0.01, max_value=1))
def test_a_percentile_is_within_a_bin_of_the_true_one(values: list[float], share: float) -> None:
    true = sorted(values)[max(1, -int(-share * len(values) // 1)) - 1]
    found = seen(*values).percentile(share)
    assert true / RATIO <= found <= true * RATIO


@given(st.lists(SECONDS, max_size=20), st.lists(SECONDS, max_size=20))
def test_merging_is_counting_all(one: list[float], other: list[float]) -> None:
    assert seen(*one).merged(seen(*other)) == seen(*sorted([*one, *other]))
    assert seen(*one).merged(seen(*other)).count == len(one) + len(other)


def test_a_record_of_durations_comes_back_from_json() -> None:
    durations = seen(1, 60, 60, 7200, 0.1, 1e9)
    assert Durations.model_validate_json(durations.model_dump_json()) == durations


def test_a_prior_has_the_percentiles_that_it_names() -> None:
    prior = Prior(p50_s=600, p95_s=1200)
    assert prior.percentile(0.5) == pytest.approx(600)
    assert prior.percentile(0.95) == pytest.approx(1200)
    assert 600 < prior.percentile(0.8) < 1200
    assert Prior(p50_s=60, p95_s=60).percentile(0.99) == 60


def test_the_prior_gives_way_to_the_runs_seen() -> None:
    prior, dice = Prior(p50_s=600, p95_s=1200), random.Random(1)
    took = seen(*(dice.uniform(90, 110) for _ in range(5)))
    early = expected_s(took, prior, 0.5)
    assert 100 < early < 600
    late = expected_s(took.merged(seen(*(dice.uniform(90, 110) for _ in range(200)))), prior, 0.5)
    assert late == pytest.approx(100, rel=RATIO - 1)
    assert expected_s(None, prior, 0.95) == expected_s(Durations(), prior, 0.95) == pytest.approx(1200)


def test_what_arrives_before_its_deadline_is_on_time() -> None:
    found = outlook(
        [Leg(step="l1b", expected_s=600), Leg(step="l1c", expected_s=300)], NOW + timedelta(minutes=16), NOW
    )
    assert (found.state, found.arrival, found.slack) == ("on-time", NOW + timedelta(minutes=15), timedelta(minutes=1))
    assert found.eats == ""


def test_a_step_that_takes_longer_than_expected_is_named() -> None:
    legs = [Leg(step="l1b", expected_s=600, since=NOW - timedelta(minutes=40)), Leg(step="l1c", expected_s=300)]
    found = outlook(legs, NOW + timedelta(minutes=14), NOW)
    # A quarter of its forty minutes again, and five more.
    assert (found.state, found.eats, found.arrival) == ("at-risk", "l1b", NOW + timedelta(minutes=15))


def test_where_none_is_slow_the_longest_is_named() -> None:
    legs = [Leg(step="l0c", expected_s=60), Leg(step="l1b", expected_s=3600), Leg(step="l1c", expected_s=900)]
    assert outlook(legs, NOW + timedelta(minutes=10), NOW).eats == "l1b"


def test_after_the_deadline_it_is_missed() -> None:
    assert outlook([Leg(step="l1c", expected_s=1)], NOW - timedelta(seconds=1), NOW).state == "missed"


def test_a_slow_step_is_announced_before_its_product_is_late() -> None:
    """The step hangs from the start; the others need twenty minutes after it. When is the first warning?"""
    deadline, warned = NOW + timedelta(minutes=75), []
    for minute in range(90):
        now = NOW + timedelta(minutes=minute)
        legs = [Leg(step="l1b", expected_s=1200, since=NOW), Leg(step="l1c", expected_s=1200)]
        warned.append((now, outlook(legs, deadline, now)))
    assert announced_in_time(warned)
    first = next(when for when, each in warned if each.state != "on-time")
    assert timedelta(0) < deadline - first
    assert deadline - first >= AT_RISK
    assert not announced_in_time(warned[70:])
    assert not announced_in_time(warned[:5])
