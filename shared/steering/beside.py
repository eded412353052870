"""Submit a session: its raw data are processed once more, in a session of their own beside it.

That one is bound to the strategy of now, and of class reprocessing: a rule gives it another processor set, so that two
baselines of one downlink stand on the shelf. Nothing of the first session is read but ``complete.json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.bootstrap import Services
from shared.domain.names import SessionId, beside, downlink_of
from shared.errors import BadInputError, ObjectAbsentError, RefusedError
from shared.ledger import keys
from shared.ledger.records import Complete, SessionChunk
from shared.ledger.standing import account_in_force
from shared.parallel import pool_of
from shared.steering.done import Deed, Done
from shared.workflow.ruling import ruling_of

_THREADS: Final = 16
_SHOWN: Final = 3


def submit_session(services: Services, target: str, action: str, who: str, reason: str, *, dry_run: bool) -> Done:
    """Process the raw data of a complete session once more, under the strategy that is active.

    What was submitted under that strategy before is not submitted again: an interrupted command is repeated.
    ObjectAbsentError where there is no such session; RefusedError where it is under way, or its raw data have gone.
    """
    if downlink_of(target) != target:
        raise RefusedError(f"session {target}: it stands beside {downlink_of(target)}; submit that one")
    first = _complete(services, target)
    strategy = services.active_strategy()
    session, before = _place(services, target, strategy)
    deed = Deed(services, action, target, who, reason, dry_run)
    if before:
        return deed.done(session, "it was submitted under the active strategy before; status tells what came of it")
    _require(services, target, first.files)
    deed.begin(session)
    made = first.model_copy(
        update={
            "created": deed.now,
            "traceparent": services.trace(session),
            "session": session,
            "t0": deed.now,
            "strategy": strategy,
            "work_class": "reprocessing",
        }
    )
    deed.start(made)
    ruling = ruling_of(services.strategy_of(strategy), made)
    own = ruling.whole.decision.processor_set or services.settings.processor_set
    sets = ", parts of it by ".join([own, *sorted(ruling.other_sets)])
    return deed.done(session, f"{len(first.files)} raw files are processed once more, by processor set {sets}")


def is_session(text: str) -> bool:
    """Whether a text is the name of a session of a station, or of one beside it."""
    try:
        SessionId.parse(downlink_of(text))
    except BadInputError:
        return False
    return True


def _complete(services: Services, session: str) -> Complete:
    found = services.ledger.find(keys.complete(session), Complete)
    if found is not None:
        return found
    if not any(True for _ in services.ledger.list(keys.session(session))):
        raise ObjectAbsentError(f"session {session}: the ledger knows nothing of it")
    raise RefusedError(f"session {session}: it is not complete yet; s2ps why {session} says what it waits for")


def _place(services: Services, session: str, strategy: str) -> tuple[str, bool]:
    """The session beside it that is processed under this strategy, and whether it is complete; else the next free.

    RefusedError where another one of the downlink is under way: products of Level 0 that are made in the same second
    would have one name.
    """
    number, others = 2, [session]
    while (found := services.ledger.find(keys.complete(beside(session, number)), Complete)) is not None:
        if found.strategy == strategy:
            return found.session, True
        others.append(found.session)
        number += 1
    for other in others:
        if account_in_force(services.ledger, other) is None:
            raise RefusedError(f"session {other}: it is under way; submit {session} when its account is closed")
    return beside(session, number), False


def _require(services: Services, session: str, files: Sequence[SessionChunk]) -> None:
    """RefusedError where raw files have gone from the store, or are of another size."""
    store, bucket = services.store, services.settings.bucket_sessions
    with pool_of(_THREADS, len(files)) as pool:
        found = list(pool.map(lambda chunk: store.head(bucket, chunk.key), files))
    gone = [c.name for c, info in zip(files, found, strict=True) if info is None or info.size != c.size]
    if gone:
        shown = ", ".join(gone[:_SHOWN]) + (", ..." if len(gone) > _SHOWN else "")
        raise RefusedError(f"session {session}: {len(gone)} of {len(files)} raw files are no longer there: {shown}")
