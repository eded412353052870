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
from shared.ledger.records import Account, Complete, Outcome, Published
from shared.ports import ObjectInfo
from shared.workflow.products import product_key, product_name, published_artifacts


class Once:
    """What may be written or started only once, watched as it is: products, outcomes, accounts, Jobs.

    Nobody grants new attempts in a rehearsal, or opens an account again, so that none of them is ever replaced.
    """

    def __init__(self, ledger: str) -> None:
        self._ledger = ledger
        self._seen = set[str]()
        self._jobs = set[str]()
        self.broken: list[str] = []

    def written(self, bucket: str, info: ObjectInfo) -> None:
        """A store's watcher."""
        key = info.key
        ours = bucket == self._ledger
        if ours and key.startswith("products/"):
            # By its name: were it dated otherwise the second time, its key would be another.
            self._take("product", key.rpartition("/")[2])
        elif (ours and key.endswith(("/outcome.json", "/account.json"))) or key.endswith("/manifest.json"):
            self._take("record", f"{bucket}/{key}")

    def started(self, job: str, *, over: bool) -> None:
        """A Job is asked for, and the cluster knows none of that name; ``over``: its end is in the ledger already.

        One that is gone and of whose end nobody wrote down anything is started again, as its attempt goes on.
        """
        if job in self._jobs and over:
            self.broken.append(f"Job {job}: it was there already, and its end is known")
        self._jobs.add(job)

    def _take(self, kind: str, name: str) -> None:
        if name in self._seen:
            self.broken.append(f"{kind} {name}: it was there already")
        self._seen.add(name)


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
    yield from _owed(world, session, account)
    for prefix, work in sort_work(ledger.list(f"{keys.session(session)}work/")).items():
        if work.order is not None and work.outcome is None and work.hold is None and not account.held:
            yield f"{session}: it is closed, and {prefix} has no outcome"


def _owed(world: World, session: str, account: Account) -> Iterator[str]:
    """What outcomes made and named is in the account, each once, and nothing else is called produced.

    Reckoned from the outcomes alone: by the products that each holds, and by the tiles that it names, each of which
    owes what the steps over tiles publish, unless nobody asks for it.
    """
    workflow = world.services.workflow
    made, tiles = Counter[str](), Counter[str]()
    for info in world.services.ledger.list(f"{keys.session(session)}work/"):
        place = keys.parse_work(info.key)
        if place is None or place[1] != "outcome.json":
            continue
        outcome = world.services.ledger.read(info.key, Outcome)
        made.update(product_name(artifact) for _, artifact in published_artifacts(workflow, outcome))
        tiles.update(f"{outcome.unit}-T{name}" for name in outcome.units.get("tile", ()))
        attempt = f"{session}/{outcome.step}/{outcome.unit}/{place[0].digest}/{outcome.attempt}/"
        if any(artifact.prefix and not artifact.prefix.startswith(attempt) for artifact in outcome.outputs):
            yield f"{info.key}: it holds what another attempt made"
    named = Counter(entry.product for entry in account.entries if entry.ended == "produced")
    if named != made:
        wrong = min((named - made) + (made - named))
        yield f"{session}: {made.total()} products were made, {named.total()} are in its account: {wrong} differs"
    if account.not_owed:
        return
    for step in workflow.steps:
        levels = [str(output.publish) for output in workflow.publishes(step.name) if output.mandatory]
        if workflow.unit(step.name) == "tile":
            ended = Counter(entry.unit for entry in account.entries if entry.step == step.name and "-T" in entry.unit)
            short = [unit for unit in tiles if ended[unit] != len(levels)] if levels else []
            if short:
                yield f"{session}: {step.name} owes {len(levels)} of {short[0]}, its account has {ended[short[0]]}"


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
