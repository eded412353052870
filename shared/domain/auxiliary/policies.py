"""The eleven selection policies: which of the files of one type serve a time window.

The window is that of the data, ``t0`` to ``t1``, widened by ``before`` (T0) and ``after`` (T1). Windows and validities
are closed intervals: those that touch intersect. Where a policy takes one of several equals, it takes the one that was
generated last, then the one whose validity starts last, then the greater name: the answer never depends on the order in
which files are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

from shared.errors import BadInputError

PolicyName = Literal[
    "ValIntersect",
    "LatestValIntersect",
    "ValCover",
    "LatestValCover",
    "LatestValidityClosest",
    "BestCenteredCover",
    "LatestValCoverClosest",
    "LargestOverlap",
    "LargestOverlap85",
    "LatestValidity",
    "LatestValCoverNewestValidity",
]


class Candidate(Protocol):
    """A file that may be chosen. An ``AuxiliaryName`` is one."""

    @property
    def start(self) -> datetime:
        """Begin of its validity."""
        ...

    @property
    def stop(self) -> datetime:
        """End of its validity."""
        ...

    @property
    def creation(self) -> datetime:
        """When it was generated."""
        ...

    @property
    def text(self) -> str:
        """Its name."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """The time that the data of a job span, and by how much the search goes beyond it."""

    t0: datetime
    t1: datetime
    before: timedelta = timedelta(0)
    after: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.start > self.end:
            raise BadInputError("selection window", "a start that is not after its end", f"{self.start} to {self.end}")

    @property
    def start(self) -> datetime:
        return self.t0 - self.before

    @property
    def end(self) -> datetime:
        return self.t1 + self.after


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that was not chosen, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Picked:
    """What a policy chose, best first, and what it passed over, the last best first."""

    policy: PolicyName
    chosen: tuple[str, ...]
    passed_over: tuple[PassedOver, ...]


def _overlap(file: Candidate, window: Window) -> timedelta:
    return min(file.stop, window.end) - max(file.start, window.start)


def _any(_file: Candidate, _window: Window) -> str:
    return ""


def _intersecting(file: Candidate, window: Window) -> str:
    if file.stop < window.start:
        return f"its validity ends {_text(file.stop)}, before the window"
    return f"its validity starts {_text(file.start)}, after the window" if file.start > window.end else ""


def _covering(file: Candidate, window: Window) -> str:
    if file.start > window.start:
        return f"its validity starts {_text(file.start)}, after the begin of the window"
    return f"its validity ends {_text(file.stop)}, before the end of the window" if file.stop < window.end else ""


def _overlapping85(file: Candidate, window: Window) -> str:
    if reason := _intersecting(file, window):
        return reason
    # Whole microseconds: no rounding decides.
    enough = 100 * _overlap(file, window) >= 85 * (window.end - window.start)
    return "" if enough else "its validity holds less than 85 % of the window"


def _latest(_file: Candidate, _window: Window) -> tuple[Any, ...]:
    return ()


def _newest_start(file: Candidate, _window: Window) -> tuple[Any, ...]:
    return (file.start,)


def _start_near_middle(file: Candidate, window: Window) -> tuple[Any, ...]:
    # Twice the distance, so that half a microsecond is not lost.
    return (-abs((file.start - window.start) + (file.start - window.end)),)


def _best_centred(file: Candidate, window: Window) -> tuple[Any, ...]:
    return (min(window.start - file.start, file.stop - window.end),)


def _start_near_begin(file: Candidate, window: Window) -> tuple[Any, ...]:
    return (-abs(file.start - window.start),)


def _largest_overlap(file: Candidate, window: Window) -> tuple[Any, ...]:
    return _overlap(file, window), -abs(file.start - window.t0)


@dataclass(frozen=True, slots=True)
class _Policy:
    """``unfit``: why a file is out of question, empty where it is not; ``merit``: the best is taken, None for all."""

    unfit: Callable[[Candidate, Window], str]
    merit: Callable[[Candidate, Window], tuple[Any, ...]] | None
    lesser: str = ""
    otherwise: PolicyName | None = None


_POLICIES: Final[Mapping[PolicyName, _Policy]] = MappingProxyType(
    {
        "ValIntersect": _Policy(_intersecting, None),
        "LatestValIntersect": _Policy(_intersecting, _latest, "another was generated later"),
        "ValCover": _Policy(_covering, None),
        "LatestValCover": _Policy(_covering, _latest, "another was generated later"),
        "LatestValidityClosest": _Policy(_any, _start_near_middle, "another starts nearer to the middle of the window"),
        "BestCenteredCover": _Policy(_covering, _best_centred, "another has the window better in its middle"),
        "LatestValCoverClosest": _Policy(
            _covering, _start_near_begin, "another starts nearer to the begin of the window"
        ),
        "LargestOverlap": _Policy(_intersecting, _largest_overlap, "another holds more of the window"),
        "LargestOverlap85": _Policy(_overlapping85, _largest_overlap, "another holds more of the window"),
        "LatestValidity": _Policy(_any, _newest_start, "the validity of another starts later"),
        "LatestValCoverNewestValidity": _Policy(
            _covering, _latest, "another was generated later", otherwise="LatestValidity"
        ),
    }
)
POLICIES: Final[tuple[PolicyName, ...]] = tuple(_POLICIES)


def pick(policy: PolicyName, files: Iterable[Candidate], window: Window) -> Picked:
    """Apply ``policy``. Nothing fit is an answer, not an error: ``chosen`` is empty then."""
    rule = _POLICIES[policy]
    given = list(files)
    unfit = {file.text: reason for file in given if (reason := rule.unfit(file, window))}
    fit = [file for file in given if file.text not in unfit]
    if not fit and rule.otherwise is not None:
        instead = pick(rule.otherwise, given, window)
        return Picked(policy, instead.chosen, instead.passed_over)
    merit = rule.merit or _newest_start
    fit.sort(key=lambda file: (merit(file, window), *_equals(file)), reverse=True)
    taken = fit if rule.merit is None else fit[:1]
    lesser = [PassedOver(file.text, _why(rule, file, fit[0], window)) for file in fit[len(taken) :]]
    others = [PassedOver(name, reason) for name, reason in sorted(unfit.items(), reverse=True)]
    return Picked(policy, tuple(file.text for file in taken), (*lesser, *others))


def _equals(file: Candidate) -> tuple[datetime, datetime, str]:
    return file.creation, file.start, file.text


def _why(rule: _Policy, file: Candidate, best: Candidate, window: Window) -> str:
    """Why ``best`` came before ``file``, which is fit as well."""
    if rule.merit is not None and rule.merit(file, window) != rule.merit(best, window):
        return f"{rule.lesser}: {best.text}"
    if file.creation != best.creation:
        return f"another was generated later: {best.text}"
    return f"equal to {best.text} in all that the policy asks"


def _text(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
