"""What must hold at the end of a rehearsal, whatever went wrong: each that does not is told in one sentence."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator

from functions.rehearse.world import World
from shared.errors import AbsentError
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.records import Account, Complete, Published
from shared.workflow.products import product_key


def of_session(world: World, session: str) -> Iterator[str]:
    """Of a session whose account is closed: the sum is 100 %, and each product that it names is there, whole, once."""
    ledger = world.services.ledger
    account = ledger.read(keys.account(session), Account)
    sums = account.produced + account.absent + account.parked
    if sums != len(account.entries):
        yield f"{session}: its account names {len(account.entries)} products and counts {sums}"
    twice = [
        each
        for each, count in Counter((e.level, e.step, e.unit, e.product) for e in account.entries).items()
        if count > 1
    ]
    if twice:
        yield f"{session}: its account names {twice[0][3]} twice"
    complete = ledger.find(keys.complete(session), Complete)
    if complete is not None and not account.entries and not account.not_owed:
        yield f"{session}: it was complete, and its account is empty"
    for entry in account.entries:
        if entry.ended != "produced":
            if not entry.reason:
                yield f"{session}: {entry.product} is {entry.ended}, and nobody says why"
            continue
        assert entry.at is not None  # noqa: S101 - what is produced has its time
        yield from _of_product(world, session, product_key(entry.level, entry.product, entry.at))
    for prefix, work in sort_work(ledger.list(f"{keys.session(session)}work/")).items():
        if work.order is not None and work.outcome is None and work.hold is None and not account.held:
            yield f"{session}: it is closed, and {prefix} has no outcome"


def _of_product(world: World, session: str, key: str) -> Iterator[str]:
    try:
        record = world.services.ledger.read(key, Published)
        body, _ = world.memory.get(record.bucket, record.manifest)
        if record.session != session:
            yield f"{key}: it is on the shelf for {record.session}, and in the account of {session}"
        for file in json.loads(body)["files"]:
            content, _ = world.memory.get(record.bucket, f"{record.prefix}{file['path']}")
            if hashlib.sha256(content).hexdigest() != file["sha256"]:
                yield f"{key}: {file['path']} is not what the manifest says"
    except AbsentError as error:
        yield f"{session}: {key} counts as produced: {error}"


def of_world(world: World, sessions: dict[str, bool]) -> Iterator[str]:
    """Of all at the end; ``sessions``: whether each that came down was closed."""
    for session, closed in sessions.items():
        if not closed:
            yield f"{session}: it came down, and has no account"
    left = [info.key for info in world.services.ledger.list(keys.OPEN)]
    for key in left:
        if sessions.get(key.removeprefix(keys.OPEN), True):
            yield f"{key}: it is marked open, and its account is closed"
