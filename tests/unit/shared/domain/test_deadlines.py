"""The clock of the promise, product type by product type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.deadlines import BUDGETS, deadline, slack, t0
from shared.errors import ConfigurationError

START = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
MINUTES = {"HKTM": 30, "SAD": 30, "L0": 75, "L1A": 75, "L1B": 75, "L1C": 75, "L2A": 120}


@pytest.mark.parametrize("level", BUDGETS)
def test_each_level_is_due_so_many_minutes_after_t0(level: str) -> None:
    due = deadline(START, level)
    assert due == START + timedelta(minutes=MINUTES[level])
    assert slack(due, due) == timedelta(0)
    assert slack(due, due + timedelta(seconds=1)) == -timedelta(seconds=1)
    assert slack(due, START) == BUDGETS[level]


@pytest.mark.parametrize("level", BUDGETS)
def test_a_strategy_s_budget_is_of_its_level_alone(level: str) -> None:
    budgets = {level: 12.5}
    assert deadline(START, level, budgets) == START + timedelta(minutes=12.5)
    for other in BUDGETS.keys() - {level}:
        assert deadline(START, other, budgets) == deadline(START, other)


def test_every_level_has_a_budget_and_no_other_word_is_one() -> None:
    assert BUDGETS.keys() == MINUTES.keys()
    with pytest.raises(ConfigurationError, match=r"level S1_L1: expected one of HKTM, SAD, L0"):
        deadline(START, "S1_L1")


def test_the_clock_starts_with_the_last_file_and_in_whatever_order_they_are_seen() -> None:
    times = [START - timedelta(minutes=9), START, START - timedelta(seconds=1)]
    assert t0(times) == t0(reversed(times)) == START
