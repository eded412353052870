"""How long the rest of the way takes: durations seen, step by step, and what they promise for a product under way.

Durations are kept as counts in bins of equal ratio, so that a percentile of any number of runs costs a small record and
two of them can be added. Before a step has been seen often, a configured prior stands for it, and gives way as runs
come in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

RATIO: Final = 1.1
"""Of neighbouring bins: a percentile is exact to five per cent."""

AT_RISK: Final = timedelta(minutes=15)
"""A miss is announced at least this long before the deadline."""

_FULL_WEIGHT: Final = 20
_MOST_BIN: Final = 160  # 1.1 ** 160 s: two months


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Durations(_Model):
    """Durations as counts by bin: bin n holds those of at least ``RATIO ** n`` and less than ``RATIO ** (n + 1)`` s."""

    bins: dict[int, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(self.bins.values())

    def plus(self, seconds: float) -> Durations:
        """With one duration more; what is under a second counts as one."""
        place = min(_MOST_BIN, max(0, math.floor(math.log(max(seconds, 1.0)) / math.log(RATIO) + 1e-9)))
        return Durations(bins={**self.bins, place: self.bins.get(place, 0) + 1})

    def merged(self, other: Durations) -> Durations:
        """The durations of both."""
        places = sorted({*self.bins, *other.bins})
        return Durations(bins={n: self.bins.get(n, 0) + other.bins.get(n, 0) for n in places})

    def percentile(self, share: float) -> float:
        """Seconds within which ``share`` (0 to 1) of the runs ended: the middle of the bin that holds the last of them.

        0 where there are no runs.
        """
        wanted, seen = math.ceil(share * self.count), 0
        for place in sorted(self.bins):
            seen += self.bins[place]
            if seen >= wanted:
                return float(RATIO ** (place + 0.5))
        return 0.0


class Prior(_Model):
    """What is believed of a step before it has been seen: median and 95th percentile, seconds."""

    p50_s: Annotated[float, Field(gt=0)]
    p95_s: Annotated[float, Field(gt=0)]

    def percentile(self, share: float) -> float:
        """Of the log-normal distribution with this median and 95th percentile; 0.05 to 0.95 are meaningful."""
        spread = math.log(self.p95_s / self.p50_s) / _QUANTILE_95 if self.p95_s > self.p50_s else 0.0
        return float(self.p50_s * math.exp(spread * _normal_quantile(share)))


_QUANTILE_95: Final = 1.6448536269514722


@lru_cache(maxsize=256)
def _normal_quantile(share: float) -> float:
    """The standard normal quantile, by bisection of the error function: the same few are asked for again and again."""
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        if 0.5 * (1 + math.erf(middle / math.sqrt(2))) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def expected_s(seen: Durations | None, prior: Prior, share: float) -> float:
    """Seconds within which a step ends with probability ``share``: by the runs seen, while they are few by the prior.

    The two are mixed in the logarithm, with the weight of the runs growing to 1 at twenty of them.
    """
    count = 0 if seen is None else seen.count
    if seen is None or not count:
        return prior.percentile(share)
    weight = min(1.0, count / _FULL_WEIGHT)
    return math.exp(weight * math.log(seen.percentile(share)) + (1 - weight) * math.log(prior.percentile(share)))


class Leg(_Model):
    """One step of a product's way. ``since``: when it began (its order was written), where it has."""

    step: str
    expected_s: float
    since: datetime | None = None


class Outlook(_Model):
    """What is to be expected of a product. ``eats``: the step that takes most beyond what was expected of it, or most
    of what is left.
    """

    state: Literal["on-time", "at-risk", "missed"]
    arrival: datetime
    deadline: datetime
    eats: str = ""

    @property
    def slack(self) -> timedelta:
        """Between the expected arrival and the deadline; negative where it will be late."""
        return self.deadline - self.arrival


def left_s(leg: Leg, now: datetime) -> float:
    """Seconds that a step is expected to take from now on.

    One that is under way for longer than expected is taken to need a quarter of what it took so far again: it says
    itself that the expectation was wrong.
    """
    spent = _spent_s(leg, now)
    return leg.expected_s - spent if spent < leg.expected_s else max(1.0, spent / 4)


def _spent_s(leg: Leg, now: datetime) -> float:
    return max(0.0, (now - leg.since).total_seconds()) if leg.since is not None else 0.0


def outlook(legs: Sequence[Leg], deadline: datetime, now: datetime, margin: timedelta = timedelta(0)) -> Outlook:
    """The outlook for a product with these steps left, in their order; the first may be under way.

    At risk is what would arrive less than ``margin`` before the deadline, or after it, and is not late yet. With a
    margin, what is not there so long before its deadline has been called at risk, whatever was expected of it.
    """
    arrival, worst = now, ("", 0.0)
    for leg in legs:
        spent, left = _spent_s(leg, now), left_s(leg, now)
        arrival += timedelta(seconds=left)
        beyond = max(spent + left - leg.expected_s, 0.0) or left / 1e6
        if beyond > worst[1]:
            worst = (leg.step, beyond)
    if now > deadline:
        state: Literal["on-time", "at-risk", "missed"] = "missed"
    else:
        state = "at-risk" if arrival + margin > deadline else "on-time"
    return Outlook(state=state, arrival=arrival, deadline=deadline, eats="" if state == "on-time" else worst[0])


def announced_in_time(outlooks: Iterable[tuple[datetime, Outlook]]) -> bool:
    """Whether the first warning of a product that was missed came ``AT_RISK`` before its deadline."""
    for when, each in outlooks:
        if each.state != "on-time":
            return when + AT_RISK <= each.deadline
    return False
