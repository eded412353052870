"""Clearing shared volumes: the timer of a session that was closed is due."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from shared.bootstrap import Services
from shared.domain.events import Event
from shared.errors import BadInputError, PermanentError
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Account, Cleared, Complete
from shared.ledger.standing import account_in_force
from shared.workflow.clearing import claims, clearing_job, rearm

# After so long a Job that was to clear a volume is looked for, so often at most.
AGAIN: Final = timedelta(hours=1)
TRIES: Final = 5
_log: Final = logging.getLogger(__name__)


def clear(event: Event, services: Services) -> None:
    """Start what clears the volumes of a closed session, once it has been closed for long enough.

    A session that is open, or held by an operator, keeps all it has, and is looked at again. PermanentError where
    nothing was cleared after ``TRIES``: somebody must look, and a dead letter says so.
    """
    ledger, settings = services.ledger, services.settings
    key, session = str(event.data["key"]), str(event.data["session"])
    number = _number(event)
    now, keep = services.clock.now(), timedelta(seconds=settings.shared_keep_s)
    account = _closed(ledger, session)
    if account is None:
        rearm(ledger, session, now + max(keep, AGAIN), 1, services.trace(session))
    elif account.created + keep > now:
        rearm(ledger, session, account.created + keep, 1, account.traceparent)
    else:
        left = [
            claim
            for claim in claims(services.workflow_of(ledger.find(keys.complete(session), Complete)))
            if not _is_cleared(ledger, account, claim)
        ]
        if left and number > TRIES:
            ledger.delete(key)
            raise PermanentError(
                f"session {session}: after {TRIES} tries its folder is still on the shared volume {', '.join(left)}: "
                f"see the logs of the Jobs clear-..., remove the folder {session} by hand"
            )
        for claim in left:
            services.launcher.launch(clearing_job(account, claim, number))
        if left:
            rearm(ledger, session, now + AGAIN, number + 1, account.traceparent)
    ledger.delete(key)


def _closed(ledger: Ledger, session: str) -> Account | None:
    """The account that closes the session; None while it is open, or held."""
    account = account_in_force(ledger, session)
    if account is None or account.held or ledger.exists(keys.open_marker(session)):
        _log.info("session %s: open or held, nothing of it is cleared", session)
        return None
    return account


def _is_cleared(ledger: Ledger, account: Account, claim: str) -> bool:
    return ledger.find(keys.cleared(account.session, account.created, claim), Cleared) is not None


def _number(event: Event) -> int:
    subject = str(event.data["subject"])
    if not subject.isascii() or not subject.isdigit():
        raise BadInputError("event, data, subject", "the number of the try", subject)
    return int(subject)
