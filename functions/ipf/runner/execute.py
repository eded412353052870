"""Execute: the IPF as a process of the local runtime, with a time limit, its log in a file, and its figures.

In a pod, ``ipf.sh`` does the same in the IPF's own container; what both write has one meaning, ``Execution``.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import functions
from functions.ipf.runner.job import Execution, Job

_GRACE_S: Final = 10.0
_NO_ROOM: Final = 1 << 20
_NOT_THERE: Final = 127  # as shells say it
_NOT_EXECUTABLE: Final = 126
_CGROUP_EVENTS: Final = Path("/sys/fs/cgroup/memory.events")
_KEPT: Final = frozenset({"S2PS_TRACE_DIR"})
_CREDENTIALS: Final = ("S2PS_", "AWS_")


def execute(job: Job, traceparent: str) -> Execution:
    """Run the IPF to its end.

    The time limit is the attempt's: first SIGTERM, then SIGKILL, to the IPF and all that it started.
    """
    here = {"{joborder}": str(job.scratch.job_order), "{scratch}": str(job.scratch.root)}
    command = [_filled(part, here) for part in job.processor.calls[0]]
    if command[0] == "python":
        command[0] = sys.executable
    env = environment(os.environ, traceparent) | job.processor.env
    result = run(command, job.scratch.root, job.scratch.log, env, job.time_limit_s)
    draft = job.scratch.execution.with_suffix(".part")
    draft.write_text(result.model_dump_json())
    draft.replace(job.scratch.execution)
    return result


def _filled(part: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        part = part.replace(placeholder, value)
    return part


def environment(mine: Mapping[str, str], traceparent: str) -> dict[str, str]:
    """The IPF's environment: ours without settings and credentials, which are none of its business."""
    passed = {name: value for name, value in mine.items() if name in _KEPT or not name.startswith(_CREDENTIALS)}
    root = str(Path(functions.__file__).resolve().parents[1])
    search = os.pathsep.join(part for part in (root, mine.get("PYTHONPATH", "")) if part)
    return {**passed, "TRACEPARENT": traceparent, "PYTHONPATH": search}


def run(command: list[str], folder: Path, log: Path, env: Mapping[str, str], limit_s: float) -> Execution:
    """Run ``command`` in ``folder``, output to ``log``. Figures: the process and the children that it waited for."""
    # Where the runner leads a session (as the main process of a Job does) it shares its group with the IPF, so that
    # whoever kills the group kills both; otherwise the IPF gets a group of its own.
    own = os.getsid(0) != os.getpid()
    started, kills, used = time.monotonic(), _oom_kills(), _children_cpu()

    def result(code: int, *, timed_out: bool = False) -> Execution:
        return Execution(
            exit_code=code,
            timed_out=timed_out,
            out_of_memory=_oom_kills() > kills,
            disk_full=shutil.disk_usage(folder).free < _NO_ROOM,
            seconds=round(time.monotonic() - started, 3),
            cpu_seconds=round(_children_cpu() - used, 3),
            peak_rss_mb=round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1),
        )

    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0 if own else None,
            )
        except OSError as error:
            output.write(f"{command[0]}: {error.strerror}\n".encode())
            return result(_NOT_THERE if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)
    timed_out = False
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        timed_out = True
        _signal(process, signal.SIGTERM, own=own)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    finally:
        # Whatever is left of it: after its end, after its time, or because this runner is being stopped.
        _signal(process, signal.SIGKILL, own=own)
        process.wait()
    code = process.returncode
    return result(code if code >= 0 else 128 - code, timed_out=timed_out)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals, *, own: bool) -> None:
    if own:
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            return
        return
    for pid in _group_members(os.getpgrp()):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _group_members(group: int) -> list[int]:
    """The other processes of a process group, from /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if os.getpgid(int(entry.name)) == group:
                    found.append(int(entry.name))
            except ProcessLookupError:
                continue
    return found


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _oom_kills() -> int:
    """How often the kernel killed for memory in this container (cgroup v2), 0 where it does not say."""
    try:
        lines = _CGROUP_EVENTS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
