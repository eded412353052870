"""Product intake: what was dropped into the box and is whole is submitted; what is refused is written down once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from functions.product_intake.box import Box, Found
from shared.bootstrap import Services
from shared.errors import AbsentError, BadInputError, IntegrityError, RefusedError, RetryableError
from shared.ledger import keys
from shared.ledger.records import Drop
from shared.parallel import pool_of
from shared.steering import arrived, submit
from shared.steering.paths import checked

WHO: Final = "product-intake"
_log: Final = logging.getLogger(__name__)
_SETTLED: Final = timedelta(seconds=60)
"""Files that no manifest lists may come after it: a folder is looked at when nothing has come for so long."""
_PATIENCE: Final = timedelta(minutes=30)
"""Of what is not whole, more is waited for until nothing has come for so long."""
_BUDGET: Final = timedelta(seconds=240)
_THREADS: Final = 16
_SHOWN: Final = 300
_ABOUT_THE_PRODUCT: Final = (BadInputError, IntegrityError, RefusedError, AbsentError)
"""With such an error a product is refused; with any other, the next tick tries it again."""


@dataclass
class ProductIntake:
    """Looks into the box with the memory of one instance; what is forgotten is asked of the ledger again."""

    services: Services
    _settled: set[str] = field(default_factory=set)
    _busy: Lock = field(default_factory=Lock)

    def run(self) -> int:
        """Look once; returns how many products were submitted.

        One product's trouble does not keep the others from being taken: it is raised at the end. None is begun once
        ``_BUDGET`` is over; the next tick goes on. A look that finds another under way leaves the work to it.
        """
        setting = self.services.settings.drop_box
        if not setting or not self._busy.acquire(blocking=False):
            return 0
        try:
            return self._look(Box.parse(setting))
        finally:
            self._busy.release()

    def _look(self, box: Box) -> int:
        began, taken, failures = self.services.clock.now(), 0, list[Exception]()
        for found in _in_turn(self._new(box), began):
            if self.services.clock.now() - began > _BUDGET:
                _log.info("drop box %s: more than one look takes, the next goes on", box)
                break
            try:
                taken += self._take(box, found)
            except Exception as error:  # noqa: BLE001  raised at the end: what a product meets keeps no other
                _log.warning("drop box %s, %.160r: tried again by the next look: %r", box, found.name, error)
                failures.append(error)
        # What may pass comes before what will not: the sender tries again for the former only.
        for failure in sorted(failures, key=lambda failure: not isinstance(failure, RetryableError)):
            raise failure
        return taken

    def _new(self, box: Box) -> list[Found]:
        """What lies there and has no record yet."""
        there = {keys.drop(found.name, found.mark): found for found in box.contents(self.services.store)}
        self._settled &= there.keys()
        asked = [key for key in there if key not in self._settled]
        with pool_of(_THREADS, len(asked)) as pool:
            known = list(pool.map(self.services.ledger.exists, asked))
        self._settled.update(key for key, is_known in zip(asked, known, strict=True) if is_known)
        return [found for key, found in there.items() if key not in self._settled]

    def _take(self, box: Box, found: Found) -> bool:
        """Submit one; False where it is waited for, or was refused."""
        place = f"{box}{found.name.removesuffix('/')}"
        try:
            if not self._whole(place, found):
                return False
            (done,) = submit(self.services, place, who=WHO, reason=f"dropped into {box}"[:_SHOWN])
        except _ABOUT_THE_PRODUCT as error:
            # What is being replaced is looked at again; what was taken away is nobody's trouble.
            if found in box.contents(self.services.store, found.name):
                self._write(place, found, refused=str(error))
            return False
        self._write(place, found, session=done.target)
        return True

    def _whole(self, place: str, found: Found) -> bool:
        """Whether to go on with it now: an archive is one object, and whole at once; a folder, as its manifest says.

        What is not whole goes on when nothing has come for ``_PATIENCE``: ``submit`` takes what it can do without, and
        says what it cannot.
        """
        quiet = self.services.clock.now() - found.came
        if not (found.archive or found.folder):
            if quiet >= _PATIENCE:
                raise BadInputError(ascii(place)[:_SHOWN], "the folder of a SAFE product, or its archive (.zip)")
            return False
        checked("drop box, name", found.name.removesuffix("/"))
        if found.archive:
            return True
        return quiet >= _PATIENCE or (quiet >= _SETTLED and arrived(self.services, place))

    def _write(self, place: str, found: Found, *, session: str = "", refused: str = "") -> None:
        """The record that this is done with. Another instance's is as good."""
        drop = Drop(
            created=self.services.clock.now(),
            traceparent=self.services.trace(session) if session else "",
            place=ascii(place)[1:-1][:_SHOWN],
            came=found.came,
            session=session,
            refused=refused,
        )
        key = keys.drop(found.name, found.mark)
        if self.services.ledger.create(key, drop):
            if refused:
                _log.warning("drop box: %s refused: %s", drop.place, refused)
            else:
                _log.info("drop box: %s is session %s", drop.place, session)
        self._settled.add(key)


def _in_turn(new: Sequence[Found], now: datetime) -> list[Found]:
    """Another order at each look: one that ends its function at each try stands not always before the same others."""
    return sorted(new, key=lambda found: hashlib.sha256(f"{now.isoformat()}{found.mark}".encode()).digest())
