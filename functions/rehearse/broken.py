"""A store that dies under its writers, or is away; a call that dies with its process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from shared.adapters.memory import MemoryStore
from shared.errors import StoreUnavailableError

WRITES: Final = frozenset({"put", "put_new", "put_if", "copy", "delete", "upload", "put_part", "complete", "abort"})


class Crash(BaseException):
    """The process died here. No ``except Exception`` may catch it."""


class FragileStore:
    """The store as functions and Jobs see it. ``die_at``: the write (from 1) around which the process dies.

    ``before``: whether that write is not done any more.
    """

    def __init__(self, inner: MemoryStore) -> None:
        self._inner = inner
        self.away = False
        self.die_at = 0
        self.before = False
        self._kept: dict[str, Callable[..., Any]] = {}

    def multipart(self, *args: Any, **kwargs: Any) -> Any:
        self._ask()
        return _Upload(self, self._inner.multipart(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        found = self._kept.get(name)
        if found is None:
            real = getattr(self._inner, name)
            found = self._kept[name] = self.writing(real) if name in WRITES else self._reading(real)
        return found

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailableError("the store is away")

    def _reading(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def read(*args: Any, **kwargs: Any) -> Any:
            self._ask()
            return real(*args, **kwargs)

        return read

    def writing(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """``real``, around which the process may die."""

        def write(*args: Any, **kwargs: Any) -> Any:
            self._ask()
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

    def __init__(self, store: FragileStore, inner: Any) -> None:
        self._store, self._inner = store, inner

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        return self._store.writing(real) if name in WRITES else real
