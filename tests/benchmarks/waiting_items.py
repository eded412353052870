"""Requests to the store, and time, for one event among many work items that wait for auxiliary files.

Run by hand: ``python tests/benchmarks/waiting_items.py``. Requests are counted on the in-memory store, of a listing
each page of a thousand keys; the time is that of this machine, without a network.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.support.auxiliary import for_l0u, named, take_in
from tests.support.waiting import AWAITED, Crowd

CROWDS = (10, 100, 1_000, 10_000)


def complete(crowd: Crowd) -> None:
    """Another session is complete: its work comes to wait as well."""
    crowd.store.requests.clear()
    crowd.complete(crowd.waiting + 1)


def outcome(crowd: Crowd) -> None:
    """The work of a session has its outcome: what follows is ordered."""
    crowd.complete(crowd.waiting + 1)
    crowd.outcome(crowd.waiting + 1)


def unwanted(crowd: Crowd) -> None:
    """A file of a type that nobody waits for."""
    take_in(crowd.services, named("GIP_VIEDIR", 0, 3650, band="01"))
    crowd.arrival("GIP_VIEDIR")


def timer(crowd: Crowd) -> None:
    """The wait of one item is over."""
    crowd.clock.advance(601)
    crowd.timer(crowd.waiting - 1)


def wanted(crowd: Crowd) -> None:
    """The file that all wait for: the first fifty get their orders."""
    for_l0u(crowd.services, AWAITED)
    crowd.arrival()


EVENTS: tuple[tuple[str, Callable[[Crowd], None]], ...] = (
    ("a session is complete", complete),
    ("a work item has its outcome", outcome),
    ("a file nobody waits for", unwanted),
    ("a wait is over", timer),
    ("a file all wait for", wanted),
)


def main() -> int:
    """Print the figures."""
    print(f"{'':<28}" + "".join(f"{count:>18}" for count in CROWDS))
    for what, event in EVENTS:
        cells = []
        for count in CROWDS:
            crowd = Crowd(count)
            began = time.perf_counter()
            event(crowd)
            took = 1000 * (time.perf_counter() - began)
            cells.append(f"{sum(crowd.store.requests.values()):>7} {took:>7.1f} ms")
        print(f"{what:<28}" + "".join(f"{cell:>18}" for cell in cells), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
