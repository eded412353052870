"""A store that dies under its writers, or is away; a call that dies with its process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from functions.rehearse.points import Points, Write, shape
from shared.adapters.memory import MemoryStore
from shared.errors import StoreUnavailableError

WRITES: Final = frozenset({"put", "put_new", "put_if", "copy", "delete", "upload", "put_part", "complete", "abort"})


class Crash(BaseException):
    """The process died here. No ``except Exception`` may catch it."""


class FragileStore:
    """The store as functions and Jobs see it. ``die_at``: the write (from 1) around which the process dies.

    ``before``: whether that write is not done any more. ``points``: at which writes it dies besides, and which there
    are; ``who``: whose writes they are.
    """

    def __init__(self, inner: MemoryStore) -> None:
        self._inner = inner
        self.away = False
        self.die_at = 0
        self.before = False
        self.points: Points | None = None
        self.who = ""

    @contextmanager
    def used_by(self, who: str) -> Iterator[None]:
        """What is written here is written by a function; it does not die of what is left of an earlier call."""
        before, self.who = self.who, who
        try:
            yield
        finally:
            self.who, self.die_at = before, 0

    @contextmanager
    def there(self) -> Iterator[None]:
        """It is not away for whoever only looks at what came of it all."""
        before, self.away = self.away, False
        try:
            yield
        finally:
            self.away = before

    def multipart(self, *args: Any, **kwargs: Any) -> Any:
        self._ask()
        return _Upload(self, self._inner.multipart(*args, **kwargs), args)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        found = self.writing(name, real) if name in WRITES else self._reading(real)
        # From now on an attribute as any other, which is found without asking here.
        setattr(self, name, found)
        return found

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailableError("the store is away")

    def _reading(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def read(*args: Any, **kwargs: Any) -> Any:
            if self.away:
                self._ask()
            return real(*args, **kwargs)

        return read

    def writing(self, kind: str, real: Callable[..., Any], place: tuple[str, ...] = ()) -> Callable[..., Any]:
        """``real``, around which the process may die. ``place``: bucket and key, where the write does not name them."""

        def write(*args: Any, **kwargs: Any) -> Any:
            if self.away:
                self._ask()
            if self.points is not None and self.who:
                bucket, key = place or (args[2:4] if kind == "copy" else args[:2])
                when = self.points.dies(Write(self.who, kind, bucket, shape(key)))
                if when == "after":
                    real(*args, **kwargs)
                if when is not None:
                    raise Crash
            if not self.die_at:
                return real(*args, **kwargs)
            self.die_at -= 1
            if self.die_at:
                return real(*args, **kwargs)
            if not self.before:
                real(*args, **kwargs)
            raise Crash

        return write


class _Upload:
    """A multipart upload whose writes count as the store's."""

    def __init__(self, store: FragileStore, inner: Any, place: tuple[str, ...]) -> None:
        self._store, self._inner, self._place = store, inner, place[:2]

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        return self._store.writing(name, real, self._place) if name in WRITES else real
