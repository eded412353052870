"""Versions are kept, activations are told apart, and of two operators at once one wins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.adapters.memory import MemoryStore
from shared.bootstrap import SystemClock
from shared.domain.strategy import DEFAULT
from shared.errors import BadInputError, ObjectAbsentError, RefusedError
from shared.ledger.ledger import Ledger
from shared.ports import ObjectInfo
from shared.strategy.shelf import VERSIONS, StrategyShelf

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def document(priority: int) -> str:
    return f"name: mine\nrules:\n  - {{name: one, then: {{priority: {priority}}}}}\n"


@pytest.fixture
def shelf() -> StrategyShelf:
    clock = SystemClock()
    store = MemoryStore(clock)
    store.ensure_bucket("s2-ledger")
    return StrategyShelf(Ledger(store, "s2-ledger", clock))


def activate(shelf: StrategyShelf, priority: int, minutes: int = 0) -> str:
    when = NOW + timedelta(minutes=minutes)
    return shelf.activate(document(priority), who="ada", reason="a test", now=when).version


def test_without_any_the_default_stands(shelf: StrategyShelf) -> None:
    assert shelf.active() is None
    assert shelf.load("") is DEFAULT
    assert list(shelf.history()) == []


def test_the_newest_activation_counts(shelf: StrategyShelf) -> None:
    versions = [activate(shelf, priority, priority) for priority in range(1, 13)]
    active = shelf.active()
    assert active is not None
    assert (active.version, active.former, active.number, active.who) == (versions[-1], versions[-2], 12, "ada")
    assert [each.version for each in shelf.history()] == versions[::-1]
    assert shelf.load(active.version).rules[0].then.priority == 12
    assert shelf.load(versions[0][:12]).rules[0].then.priority == 1
    assert shelf.document(versions[3]) == document(4)


def test_back_to_what_was_before_and_forth_again(shelf: StrategyShelf) -> None:
    first, second = activate(shelf, 1), activate(shelf, 2)
    back = shelf.roll_back(who="bob", reason="tiles were late", now=NOW)
    assert (back.version, back.former) == (first, second)
    forth = shelf.roll_back(who="bob", reason="it was the weather", now=NOW)
    assert (forth.version, forth.former, forth.number) == (second, first, 4)


def test_back_to_the_default(shelf: StrategyShelf) -> None:
    activate(shelf, 1)
    back = shelf.roll_back(who="bob", reason="none after all", now=NOW)
    assert (back.version, back.name) == ("", "default")
    assert shelf.load(back.version) is DEFAULT


def test_what_is_active_is_not_activated_again(shelf: StrategyShelf) -> None:
    activate(shelf, 1)
    with pytest.raises(RefusedError, match="is active already, since 2026-11-22T12:00:00Z"):
        activate(shelf, 1)
    with pytest.raises(RefusedError, match="nothing to go back to"):
        StrategyShelf(Ledger(MemoryStore(SystemClock()), "s2-ledger", SystemClock())).roll_back(
            who="a", reason="b", now=NOW
        )


def test_of_two_at_once_one_wins_and_the_other_is_told(shelf: StrategyShelf) -> None:
    """The other's write comes between this one's look and its own write."""

    class Overtaken(Ledger):
        first = True

        def list(self, prefix: str) -> Iterator[ObjectInfo]:
            found = list(super().list(prefix))
            if type(self).first and "activations" in prefix:
                type(self).first = False
                activate(shelf, 2)
            yield from found

    slow = StrategyShelf(Overtaken(shelf.ledger.store, shelf.ledger.bucket, shelf.ledger.clock))
    with pytest.raises(RefusedError, match="another strategy was activated at the same moment"):
        activate(slow, 1)
    active = shelf.active()
    assert active is not None
    assert shelf.load(active.version).rules[0].then.priority == 2


def test_what_is_not_there_or_was_changed(shelf: StrategyShelf) -> None:
    version = activate(shelf, 1)
    with pytest.raises(ObjectAbsentError, match="strategy 0123: no version"):
        shelf.load("0123")
    store: Any = shelf.ledger.store
    body, _ = store.get("s2-ledger", f"{VERSIONS}{version}.json")
    store.put("s2-ledger", f"{VERSIONS}{version}.json", body.replace(b"priority: 1", b"priority: 9"))
    with pytest.raises(BadInputError, match="the document that it was activated with"):
        shelf.load(version)


def test_no_document_is_kept_that_is_no_strategy(shelf: StrategyShelf) -> None:
    with pytest.raises(BadInputError):
        shelf.activate("name: x\nrules: 7\n", who="ada", reason="", now=NOW)
    assert list(shelf.ledger.list("strategy/")) == []
