"""The runner's command line: ``run`` for a whole Job, or ``stage-in`` and ``stage-out`` around the IPF's container.

Exit code 0: the attempt's end is in the ledger (whatever it was), or another attempt has settled the work. 1: nothing
could be written; the Job's own end tells of it. 143: stopped by SIGTERM.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from functions.ipf.runner import clearing
from functions.ipf.runner.arranging import GoneError
from functions.ipf.runner.execute import execute
from functions.ipf.runner.job import Execution, Job, Scratch, Staged, work_place
from functions.ipf.runner.patience import patiently
from functions.ipf.runner.plain import read_note, tail
from functions.ipf.runner.pod import UMASK, lay, lay_skip
from functions.ipf.runner.stage_in import stage_in
from functions.ipf.runner.stage_out import end_attempt, give_up, stage_out
from shared.bootstrap import Services, services
from shared.errors import BadInputError, ConfigurationError, IntegrityError, S2psError
from shared.telemetry import configure, configure_logging, emit_span, span

STAGES: Final = ("stage-in", "execute", "stage-out")
T = TypeVar("T")
NoteT = TypeVar("NoteT", bound=BaseModel)
_log: Final = logging.getLogger("s2ps.runner")


class Stopped(BaseException):
    """SIGTERM came: kill what runs, clear the scratch space, go."""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and do it."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["clean"]:
        return _clean(words[1:])
    parser = argparse.ArgumentParser(prog="python -m functions.ipf.runner", description=__doc__)
    choices = ("run", "stage-in", "stage-out")
    parser.add_argument("stage", choices=choices, help="run does all of a Job here, and clears the scratch folder")
    parser.add_argument("--work", required=True, help="ledger prefix of the work item")
    parser.add_argument("--attempt", required=True, type=int, help="number of the attempt, from 1")
    parser.add_argument("--scratch", type=Path, help="the folder that the stages share (run: default, a new one)")
    parser.add_argument("--shared", type=Path, help="where a pod has the datastrip's folder of the shared volume")
    given = parser.parse_args(words)
    if given.stage != "run" and given.scratch is None:
        parser.error(f"{given.stage} needs --scratch")
    configure_logging()
    configure("ipf-runner")
    signal.signal(signal.SIGTERM, _stop)
    try:
        return perform(given.stage, given.work, given.attempt, given.scratch, services(), given.shared)
    except Stopped:
        return 143
    except S2psError as error:
        _log.error("attempt %d at %s: %s", given.attempt, given.work, error)
        return 1


def _clean(words: Sequence[str]) -> int:
    given = clearing.parse(words)
    configure_logging()
    signal.signal(signal.SIGTERM, _stop)
    try:
        here = services()
        shared = given.shared or here.settings.shared_dir
        return patiently(partial(clearing.clean, given.session, given.claim, shared, here))
    except Stopped:
        return 143
    except S2psError as error:
        _log.error("session %s: %s", given.session, error)
        return 1


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise Stopped


def perform(
    stage: str, work: str, attempt: int, scratch: Path | None, services: Services, shared: Path | None = None
) -> int:
    """Do one stage, or all of them, of an attempt; returns the exit code."""
    folder = scratch or services.settings.scratch_dir / f"{work.split('/')[-2][:16]}-{attempt}-{secrets.token_hex(4)}"
    if stage != "run":
        os.umask(UMASK)
    if stage == "stage-in":
        lay(Scratch(folder.absolute()))
    # What an IPF computed waits for the store from the first call on; before a run there is nothing to lose.
    wait = _at_once if stage == "run" else patiently
    try:
        job = wait(partial(Job.open, services, work, attempt, folder, shared))
        idle = wait(partial(_idle, job, stage))
    except ConfigurationError as error:
        # The set of processors was changed since the order: no further attempt would fare better, an operator must act.
        _log.error("%s: attempt %d: %s", work, attempt, error)
        end_attempt(services, work_place(work), attempt, "failed", f"ConfigurationError: {error}")
        if stage == "stage-in":
            lay_skip(Scratch(folder.absolute()))
        return 0
    if idle:
        if stage == "stage-in":
            lay_skip(job.scratch)
        _log.info("%s: attempt %d %s", job.place.prefix, attempt, idle)
        return 0
    attributes: dict[str, str | int] = {
        "s2ps.session": job.place.session,
        "s2ps.step": job.place.step,
        "s2ps.unit": job.place.unit,
        "s2ps.attempt": attempt,
    }
    parent = os.environ.get("TRACEPARENT") or job.order.traceparent
    if stage == "stage-out":
        _trace_execution(job, parent, attributes)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with span(f"job {job.place.step}", traceparent=parent, attributes=attributes):
            for name in STAGES if stage == "run" else (stage,):
                with span(name, attributes=attributes) as here:
                    patiently(partial(_DO[name], job, here.traceparent))
    except (ConfigurationError, GoneError) as error:
        # No further attempt would fare better: an operator must act.
        _log.error("%s: attempt %d: %s: %s", job.place.prefix, attempt, stage, error)
        kind = "" if isinstance(error, GoneError) else "ConfigurationError: "
        end_attempt(services, job.place, attempt, "failed", f"{kind}{error}", traceparent=job.order.traceparent)
        if stage == "stage-in":
            lay_skip(job.scratch)
    except Exception as error:  # noqa: BLE001 - a bug as well: else the platform repeats the pod, hours of an IPF included
        _log.exception("%s: attempt %d: %s", job.place.prefix, attempt, stage)
        give_up(job, "infrastructure", f"{type(error).__name__}: {error}")
        if stage == "stage-in":
            lay_skip(job.scratch)
    finally:
        if stage == "run":
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _idle(job: Job, stage: str) -> str:
    """Why there is nothing to be done; empty where there is. What was run already is staged out, superseded or not."""
    if job.over:
        return "has nothing left to do"
    return "is not run: the work is made anew" if stage != "stage-out" and job.superseded else ""


def _at_once(do: Callable[[], T]) -> T:
    return do()


def _trace_execution(job: Job, parent: str, attributes: Mapping[str, str | int]) -> None:
    """The span of the IPF's container, where nothing can tell of it; its end is when the note of it was written."""
    with contextlib.suppress(OSError, BadInputError, ValueError):
        took = timedelta(seconds=Execution.model_validate_json(read_note(job.scratch.execution)).seconds)
        end = datetime.fromtimestamp(job.scratch.execution.lstat().st_mtime, UTC)
        emit_span("execute", end - took, end, parent, attributes)


def _stage_in(job: Job, _trace: str) -> None:
    staged = stage_in(job)
    _log.info("%s: %d input files, %d bytes in %.1f s", job.place.step, staged.files, staged.size, staged.seconds)


def _execute(job: Job, trace: str) -> None:
    try:
        result = execute(job, trace)
    finally:
        for line in tail(job.scratch.log):
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    _log.info(
        "%s: exit code %d after %.1f s, %.1f CPU s, at most %.0f MB",
        job.place.step,
        result.exit_code,
        result.seconds,
        result.cpu_seconds,
        result.peak_rss_mb,
    )


def _stage_out(job: Job, _trace: str) -> None:
    staged = _note(job.scratch.staged, Staged, "stage-in")
    execution = _note(job.scratch.execution, Execution, "the IPF's run")
    status = stage_out(job, staged, execution)
    _log.info("%s: %s: %s", job.place.step, job.place.unit, status)


def _note(path: Path, model: type[NoteT], stage: str) -> NoteT:
    """What the stage before left. Nothing of a file's content is shown: an IPF may have put anything there."""
    try:
        return model.model_validate_json(read_note(path))
    except (OSError, BadInputError, ValueError) as error:
        wrong = "not whole" if isinstance(error, ValidationError) else str(error)
        raise IntegrityError(f"{path.name}: expected the note of how {stage} ended: {wrong}") from None


_DO: Final[dict[str, Callable[[Job, str], None]]] = {
    "stage-in": _stage_in,
    "execute": _execute,
    "stage-out": _stage_out,
}
