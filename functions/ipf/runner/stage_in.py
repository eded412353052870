"""Stage-in: the inputs of a work item into the scratch folder, each byte checked on its way, and the job order."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from functions.ipf.runner.job import Job, Staged
from functions.ipf.runner.paths import below
from shared.errors import IntegrityError
from shared.joborder import parse_job_order
from shared.ledger.records import ArtifactRef, Complete, Outcome
from shared.ports import ObjectStore
from shared.workflow.plan import tree_digest
from shared.workflow.sources import read_source

PLACEHOLDER: Final = "{scratch}"
FORM: Final = "form"
_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Fetch:
    """One object to bring, and what its bytes must be."""

    bucket: str
    key: str
    to: Path
    size: int
    sha256: str


def stage_in(job: Job) -> Staged:
    """Bring all inputs and write ``joborder.xml``.

    IntegrityError where bytes are not those of the order's digests, ObjectAbsentError where an input has gone.
    """
    started, clock = job.now(), time.monotonic()
    wanted = list(_fetches(job))
    for folder in sorted({fetch.to.parent for fetch in wanted}):
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        # The largest first: they decide when the last one is here.
        list(pool.map(lambda f: fetch_file(job.services.store, f), sorted(wanted, key=lambda f: -f.size)))
    _write_job_order(job)
    staged = Staged(
        started=started,
        seconds=round(time.monotonic() - clock, 3),
        files=len(wanted),
        size=sum(fetch.size for fetch in wanted),
    )
    job.scratch.staged.write_text(staged.model_dump_json())
    return staged


def fetch_file(store: ObjectStore, fetch: Fetch) -> None:
    """One object into one file; size and SHA-256 are checked while the bytes pass."""
    digest, size = hashlib.sha256(), 0
    with fetch.to.open("wb") as file:
        for chunk in store.read(fetch.bucket, fetch.key):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    if (size, digest.hexdigest()) != (fetch.size, fetch.sha256):
        raise IntegrityError(
            f"input {fetch.bucket}/{fetch.key}: expected {fetch.size} bytes with SHA-256 {fetch.sha256}, "
            f"found {size} with {digest.hexdigest()}"
        )


def _fetches(job: Job) -> Iterator[Fetch]:
    sources = {ref.outcome: read_source(job.services.ledger, ref.outcome).record for ref in job.order.inputs}
    for ref in job.order.inputs:
        folder, record = job.scratch.inputs / ref.file_type, sources[ref.outcome]
        if isinstance(record, Complete):
            yield from _raw_files(record, ref, folder, job.services.settings.bucket_sessions)
        else:
            yield from _artifact(record, ref, folder)


def _raw_files(record: Complete, ref: ArtifactRef, folder: Path, bucket: str) -> Iterator[Fetch]:
    if tree_digest([(f.key, f.size, f.sha256) for f in record.files]) != ref.digest:
        raise IntegrityError(f"{ref.outcome}: its files are not those that the order was made for")
    for file in record.files:
        yield Fetch(bucket, file.key, below(folder, f"ch_{file.channel}/{file.name}"), file.size, file.sha256)


def _artifact(record: Outcome, ref: ArtifactRef, folder: Path) -> Iterator[Fetch]:
    for artifact in record.outputs:
        if (artifact.name, artifact.digest) == (ref.name, ref.digest):
            root = folder if artifact.attributes.get(FORM) == "file" else below(folder, artifact.name)
            for file in artifact.files:
                yield Fetch(
                    artifact.bucket, artifact.prefix + file.path, below(root, file.path), file.size, file.sha256
                )
            return
    raise IntegrityError(f"{ref.outcome}: expected an output {ref.name} with digest {ref.digest}")


def _write_job_order(job: Job) -> None:
    """The ledger's job order with the scratch folder in its place; folders of the outputs are made."""
    body, _ = job.services.store.get(job.services.ledger.bucket, job.place.job_order)
    document = body.replace(PLACEHOLDER.encode(), escape(str(job.scratch.root)).encode())
    for task in parse_job_order(document).tasks:
        for output in task.outputs:
            path = below(job.scratch.root, str(Path(output.name).relative_to(job.scratch.root)))
            (path if output.file_name_type == "Directory" else path.parent).mkdir(parents=True, exist_ok=True)
    job.scratch.job_order.write_bytes(document)
