"""What follows from a finished thing: the pure heart of job preparation, of the sweep and of the account."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from shared.domain.deadlines import deadline
from shared.domain.names import PdiName, format_stamp
from shared.errors import BadInputError
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask
from shared.ledger.keys import WorkKey
from shared.ledger.records import FINISHED, ArtifactRef, Complete, Order, Outcome
from shared.workflow.graph import Processor, Step, Workflow

GRANULES = "PDI_DS_GR_LIST"


@dataclass(frozen=True, slots=True)
class Source:
    """What readies work: the session's ``Complete``, or an ``Outcome``; ``key`` is where it stands in the ledger."""

    key: str
    record: Complete | Outcome
    session: str

    @property
    def step(self) -> str:
        return "session" if isinstance(self.record, Complete) else self.record.step


@dataclass(frozen=True, slots=True)
class Ready:
    """A work item that can be claimed."""

    step: Step
    unit: str
    inputs: tuple[ArtifactRef, ...]
    digest: str

    def key(self, session: str) -> WorkKey:
        return WorkKey(session, self.step.name, self.unit, self.digest)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A step that will not run on this unit, by rule, and why."""

    step: Step
    unit: str
    reason: str


def work_digest(
    step: str, unit: str, inputs: tuple[ArtifactRef, ...], processor: Processor, parameters: dict[str, str]
) -> str:
    """Rule 2: the name of work is the SHA-256 of what goes into it (hex, 64 digits)."""
    content = {
        "step": step,
        "unit": unit,
        "inputs": sorted([i.file_type, i.name, i.digest] for i in inputs),
        "processor": [processor.name, processor.version],
        "parameters": sorted(parameters.items()),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def tree_digest(files: list[tuple[str, int, str]]) -> str:
    """SHA-256 over the sorted lines ``path size sha256`` of a tree of files."""
    lines = "".join(f"{path} {size} {digest}\n" for path, size, digest in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def static_parameters(workflow: Workflow, step: str) -> dict[str, str]:
    """The parameters of a step that do not depend on when it runs."""
    return {
        "PROCESSING_CENTER": workflow.site,
        "PROCESSING_BASELINE": workflow.baseline,
        **workflow.processors[step].parameters,
    }


def next_work(workflow: Workflow, source: Source) -> Iterator[Ready | Skipped]:
    """The work that ``source`` readies, and the work that a rule leaves out. Nothing follows from a failed outcome."""
    record = source.record
    if isinstance(record, Outcome) and record.status not in FINISHED:
        return
    for step in workflow.after(source.step):
        processor = workflow.processors[step.name]
        for unit, name in _units(step, source):
            scenes = _scenes(record) if processor.minimum_scenes else None
            if scenes is not None and scenes < processor.minimum_scenes:
                yield Skipped(step, unit, f"{scenes} scenes, {step.name} needs at least {processor.minimum_scenes}")
                continue
            inputs = tuple(_inputs(processor, source, name if step.over else None))
            parameters = static_parameters(workflow, step.name) | ({"TILE": name} if step.over == "tile" else {})
            yield Ready(step, unit, inputs, work_digest(step.name, unit, inputs, processor, parameters))


def _units(step: Step, source: Source) -> Iterator[tuple[str, str]]:
    """(unit, name within the fan-out) of each work item of ``step``."""
    record = source.record
    if isinstance(record, Complete):
        yield source.session, source.session
    elif step.over is None:
        yield record.unit, record.unit
    elif step.over == "datastrip":
        for name in record.units.get("datastrip", ()):
            yield name, name
    else:
        for name in record.units.get("tile", ()):
            yield f"{record.unit}-T{name}", name


def _inputs(processor: Processor, source: Source, name: str | None) -> Iterator[ArtifactRef]:
    record = source.record
    if isinstance(record, Complete):
        digest = tree_digest([(f.key, f.size, f.sha256) for f in record.files])
        for needed in processor.inputs:
            yield ArtifactRef(file_type=needed.file_type, outcome=source.key, name=source.session, digest=digest)
        return
    for needed in processor.inputs:
        for artifact in record.outputs:
            if artifact.file_type == needed.artifact and artifact.unit in {"", name}:
                yield ArtifactRef(
                    file_type=needed.file_type, outcome=source.key, name=artifact.name, digest=artifact.digest
                )


def _scenes(record: Complete | Outcome) -> int | None:
    """How many scenes the granules of an L0 outcome cover: granules of one scene share their sensing start."""
    if isinstance(record, Complete):
        return None
    starts = set()
    for artifact in record.outputs:
        if artifact.file_type == GRANULES:
            try:
                starts.add(PdiName.parse(artifact.name).get("S"))
            except BadInputError:
                continue
    return len(starts)


def make_order(workflow: Workflow, source: Source, ready: Ready, complete: Complete, traceparent: str) -> Order:
    """The claim of ``ready``: the same whoever makes it, since its times are those of what readied it."""
    parameters = static_parameters(workflow, ready.step.name) | {"CREATION_DATE": format_stamp(source.record.created)}
    if ready.step.over == "tile":
        parameters["TILE"] = ready.unit.rsplit("-T", 1)[1]
    processor = workflow.processors[ready.step.name]
    return Order(
        created=source.record.created,
        traceparent=traceparent,
        session=source.session,
        step=ready.step.name,
        unit=ready.unit,
        digest=ready.digest,
        processor=processor.name,
        version=processor.version,
        inputs=ready.inputs,
        parameters=parameters,
        t0=complete.t0,
        deadline=deadline(complete.t0, ready.step.level),
    )


def make_job_order(workflow: Workflow, order: Order, station: str) -> JobOrder:
    """The job order of ``order``, with paths below the placeholder ``{scratch}`` that the runner puts in."""
    processor = workflow.processors[order.step]
    inputs = []
    for needed in processor.inputs:
        root = f"{{scratch}}/inputs/{needed.file_type}"
        if needed.source == "session":
            inputs.append(JobInput(needed.file_type, (root,), "Directory"))
            continue
        names = tuple(f"{root}/{i.name}" for i in order.inputs if i.file_type == needed.file_type)
        inputs.append(JobInput(needed.file_type, names, "Directory"))
    outputs = tuple(
        JobOutput(
            o.file_type,
            f"{{scratch}}/outputs/{o.file_type}" + (f"/{o.file_name}" if o.file_name else ""),
            o.mandatory,
            "Physical" if o.file_name else "Directory",
        )
        for o in processor.outputs
    )
    return JobOrder(
        processor_name=processor.name,
        version=processor.version,
        acquisition_station=station,
        processing_station=workflow.site,
        parameters=order.parameters | {"NUMBER_OF_THREADS": str(max(1, round(processor.cpus)))},
        tasks=(JobTask(order.step, processor.version, tuple(inputs), outputs),),
    )
