"""What a set-up found and did, thing by thing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from shared.errors import RetryableError, S2psError

State: TypeAlias = Literal["created", "changed", "unchanged", "manual", "failed"]
Kind: TypeAlias = Literal["bucket", "lifecycle", "webhook", "topic", "notification", "subscription"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing. ``manual``: this store has no way to do it, and ``note`` says what is to be done by hand."""

    kind: Kind
    name: str
    state: State
    note: str = ""


@dataclass(slots=True)
class Report:
    """All things, in the order in which they were looked at. ``applied`` is False for a dry run: nothing was done."""

    store: str
    applied: bool
    items: list[Item] = field(default_factory=list)
    again: bool = False
    """Something failed that may succeed later."""

    def add(self, kind: Kind, name: str, state: State, note: str = "") -> None:
        self.items.append(Item(kind, name, state, note))

    def count(self, state: State) -> int:
        return sum(item.state == state for item in self.items)

    @contextmanager
    def attempt(self, kind: Kind, name: str) -> Iterator[None]:
        """What goes wrong with one thing is told of that thing, and the others are seen to."""
        try:
            yield
        except S2psError as error:
            self.again |= isinstance(error, RetryableError)
            self.add(kind, name, "failed", str(error))

    def after(self, earlier: Report | None) -> Report:
        """This report, with what an earlier attempt of the same set-up had created or changed told as that."""
        if earlier is not None:
            done = {(each.kind, each.name): each for each in earlier.items if each.state in {"created", "changed"}}
            self.items = [
                done.get((each.kind, each.name), each) if each.state == "unchanged" else each for each in self.items
            ]
        return self


@dataclass(frozen=True, slots=True)
class Target:
    """Where notifications are to go: the settings that every store needs. ``url`` empty: nowhere."""

    url: str
    token: str
    bucket: str
