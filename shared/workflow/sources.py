"""Reading, out of the ledger, what the pure plan works on."""

from __future__ import annotations

from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Complete, Outcome
from shared.workflow.plan import Source


def read_source(ledger: Ledger, key: str) -> Source:
    """The complete.json or outcome.json at ``key``. BadInputError for other keys, ObjectAbsentError where it is not."""
    place = keys.parse_work(key)
    if place is not None and place[1] == "outcome.json":
        return Source(key, ledger.read(key, Outcome), place[0].session)
    session = keys.parse_session(key)
    if session is not None and session[1] == "complete.json":
        return Source(key, ledger.read(key, Complete), session[0])
    raise BadInputError("event, subject", "the key of a complete.json or an outcome.json", key)
