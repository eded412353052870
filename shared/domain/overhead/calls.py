"""What spans tell besides records: of a hand-over, what was the event's way, and what the function's call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from shared.domain.overhead.model import CriticalPath, Part


@dataclass(frozen=True, slots=True)
class Call:
    """A function's call, as its span tells: ``subject`` is the record that the event was about."""

    function: str
    subject: str
    start: datetime
    end: datetime


ANY: Final = ""
Calls: TypeAlias = Mapping[tuple[str, str], Sequence[Call]]


def calls_by_cause(calls: Iterable[Call]) -> Calls:
    """Calls by function and subject, and by function under no subject; each list by when they began."""
    found: dict[tuple[str, str], list[Call]] = {}
    for call in sorted(calls, key=lambda each: each.start):
        found.setdefault((call.function, call.subject), []).append(call)
        found.setdefault((call.function, ANY), []).append(call)
    return found


def refined(path: CriticalPath, calls: Calls) -> CriticalPath:
    """The path with its hand-overs parted into events and calls, where there are spans of these."""
    pieces = [piece for part in path.parts for piece in reversed(_parted(part, calls))]
    return replace(path, parts=tuple(pieces))


def _parted(part: Part, calls: Calls) -> list[Part]:
    """A hand-over backwards in time: an event and a call for each of its hops, as far as spans tell of the calls."""
    if part.kind != "hand-over":
        return [part]
    pieces: list[Part] = []
    at, told = part.end, True
    for function, cause in reversed(part.hops):
        # Of calls with the same record, the last that began before what follows: it found that still to be done.
        made = [call for call in calls.get((function, cause), ()) if call.start < at and call.end > part.start]
        if not made and len(part.hops) == 1:
            # What follows was written in a call with another record: that of a file beside it, a timer.
            made = [call for call in calls.get((function, ANY), ()) if call.start < at <= call.end]
        if not made:
            told = False
            continue
        start = max(made[-1].start, part.start)
        # The last one wrote what follows, so it lasted until then.
        end = at if at == part.end and told else max(start, min(made[-1].end, at))
        pieces.append(replace(part, kind="event" if told else "hand-over", start=end, end=at))
        pieces.append(replace(part, kind="function", what=f"{function}: {part.what}", start=start, end=end))
        at, told = start, True
    pieces.append(replace(part, kind="event" if told and part.hops else "hand-over", end=at))
    return [piece for piece in pieces if piece.start < piece.end]
