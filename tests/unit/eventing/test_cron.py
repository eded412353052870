"""Schedules of PingSources."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.cron import Schedule

NOW = datetime(2026, 11, 22, 8, 30, 3, 500_000, UTC)  # a Sunday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/10 * * * * *", datetime(2026, 11, 22, 8, 30, 10, tzinfo=UTC)),
        ("* * * * *", datetime(2026, 11, 22, 8, 31, tzinfo=UTC)),
        ("5/20 * * * * *", datetime(2026, 11, 22, 8, 30, 5, tzinfo=UTC)),
        ("0 6 * * 1", datetime(2026, 11, 23, 6, 0, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("0 0 1 * 3", datetime(2026, 11, 25, tzinfo=UTC)),
        ("15,45 8-10/2 * * *", datetime(2026, 11, 22, 8, 45, tzinfo=UTC)),
    ],
)
def test_next(text: str, expected: datetime) -> None:
    assert Schedule.parse(text).next(NOW) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("* * * *", "five or six"),
        ("61 * * * * *", "second"),
        ("* 24 * * *", "hour"),
        ("*/0 * * * *", "minute"),
        ("x * * * *", "minute"),
        ("5-1 * * * *", "minute"),
        ("* * * * MON", "week"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Schedule.parse(text)


def test_a_day_that_never_comes() -> None:
    with pytest.raises(ValueError, match="never"):
        Schedule.parse("0 0 30 2 *").next(NOW)


@given(st.integers(1, 59), st.integers(0, 1 << 33).map(lambda seconds: datetime.fromtimestamp(seconds / 3, UTC)))
def test_steps_of_seconds(step: int, when: datetime) -> None:
    due = Schedule.parse(f"*/{step} * * * * *").next(when)
    assert due.second % step == 0
    assert timedelta(0) < due - when <= timedelta(seconds=60)
