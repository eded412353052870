"""A session through the set ``esa`` with stand-ins, on the local runtime: real store, station, functions, Jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from eventing.local import control
from eventing.local.config import RunConfig, RunDir, settings_from
from functions.cli.options import stations_json
from shared.auxiliary.intake import Delivery, Intake
from shared.auxiliary.table import load_types
from shared.auxiliary.unpacking import Limits
from shared.bootstrap import Services
from shared.errors import RetryableError
from shared.ledger import keys
from shared.ledger.records import Account, AccountEntry
from shared.places import StationSettings
from shared.rehearsal.station import WebDavServer
from shared.workflow import graph
from tests.support.esa import SESSION, Chain, deliveries, raw_files
from tests.support.runs import stop_and_check, wait_for

HURRIED = {
    "S2PS_RETRY_DELAY_S": "1",
    "S2PS_SWEEP_GRACE_S": "5",
    "S2PS_POLL_INTERVAL_S": "1",
    "S2PS_SWEEP_INTERVAL_S": "5",
}


def processor_set(chain: Chain, folder: Path, **changes: Mapping[str, Any]) -> Path:
    """The set ``esa``, its roots those of the stand-ins; ``changes`` are laid over processors by step (``l1a_format``
    is ``l1a-format``).
    """
    document = yaml.safe_load((Path(graph.__file__).parent / "processors" / "esa.yaml").read_text())
    document["roots"] = chain.roots
    for step, change in changes.items():
        document["processors"][step.replace("_", "-")].update(change)
    path = folder / "esa.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@dataclass
class EsaRun:
    """A runtime that is up, with a session at its station."""

    run: RunDir
    chain: Chain
    services: Services

    def account(self, timeout_s: float = 240.0) -> Account:
        """The session's account, once it is closed."""
        found = self.when(lambda: self.services.ledger.find(keys.account(SESSION), Account), "the account", timeout_s)
        assert isinstance(found, Account)
        return found

    def when(self, moment: Callable[[], Any], what: str, timeout_s: float = 120.0) -> Any:
        """What ``moment`` gives, once it gives something. Jobs and timers are looked at again and again."""

        def reached() -> Any:
            assert control.is_served(self.run)
            try:
                return moment()
            except RetryableError:
                return None

        return wait_for(reached, what, timeout_s=timeout_s, pause_s=0.2)


@contextmanager
def running(
    folder: Path, *, datatakes: list[dict[str, Any]], chunks: int = 1, cpus: int = 32, **config: Any
) -> Iterator[EsaRun]:
    """Bring a run up with auxiliary files in its catalogue and a session at its station; take it down at the end.

    ``config`` goes to the stand-ins; ``changes`` of it to the processors, ``environment`` to the functions.
    """
    run = RunDir.at(folder / "run")
    changes, environment = config.pop("changes", {}), config.pop("environment", {})
    chain = Chain.make(folder / "stand-ins", datatakes=datatakes, **config)
    with WebDavServer(folder / "station") as station:
        pickup = StationSettings(
            name="SGS_", url=station.url, user=station.user, password=SecretStr(station.password), timeout_s=20.0
        )
        variables = {
            **HURRIED,
            "S2PS_STATIONS": stations_json([pickup]),
            "S2PS_PROCESSOR_SET": str(processor_set(chain, folder, **changes)),
            **environment,
        }
        try:
            found = control.start(run, RunConfig(idle_s=300.0, cpus=cpus, memory_mb=10**6, environment=variables))
            services = Services(settings_from(found.settings))
            fill_catalogue(services)
            _play(folder / "station", chunks)
            yield EsaRun(run, chain, services)
        finally:
            stop_and_check(run)


def fill_catalogue(services: Services, without: Collection[str] = ()) -> None:
    """A file of every type becomes usable; not those of ``without``."""
    settings = services.settings
    limits = Limits(files=settings.aux_most_files, size=settings.aux_unpacked_mb << 20)
    intake = Intake(
        services.store, settings.bucket_auxiliary, services.clock, load_types(), limits, 1 << 30, ledger=services.ledger
    )

    def take(name: str, body: bytes) -> None:
        intake.take(Delivery(name, "test"), iter([body]))

    with ThreadPoolExecutor(8) as pool:
        wanted = [item for item in deliveries() if item[0][9:19] not in without]
        list(pool.map(lambda item: take(*item), wanted))


def _play(station: Path, chunks: int) -> None:
    """A whole session appears at once."""
    draft = station / ".draft"
    for path, body in raw_files(chunks=chunks).items():
        file = draft / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    nominal = station / "NOMINAL" / "S2B"
    nominal.mkdir(parents=True)
    draft.rename(nominal / f"DCS_05_{SESSION}_dat")


def by_level(entries: tuple[AccountEntry, ...]) -> Counter[tuple[str, str, str]]:
    """How many products of each level and type ended how: (level, type, ended)."""
    return Counter((entry.level, entry.product[9:19], entry.ended) for entry in entries)
