"""Cron schedules of a PingSource: five fields, or six with seconds first (robfig/cron, as Knative reads them)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

_RANGES: Final = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_NAMES: Final = ("second", "minute", "hour", "day of month", "month", "day of week")
_HORIZON: Final = timedelta(days=366 * 8)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Instants, in UTC, to the second. ``fields`` are seconds, minutes, hours, days, months, weekdays (0 is Sunday)."""

    fields: tuple[frozenset[int], ...]
    any_day: bool
    any_weekday: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError names the field that is wrong."""
        parts = text.split()
        if len(parts) not in {5, 6}:
            raise ValueError(f"schedule: expected five or six fields, found {text!r}")
        if len(parts) == 5:
            parts.insert(0, "0")
        fields = tuple(_field(part, index) for index, part in enumerate(parts))
        return cls(fields, parts[3] == "*", parts[5] == "*")

    def next(self, after: datetime) -> datetime:
        """The first instant later than ``after``. ValueError where none comes within eight years."""
        seconds, minutes, hours, _, months, _ = self.fields
        when = after.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        end = when + _HORIZON
        while when < end:
            if when.month not in months or not self._on_day(when):
                when = when.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            elif when.hour not in hours:
                when = when.replace(minute=0, second=0) + timedelta(hours=1)
            elif when.minute not in minutes:
                when = when.replace(second=0) + timedelta(minutes=1)
            elif when.second not in seconds:
                when += timedelta(seconds=1)
            else:
                return when
        raise ValueError("schedule: never due")

    def _on_day(self, when: datetime) -> bool:
        day = when.day in self.fields[3]
        weekday = (when.weekday() + 1) % 7 in self.fields[5]
        # Cron's oldest rule: two restricted day fields are alternatives, not conditions.
        return day and weekday if self.any_day or self.any_weekday else day or weekday


def _field(text: str, index: int) -> frozenset[int]:
    low, high = _RANGES[index]
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        start, dash, stop = span.partition("-")
        try:
            first = low if span == "*" else int(start)
            last = high if span == "*" or (slash and not dash) else int(stop if dash else start)
            stride = int(step) if slash else 1
        except ValueError:
            raise ValueError(f"schedule, {_NAMES[index]}: expected numbers, found {text!r}") from None
        if not (low <= first <= last <= high and stride > 0):
            raise ValueError(f"schedule, {_NAMES[index]}: expected {low} to {high}, found {text!r}")
        values.update(range(first, last + 1, stride))
    return frozenset(values)
