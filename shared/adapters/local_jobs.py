"""Jobs as local processes, through a spool folder: whoever launches writes a file, the job host runs it.

``<name>.json`` is the Job, written once by exclusive create; ``<name>.state.json`` is how it stands, written by the
host alone. Both appear whole (link and rename), so a reader never sees half a file, whatever was killed when.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from shared.errors import BadInputError, RetryableError
from shared.ports import JobSpec, JobState

STATE_SUFFIX: Final = ".state.json"
_PHASES: Final = frozenset({"waiting", "running", "succeeded", "failed"})


class LocalJobLauncher:
    """``shared.ports.JobLauncher`` over the spool folder of a job host."""

    def __init__(self, jobs_dir: Path) -> None:
        self._dir = jobs_dir

    def launch(self, job: JobSpec) -> None:
        """Spool a Job; a no-op where one of this name is there. RetryableError where the spool cannot be written."""
        try:
            self._dir.mkdir(parents=True, exist_ok=True)
            write_new(self._dir / f"{job.name}.json", format_job(job))
        except OSError as error:
            raise RetryableError(f"job spool {self._dir}: {error}") from error

    def state(self, name: str) -> JobState | None:
        """How a Job stands; None where it was never launched here."""
        try:
            return parse_state((self._dir / f"{name}{STATE_SUFFIX}").read_bytes(), name)
        except FileNotFoundError:
            return JobState("waiting") if (self._dir / f"{name}.json").exists() else None
        except OSError as error:
            raise RetryableError(f"job spool {self._dir}: {error}") from error

    def hasten(self, name: str) -> None:
        """Nothing to do: the job host goes by turns, and these do not change."""

    def stop(self, name: str) -> None:
        """Nothing to do: the job host ends every Job by itself, none is ever stuck."""


def format_job(job: JobSpec) -> bytes:
    """A Job as the spool holds it."""
    return json.dumps({**asdict(job), "deadline": job.deadline.isoformat()}, indent=1).encode()


def parse_job(body: bytes, name: str) -> JobSpec:
    """A spooled Job; BadInputError where it is none."""
    try:
        fields = json.loads(body)
        fields["deadline"] = datetime.fromisoformat(fields["deadline"])
        return JobSpec(**fields)
    except (ValueError, TypeError, KeyError) as error:
        raise BadInputError(f"spooled job {name}", f"a Job ({error})") from None


def format_state(state: JobState, **more: Any) -> bytes:
    """A Job's state as the spool holds it; ``more`` is the host's own (pid, times)."""
    return json.dumps({"phase": state.phase, "exit_code": state.exit_code, "reason": state.reason, **more}).encode()


def parse_state(body: bytes, name: str) -> JobState:
    """A Job's state; BadInputError where it is none."""
    try:
        fields = json.loads(body)
        phase, exit_code, reason = fields["phase"], fields["exit_code"], fields["reason"]
    except (ValueError, TypeError, KeyError):
        raise BadInputError(f"state of job {name}", "JSON with phase, exit_code and reason", body[:60]) from None
    if phase not in _PHASES:
        raise BadInputError(f"state of job {name}, phase", "waiting, running, succeeded or failed", phase)
    return JobState(phase, exit_code, reason)


def write_new(path: Path, body: bytes) -> bool:
    """Create a file whole; False where one of this name was there."""
    draft = _draft(path, body)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def write_whole(path: Path, body: bytes) -> None:
    """Replace a file, or create it, so that a reader sees the old or the new one."""
    draft = _draft(path, body)
    try:
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def _draft(path: Path, body: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with draft.open("xb") as stream:
        stream.write(body)
        stream.flush()
        os.fsync(stream.fileno())
    return draft
