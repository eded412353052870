"""The strategies in the store: every version that was ever active, and the activations, the newest first.

In the ledger bucket::

    strategy/versions/<version>.json          the document of a version, written once
    strategy/activations/<999999 - n>.json    the n-th activation: the first key is that of the active one

Nothing is replaced: of two operators who activate at once, the first one's write wins and the other is told. What was
active stays readable for ever, since sessions name the version that they run under.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Final

from pydantic import Field

from shared.domain.strategy import DEFAULT, Strategy
from shared.errors import BadInputError, ObjectAbsentError, RefusedError
from shared.ledger.ledger import Ledger
from shared.ledger.records import Record
from shared.strategy.document import parse_strategy

VERSIONS: Final = "strategy/versions/"
ACTIVATIONS: Final = "strategy/activations/"
_MOST: Final = 999_999


class StrategyVersion(Record):
    """One version: its document, as it was given."""

    kind: ClassVar[str] = "strategy-version"
    version: str
    name: str
    document: str
    who: str


class Activation(Record):
    """From ``created`` on, sessions that become complete run under ``version``; empty for the default strategy."""

    kind: ClassVar[str] = "strategy-activation"
    number: Annotated[int, Field(ge=1)]
    version: str
    name: str
    former: str = ""
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class StrategyShelf:
    """The strategies of a ledger."""

    ledger: Ledger

    def active(self) -> Activation | None:
        """The newest activation; None where there never was one, and the default stands. One listing, one read."""
        for info in self.ledger.list(ACTIVATIONS):
            return self.ledger.read(info.key, Activation)
        return None

    def history(self) -> Iterator[Activation]:
        """All activations, the newest first."""
        keys = [info.key for info in self.ledger.list(ACTIVATIONS)]
        yield from self.ledger.read_many(keys, Activation)

    def load(self, version: str) -> Strategy:
        """The strategy of a version (or of its first digits); empty is the default.

        Raises:
            ObjectAbsentError: there is none.
            BadInputError: it is not what it was when it was activated; or several versions begin so.
        """
        if version in {"", DEFAULT.version}:
            return DEFAULT
        record = self.ledger.read(f"{VERSIONS}{self._whole(version)}.json", StrategyVersion)
        strategy = parse_strategy(record.document.encode(), f"strategy {record.version}")
        if strategy.version != record.version:
            raise BadInputError(f"strategy {record.version}", "the document that it was activated with")
        return strategy

    def document(self, version: str) -> str:
        """The document of a version, as it was given."""
        return self.ledger.read(f"{VERSIONS}{self._whole(version)}.json", StrategyVersion).document

    def _whole(self, version: str) -> str:
        found = [info.key[len(VERSIONS) : -len(".json")] for info in self.ledger.list(f"{VERSIONS}{version}")]
        if not found:
            raise ObjectAbsentError(f"strategy {version}: no version of this name was ever active")
        if len(found) > 1:
            raise BadInputError(f"strategy {version}", "more digits: several versions begin so", ", ".join(found[:4]))
        return found[0]

    def activate(self, document: str, *, who: str, reason: str, now: datetime) -> Activation:
        """Make a document's strategy the active one.

        Raises:
            BadInputError: it is no strategy.
            RefusedError: it is active already, or somebody activated another meanwhile.
        """
        strategy = parse_strategy(document.encode(), "strategy")
        version = StrategyVersion(created=now, version=strategy.version, name=strategy.name, document=document, who=who)
        # The version first: whoever reads the activation finds it.
        self.ledger.create(f"{VERSIONS}{version.version}.json", version)
        return self._switch(version.version, strategy.name, who, reason, now)

    def roll_back(self, *, who: str, reason: str, now: datetime) -> Activation:
        """Make active what was active before the newest activation. RefusedError where there was none."""
        active = self.active()
        if active is None:
            raise RefusedError("no strategy was ever activated: there is nothing to go back to")
        former = self.load(active.former)
        return self._switch(active.former, former.name, who, reason, now)

    def _switch(self, version: str, name: str, who: str, reason: str, now: datetime) -> Activation:
        before = self.active()
        former = before.version if before is not None else ""
        if before is not None and former == version:
            raise RefusedError(
                f"strategy {name} {version} is active already, since {before.created:%Y-%m-%dT%H:%M:%SZ}"
            )
        number = before.number + 1 if before is not None else 1
        activation = Activation(
            created=now, number=number, version=version, name=name, former=former, who=who, reason=reason
        )
        if not self.ledger.create(f"{ACTIVATIONS}{_MOST - number:06d}.json", activation):
            raise RefusedError(
                "another strategy was activated at the same moment: look at it, and say again what you want"
            )
        return activation
