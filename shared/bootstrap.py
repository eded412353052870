"""The only place that builds real adapters: every function and Job gets its ``Services`` here.

Imports of adapters stand inside the properties: a function that never launches a Job does not import a launcher.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING

from shared.places import StationSettings
from shared.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.adapters.auxip import AuxipSource
    from shared.domain.strategy import Strategy, Subject
    from shared.ledger.ledger import Ledger
    from shared.ledger.records import Complete, Order
    from shared.ports import Clock, EventSink, JobLauncher, JobSpec, ObjectStore, Station
    from shared.workflow.graph import Processor, Workflow
    from shared.workflow.reruns import Rerun
    from shared.workflow.ruling import Ruling


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class Services:
    """What a step may use. Tests and rehearsals make their own, with the in-memory store and the virtual clock."""

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)

    @staticmethod
    def trace(session: str) -> str:
        """The trace context that records of ``session`` carry: the span under way, else the session's root."""
        from shared.telemetry import current_traceparent, session_traceparent

        return current_traceparent() or session_traceparent(session)

    @cached_property
    def store(self) -> ObjectStore:
        from shared.adapters.s3 import S3Store

        return S3Store.from_settings(self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        from shared.ledger.ledger import Ledger

        return Ledger(self.store, self.settings.bucket_ledger, self.clock)

    @cached_property
    def workflow(self) -> Workflow:
        from shared.workflow.graph import load_workflow

        return load_workflow(self.settings.processor_set)

    @cached_property
    def _strategies(self) -> dict[str, Strategy]:
        return {}

    def strategy_of(self, version: str) -> Strategy:
        """The strategy of a version, read once; empty is the default one."""
        from shared.domain.strategy import DEFAULT

        if not version:
            return DEFAULT
        if version not in self._strategies:
            from shared.strategy.shelf import StrategyShelf

            self._strategies[version] = StrategyShelf(self.ledger).load(version)
        return self._strategies[version]

    def active_strategy(self) -> str:
        """The version that is active now; empty where it is the default one."""
        from shared.strategy.shelf import StrategyShelf

        active = StrategyShelf(self.ledger).active()
        return active.version if active is not None else ""

    def active_ruling(self, subject: Subject) -> Ruling:
        """What the active strategy decides of a session that is not complete yet."""
        from shared.workflow.ruling import Ruling

        return Ruling(self.strategy_of(self.active_strategy()), subject)

    def workflow_in(self, processor_set: str) -> Workflow:
        """The graph with a processor set; empty is that of the settings."""
        if not processor_set:
            return self.workflow
        from shared.workflow.graph import load_workflow

        return load_workflow(processor_set)

    def workflow_of(self, complete: Complete | None, reruns: Iterable[Rerun] | None = None) -> Workflow:
        """The workflow of a session, under the strategy that it is bound to; None: of no session.

        ``reruns``: what of it was asked for anew, for whoever knows; else that is a listing.
        """
        if complete is None:
            return self.workflow
        from shared.workflow.reruns import read_reruns
        from shared.workflow.ruling import ruling_of

        found = self.workflow_under(ruling_of(self.strategy_of(complete.strategy), complete))
        anew = read_reruns(self.ledger, complete.session) if reruns is None else tuple(reruns)
        return found.anew(anew) if anew else found

    def workflow_named(self, session: str) -> Workflow:
        """The workflow of a session by its name, with what of it was asked for anew."""
        from shared.ledger import keys
        from shared.ledger.records import Complete
        from shared.workflow.reruns import read_reruns

        complete, reruns = self.ledger.find(keys.complete(session), Complete), read_reruns(self.ledger, session)
        return self.workflow.anew(reruns) if complete is None else self.workflow_of(complete, reruns)

    def workflow_under(self, ruling: Ruling) -> Workflow:
        """The graph of a session under what its strategy decides, with each processor set that it may bind parts to."""
        others = {name: self.workflow_in(name) for name in ruling.other_sets}
        return self.workflow_in(ruling.whole.decision.processor_set or "").under(ruling, others)

    def workflow_for(self, order: Order) -> Workflow:
        """The workflow of one work item: its processor as the order's strategy decided."""
        from shared.workflow.binding import bound

        return bound(self.workflow_in(order.processor_set), order.step, order.decision)

    def processor_of(self, job: JobSpec) -> Processor:
        """The processor that a Job runs, with the Job's time limit."""
        from shared.ports import STAGING_S

        processor = self.workflow_in(job.processor_set).processors[job.step]
        return processor.model_copy(update={"time_limit_s": job.time_limit_s - STAGING_S})

    @cached_property
    def launcher(self) -> JobLauncher:
        if self.settings.launcher == "kubernetes":
            from shared.adapters.kubernetes.client import KubernetesApi
            from shared.adapters.kubernetes.launcher import KubernetesJobLauncher

            api = KubernetesApi.from_environment(self.settings.kube_namespace)
            return KubernetesJobLauncher(api, self.processor_of, self.settings, self.clock)
        from shared.adapters.local_jobs import LocalJobLauncher

        return LocalJobLauncher(self.settings.jobs_dir)

    @cached_property
    def stations(self) -> dict[str, Station]:
        return {station.name: _station(station) for station in self.settings.stations}

    @cached_property
    def auxip(self) -> dict[str, AuxipSource]:
        from shared.adapters.auxip import AuxipSource
        from shared.adapters.odata import ODataService

        return {
            each.name: AuxipSource(
                each.name,
                each.url,
                ODataService(f"AUXIP {each.name}", each.auth, timeout_s=each.timeout_s, ca_file=each.ca_file),
                page=each.page,
                name_prefix=each.name_prefix,
            )
            for each in self.settings.auxip
        }

    @cached_property
    def sink(self) -> EventSink:
        from shared.adapters.http_sink import HttpSink

        return HttpSink.from_environment()


def _station(settings: StationSettings) -> Station:
    """A pick-up point by its protocol; another protocol's adapter is added here."""
    match settings.protocol:
        case "xbip":
            from shared.adapters.webdav import WebDavStation

            return WebDavStation(settings)
        case "cadip":
            from shared.adapters.cadip import CadipStation

            return CadipStation(settings)


@cache
def services() -> Services:
    """The services of this process, built from its settings."""
    return Services(load_settings())
