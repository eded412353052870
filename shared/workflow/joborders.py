"""The job order of an order, as its processor wants it: the service's own, that of a call of the licensed chain, none.

Paths hold the placeholders of ``shared.workflow.processor`` (``{base}``, ``{aux}``), which the runner puts in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from shared.domain.names import SessionId, downlink_of, format_stamp
from shared.errors import ConfigurationError
from shared.joborder import JobInput, JobOrder
from shared.ledger.records import Order
from shared.workflow.graph import Processor, Workflow
from shared.workflow.orders import make_job_order
from shared.workflow.processor import CallOrder

if TYPE_CHECKING:
    from shared.tasktable import Scheme


def job_order_of(workflow: Workflow, order: Order, station: str, satellite: str) -> JobOrder | None:
    """The job order to write beside ``order``; None where the processor takes none.

    ConfigurationError naming the processor where the call that its set names is not as the chain has it.
    """
    processor = workflow.processors[order.step]
    if processor.job_order == "none":
        return None
    if processor.job_order == "own":
        return _with_auxiliary(make_job_order(workflow, order, station), order.auxiliary)
    start = SessionId.parse(downlink_of(order.session)).start
    session = {
        "MISSION": satellite,
        "SESSION_START": format_stamp(start),
        "STATION": station,
        "SITE": workflow.site,
    }
    return _called(processor, processor.job_order, order, session)


def _with_auxiliary(job_order: JobOrder, files: Sequence[str]) -> JobOrder:
    """The job order that names the auxiliary files too: one input for each type, where the runner lays them."""
    if not files:
        return job_order
    # A set whose processors need none does not read the table of types.
    from shared.auxiliary.table import load_types
    from shared.domain.auxiliary.folders import laid_as

    placed = [(name[9:19], *laid_as(load_types(), name)) for name in files]
    inputs = tuple(
        JobInput(
            kind,
            tuple(f"{{aux}}/{path}" for each, path, _ in placed if each == kind),
            "Directory" if folders else "Physical",
        )
        for kind, folders in sorted({(kind, folder) for kind, _, folder in placed})
    )
    (task,) = job_order.tasks
    return replace(job_order, tasks=(replace(task, inputs=(*task.inputs, *inputs)),))


def _called(processor: Processor, call: CallOrder, order: Order, session: Mapping[str, str]) -> JobOrder:
    # Only the licensed chain needs it: a function that starts for another set does not wait for it.
    from shared.tasktable import Run, call_order

    values = {**session, **order.parameters}
    parameters = {name: fill(text, values) for name, text in call.parameters.items()}
    derived = processor.auxiliary.parameters if processor.auxiliary is not None else {}
    parameters |= {name: order.parameters[name] for name in derived if name in order.parameters}
    known = _scheme().calls.get(call.call)
    run = Run(
        mode="",
        processing="",
        acquisition_station=session["STATION"],
        processing_station=session["SITE"],
        creation_date=order.parameters.get("CREATION_DATE", ""),
        version=call.version,
        versions={} if known is None else {known.task: call.version},
    )
    inputs = {name: tuple(fill(text, values) for text in texts) for name, texts in call.inputs.items()}
    outputs = {name: fill(text, values) for name, text in call.outputs.items()}
    try:
        return call_order(_scheme(), call.call, run, parameters, inputs, outputs)
    except ConfigurationError as error:
        raise ConfigurationError(f"processor {processor.name}, job_order: {error}") from None


def fill(text: str, values: Mapping[str, str]) -> str:
    """``text`` with each ``{NAME}`` of ``values`` put in, once; other placeholders stay for the runner."""
    parts = text.split("{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, closed, rest = part.partition("}")
        filled.append(f"{values[name]}{rest}" if closed and name in values else f"{{{part}")
    return "".join(filled)


@cache
def _scheme() -> Scheme:
    from shared.tasktable import load_scheme

    return load_scheme()
