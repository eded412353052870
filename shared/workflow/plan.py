"""One work item, from what readies it: the pure heart of job preparation, of the sweep and of the account.

``shared.workflow.walk`` unfolds the graph of a session with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from shared.domain.strategy import Decided
from shared.ledger.keys import WorkKey
from shared.ledger.records import ArtifactRef, Complete, Outcome
from shared.workflow.granules import gap, granules_by_detector, is_taken, part_taken, scene_count, scenes_of
from shared.workflow.graph import Processor, Step, Workflow
from shared.workflow.mixing import misfit
from shared.workflow.parts import TILE, part_units
from shared.workflow.reruns import Rerun
from shared.workflow.ruling import DATATAKE_TYPE, FOOTPRINT, UNDECIDED, Known, footprint_of


@dataclass(frozen=True, slots=True)
class Source:
    """What readies work: the session's ``Complete``, or an ``Outcome``; ``key`` is where it stands in the ledger."""

    key: str
    record: Complete | Outcome
    session: str

    @property
    def step(self) -> str:
        return "session" if isinstance(self.record, Complete) else self.record.step

    @property
    def unit(self) -> str:
        return self.session if isinstance(self.record, Complete) else self.record.unit

    @property
    def facts(self) -> Mapping[str, str]:
        return {} if isinstance(self.record, Complete) else self.record.facts

    def fan_out(self, step: Step) -> tuple[str, ...]:
        """The units of ``step`` that follow from this one, as the first of those that ready it; each once."""
        record = self.record
        if step.over is None or isinstance(record, Complete):
            return (self.unit,)
        if step.over == "part":
            return part_units(self.unit, scene_count(scenes_of(record)), step.split) if step.split else (self.unit,)
        names = dict.fromkeys(record.units.get(step.over, ()))
        return tuple(names) if step.over == "datastrip" else tuple(f"{record.unit}{TILE}{name}" for name in names)


@dataclass(frozen=True, slots=True)
class Ready:
    """A work item that can be claimed. ``sources``: what readies it; ``created``: when the last of that was there."""

    step: Step
    unit: str
    inputs: tuple[ArtifactRef, ...]
    digest: str
    created: datetime
    sources: tuple[Source, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    decided: Decided = UNDECIDED
    rerun: Rerun | None = None

    def key(self, session: str) -> WorkKey:
        return WorkKey(session, self.step.name, self.unit, self.digest)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A step that will not run on this unit, and why: by rule, or (parked) since something is wrong."""

    step: Step
    unit: str
    reason: str
    ended: Literal["absent", "parked"] = "absent"


@dataclass(frozen=True, slots=True)
class NotOwed:
    """A step that nobody asks for on this unit: by the type of its datatake, or by a rule of the strategy."""

    step: Step
    unit: str
    cause: str


Item = Ready | Skipped | NotOwed


def work_digest(
    step: str,
    unit: str,
    inputs: tuple[ArtifactRef, ...],
    processor: Processor,
    parameters: Mapping[str, str],
    rerun: int = 0,
) -> str:
    """Rule 2: the name of work is the SHA-256 of what goes into it (hex, 64 digits), and of which rerun it is."""
    content: dict[str, object] = {
        "step": step,
        "unit": unit,
        "inputs": sorted([i.file_type, i.name, i.digest] for i in inputs),
        "processor": [processor.name, processor.version],
        "parameters": sorted(parameters.items()),
    }
    if rerun:
        content["rerun"] = rerun
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def tree_digest(files: list[tuple[str, int, str]]) -> str:
    """SHA-256 over the sorted lines ``path size sha256`` of a tree of files."""
    lines = "".join(f"{path} {size} {digest}\n" for path, size, digest in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def plan_item(workflow: Workflow, step: Step, unit: str, sources: Mapping[str, Source]) -> Item:
    """The work of ``step`` on ``unit``, where all of ``step.after`` is there: ``sources``, by step."""
    above = [sources[name] for name in step.after]
    facts = {name: value for source in above for name, value in source.facts.items()}
    facts |= {} if FOOTPRINT in facts else footprint_of([source.record for source in above])
    whole = _of_datastrip(workflow, step, above[0])
    part, taken = part_taken(_cut(step, whole), unit, above[0].record)
    counts = [count for source in above if (count := granules_by_detector(source.record, taken)) is not None]
    known = Known(facts, max(counts[0].values(), default=0) if counts else None)
    decided = _with_split(workflow.ruling.of(step, unit, known), whole)
    if cause := not_asked(workflow, step, unit, known, decided):
        return NotOwed(step, unit, cause)
    if wrong := misfit(workflow, step, decided):
        return Skipped(step, unit, wrong, "parked")
    binding, warnings = workflow.binding(decided), tuple[str, ...]()
    processor = binding.processors[step.name]
    if counts and processor.minimum_scenes > (scenes := max(counts[0].values(), default=0)):
        return Skipped(step, unit, f"{scenes} scenes, {step.name} needs at least {processor.minimum_scenes}")
    if counts and (missing := gap(counts[0])):
        if processor.gaps == "park":
            return Skipped(step, unit, f"{missing}; {step.name} is not to run without them (gaps: park)", "parked")
        warnings = (missing,)
    inputs = tuple(_inputs(processor, unit, sources, taken))
    for needed in processor.inputs:
        if needed.mandatory and not any(ref.file_type == needed.file_type for ref in inputs):
            reason = f"{needed.source} made no {needed.artifact}, which {step.name} cannot do without"
            return Skipped(step, unit, reason, "parked")
    parameters = static_parameters(binding, step.name) | _chosen(processor, facts) | _tile(step, unit, above[0])
    if part is not None:
        facts |= part.facts
        parameters |= {"FIRST_SCENE": str(part.first + 1), "LAST_SCENE": str(part.last)}
    rerun = workflow.reruns.of(step.name, unit)
    digest = work_digest(step.name, unit, inputs, processor, parameters, rerun.number if rerun is not None else 0)
    created = max([source.record.created for source in above] + ([rerun.since] if rerun is not None else []))
    return Ready(step, unit, inputs, digest, created, tuple(above), parameters, facts, warnings, decided, rerun)


def units_of(workflow: Workflow, step: Step, first: Source) -> tuple[str, ...]:
    """The units of ``step`` that follow from the first of those that ready it."""
    return first.fan_out(_cut(step, _of_datastrip(workflow, step, first)))


def _of_datastrip(workflow: Workflow, step: Step, first: Source) -> Decided:
    """What is decided of the whole datastrip that ``step`` cuts into parts; nothing where no rule says how."""
    record, ruling = first.record, workflow.ruling
    if step.over != "part" or isinstance(record, Complete) or not ruling.strategy.cuts:
        return UNDECIDED
    counts = granules_by_detector(record, None)
    scenes = max(counts.values(), default=0) if counts is not None else None
    return ruling.of(step, first.unit, Known({**footprint_of([record]), **record.facts}, scenes))


def _cut(step: Step, whole: Decided) -> Step:
    split = whole.decision.split
    return step if split is None else step.model_copy(update={"split": split})


def _with_split(decided: Decided, whole: Decided) -> Decided:
    """What is decided of a part, and that it was cut so: that is decided of the whole datastrip."""
    if "split" not in whole.by:
        return decided
    decision = decided.decision.model_copy(update={"split": whole.decision.split})
    return Decided(decision, {**decided.by, "split": whole.by["split"]})


def not_asked(workflow: Workflow, step: Step, unit: str, known: Known, decided: Decided) -> str:
    """Why nobody asks for the work of ``step`` on ``unit``; empty where somebody does."""
    kind = known.facts.get(DATATAKE_TYPE, "")
    if not workflow.datatakes.asks_for(kind, step.serves):
        return f"of a datatake of {f'type {kind}' if kind else 'unknown type'}"
    return workflow.ruling.left_out(step, unit, known, decided)


def static_parameters(workflow: Workflow, step: str) -> dict[str, str]:
    """The parameters of a step that do not depend on what it runs on."""
    return {
        "PROCESSING_CENTER": workflow.site,
        "PROCESSING_BASELINE": workflow.baseline,
        **workflow.processors[step].parameters,
    }


def _chosen(processor: Processor, facts: Mapping[str, str]) -> dict[str, str]:
    """The parameters of the first variant that fits the facts."""
    for variant in processor.variants:
        if all(facts.get(name, "") == value for name, value in variant.when.items()):
            return variant.parameters
    return {}


def _tile(step: Step, unit: str, first: Source) -> dict[str, str]:
    """The tile, and its place in the list (from 001), by which some processors take it."""
    if step.over != "tile":
        return {}
    number = first.fan_out(step).index(unit) + 1
    return {"TILE": unit.rsplit(TILE, 1)[1], "TILE_NUMBER": f"{number:03d}"}


def _inputs(
    processor: Processor, unit: str, sources: Mapping[str, Source], taken: frozenset[str] | None
) -> Iterator[ArtifactRef]:
    """What is taken from each source: what is of this unit, or of none; of granules those of the scenes ``taken``."""
    ours = {"", unit, unit.rsplit(TILE, 1)[-1]}
    for needed in processor.inputs:
        source, record = sources[needed.source], sources[needed.source].record
        if isinstance(record, Complete):
            digest = tree_digest([(f.key, f.size, f.sha256) for f in record.files])
            yield ArtifactRef(file_type=needed.file_type, outcome=source.key, name=source.session, digest=digest)
            continue
        for artifact in record.outputs:
            if artifact.file_type == needed.artifact and artifact.unit in ours and is_taken(artifact, taken):
                yield ArtifactRef(
                    file_type=needed.file_type, outcome=source.key, name=artifact.name, digest=artifact.digest
                )
