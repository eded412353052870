"""The critical path of a product, walked backwards from the shelf: at each join to what came last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

from shared.domain.overhead.model import (
    Arrival,
    CriticalPath,
    File,
    Hops,
    Kind,
    Part,
    Product,
    Run,
    Story,
    Stretch,
    Work,
)

_ZERO: Final = timedelta()


@dataclass
class _Walk:
    """Backwards in time; ``at`` never goes forward."""

    at: datetime
    parts: list[Part] = field(default_factory=list)
    skew: timedelta = _ZERO

    def back(self, to: datetime, kind: Kind, what: str, hops: Hops = ()) -> None:
        """The stretch from ``to`` until here; none where ``to`` is later, which is noted."""
        if to < self.at:
            self.parts.append(Part(kind, what, to, self.at, hops))
            self.at = to
        else:
            self.skew = max(self.skew, to - self.at)

    def back_by(self, to: datetime, seconds: float, kind: Kind, what: str) -> None:
        """A stretch of so many seconds, not beyond ``to``."""
        self.back(max(to, self.at - timedelta(seconds=max(0.0, seconds))), kind, what)


def critical_path(story: Story, product: Product) -> CriticalPath:
    """The way of a product from the last file seen at the station."""
    walk, cause, taken = _Walk(product.published), product.cause, {product.cause}
    work = story.work.get(cause)
    if work is not None and work.run is not None:
        walk.back(work.run.finished, "hand-over", f"{work.name} to the shelf", (("product_publication", cause),))
    earlier: Kind = "untold"
    while work is not None and work.run is not None:
        before = len(walk.parts)
        walk.back(min(work.run.finished, walk.at), earlier, f"after {work.name}")
        _attempts(walk, work, work.run)
        _launch(walk, work)
        for held in work.held:
            carved = (_carved(part, held, "operator", f"{work.name} held") for part in walk.parts[before:])
            walk.parts[before:] = [piece for pieces in carved for piece in pieces]
        earlier = "untold" if work.asked is None else "operator"
        # A record that is taken twice would lead in a circle.
        cause, known = work.cause, work.cause in taken
        taken.add(cause)
        work = None if known else story.work.get(cause)
    walk.back(min(story.arrival.complete, walk.at), earlier, "after the session was complete")
    _arrival(walk, story.arrival)
    return _whole(walk, story.arrival.begin, product)


def _attempts(walk: _Walk, work: Work, run: Run) -> None:
    """From the outcome back to the launch of the first attempt."""
    staged = run.started + timedelta(seconds=run.stage_in_s)
    walk.back_by(run.started, run.stage_out_s, "stage-out", work.name)
    walk.back_by(run.started, run.execute_s, "ipf", work.name)
    walk.back(min(staged, walk.at), "start", f"{work.name}, between its stages")
    walk.back(run.started, "stage-in", work.name)
    walk.back_by(run.launched, run.start_s, "start", work.name)
    walk.back(run.launched, "queue", work.name)
    for lost in sorted((each for each in work.lost if each.number < run.number), key=lambda each: -each.number):
        again = (("job_launch", work.order),)
        ended = max(lost.ended, lost.launched)
        if lost.granted is not None and lost.granted > ended:
            walk.back(lost.granted, "hand-over", f"{work.name} again", again)
            walk.back(min(ended, walk.at), "operator", f"{work.name}, more attempts granted")
        elif lost.retry_at is not None and lost.retry_at > ended:
            walk.back(min(lost.retry_at, walk.at), "hand-over", f"{work.name} again", again)
            walk.back(min(ended, walk.at), "pause", f"{work.name}, before attempt {lost.number + 1}")
        walk.back(min(ended, walk.at), "hand-over", f"{work.name} again", again)
        walk.back(lost.launched, "failed", f"{work.name}, attempt {lost.number}")


def _launch(walk: _Walk, work: Work) -> None:
    """From the first launch back to what readied the work."""
    launch, prepare = ("job_launch", work.order), ("job_preparation", work.cause)
    readied = work.readied if work.asked is None else work.asked
    if work.awaited is None:
        walk.back(readied, "hand-over", f"to {work.name}", (prepare, launch))
    else:
        since, until = work.awaited
        walk.back(min(until, walk.at), "hand-over", f"to {work.name}", (launch,))
        walk.back(max(since, min(readied, walk.at)), "auxiliary", work.name)
        walk.back(readied, "hand-over", f"{work.name} prepared", (prepare,))


def _carved(part: Part, stretch: Stretch, kind: Kind, what: str) -> Iterator[Part]:
    """A part backwards in time: of a hand-over, what lies within ``stretch`` is of another kind. What runs, runs on."""
    since, until = max(part.start, stretch[0]), min(part.end, stretch[1])
    if since >= until or part.kind != "hand-over":
        yield part
        return
    if until < part.end:
        yield replace(part, start=until)
    yield Part(kind, what, since, until)
    if part.start < since:
        yield replace(part, end=since)


def _arrival(walk: _Walk, arrival: Arrival) -> None:
    """From what the session's first work began with back to the station."""
    last = max(arrival.files, key=lambda file: (file.received, file.name), default=None)
    if last is None:
        return
    if arrival.partial:
        walk.back(min(last.received, walk.at), "station", "files that did not come")
    walk.back(last.received, "hand-over", "the session is complete", (("session_assembly", last.receipt),))
    walk.back_by(last.seen, last.seconds, "transfer", last.name)
    before = len(walk.parts)
    walk.back(last.seen, "hand-over", f"to the transfer of {last.name}", (("file_transfer", last.record),))
    for busy in _busy(arrival.files, last):
        carved = (_carved(part, busy, "transfer", "of other files, before it") for part in walk.parts[before:])
        walk.parts[before:] = [piece for pieces in carved for piece in pieces]
    # Its call came after its turn: before that, its event was on the way.
    for number, part in enumerate(walk.parts[before + 1 :], before + 1):
        if part.kind == "hand-over":
            walk.parts[number] = replace(part, kind="event", hops=())


def _busy(files: Iterable[File], last: File) -> Iterator[Stretch]:
    """When as many other files were under way as ever at a time: no more go at once, and ``last`` waits its turn."""
    begins = [(file.received - timedelta(seconds=file.seconds), file.received) for file in files if file != last]
    under_way = [(since, until) for since, until in begins if since < until]
    turns = sorted([*((since, 1) for since, _ in under_way), *((until, -1) for _, until in under_way)])
    counts = list(accumulate(turn for _, turn in turns))
    most = max(counts, default=0)
    for (since, _), (until, _), count in zip(turns, turns[1:], counts, strict=False):
        if count == most > 1 and since < until:
            yield since, until


def _whole(walk: _Walk, begin: datetime, product: Product) -> CriticalPath:
    """The parts from ``begin`` on, in the order of time."""
    if begin < walk.at:
        walk.back(begin, "untold", "no record says what came before")
    kept = [replace(part, start=max(part.start, begin)) for part in walk.parts if part.end > begin]
    return CriticalPath(product, begin, tuple(reversed(kept)), walk.skew.total_seconds())
