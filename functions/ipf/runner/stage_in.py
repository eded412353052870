"""Stage-in: the inputs of a work item into the scratch folder, each byte checked on its way, and the job order."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from functions.ipf.runner import auxiliary
from functions.ipf.runner.arranging import FORM, GoneError, Taken, input_values, lay_links, make_base, take
from functions.ipf.runner.filling import fill, fill_known
from functions.ipf.runner.job import Job, Staged
from functions.ipf.runner.paths import below
from functions.ipf.runner.pod import Calls, lay_calls
from shared.errors import BadInputError, IntegrityError, ObjectAbsentError
from shared.joborder import parse_job_order
from shared.ledger.records import Complete
from shared.ports import ObjectStore
from shared.telemetry.process import age_s
from shared.workflow.plan import tree_digest
from shared.workflow.products import shelf_of
from shared.workflow.shared_folders import PLACE
from shared.workflow.sources import read_source

# A datastrip is some ten thousands of small files: what counts is the store's answer to each.
_THREADS: Final = 16


@dataclass(frozen=True, slots=True)
class Fetch:
    """One object to bring, and what its bytes must be.

    ``shelf``: where it stands as a file of a product, bucket and key; intermediate files go after some days.
    """

    bucket: str
    key: str
    to: Path
    size: int
    sha256: str
    shelf: tuple[str, str] | None = None


def stage_in(job: Job) -> Staged:
    """Bring all inputs, lay the links, and write what is to be run: ``joborder.xml`` and the commands.

    IntegrityError where bytes are not those of the order's digests, GoneError where an input has gone,
    ObjectAbsentError where an auxiliary file has, ConfigurationError where a placeholder stands for nothing.
    """
    base = make_base(job)
    try:
        return _fill_base(job, base)
    except BaseException:
        if job.shared is not None:  # it is begun anew, in a folder of its own
            shutil.rmtree(base, ignore_errors=True)
        raise


def _fill_base(job: Job, base: Path) -> Staged:
    started, clock, age = job.now(), time.monotonic(), age_s()
    # Each record once: a datastrip's has hundreds of granules, and each of them is an input.
    outcomes = {ref.outcome for ref in job.order.inputs}
    sources = {outcome: read_source(job.services.ledger, outcome).record for outcome in sorted(outcomes)}
    taken = take(job, base, sources)
    wanted = [fetch for each in taken for fetch in _fetches(job, each)]
    for folder in sorted({fetch.to.parent for fetch in wanted}):
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        # The largest first: they decide when the last one is here.
        list(pool.map(lambda fetch: _bring(job, fetch), sorted(wanted, key=lambda f: -f.size)))
    laid = auxiliary.lay(job, base)
    lay_links(job, base, taken)
    values = job.values(base) | input_values(taken)
    for output in job.processor.outputs:
        if not output.path:
            (base / fill(output.folder, values, "output")).mkdir(parents=True, exist_ok=True)
    if job.processor.job_order != "none":
        _write_job_order(job, base, values)
    lay_calls(job.scratch, _calls(job, base, values))
    staged = Staged(
        started=started,
        start_s=round(age, 3),
        seconds=round(time.monotonic() - clock, 3),
        files=len(wanted) + laid.files,
        size=sum(fetch.size for fetch in wanted) + laid.size,
        base="" if job.shared is None else str(base),
    )
    job.scratch.staged.write_text(staged.model_dump_json())
    return staged


def _calls(job: Job, base: Path, values: dict[str, str]) -> Calls:
    processor = job.processor
    where = f"processor {processor.name} {processor.version}, command"
    return Calls(
        commands=tuple(tuple(fill(part, values, where) for part in call) for call in processor.calls),
        base=base,
        quiet_limit_s=processor.quiet_limit_s or 0,
        activity=tuple(fill(pattern, values, f"{where}: activity") for pattern in processor.activity),
    )


def _bring(job: Job, fetch: Fetch) -> None:
    """One file of an input. GoneError where nobody has it any more: no further attempt would find it."""
    try:
        fetch_file(job.services.store, fetch)
    except ObjectAbsentError:
        session, step = job.order.session, job.order.step
        raise GoneError(
            f"Gone: expected {fetch.bucket}/{fetch.key}, an input of {step}, and it is not in the store any more. "
            f"Put it back, then s2ps retry; or make it anew: s2ps retry {session} --from {step} tells from which step"
        ) from None


def fetch_file(store: ObjectStore, fetch: Fetch) -> None:
    """One object into one file; size and SHA-256 are checked while the bytes pass. What has gone is on the shelf."""
    try:
        _fetch(store, fetch)
    except ObjectAbsentError:
        if fetch.shelf is None:
            raise
        bucket, key = fetch.shelf
        _fetch(store, replace(fetch, bucket=bucket, key=key))


def _fetch(store: ObjectStore, fetch: Fetch) -> None:
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


def _fetches(job: Job, taken: Taken) -> Iterator[Fetch]:
    """What is to be brought of one input; nothing of one that lies on the shared volume."""
    artifact, ref = taken.artifact, taken.ref
    if isinstance(taken.record, Complete):
        if tree_digest([(f.key, f.size, f.sha256) for f in taken.record.files]) != ref.digest:
            raise IntegrityError(f"{ref.outcome}: its files are not those that the order was made for")
        for raw in taken.record.files:
            at = below(taken.at, f"ch_{raw.channel}/{raw.name}")
            yield Fetch(job.services.settings.bucket_sessions, raw.key, at, raw.size, raw.sha256)
    elif artifact is not None and PLACE not in artifact.attributes:
        root = taken.at.parent if artifact.attributes.get(FORM) == "file" else taken.at
        made_by = job.services.workflow_in(taken.record.processor_set)
        shelf = shelf_of(made_by, taken.record, artifact)
        for file in artifact.files:
            yield Fetch(
                artifact.bucket,
                artifact.prefix + file.path,
                below(root, file.path),
                file.size,
                file.sha256,
                (job.services.settings.bucket_products, shelf + file.path) if shelf else None,
            )


def _write_job_order(job: Job, base: Path, values: dict[str, str]) -> None:
    """The ledger's job order with its placeholders filled in; folders of the outputs are made."""
    body, _ = job.services.store.get(job.services.ledger.bucket, job.place.job_order)
    document = fill_known(body.decode(), values).encode()
    for task in parse_job_order(document).tasks:
        for output in task.outputs:
            path = _inside(Path(output.name), (job.scratch.root, base))
            (path if output.file_name_type == "Directory" else path.parent).mkdir(parents=True, exist_ok=True)
    job.scratch.job_order.write_bytes(document)


def _inside(path: Path, roots: tuple[Path, ...]) -> Path:
    for root in roots:
        if path.is_relative_to(root):
            return below(root, path.relative_to(root).as_posix())
    raise BadInputError("joborder.xml, output", f"a path below {roots[-1]}", str(path))
