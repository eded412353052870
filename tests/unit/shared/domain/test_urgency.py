"""The turn of work that waits: earliest deadline first, brought forward by priority, and nothing waits for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.urgency import CEILING, STEP, turn

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PRIORITIES = st.integers(-CEILING, CEILING)
LATER = st.timedeltas(timedelta(seconds=1), timedelta(days=20))


@given(PRIORITIES, LATER)
def test_of_equal_priority_the_earlier_deadline_goes_first(priority: int, later: timedelta) -> None:
    assert turn(priority, NOON) < turn(priority, NOON + later)


@given(st.lists(PRIORITIES, min_size=2, max_size=2, unique=True))
def test_of_equal_deadline_the_higher_priority_goes_first(priorities: list[int]) -> None:
    low, high = sorted(priorities)
    assert turn(high, NOON) < turn(low, NOON)


@given(PRIORITIES, PRIORITIES, LATER)
def test_nothing_waits_for_ever(low: int, other: int, later: timedelta) -> None:
    """What is due so much later never goes before it, whatever its priority, and however long either has waited."""
    bound = (CEILING - low) * STEP
    assert turn(low, NOON) < turn(other, NOON + bound + later)


def test_a_near_real_time_session_overtakes_what_was_due_hours_before_it() -> None:
    assert turn(100, NOON + timedelta(hours=8)) < turn(0, NOON)
    assert turn(100, NOON + timedelta(hours=9)) > turn(0, NOON)
