"""The job host: runs spooled Jobs as processes, a few at a time, the most urgent first.

What a cluster's Job controller and scheduler do. The spool folder is all its memory: after a crash, a Job that was
running is marked failed with the reason ``NodeLost``, and whoever settles attempts is told.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from eventing.local.processes import send_group
from eventing.local.spool import NODE_LOST, Capacity, ended, job_event, to_start, words
from shared.adapters.local_jobs import STATE_SUFFIX, format_state, parse_job, parse_state, write_whole
from shared.domain.events import Event
from shared.errors import BadInputError
from shared.ports import CLEAN, JobSpec, JobState

_LOG: Final = logging.getLogger(__name__)
_POLL_S: Final = 0.05
_RESCAN_S: Final = 1.0
_GRACE_S: Final = 10.0
_NICE: Final = 5
# No process is fenced in here as in a pod: the libraries are told what the Job asked for.
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "GDAL_NUM_THREADS")


@dataclass(slots=True)
class _Running:
    job: JobSpec
    process: subprocess.Popen[bytes]
    limit: float
    started: str
    stopped: float | None = None


class JobHost:
    """Runs the Jobs of one spool folder.

    Args:
        jobs_dir: the spool; logs go to ``<jobs_dir>/<name>.log``.
        command: what runs a Job; ``run --work <prefix> --attempt <n>`` is added, or what clears a shared volume.
        env: environment of every Job, on top of this process's.
        capacity: cores and memory to give.
        notify: takes the event of each Job's end; that it is lost is no harm, the sweep asks for the state.
        grace_s: from SIGTERM to SIGKILL, when a Job is over its time.
    """

    def __init__(
        self,
        jobs_dir: Path,
        command: Sequence[str],
        env: Mapping[str, str],
        capacity: Capacity,
        notify: Callable[[Event], object],
        *,
        grace_s: float = _GRACE_S,
    ) -> None:
        self._dir, self._command, self._env, self._notify = jobs_dir, tuple(command), dict(env), notify
        self._capacity, self._grace_s = capacity, grace_s
        self._waiting: dict[str, JobSpec] = {}
        self._running: dict[str, _Running] = {}
        self._known: set[str] = set()
        self._scanned = (0, 0.0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-host", daemon=True)

    def start(self) -> None:
        """Take up the spool as the last host left it, and begin."""
        self._dir.mkdir(parents=True, exist_ok=True)
        self._recover()
        self._thread.start()

    def close(self) -> None:
        """Stop at once. Running Jobs are killed and stay ``running`` in the spool: the next start finds them lost."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for each in self._running.values():
            send_group(each.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 2.0
        for each in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                each.process.wait(max(0.0, deadline - time.monotonic()))
            send_group(each.process.pid, signal.SIGKILL)
            each.process.wait()

    def figures(self) -> dict[str, list[str]]:
        """Names of the Jobs that wait and that run."""
        return {"waiting": sorted(self._waiting), "running": sorted(self._running)}

    def _run(self) -> None:
        while not self._stop.wait(_POLL_S):
            try:
                self._step()
            except Exception:  # noqa: BLE001 - a full disk today must not end the host for good
                _LOG.exception("job host")

    def _step(self) -> None:
        self._scan()
        for name, each in list(self._running.items()):
            code = each.process.poll()
            if code is None:
                self._enforce(each)
                continue
            send_group(each.process.pid, signal.SIGKILL)  # whatever the Job left in its group
            self._finish(each.job, ended(code, over_time=each.stopped is not None), each.started)
            del self._running[name]
        running = [each.job for each in self._running.values()]
        for job in to_start(self._waiting.values(), running, self._capacity):
            del self._waiting[job.name]
            self._launch(job)

    def _scan(self) -> None:
        modified, now = self._dir.stat().st_mtime_ns, time.monotonic()
        # The folder's time is coarse: a file written in the same tick shows up at the next full scan.
        if modified == self._scanned[0] and now - self._scanned[1] < _RESCAN_S:
            return
        self._scanned = (modified, now)
        for path in self._dir.glob("[!.]*.json"):
            if path.name.endswith(STATE_SUFFIX) or path.stem in self._known:
                continue
            self._known.add(path.stem)
            if not path.with_name(path.stem + STATE_SUFFIX).exists():
                self._admit(path)

    def _admit(self, path: Path) -> None:
        try:
            job = parse_job(path.read_bytes(), path.stem)
        except BadInputError as error:
            _LOG.error("%s", error)
            self._write(path.stem, JobState("failed", None, "Invalid"))
            return
        self._waiting[job.name] = job

    def _launch(self, job: JobSpec) -> None:
        started = datetime.now(UTC).isoformat()
        command = ["nice", "-n", str(_NICE), *self._command, *words(job)]
        env = {**os.environ, **self._env, "TRACEPARENT": job.traceparent, "S2PS_JOB": job.name}
        env |= dict.fromkeys(_THREADS, str(max(1, int(job.cpus))))
        with (self._dir / f"{job.name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._running[job.name] = _Running(job, process, time.monotonic() + job.time_limit_s, started)
        self._write(job.name, JobState("running"), pid=process.pid, started=started)
        _LOG.info("job %s: started, pid %d, deadline %s", job.name, process.pid, job.deadline.isoformat())

    def _enforce(self, each: _Running) -> None:
        now = time.monotonic()
        if each.stopped is None and now > each.limit:
            _LOG.warning("job %s: over its %d s, stopped", each.job.name, each.job.time_limit_s)
            each.stopped = now
            send_group(each.process.pid, signal.SIGTERM)
        elif each.stopped is not None and now > each.stopped + self._grace_s:
            send_group(each.process.pid, signal.SIGKILL)

    def _finish(self, job: JobSpec, state: JobState, started: str) -> None:
        self._write(job.name, state, started=started, finished=datetime.now(UTC).isoformat())
        _LOG.info("job %s: %s, exit code %s %s", job.name, state.phase, state.exit_code, state.reason)
        if job.step != CLEAN:  # it settles no work; its record tells that it is done
            self._notify(job_event(job, state))

    def _write(self, name: str, state: JobState, **more: object) -> None:
        write_whole(self._dir / f"{name}{STATE_SUFFIX}", format_state(state, **more))

    def _recover(self) -> None:
        """Jobs that the last host had running are lost with it: their processes were ended before this start."""
        for path in self._dir.glob(f"[!.]*{STATE_SUFFIX}"):
            name = path.name.removesuffix(STATE_SUFFIX)
            try:
                state = parse_state(path.read_bytes(), name)
                job = parse_job((self._dir / f"{name}.json").read_bytes(), name)
            except (BadInputError, OSError) as error:
                _LOG.warning("job %s: its state is not readable, left alone: %s", name, error)
                continue
            if state.phase == "running":
                started = str(json.loads(path.read_bytes()).get("started", ""))
                self._finish(job, JobState("failed", None, NODE_LOST), started)
