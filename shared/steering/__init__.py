"""What an operator may do about sessions, work and events: retry, park, release, replay, and submit a product.

An operator stands outside the cluster and reaches nothing but the store. An action is a few writes to the ledger: the
first tells who asked for what and why, each of the others wakes functions by its notification, and the sweep is the
guarantee. An action may be repeated, interrupted after any write and repeated, and races with the service; how, says
``docs/decisions/0013-steering.md``.

Each takes ``(services, target, *, who, reason, dry_run=False)`` and returns what was done, or with ``dry_run`` what
would be. BadInputError: the target, the name or the reason is malformed. ObjectAbsentError: the ledger knows no such
target. RefusedError: the state does not allow it; its sentence says what would.
"""

from __future__ import annotations

from shared.errors import RefusedError
from shared.steering.bulk import LetterFilter, ParkedFilter, dead_letters, parked_work
from shared.steering.done import Done
from shared.steering.given import arrived
from shared.steering.holding import park, release
from shared.steering.replaying import replay
from shared.steering.rerunning import rerun
from shared.steering.retrying import retry
from shared.steering.submitting import products_below, submit

__all__ = [
    "Done",
    "LetterFilter",
    "ParkedFilter",
    "RefusedError",
    "arrived",
    "dead_letters",
    "park",
    "parked_work",
    "products_below",
    "release",
    "replay",
    "rerun",
    "retry",
    "submit",
]
