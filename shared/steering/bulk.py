"""Many at once: which parked work, or which dead letters, fit what an operator asks for.

What is found is a list of names, and that very list is what is then done: a dry run shows it. Nothing here writes. A
record that cannot be read is left out with a warning: it can be named by itself.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from itertools import takewhile
from typing import Final

from shared.bootstrap import Services
from shared.errors import BadInputError, ObjectAbsentError
from shared.ledger import keys
from shared.ledger.attempts import failed_outcome, sort_work
from shared.ledger.records import DeadLetter
from shared.steering.anew import made_anew

_log: Final = logging.getLogger(__name__)
_READERS: Final = 8
_LETTERS: Final = "dead-letters/"
_MARKS: Final = "/replayed/"
_WILD: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class ParkedFilter:
    """Which parked work. Globs as a shell's, case counts; ``since``: it ended then or later; empty means any."""

    session: str = "*"
    step: str = ""
    reason: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters: by parts of the event's type, the function's name and the reason, a glob of the subject."""

    type: str = ""
    function: str = ""
    reason: str = ""
    subject: str = "*"
    since: datetime | None = None


def parked_work(services: Services, which: ParkedFilter) -> dict[str, tuple[str, ...]]:
    """The ledger prefixes of work that failed for good and was neither granted more attempts nor made anew since, by
    session.

    Costs a listing for each session that the glob names, however old; and a read for each work item that ended. What an
    interrupted retry has granted already is not in it: a retry of that session takes it up again.
    """
    if not which.session.strip("/") or "/" in which.session:
        raise BadInputError("session", "a session, or a glob of sessions", which.session)
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(partial(_of_session, services, which), _sessions(services, which.session))
        return {session: prefixes for session, prefixes in found if prefixes}


def _sessions(services: Services, glob: str) -> list[str]:
    """The sessions of the ledger that a glob names, in their order; only those with its plain beginning are listed."""
    begin = "".join(takewhile(lambda letter: letter not in _WILD, glob))
    folders = services.store.folders(services.ledger.bucket, f"sessions/{begin}")
    names = (folder.removeprefix("sessions/").rstrip("/") for folder in folders)
    return sorted(name for name in names if fnmatchcase(name, glob))


def _of_session(services: Services, which: ParkedFilter, session: str) -> tuple[str, tuple[str, ...]]:
    found = []
    for work in sort_work(services.ledger.list(f"{keys.session(session)}work/")).values():
        if which.step and work.place.step != which.step:
            continue
        try:
            failed = failed_outcome(services.ledger, work)
        except BadInputError as error:
            _log.warning("left out: %s", error)
            continue
        if failed is None or which.reason not in failed[0].reason:
            continue
        if which.since is None or failed[0].finished >= which.since:
            found.append(work)
    anew = made_anew(services, session, found)
    return session, tuple(sorted(work.place.prefix for work in found if work.place.prefix not in anew))


def dead_letters(services: Services, which: LetterFilter) -> tuple[str, ...]:
    """The keys of dead letters that fit and were not replayed yet, the oldest first."""
    listed = [info.key for info in services.ledger.list(_LETTERS)]
    marks = {key for key in listed if _MARKS in key}
    letters = [key for key in listed if _MARKS not in key and keys.replayed(key) not in marks]
    if which.since is not None:
        day = f"{_LETTERS}{which.since:%Y%m%d}/"
        letters = [key for key in letters if key >= day]
    with ThreadPoolExecutor(_READERS) as pool:
        found = zip(pool.map(partial(_letter, services), letters), letters, strict=True)
        chosen = [(letter.created, key) for letter, key in found if letter is not None and _fits(letter, which)]
    return tuple(key for _, key in sorted(chosen))


def _letter(services: Services, key: str) -> DeadLetter | None:
    try:
        return services.ledger.read(key, DeadLetter)
    except (BadInputError, ObjectAbsentError) as error:
        _log.warning("left out: %s", error)
        return None


def _fits(letter: DeadLetter, which: LetterFilter) -> bool:
    return (
        which.type in str(letter.event.get("type", ""))
        and which.function in letter.function
        and which.reason in letter.reason
        and fnmatchcase(str(letter.event.get("subject") or ""), which.subject)
        and (which.since is None or letter.created >= which.since)
    )
