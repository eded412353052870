"""Which of the work that waits goes first, and why none of it waits for ever: one number for every place that orders.

Work of the highest urgency goes first; among equals the earliest deadline. Urgency is the priority, and one more for
each ``STEP`` past the deadline, up to ``CEILING``, which no priority exceeds. So work of the lowest priority is as
urgent as any other after ``(CEILING - priority) * STEP`` past its deadline, and goes first then, since its deadline is
the earlier one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

STEP: Final = timedelta(minutes=5)
CEILING: Final = 1100
"""The highest priority that a strategy gives (1000), and the class of near-real-time sessions (100)."""


def urgency(priority: int, deadline: datetime, now: datetime) -> int:
    """The priority of work that waits, with what its lateness adds."""
    return max(priority, min(priority + max(0, (now - deadline) // STEP), CEILING))


def grows_at(priority: int, deadline: datetime, now: datetime) -> datetime | None:
    """When ``urgency`` will be another number than now; None where it will not."""
    if urgency(priority, deadline, now) >= CEILING:
        return None
    return deadline + STEP * (max(0, (now - deadline) // STEP) + 1)
