"""Where the time went from a session's last file to a product on the shelf, and what of it is the service's own.

The critical path is walked backwards from the product: at each join to what came last. Its parts follow on one another
without gap or overlap, so they sum to the whole; an IPF counts where it lies on that path, and nowhere else. Pure.
"""

from shared.domain.overhead.calls import Call, Calls, calls_by_cause, refined
from shared.domain.overhead.model import (
    OWN,
    Arrival,
    CriticalPath,
    File,
    Kind,
    Lost,
    Part,
    Product,
    Run,
    Spread,
    Story,
    Work,
    spread,
)
from shared.domain.overhead.path import critical_path

__all__ = [
    "OWN",
    "Arrival",
    "Call",
    "Calls",
    "CriticalPath",
    "File",
    "Kind",
    "Lost",
    "Part",
    "Product",
    "Run",
    "Spread",
    "Story",
    "Work",
    "calls_by_cause",
    "critical_path",
    "refined",
    "spread",
]
