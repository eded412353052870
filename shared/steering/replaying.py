"""Replay: an event happens again, because its record is written again with the same bytes."""

from __future__ import annotations

from typing import Final

from shared.bootstrap import Services
from shared.domain.events import JOB_CHANGED, PING, TIMER_DUE
from shared.errors import BadInputError, ObjectAbsentError, RefusedError
from shared.ledger import keys
from shared.ledger.records import DeadLetter, Published, Replayed
from shared.steering.done import Deed, Done

REPLAY: Final = "replay"
_LETTERS: Final = "dead-letters/"
_MARKS: Final = "/replayed/"
_CREATED: Final = "com.amazonaws.s3.ObjectCreated:"
# The ends of those keys below a session whose notifications wake a function, and what stands below products/.
_WAKING: Final = (
    "/complete.json",
    "/order.json",
    "/outcome.json",
    "/waiting.json",
    "/hold.json",
    ".ended.json",
    ".receipt.json",
)


def replay(services: Services, target: str, *, who: str, reason: str, dry_run: bool = False) -> list[Done]:
    """Make an event happen again: by the key of its ledger record, by its dead letter, or by its id.

    RefusedError where the record's notification would wake nobody. The event of a timer, of a Job, or of a tick is not
    in the ledger: the answer says what stands in for it.
    """
    if target.startswith(_LETTERS) or "/" not in target:
        key = _letter_key(services, target)
        letter = services.ledger.read(key, DeadLetter)
        return [_replay_letter(services, key, letter, who, reason, dry_run=dry_run)]
    deed = Deed(services, REPLAY, _session_of(services, target), who, reason, dry_run)
    _announce(deed, target)
    return [deed.done(target, "the store announces it again")]


def _letter_key(services: Services, target: str) -> str:
    """The dead letter of this key or event id. ObjectAbsentError where there is none."""
    ledger = services.ledger
    if target.startswith(_LETTERS):
        if _MARKS in target:
            raise BadInputError("target", "a dead letter, not the mark beside it", target)
        if not ledger.exists(target):
            raise ObjectAbsentError(f"dead letter {target}: the ledger knows nothing of it")
        return target
    if not target.strip():
        raise BadInputError("target", "a ledger key, an event id, or a dead letter", target)
    name = f"/{keys.safe_name(target)}.json"
    found = [info.key for info in ledger.list(_LETTERS) if info.key.endswith(name) and _MARKS not in info.key]
    if not found:
        raise ObjectAbsentError(f"event {target}: no dead letter has this id; the key of its ledger record will do")
    return found[-1]


def _replay_letter(services: Services, key: str, letter: DeadLetter, who: str, reason: str, *, dry_run: bool) -> Done:
    kind, source = str(letter.event.get("type", "")), str(letter.event.get("source", ""))
    subject = str(letter.event.get("subject", ""))
    if kind.startswith(_CREATED):
        if source != services.ledger.bucket:
            raise RefusedError(f"dead letter {key}: an object of bucket {source} wakes no function")
        deed = Deed(services, REPLAY, _session_of(services, subject), who, reason, dry_run)
        _announce(deed, subject)
        note = "the store announces its record again"
    else:
        note = _stand_in(key, kind)
        deed = Deed(services, REPLAY, "", who, reason, dry_run)
        deed.begin(key)
    record = Replayed(
        created=deed.now, traceparent=letter.traceparent, dead_letter=key, who=who, reason=reason, note=note
    )
    deed.write(keys.replayed(key), record)
    return deed.done(key, note)


def _stand_in(key: str, kind: str) -> str:
    """What makes up for an event that stands in no record."""
    if kind == TIMER_DUE:
        return "its timer stays until it is handled: the next sweep sends it again"
    if kind.startswith(JOB_CHANGED.rsplit(".", 1)[0]):
        return "the sweep asks each attempt under way for its Job: it settles one that has ended"
    if kind == PING:
        return "the next tick does the same"
    raise RefusedError(f"dead letter {key}: an event of type {kind[:80]!r} is none that a function handles")


def _session_of(services: Services, key: str) -> str:
    """The session that a record belongs to. RefusedError where its notification would wake nobody."""
    place = keys.parse_session(key)
    if place is not None and (place[1].startswith("seen/") or f"/{place[1]}".endswith(_WAKING)):
        return place[0]
    if key.startswith("products/"):
        return services.ledger.read(key, Published).session
    raise RefusedError(
        f"ledger record {key}: no function is woken by it; seen/, *{', *'.join(_WAKING)} and products/ wake one"
    )


def _announce(deed: Deed, key: str) -> None:
    if not deed.services.ledger.exists(key):
        raise ObjectAbsentError(f"ledger record {key}: it is not there")
    deed.begin(key)
    if not deed.again(key):
        raise ObjectAbsentError(f"ledger record {key}: it has gone just now")
