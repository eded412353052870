"""What a run came to: its outputs, the facts that it found out, what its status tables say, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from functions.ipf.runner.facts import find_facts
from functions.ipf.runner.harvest import Harvested, harvest
from functions.ipf.runner.job import Execution, Job
from functions.ipf.runner.plain import storable
from functions.ipf.runner.tables import Ruling, mode_of, read_tables, rule
from functions.ipf.runner.verdict import Verdict, judge
from shared.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Review:
    """``problems``: what was left aside, and why, in one sentence each."""

    verdict: Verdict
    found: Harvested = field(default_factory=lambda: Harvested((), {}, ()))
    facts: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def assess(job: Job, base: Path, execution: Execution, log: Sequence[str]) -> Review:
    """Look at all that the IPF left below ``base``."""
    values = job.values(base)
    try:
        found = harvest(base, job.processor.outputs, values)
    except BadInputError as error:
        return Review(Verdict("failed", f"its outputs are not valid: {error}"))
    facts = find_facts(base, job.shared or job.scratch.root, job.processor.facts, values)
    ruling, problems = _ruling(job, base, execution)
    verdict = judge(job.processor, execution, found.made, log, ruling)
    told = (*found.problems, *map(storable, facts.problems), *map(storable, problems))
    return Review(verdict, found, facts.found, told)


def _ruling(job: Job, base: Path, execution: Execution) -> tuple[Ruling | None, tuple[str, ...]]:
    if job.processor.status != "launcher":
        return None, ()
    launched = read_tables(base, job.processor.status_paths)
    modes = [mode_of(call, job.order.parameters) for call in job.processor.calls]
    return rule(launched, modes, execution.exits or (execution.exit_code,)), launched.problems
