"""Which of the work that waits goes first: one instant by which every place orders.

The turn of work is its deadline, brought forward by ``STEP`` for each point of its priority. What has the earliest turn
goes first: among equal priorities the earliest deadline. A turn never changes while work waits, so nothing waits for
ever: whatever is due ``(priority difference) * STEP`` later than it comes after it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

STEP: Final = timedelta(minutes=5)
CEILING: Final = 1100
"""The highest priority: what a strategy gives at most (1000), and the class of near-real-time sessions (100)."""


def turn(priority: int, deadline: datetime) -> datetime:
    """By when work is to go: the earlier, the sooner it goes."""
    return deadline - priority * STEP
