"""What goes wrong in a rehearsal: drawn by chance from a profile, each written down as it happens.

A fault has a number: the n-th time that the dice were asked. A story is a rehearsal in which only some numbers are
allowed to strike, so that one that breaks an invariant can be made shorter, fault by fault, until each one counts.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Profile:
    """How often what goes wrong.

    Shares of all: ``lost``, ``doubled`` and ``late`` notifications (late by minutes, so that they come out of order),
    ``crash`` of function calls (before or after one of their writes), ``hung``, ``killed`` (its node is lost; it goes
    on as a zombie and speaks late), ``oom``, ``wrong`` (ends well, makes nothing of use) and ``stumbles`` (asks to be
    tried again) of Job attempts, ``late_chunk``, ``missing_chunk``, ``bad_chunk`` (cut short; half of them come whole
    later) and ``bad_dsib`` of sessions, ``late_auxiliary`` and ``missing_auxiliary`` of the auxiliary files that come
    while it runs. Outages: so many a day, of minutes.
    """

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    crash: float = 0.0
    hung: float = 0.0
    killed: float = 0.0
    oom: float = 0.0
    wrong: float = 0.0
    stumbles: float = 0.0
    late_chunk: float = 0.0
    missing_chunk: float = 0.0
    bad_chunk: float = 0.0
    bad_dsib: float = 0.0
    late_auxiliary: float = 0.0
    missing_auxiliary: float = 0.0
    store_outages: float = 0.0
    station_outages: float = 0.0


PROFILES: Final = {
    "none": Profile(),
    "light": Profile(
        lost=0.002,
        doubled=0.01,
        late=0.005,
        crash=0.0005,
        hung=0.0005,
        killed=0.002,
        oom=0.001,
        stumbles=0.002,
        late_chunk=0.02,
        late_auxiliary=0.05,
        store_outages=2,
        station_outages=2,
    ),
    "heavy": Profile(
        lost=0.05,
        doubled=0.10,
        late=0.05,
        crash=0.01,
        hung=0.005,
        killed=0.02,
        oom=0.01,
        wrong=0.002,
        stumbles=0.02,
        late_chunk=0.1,
        missing_chunk=0.03,
        bad_chunk=0.03,
        bad_dsib=0.02,
        late_auxiliary=0.2,
        missing_auxiliary=0.05,
        store_outages=8,
        station_outages=8,
    ),
}
PROFILES["storm"] = replace(PROFILES["heavy"], lost=0.15, doubled=0.30, late=0.20, crash=0.10)
"""``storm`` is no day that anybody had: half of all notifications go wrong."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that struck: its number, what it was, and on what."""

    number: int
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.number}: {self.kind} {self.what}"


@dataclass
class Dice:
    """Draws faults. Dice of a kind are its own: what strikes first does not change what strikes elsewhere.

    Args:
        profile: how often.
        seed: the same seed strikes the same way, as long as the same is asked.
        only: the numbers that may strike; None for all.
    """

    profile: Profile
    seed: int
    only: Collection[int] | None = None
    strikes: list[Strike] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._dice: dict[str, random.Random] = {}
        self._asked = 0

    def of(self, kind: str) -> random.Random:
        """The dice of a kind, for what is not a fault as well."""
        found = self._dice.get(kind)
        if found is None:
            found = self._dice[kind] = random.Random(f"{self.seed}-{kind}")  # noqa: S311 - the same for the same seed
        return found

    def strikes_now(self, kind: str, what: str) -> bool:
        """Whether the fault ``kind`` (a field of the profile) strikes ``what``."""
        share = float(getattr(self.profile, kind))
        if not share:
            return False
        self._asked += 1
        if self.of(kind).random() >= share or (self.only is not None and self._asked not in self.only):
            return False
        self.strikes.append(Strike(self._asked, kind, what))
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return True
