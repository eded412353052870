"""Stage-out: judge the run, bring its outputs to the store, and write how the attempt ended, in this order.

Files go below a prefix of this attempt alone: nobody sees them before ``outcome.json`` names them, and a crash anywhere
leaves nothing that could be taken for a product.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from functions.ipf.runner.arranging import FORM
from functions.ipf.runner.harvest import Found, Harvested
from functions.ipf.runner.job import Execution, Job, Staged
from functions.ipf.runner.plain import open_plain, storable, tail
from functions.ipf.runner.review import assess
from shared.bootstrap import Services
from shared.errors import IntegrityError, S2psError
from shared.ledger.attempts import conclude, pause, read_work
from shared.ledger.keys import WorkKey
from shared.ledger.records import FINISHED, Artifact, AttemptEnded, FileEntry, Order, Outcome, StatusClass
from shared.telemetry import current_traceparent
from shared.workflow.binding import first_pause_s
from shared.workflow.plan import tree_digest
from shared.workflow.shared_folders import PLACE, base_of, is_of, place_digest

PART: Final = 16 << 20
LOG_NAME: Final = "log.txt"
# A datastrip is some ten thousands of small files: what counts is the store's answer to each.
_THREADS: Final = 16
_log: Final = logging.getLogger(__name__)


def stage_out(job: Job, staged: Staged, execution: Execution) -> StatusClass:
    """Write the attempt's outputs, log and end; returns its status class. Losing the race to the outcome is success."""
    began = time.monotonic()
    base = _base(job, staged)
    log = tail(job.scratch.log)
    prefix = f"{job.place.session}/{job.place.step}/{job.place.unit}/{job.place.digest}/"
    prefix += f"{job.number}-{secrets.token_hex(4)}/"
    review = assess(job, base, execution, log)
    found, verdict = review.found, review.verdict
    for problem in review.problems:
        _log.warning("%s: %s", job.place.prefix, problem)
    if log:
        text = "\n".join(log).encode()
        job.services.store.put(
            job.services.settings.bucket_work, prefix + LOG_NAME, text, content_type="text/plain; charset=utf-8"
        )
    if verdict.status in {"retry", "infrastructure"}:
        give_up(job, verdict.status, verdict.reason, execution.exit_code)
        _leave(job, base)
        return verdict.status
    finished = verdict.status in FINISHED
    outputs = _upload_all(job, found, prefix) if finished else ()
    now = job.now()
    outcome = Outcome(
        created=now,
        traceparent=current_traceparent() or job.order.traceparent,
        step=job.place.step,
        unit=job.place.unit,
        attempt=job.number,
        status=verdict.status,
        exit_code=execution.exit_code,
        reason=verdict.reason,
        started=staged.started,
        finished=now,
        outputs=outputs,
        units=found.units if finished else {},
        facts=job.order.facts | review.facts if finished else {},
        warnings=(*verdict.warnings, *review.problems[:20]),
        figures={
            "start_s": staged.start_s,
            "stage_in_s": staged.seconds,
            "execute_s": execution.seconds,
            "stage_out_s": round(time.monotonic() - began, 3),
            "cpu_s": execution.cpu_seconds,
            "peak_rss_mb": execution.peak_rss_mb,
            "input_bytes": staged.size,
            "output_bytes": sum(artifact.size for artifact in outputs),
        },
        processor_set=job.order.processor_set,
    )
    if not conclude(job.services.ledger, job.place, outcome):
        _log.info("%s: another attempt wrote its outcome first", job.place.prefix)
        _leave(job, base)
    elif finished:
        _leave(job, base, outcome)
    return verdict.status


def _base(job: Job, staged: Staged) -> Path:
    """The folder below which the IPF worked. IntegrityError where the note of it names none of this attempt."""
    if job.shared is None:
        return job.scratch.root
    base = Path(staged.base)
    if base.parent != job.shared or not is_of(base.name, job.place, job.number) or not base.is_dir():
        raise IntegrityError(f"{job.scratch.staged.name}, base: expected a folder of this attempt in {job.shared}")
    return base


def _leave(job: Job, base: Path, written: Outcome | None = None) -> None:
    """Nobody will ask for what this run left on the shared volume: it goes. The scratch folder goes in any case.

    It stays where the outcome names it, even one that this very run wrote without having heard so. What a tile or a
    formatting step worked with is in no outcome: hundreds of them would fill the volume long before the session ends.
    """
    if job.shared is None:
        return
    outcome = written or job.services.ledger.find(job.place.outcome, Outcome)
    named = {base_of(artifact.attributes.get(PLACE, "")) for artifact in outcome.outputs} if outcome else set()
    if base.name not in named:
        shutil.rmtree(base, ignore_errors=True)


def give_up(job: Job, status: StatusClass, reason: str, exit_code: int | None = None) -> None:
    """Write the end of an attempt that leaves the work to the next one."""
    end_attempt(job.services, job.place, job.number, status, reason, exit_code, job.order.traceparent)


def end_attempt(
    services: Services,
    place: WorkKey,
    number: int,
    status: StatusClass,
    reason: str,
    exit_code: int | None = None,
    traceparent: str = "",
) -> None:
    """Write the end of an attempt that has no outcome; ``failed`` ends the work, other classes leave it to the next."""
    now, tried = services.clock.now(), number - read_work(services.ledger, place).granted
    delay = pause(first_pause_s(services.ledger.find(place.order, Order), services.settings), tried)
    ended = AttemptEnded(
        created=now,
        traceparent=current_traceparent() or traceparent,
        number=number,
        status=status,
        exit_code=exit_code,
        reason=storable(reason)[:1000],
        retry_at=None if status == "failed" else now + delay,
    )
    services.ledger.create(place.ended(number), ended)


def _upload_all(job: Job, found: Harvested, prefix: str) -> tuple[Artifact, ...]:
    """All files of all artifacts, several at a time, the largest first."""
    places = [(item, f"{prefix}{item.output.file_type}/{_below(item)}") for item in found.found]
    tasks = [(item, place, path, size) for item, place in places for path, size in item.files]
    tasks.sort(key=lambda task: -task[3])
    with ThreadPoolExecutor(_THREADS) as pool:
        entries = list(pool.map(lambda task: _upload(job, *task), tasks))
    files: dict[str, list[FileEntry]] = {place: [] for _, place in places}
    for (_, place, _, _), entry in zip(tasks, entries, strict=True):
        files[place].append(entry)
    return tuple(_artifact(job, item, place, files[place]) for item, place in places)


def _below(item: Found) -> str:
    return "" if item.attributes.get(FORM) == "file" else f"{item.name}/"


def _artifact(job: Job, item: Found, prefix: str, files: list[FileEntry]) -> Artifact:
    names = {path for path, _ in item.files}
    mine = sorted((entry for entry in files if entry.path in names), key=lambda entry: entry.path)
    digest, attributes = tree_digest([(entry.path, entry.size, entry.sha256) for entry in mine]), item.attributes
    if item.output.harvest.rule == "place" and job.shared is not None:
        place = item.root.relative_to(job.shared).as_posix()
        digest, attributes = place_digest(job.place.digest, place), {**attributes, FORM: PLACE, PLACE: place}
    return Artifact(
        file_type=item.output.artifact,
        name=item.name,
        bucket=job.services.settings.bucket_work,
        prefix=prefix,
        digest=digest,
        size=sum(entry.size for entry in mine),
        unit=item.unit,
        files=tuple(mine),
        attributes=attributes,
    )


def _upload(job: Job, item: Found, prefix: str, path: str, size: int) -> FileEntry:
    """One file, hashed in the pass that sends it. IntegrityError where it changes its size meanwhile."""
    store, bucket, key = job.services.store, job.services.settings.bucket_work, prefix + path
    digest, sent = hashlib.sha256(), 0
    metadata = {"traceparent": job.order.traceparent} if job.order.traceparent else {}
    with open_plain(item.root / path) as file:
        if size <= PART:
            body = file.read(size + 1)
            digest.update(body)
            sent = len(body)
            store.put(bucket, key, body, metadata=metadata, content_type="application/octet-stream")
        else:
            upload, number = store.multipart(bucket, key, metadata=metadata), 0
            try:
                while body := file.read(PART):
                    number, sent = number + 1, sent + len(body)
                    digest.update(body)
                    upload.put_part(number, body)
                upload.complete()
            except BaseException:
                with contextlib.suppress(S2psError):
                    upload.abort()
                raise
    if sent != size:
        raise IntegrityError(f"output {path}: expected {size} bytes, the file changed while it was sent ({sent})")
    return FileEntry(path=path, size=size, sha256=digest.hexdigest())
