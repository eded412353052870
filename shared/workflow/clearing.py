"""What a session leaves on the volumes that its datastrips share, and the timer at which that goes.

It is written before the session's account, so there is no account without it; whoever takes it up looks at how the
session stands by then.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from shared.domain.deadlines import BUDGETS
from shared.domain.urgency import CEILING
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Account, timer_due
from shared.ports import CLEAN, JobSpec
from shared.workflow.graph import Workflow

# The kind of the timer, and so the subject of its event.
CLEAR: Final = "clear"
_MEMORY_MB: Final = 512
_TIME_LIMIT_S: Final = 4 * 3600


def claims(workflow: Workflow) -> tuple[str, ...]:
    """The claims of the volumes that steps of this workflow share, whichever set they are bound to."""
    processors = [each for bound in workflow.sets for each in bound.processors.values()]
    return tuple(dict.fromkeys(each.shared.claim for each in processors if each.shared is not None))


def arm(ledger: Ledger, workflow: Workflow, account: Account, keep_s: float) -> None:
    """Write the timer for what the session of ``account`` left; nothing where no step shares a volume."""
    if claims(workflow):
        rearm(ledger, account.session, account.created + timedelta(seconds=keep_s), 1, account.traceparent)


def rearm(ledger: Ledger, session: str, due: datetime, number: int, trace: str) -> None:
    """Write the timer for try ``number`` at a session."""
    record = timer_due(due, due, CLEAR, session, str(number), trace)
    # The folder of timers tells the minute; accounts of one session may be written twice in it.
    ledger.create(keys.timer(due, CLEAR, f"{keys.safe_name(session)}-{number}-{due:%S%f}"), record)


def clearing_job(account: Account, claim: str, number: int) -> JobSpec:
    """The Job that clears a claim: the same for the same account, however often it is asked for."""
    content = f"{account.session} {account.created.isoformat()} {claim}\n"
    return JobSpec(
        name=f"clear-{hashlib.sha256(content.encode()).hexdigest()[:32]}-{number}",
        work="",
        attempt=number,
        session=account.session,
        step=CLEAN,
        unit=claim,
        cpus=0.25,
        memory_mb=_MEMORY_MB,
        time_limit_s=_TIME_LIMIT_S,
        # Never before anything that a product waits for.
        deadline=account.created + timedelta(days=365) + max(BUDGETS.values()),
        priority=-CEILING,
        traceparent=account.traceparent,
    )
