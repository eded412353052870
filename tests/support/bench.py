"""A session that is complete, with a work item claimed, and a processor for it: what the runner's tests begin with."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from shared.bootstrap import Services
from shared.joborder import format_job_order
from shared.ledger import keys
from shared.ledger.keys import WorkKey
from shared.ledger.records import AttemptEnded, Complete, Outcome, SessionChunk
from shared.settings import Settings
from shared.workflow import graph
from shared.workflow.orders import make_job_order, make_order
from shared.workflow.plan import Ready, Source
from shared.workflow.walk import next_work

SESSION = "S2A_20261122100000000123"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
RAW = {f"DCS_05_{SESSION}_ch{c}_DSDB_00001.raw": bytes([c]) * 100_000 for c in (1, 2)}
PREAMBLE = """
import os, sys, time, pathlib
root = pathlib.Path(sys.argv[1]).parent
out = root / "outputs"
raw = sorted((root / "inputs/STO_CADU_S").rglob("*.raw"))
def strip(name, xml="<a><EXT_POS_LIST>1 2 3 4</EXT_POS_LIST></a>", size=10):
    folder = out / "DS_GR_FOLDER" / name
    (folder / "DS").mkdir(parents=True)
    (folder / "MTD.xml").write_text(xml)
    (folder / "DS/data.bin").write_bytes(bytes(size))
def log(kind, text):
    print(f"2026-11-22T10:00:00.000000 host S2PS_L0U 00.01 [{os.getpid():010d}]: [{kind}] {text}", flush=True)
"""


@dataclass
class Bench:
    """A complete session with its first work item claimed, and a processor for it."""

    services: Services
    place: WorkKey
    folder: Path

    def run(self, attempt: int = 1, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(attempt), env=self.env(**env), capture_output=True, text=True, timeout=120, check=False
        )

    def command(self, attempt: int = 1) -> list[str]:
        return [
            sys.executable,
            "-m",
            "functions.ipf.runner",
            "run",
            "--work",
            self.place.prefix,
            "--attempt",
            f"{attempt}",
        ]

    def env(self, **more: str) -> dict[str, str]:
        settings = self.services.settings
        return {
            **os.environ,
            "S2PS_STORE_ENDPOINT": settings.store_endpoint,
            "S2PS_STORE_ACCESS_KEY": settings.store_access_key.get_secret_value(),
            "S2PS_STORE_SECRET_KEY": settings.store_secret_key.get_secret_value(),
            "S2PS_BUCKET_SESSIONS": settings.bucket_sessions,
            "S2PS_BUCKET_AUXILIARY": settings.bucket_auxiliary,
            "S2PS_BUCKET_WORK": settings.bucket_work,
            "S2PS_BUCKET_LEDGER": settings.bucket_ledger,
            "S2PS_PROCESSOR_SET": settings.processor_set,
            "S2PS_SCRATCH_DIR": str(self.folder / "scratch"),
            "S2PS_TRACE_DIR": str(self.folder / "trace"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": "",
            **more,
        }

    @property
    def outcome(self) -> Outcome | None:
        return self.services.ledger.find(self.place.outcome, Outcome)

    def ended(self, attempt: int = 1) -> AttemptEnded | None:
        return self.services.ledger.find(self.place.ended(attempt), AttemptEnded)

    def uploaded(self) -> dict[str, int]:
        bucket = self.services.settings.bucket_work
        return {info.key: info.size for info in self.services.store.list(bucket)}

    def scratch(self) -> list[Path]:
        return list((self.folder / "scratch").glob("*"))


def processor_set(folder: Path, script: str, **changes: Any) -> Path:
    document = yaml.safe_load((Path(graph.__file__).parent / "processors/open.yaml").read_text())
    (folder / "ipf.py").write_text(PREAMBLE + script)
    document["processors"]["l0u"] |= {"command": ["python", str(folder / "ipf.py"), "{joborder}"], **changes}
    path = folder / "set.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def make_bench(settings: Settings, folder: Path, processors: Path) -> Bench:
    """A session of two raw files in the store, its first step claimed for the processor set ``processors``."""
    services = Services(settings.model_copy(update={"processor_set": str(processors)}))
    chunks = []
    for name, body in RAW.items():
        channel = 1 if "_ch1_" in name else 2
        key = f"SGS_/S2A/{SESSION}/ch_{channel}/{name}"
        services.store.put(settings.bucket_sessions, key, body)
        digest = hashlib.sha256(body).hexdigest()
        chunks.append(SessionChunk(name=name, key=key, channel=channel, size=len(body), sha256=digest))
    complete = Complete(created=NOW, session=SESSION, station="SGS_", satellite="S2A", t0=NOW, files=tuple(chunks))
    services.ledger.create(keys.complete(SESSION), complete)
    return claim(services, Source(keys.complete(SESSION), complete, SESSION), complete, folder)


def claim(services: Services, source: Source, complete: Complete, folder: Path) -> Bench:
    workflow = services.workflow_of(complete)
    ready = next(item for item in next_work(workflow, source) if isinstance(item, Ready))
    order = make_order(workflow, ready, complete, "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    place = ready.key(SESSION)
    document = format_job_order(make_job_order(services.workflow_for(order), order, "SGS_"))
    services.store.put(services.ledger.bucket, place.job_order, document)
    services.ledger.create(place.order, order)
    return Bench(services, place, folder)
