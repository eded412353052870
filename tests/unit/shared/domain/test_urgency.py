"""The urgency of work that waits: priority first, and nothing waits for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.urgency import CEILING, STEP, grows_at, urgency

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PRIORITIES = st.integers(-CEILING, CEILING)
LATE = st.timedeltas(timedelta(days=-1), timedelta(days=20))


@given(PRIORITIES, st.timedeltas(timedelta(0), timedelta(days=30)))
def test_before_the_deadline_it_is_the_priority(priority: int, left: timedelta) -> None:
    assert urgency(priority, NOON + left, NOON) == priority


@given(PRIORITIES, LATE, LATE)
def test_it_never_falls_and_never_passes_the_ceiling(priority: int, one: timedelta, other: timedelta) -> None:
    first, second = sorted((one, other))
    assert priority <= urgency(priority, NOON, NOON + first) <= urgency(priority, NOON, NOON + second) <= CEILING


@given(PRIORITIES, PRIORITIES, st.timedeltas(timedelta(0), timedelta(days=365)))
def test_nothing_waits_for_ever(low: int, other: int, later: timedelta) -> None:
    """Once it has waited so long, no work with a later deadline goes before it, whatever its priority."""
    now = NOON + (CEILING - low) * STEP + later
    behind = (-urgency(other, NOON + timedelta(seconds=1), now), NOON + timedelta(seconds=1))
    assert (-urgency(low, NOON, now), NOON) < behind


@given(PRIORITIES, LATE)
def test_it_changes_when_it_is_said_to_change(priority: int, late: timedelta) -> None:
    now = NOON + late
    change = grows_at(priority, NOON, now)
    if change is None:
        assert urgency(priority, NOON, now + timedelta(days=1000)) == CEILING
    else:
        assert change > now
        before = change - timedelta(microseconds=1)
        assert urgency(priority, NOON, max(now, before)) == urgency(priority, NOON, now)
        assert urgency(priority, NOON, change) > urgency(priority, NOON, now)
