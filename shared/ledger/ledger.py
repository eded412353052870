"""Reading and writing of ledger records: conditional writes are the only locks of the service (rule 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from pydantic import ValidationError

from shared.errors import BadInputError, ObjectAbsentError
from shared.ledger import keys
from shared.ledger.records import Record, Timer
from shared.parallel import pool_of
from shared.ports import Clock, ObjectInfo, ObjectStore

R = TypeVar("R", bound=Record)
_FEW: Final = 12


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger bucket of ``store``."""

    store: ObjectStore
    bucket: str
    clock: Clock

    def create(self, key: str, record: Record) -> bool:
        """First write wins; False where a record stood there already, which is no error."""
        return self.store.put_new(self.bucket, key, record.to_json(), metadata=_carrier(record))

    def replace(self, key: str, record: Record, etag: str) -> bool:
        """Replace the record that has ``etag``; False where it changed meanwhile."""
        return self.store.put_if(self.bucket, key, record.to_json(), etag, metadata=_carrier(record))

    def read(self, key: str, model: type[R]) -> R:
        """The record at ``key``. ObjectAbsentError where there is none, BadInputError where it breaks its model."""
        return self.read_with_etag(key, model)[0]

    def read_with_etag(self, key: str, model: type[R]) -> tuple[R, str]:
        """The record at ``key`` and the etag that ``replace`` takes."""
        body, info = self.store.get(self.bucket, key)
        try:
            return model.model_validate_json(body), info.etag
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            said = first["msg"].removeprefix("Value error, ")
            where = ".".join(str(part) for part in first["loc"])
            if said.startswith("schema: expected "):  # the model's own check: a record of another version
                where, said = "schema", said.removeprefix("schema: expected ")
            raise BadInputError(f"ledger record {key}{', ' if where else ''}{where}", said) from None

    def find(self, key: str, model: type[R]) -> R | None:
        """The record at ``key``, or None."""
        try:
            return self.read(key, model)
        except ObjectAbsentError:
            return None

    def read_many(self, record_keys: Iterable[str], model: type[R]) -> list[R]:
        """The records at these keys, in their order, several at a time. ObjectAbsentError where one is missing."""
        wanted = list(record_keys)
        with pool_of(8, len(wanted)) as pool:
            return list(pool.map(lambda key: self.read(key, model), wanted))

    def find_many(self, record_keys: Iterable[str], model: type[R]) -> list[R | None]:
        """The records at these keys, in their order, several at a time; None for each that is not there."""
        wanted = list(record_keys)
        with pool_of(16, len(wanted)) as pool:
            return list(pool.map(lambda key: self.find(key, model), wanted))

    def exists(self, key: str) -> bool:
        return self.store.head(self.bucket, key) is not None

    def all_exist(self, record_keys: Iterable[str]) -> bool:
        """Whether there is a record at each of these keys; many are asked for several at a time."""
        wanted = list(record_keys)
        if len(wanted) < _FEW:
            return all(map(self.exists, wanted))
        # The last first: what is written one after the other lacks its end.
        if not self.exists(wanted[-1]):
            return False
        with pool_of(16, len(wanted)) as pool:
            return all(pool.map(self.exists, wanted))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Records below ``prefix``, in the order of their keys."""
        return self.store.list(self.bucket, prefix)

    def delete(self, key: str) -> None:
        self.store.delete(self.bucket, key)

    def due_timers(
        self, now: datetime, unreadable: Callable[[BadInputError], object] | None = None
    ) -> Iterator[tuple[str, Timer]]:
        """(key, timer) of each timer due at ``now``. Keys sort by due minute, so only due ones are listed.

        Where ``unreadable`` is given, it is told what is wrong with a timer, which then keeps back no later one.
        """
        end = f"{keys.TIMERS}{now:%Y%m%dT%H%M}/~"
        for info in self.list(keys.TIMERS):
            if info.key > end:
                return
            try:
                timer = self.find(info.key, Timer)
            except BadInputError as error:
                if unreadable is None:
                    raise
                unreadable(error)
                continue
            if timer is not None and timer.due <= now:
                yield info.key, timer


def _carrier(record: Record) -> dict[str, str]:
    return {"traceparent": record.traceparent} if record.traceparent else {}
