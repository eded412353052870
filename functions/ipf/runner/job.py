"""One attempt at one work item, and where things stand in its scratch folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.bootstrap import Services
from shared.errors import BadInputError, ConfigurationError
from shared.ledger.attempts import over
from shared.ledger.keys import WorkKey, parse_work
from shared.ledger.records import Attempt, Order
from shared.workflow.graph import Processor
from shared.workflow.shared_folders import datastrip_folder
from shared.workflow.superseding import end_superseded, superseded_by


@dataclass(frozen=True)
class Scratch:
    """The layout of a scratch folder; the three containers of a Job share it."""

    root: Path

    @property
    def job_order(self) -> Path:
        return self.root / "joborder.xml"

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    @property
    def log(self) -> Path:
        return self.root / "log.txt"

    @property
    def own(self) -> Path:
        """What stage-in lays for the IPF's container: ``ipf.sh`` and what it keeps beside it."""
        return self.root / ".s2ps"

    @property
    def calls(self) -> Path:
        """What is to be run."""
        return self.own / "calls"

    @property
    def skip(self) -> Path:
        """There where the IPF is not to be run."""
        return self.own / "skip"

    @property
    def staged(self) -> Path:
        """``Staged``, once stage-in is done."""
        return self.root / "staged.json"

    @property
    def execution(self) -> Path:
        """``Execution``, once the IPF has ended."""
        return self.root / "execution.json"


class Staged(BaseModel):
    """What stage-in did. ``base`` is the attempt's folder on the shared volume, empty where it has none.

    ``start_s``: from the start of its process until it began, at ``started``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    started: AwareDatetime
    start_s: float = 0.0
    seconds: float
    files: int
    size: int
    base: str = ""


class Execution(BaseModel):
    """How the IPF ended; written by ``execute`` in the local runtime, by ``ipf.sh`` in a pod.

    ``exits`` are the exit codes of its commands, as far as they were run, ``exit_code`` is the highest of them: 128 + n
    where signal n ended it, 127 and 126 where a command is not there or cannot be executed. ``timed_out``: it was
    stopped at its time limit. ``hung``: because nothing had changed for too long. ``disk_full``: at its end there was
    no room left where it works (less than 1 MiB). ``peak_rss_mb``: of its largest process; in a pod of the container,
    with its share of the file cache, 0 where the node does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    exit_code: int
    exits: tuple[int, ...] = ()
    timed_out: bool = False
    hung: bool = False
    out_of_memory: bool = False
    disk_full: bool = False
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


def work_place(work: str) -> WorkKey:
    """The work item of a ledger prefix; BadInputError where it is none."""
    found = parse_work(f"{work.rstrip('/')}/order.json")
    if found is None:
        raise BadInputError("--work", "sessions/<session>/work/<step>/<unit>/<digest>/", work)
    return found[0]


@dataclass(frozen=True)
class Job:
    """What the runner works on.

    ``shared`` is the folder of the datastrip on the shared volume, None where the processor has no such volume.
    """

    services: Services
    place: WorkKey
    number: int
    order: Order
    processor: Processor
    scratch: Scratch
    shared: Path | None = None

    @classmethod
    def open(cls, services: Services, work: str, number: int, scratch: Path, mounted: Path | None = None) -> Self:
        """Read the order at ledger prefix ``work``. ConfigurationError where its processor is not of this set.

        ``mounted`` is where a pod has the datastrip's folder of the shared volume.
        """
        place = work_place(work)
        order = services.ledger.read(place.order, Order)
        workflow = services.workflow_for(order)
        processor = workflow.processors.get(order.step)
        if processor is None or (processor.name, processor.version) != (order.processor, order.version):
            raise ConfigurationError(
                f"{place.order}: expected processor {order.processor} {order.version} for step {order.step}, "
                f"found {processor and (processor.name, processor.version)} in set {workflow.set_name}"
            )
        shared = None
        if processor.shared is not None:
            strip = datastrip_folder(workflow, order.step, order.session, order.unit)
            shared = mounted or services.settings.shared_dir.absolute() / strip
        return cls(services, place, number, order, processor, Scratch(scratch.absolute()), shared)

    @property
    def over(self) -> bool:
        """Whether another attempt has settled the work, or this one was given up."""
        return over(self.services.ledger, self.place, self.number)

    @property
    def superseded(self) -> bool:
        """Whether a rerun made the work anew while the Job waited for its place; then the work ends here."""
        ledger = self.services.ledger
        rerun = superseded_by(ledger, self.services.workflow_named, self.order)
        if rerun is not None:
            end_superseded(ledger, self.order, self.number, rerun, self.now(), self.services.trace(self.place.session))
        return rerun is not None

    @property
    def time_limit_s(self) -> float:
        attempt = self.services.ledger.find(self.place.attempt(self.number), Attempt)
        return float(self.processor.time_limit_s if attempt is None else attempt.time_limit_s)

    def now(self) -> datetime:
        return self.services.clock.now()

    def values(self, base: Path) -> dict[str, str]:
        """What the placeholders of commands, paths and job orders stand for, ``{input:...}`` apart."""
        workflow, auxiliary = self.services.workflow_in(self.order.processor_set), self.processor.auxiliary
        return {
            **self.order.parameters,
            **{f"root:{name}": path for name, path in workflow.roots.items()},
            "joborder": str(self.scratch.job_order),
            "scratch": str(self.scratch.root),
            "base": str(base),
            "aux": str(base / (auxiliary.to if auxiliary is not None else "aux")),
            "cpus": str(max(1, round(self.processor.cpus))),
            "SITE": workflow.site,
        }
