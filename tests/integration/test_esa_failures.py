"""Each failure of the reference's status table, injected into stand-ins behind the runner: which class it ends in.

The chain's own Launcher calls several of them a success. Here none is one.
"""

from __future__ import annotations

import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from functions.job_preparation.step import prepare
from shared.adapters.s3 import S3Store
from shared.bootstrap import Services
from shared.domain.events import object_created
from shared.ledger import keys
from shared.ledger.keys import WorkKey, parse_work
from shared.ledger.records import FINISHED, Attempt, AttemptEnded, Complete, Outcome, SessionChunk
from shared.settings import Settings
from tests.support.bench import Bench
from tests.support.esa import SESSION, START, Chain, raw_files
from tests.support.esa_run import fill_catalogue, processor_set

NOW = datetime(2022, 4, 13, 13, 35, tzinfo=UTC)
TAKE = {"name": "DT35", "scenes": 2, "tiles": 1, "start": START.isoformat()}


@dataclass
class Work:
    """The Level-0 work of a datatake that was ingested; each run of it is an attempt of its own."""

    bench: Bench
    chain: Chain
    attempts: int = 0

    def run(self, *rules: dict[str, Any], limit_s: int = 120) -> tuple[str, Outcome | AttemptEnded]:
        """Run it with these rules; its status class, and the record that tells of it."""
        self.chain.configure(datatakes=[TAKE], light=True, job_orders="first", rules=list(rules))
        bench, self.attempts = self.bench, self.attempts + 1
        store, ledger = bench.services.store, bench.services.ledger
        if bench.outcome is not None:
            store.delete(ledger.bucket, bench.place.outcome)
        attempt = Attempt(
            created=NOW, number=self.attempts, job=f"job-{self.attempts}", cpus=1, memory_mb=1, time_limit_s=limit_s
        )
        ledger.create(bench.place.attempt(self.attempts), attempt)
        done = bench.run(self.attempts)
        assert done.returncode == 0, done.stderr
        found = bench.outcome or bench.ended(self.attempts)
        assert found is not None, done.stderr
        return found.status, found


@pytest.fixture(scope="module")
def work(s3_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A session in a store, its ingestion done by a stand-in, and the order of the Level-0 work that follows."""
    folder, tag = tmp_path_factory.mktemp("esa"), uuid.uuid4().hex[:8]
    chain = Chain.make(folder, datatakes=[TAKE], light=True, job_orders="first")
    hang = {"quiet_limit_s": 12}
    processors = processor_set(chain, folder, l0c=hang)
    processors.write_text(processors.read_text().replace("'7200'", "'4'"))  # -k of Level 0
    names = {f"bucket_{b}": f"{b}-{tag}" for b in ("sessions", "auxiliary", "work", "products", "ledger")}
    settings = s3_settings.model_copy(
        update={**names, "processor_set": str(processors), "shared_dir": folder / "shared"}
    )
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(S3Store.from_settings(settings).ensure_bucket, names.values()))
    services = Services(settings)
    fill_catalogue(services)
    ingested = _run(_prepared(services, keys.complete(SESSION), _session(services)), folder)
    return Work(_run(_prepared(services, ingested.place.outcome, 1), folder, first=False), chain)


def _session(services: Services) -> int:
    chunks = []
    for path, body in raw_files(chunks=2).items():
        channel, name = int(path[3]), path[5:]
        key = f"SGS_/S2B/{SESSION}/{path}"
        services.store.put(services.settings.bucket_sessions, key, body)
        digest = hashlib.sha256(body).hexdigest()
        chunks.append(SessionChunk(name=name, key=key, channel=channel, size=len(body), sha256=digest))
    complete = Complete(created=NOW, session=SESSION, station="SGS_", satellite="S2B", t0=NOW, files=tuple(chunks))
    services.ledger.create(keys.complete(SESSION), complete)
    return 1


def _prepared(services: Services, subject: str, expected: int) -> Bench:
    """The work that a record readies, claimed as the service claims it."""
    before = {info.key for info in services.ledger.list("sessions/")}
    assert prepare(object_created("ledger", subject, "etag"), services) == expected
    (order,) = [
        i.key for i in services.ledger.list("sessions/") if i.key.endswith("order.json") and i.key not in before
    ]
    place = parse_work(order)
    assert place is not None
    return Bench(services, WorkKey(*_parts(place[0])), Path())


def _parts(place: WorkKey) -> tuple[str, str, str, str]:
    return place.session, place.step, place.unit, place.digest


def _run(bench: Bench, folder: Path, *, first: bool = True) -> Bench:
    bench.folder = folder
    if first:
        done = bench.run()
        assert bench.outcome is not None, done.stderr
        assert bench.outcome.status == "succeeded", bench.outcome.reason
    return bench


def test_without_a_fault_it_succeeds(work: Work) -> None:
    status, outcome = work.run()
    assert status == "succeeded", outcome
    assert isinstance(outcome, Outcome)
    assert outcome.warnings == ()
    assert sorted(a.file_type for a in outcome.outputs).count("PDI_DS_GR_LIST") == 24
    assert outcome.facts["datatake_type"] == "NOBS"


@pytest.mark.parametrize("code", [1, 127])
def test_exit_1_to_127_of_a_program_is_a_warning_on_the_product(work: Work, code: int) -> None:
    status, outcome = work.run({"mode": "L0", "task": "QL_GEO", "fault": "exit", "code": code})
    assert status == "succeeded-with-warnings"
    assert isinstance(outcome, Outcome)
    assert any("QL_GEO" in warning and str(code) in warning and "60" in warning for warning in outcome.warnings)


@pytest.mark.parametrize(
    ("rule", "status", "named"),
    [
        ({"task": "QL_GEO", "fault": "exit", "code": 128}, "failed", "QL_GEO"),
        ({"task": "QL_GEO", "fault": "exit", "code": 255}, "failed", "QL_GEO"),
        ({"task": "QL_GEO", "fault": "signal", "code": 9}, "infrastructure", "QL_GEO"),
        ({"task": "QL_GEO", "fault": "out-of-memory"}, "infrastructure", ""),
        ({"task": "QL_GEO", "fault": "not-executable"}, "infrastructure", "ConfigurationError"),
        ({"task": "QL_GEO", "fault": "missing-program"}, "infrastructure", "ConfigurationError"),
        ({"task": "QL_GEO", "fault": "disk-full"}, "infrastructure", "DiskFull"),
        ({"task": "QL_GEO", "fault": "slow", "seconds": 60}, "retry", "DeadlineExceeded"),
        ({"fault": "scheduler-dies", "task": "QL_GEO"}, "failed", "never ran"),
        ({"fault": "missing-output", "output": "*L0__DS*", "mode": "OLQC_L0DS"}, "failed", "PDI_DS"),
        ({"fault": "invalid-metadata", "output": "*MTD_L0__DS*.xml"}, "failed", "PDI_DS"),
        ({"fault": "exit", "code": 255}, "failed", "exit code 255"),
        ({"fault": "signal", "code": 9}, "infrastructure", "signal 9"),
        ({"fault": "out-of-memory", "memory_mb": 16}, "infrastructure", "OOMKilled"),
        ({"fault": "disk-full"}, "infrastructure", "DiskFull"),
        ({"fault": "hang"}, "retry", "Hung"),
        ({"fault": "ignore-sigterm"}, "retry", "Hung"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_no_failure_is_reported_as_a_success(work: Work, rule: dict[str, Any], status: str, named: str) -> None:
    found, record = work.run({"mode": "L0", **rule} if "output" not in rule else rule)
    assert found == status, record
    assert found not in FINISHED
    assert named in record.reason, record.reason
    if isinstance(record, Outcome):
        assert record.outputs == ()
