"""The order of a work item, and the job order of the service's own form that goes with it."""

from __future__ import annotations

from shared.domain.names import format_stamp
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask
from shared.ledger.records import Complete, Order
from shared.workflow.graph import Workflow
from shared.workflow.parts import apart
from shared.workflow.plan import Ready


def make_order(
    workflow: Workflow, ready: Ready, complete: Complete, traceparent: str, *, warnings: tuple[str, ...] = ()
) -> Order:
    """The claim of ``ready``: the same whoever makes it, since its times are those of what readied it.

    ``warnings``: what it goes on without, beside what ``ready`` tells of itself.
    """
    processor = workflow.binding(ready.decided).processors[ready.step.name]
    ruling, rerun = workflow.ruling, ready.rerun
    start = complete.t0 if rerun is None else rerun.since
    return Order(
        created=ready.created,
        traceparent=traceparent,
        session=complete.session,
        step=ready.step.name,
        unit=ready.unit,
        digest=ready.digest,
        processor=processor.name,
        version=processor.version,
        inputs=ready.inputs,
        parameters={**ready.parameters, "CREATION_DATE": format_stamp(apart(ready.created, dict(ready.facts)))},
        facts=dict(ready.facts),
        warnings=(*ready.warnings, *warnings),
        t0=start,
        deadline=ruling.deadline(ready.step.level, ready.decided, start),
        priority=ruling.priority(ready.decided, anew=rerun is not None),
        strategy=complete.strategy,
        decision=ready.decided.decision if ready.decided.by else None,
        rules=dict(ready.decided.by),
        rerun=0 if rerun is None else rerun.number,
    )


def make_job_order(workflow: Workflow, order: Order, station: str) -> JobOrder:
    """The job order of ``order``, with paths below the placeholder ``{base}`` that the runner puts in."""
    processor = workflow.processors[order.step]
    inputs = []
    for needed in processor.inputs:
        place = f"{{base}}/{needed.place}"
        if needed.source == "session":
            inputs.append(JobInput(needed.file_type, (place,), "Directory"))
            continue
        names = tuple(place.replace("{name}", i.name) for i in order.inputs if i.file_type == needed.file_type)
        inputs.append(JobInput(needed.file_type, names, "Directory"))
    outputs = tuple(
        JobOutput(
            o.file_type,
            f"{{base}}/{o.folder}" + (f"/{o.file_name}" if o.file_name else ""),
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
