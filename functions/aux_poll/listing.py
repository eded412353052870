"""The first half of a poll: what a source has published is written down as pending, and how far it was listed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from functions.aux_poll.records import (
    Cursor,
    Pending,
    Refused,
    cursor_key,
    mark,
    pending_key,
    pending_prefix,
    refused_key,
    refused_prefix,
)
from shared.adapters.auxip import AuxiliaryProduct, AuxipSource
from shared.auxiliary.intake import Intake
from shared.domain.auxiliary.names import AuxiliaryName
from shared.errors import BadInputError
from shared.ledger.ledger import Ledger
from shared.places import AuxipSettings

_log: Final = logging.getLogger(__name__)


@dataclass
class Lister:
    """Lists one source. What it remembers of earlier polls only saves requests."""

    source: AuxipSource
    settings: AuxipSettings
    intake: Intake
    records: Ledger
    _known: set[str] = field(default_factory=set)

    def run(self, traceparent: str = "") -> int:
        """List what was published since; returns how many products are new.

        The listing begins before the newest publication date seen, never at a time of this machine's: clocks differ,
        and a product may become visible after a later one. Only a listing that came to its end moves that date.
        """
        now = self.intake.clock.now()
        cursor = self.records.find(cursor_key(self.source.name), Cursor)
        since, looked_back = self._since(cursor, now)
        newest, new, listed = (cursor.newest if cursor else since), 0, set[str]()
        done = _marks(self.records, pending_prefix(self.source.name), 16)
        done |= _marks(self.records, refused_prefix(self.source.name), 0)
        for product in self.source.published(since):
            if product.published is not None:
                # A date to come is a wrong one, and would make us miss all that is published until then.
                newest = max(newest, min(product.published, now))
            listed.add(product.id)
            if product.id not in self._known and mark(product.id) not in done:
                new += self._note(product, traceparent)
        self._known = listed
        after = Cursor(
            created=now, traceparent=traceparent, source=self.source.name, newest=newest, looked_back=looked_back
        )
        if cursor is None or (cursor.newest, cursor.looked_back) != (after.newest, after.looked_back):
            self.records.store.put(self.records.bucket, cursor_key(self.source.name), after.to_json())
        return new

    def _since(self, cursor: Cursor | None, now: datetime) -> tuple[datetime, datetime]:
        """Where the listing begins, and when the last long one was made, this one included."""
        settings = self.settings
        if cursor is None:
            return now - timedelta(days=settings.first_days), now
        if abs(now - cursor.looked_back) >= timedelta(seconds=settings.lookback_every_s):
            return cursor.newest - timedelta(seconds=max(settings.lookback_s, settings.overlap_s)), now
        return cursor.newest - timedelta(seconds=settings.overlap_s), cursor.looked_back

    def _note(self, product: AuxiliaryProduct, traceparent: str) -> bool:
        """Write a product down that is wanted and not here yet; whether it was."""
        kind = product.name[9:19]
        if self.intake.table.find(kind) is None or kind in self.settings.excluded:
            return False
        now = self.intake.clock.now()
        try:
            name = self.intake.name_of(product.name)
        except BadInputError as error:
            refusal = Refused(
                created=now,
                traceparent=traceparent,
                source=self.source.name,
                id=product.id,
                file=ascii(product.name)[:200],
                tries=0,
                reason=str(error),
            )
            self.records.create(refused_key(self.source.name, product.id), refusal)
            _log.warning("AUXIP %s: %.160r refused: %s", self.source.name, product.name, error)
            return False
        if not self._wanted(name):
            return False
        pending = Pending(
            created=now,
            traceparent=traceparent,
            source=self.source.name,
            id=product.id,
            file=product.name,
            published=product.published,
            size=product.size,
            md5=product.md5,
            sha256=product.sha256,
        )
        return self.records.create(pending_key(self.source.name, product.id, product.published), pending)

    def _wanted(self, name: AuxiliaryName) -> bool:
        return name.file_class in self.settings.classes and not self.intake.catalogue.has(name)


def _marks(records: Ledger, prefix: str, skip: int) -> set[str]:
    return {info.key.removeprefix(prefix)[skip:].removesuffix(".json") for info in records.list(prefix)}
