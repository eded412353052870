"""What a rehearsal came to, as figures and as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from functions.rehearse.durations import told as durations_told
from functions.rehearse.scenario import Result
from shared.domain.deadlines import BUDGETS
from shared.domain.forecast import AT_RISK

LEVELS: Final = ("HKTM", "SAD", "L0", "L1A", "L1B", "L1C", "L2A")


@dataclass(frozen=True, slots=True)
class Line:
    """A level's timeliness: minutes from T0 to the shelf. What is absent or parked counts as late."""

    level: str
    expected: int
    produced: int
    absent: int
    parked: int
    p50: float
    p95: float
    p99: float
    latest: float
    budget: float
    in_time: float


def timeliness(result: Result) -> list[Line]:
    """A line for each level that was owed."""
    lines = []
    for level in LEVELS:
        entries = [(each.t0, entry) for each in result.ended for entry in each.entries if entry.level == level]
        if not entries:
            continue
        ends = Counter(entry.ended for _, entry in entries)
        took = sorted((e.at - t0).total_seconds() / 60 for t0, e in entries if e.ended == "produced" and e.at and t0)
        in_time = sum(e.ended == "produced" and e.slack_s is not None and e.slack_s >= 0 for _, e in entries)
        lines.append(
            Line(
                level=level,
                expected=len(entries),
                produced=ends["produced"],
                absent=ends["absent"],
                parked=ends["parked"],
                p50=_share(took, 0.50),
                p95=_share(took, 0.95),
                p99=_share(took, 0.99),
                latest=took[-1] if took else 0.0,
                budget=BUDGETS[level].total_seconds() / 60,
                in_time=in_time / len(entries),
            )
        )
    return lines


def _share(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


@dataclass(frozen=True, slots=True)
class Warnings:
    """Levels of sessions that had a product late: how many, told before they were, and told early enough."""

    late: int
    before: int
    early: int


def warnings(result: Result) -> Warnings:
    """Whether what was late had been told."""
    late = before = early = 0
    for each in result.ended:
        for level in {entry.level for entry in each.entries if entry.slack_s is not None and entry.slack_s < 0}:
            due = min(entry.deadline for entry in each.entries if entry.level == level and entry.deadline)
            told = each.warned.get(level)
            late += 1
            before += told is not None and told < due
            early += told is not None and told + AT_RISK <= due
    return Warnings(late, before, early)


def utilisation(result: Result) -> tuple[float, float]:
    """(mean, peak) share of the cluster's cores that were in use, from the first Job to the last."""
    if not result.load:
        return 0.0, 0.0
    scenario = result.scenario
    capacity = scenario.nodes * scenario.node_cpus
    span = (result.load[-1][0] - result.load[0][0]).total_seconds()
    return result.busy_core_s / (capacity * span) if span else 0.0, max(use for _, use in result.load) / capacity


def hourly(result: Result) -> list[tuple[datetime, float]]:
    """The mean of cores in use, for each quarter of an hour."""
    if not result.load:
        return []
    step, found = timedelta(minutes=15), list[tuple[datetime, float]]()
    start, use, area, at = result.load[0][0], 0.0, 0.0, result.load[0][0]
    for when, after in result.load:
        while when >= start + step:
            area += use * (start + step - at).total_seconds()
            found.append((start, area / step.total_seconds()))
            start, at, area = start + step, start + step, 0.0
        area += use * (when - at).total_seconds()
        use, at = after, when
    found.append((start, area / step.total_seconds()))
    return found


def lines(result: Result) -> Iterator[str]:
    """The report for people."""
    scenario = result.scenario
    yield (
        f"{len(scenario.passes)} passes, {sum(one.scenes for one in scenario.passes)} scenes, processor set "
        f"{scenario.processor_set}, {scenario.nodes} nodes of {scenario.node_cpus:g} cores, seed {scenario.seed}"
    )
    yield "Jobs take (none of it measured on the licensed processors, whose run times are not public):"
    yield from (f"  {line}" for line in durations_told(scenario.durations) if line.partition(":")[0] in result.seconds)
    split, bundles = scenario.cut, f"{scenario.granules} bundles"
    bundles += ", of one that is cut a bundle a scene" if split is not None else ""
    yield (
        f"Lighter than life: {scenario.chunks} chunks a channel, granules of a datastrip in {bundles}, a sweep every "
        f"{scenario.sweep_s:g} s, files of a few bytes."
    )
    if split is not None:
        yield f"Datastrips of more than {split.scenes} scenes are cut, with {split.overlap} scenes more at either end."
    yield ""
    yield "LEVEL  EXPECTED  PRODUCED  ABSENT  PARKED  P50 MIN  P95    P99    LATEST  BUDGET  IN TIME"
    for one in timeliness(result):
        yield (
            f"{one.level:<5}  {one.expected:>8}  {one.produced:>8}  {one.absent:>6}  {one.parked:>6}  {one.p50:>7.1f}  "
            f"{one.p95:>5.1f}  {one.p99:>5.1f}  {one.latest:>6.1f}  {one.budget:>6.0f}  {one.in_time:>7.2%}"
        )
    told = warnings(result)
    if told.late:
        yield ""
        yield (
            f"Levels of sessions with products late: {told.late}; told before they were: {told.before}, at least "
            f"{AT_RISK.total_seconds() / 60:.0f} minutes before: {told.early}."
        )
    mean, peak = utilisation(result)
    yield ""
    yield f"Cores in use: {mean:.0%} in the mean, {peak:.0%} at the peak; {result.busy_core_s / 3600:.0f} core-hours."
    yield f"{', '.join(f'{count} {what}' for what, count in result.counts.items() if count)}."
    if result.broken:
        yield f"{len(result.broken)} INVARIANTS BROKEN:"
        yield from (f"  {text}" for text in result.broken[:20])
    else:
        yield "No invariant broken: every session closed, every account sums to 100 %, every product whole and once."


def document(result: Result) -> dict[str, object]:
    """The report for programs."""
    scenario, (mean, peak) = result.scenario, utilisation(result)
    return {
        "kind": "Rehearsal",
        "seed": scenario.seed,
        "nodes": scenario.nodes,
        "node_cpus": scenario.node_cpus,
        "processor_set": scenario.processor_set,
        "passes": len(scenario.passes),
        "durations": durations_told(scenario.durations),
        "timeliness": timeliness(result),
        "warnings": warnings(result),
        "utilisation": {"mean": mean, "peak": peak, "core_hours": result.busy_core_s / 3600},
        "counts": result.counts,
        "broken": result.broken,
        "strikes": [str(each) for each in result.strikes[:1000]],
    }
