"""Execute: the IPF as a process of the local runtime, with a time limit, its log in a file, and its figures.

In a pod, ``ipf.sh`` does the same in the IPF's own container; what both write has one meaning, ``Execution``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import functions
from functions.ipf.runner.job import Execution, Job
from functions.ipf.runner.pod import Calls, read_calls
from functions.ipf.runner.watch import Watch
from shared.tasktable.status import FAILED_FROM

_GRACE_S: Final = 10.0
_NO_ROOM: Final = 1 << 20
_NOT_THERE: Final = 127  # as shells say it
_NOT_EXECUTABLE: Final = 126
_LATE: Final = "late"
_HUNG: Final = "hung"
_CGROUP_EVENTS: Final = Path("/sys/fs/cgroup/memory.events")
_KEPT: Final = frozenset({"S2PS_TRACE_DIR"})
_CREDENTIALS: Final = ("S2PS_", "AWS_")


def execute(job: Job, traceparent: str) -> Execution:
    """Run the IPF to its end, as stage-in laid it out.

    The time limit is the attempt's: first SIGTERM, then SIGKILL, to the IPF and all that it started.
    """
    calls = read_calls(job.scratch)
    env = environment(os.environ, traceparent) | job.processor.env
    result = run(calls, job.scratch.root, job.scratch.log, env, job.time_limit_s)
    draft = job.scratch.execution.with_suffix(".part")
    draft.write_text(result.model_dump_json())
    draft.replace(job.scratch.execution)
    return result


def environment(mine: Mapping[str, str], traceparent: str) -> dict[str, str]:
    """The IPF's environment: ours without settings and credentials, which are none of its business."""
    passed = {name: value for name, value in mine.items() if name in _KEPT or not name.startswith(_CREDENTIALS)}
    root = str(Path(functions.__file__).resolve().parents[1])
    search = os.pathsep.join(part for part in (root, mine.get("PYTHONPATH", "")) if part)
    return {**passed, "TRACEPARENT": traceparent, "PYTHONPATH": search}


def run(calls: Calls, folder: Path, log: Path, env: Mapping[str, str], limit_s: float) -> Execution:
    """Run the commands in ``folder``, output to ``log``, each where none before ended with 128 or more.

    Figures: of the processes and the children that they waited for.
    """
    started, kills, used = time.monotonic(), _oom_kills(), _children_cpu()
    exits: list[int] = []
    stopped = ""
    for command in calls.commands:
        watch = Watch(calls, log)
        code, stopped = _run(list(command), folder, log, env, started + limit_s, watch)
        exits.append(code)
        if stopped or code >= FAILED_FROM:
            break
    return Execution(
        exit_code=max(exits),
        exits=tuple(exits),
        timed_out=stopped == _LATE,
        hung=stopped == _HUNG,
        out_of_memory=_oom_kills() > kills,
        disk_full=not all(map(_has_room, {folder, calls.base})),
        seconds=round(time.monotonic() - started, 3),
        cpu_seconds=round(_children_cpu() - used, 3),
        peak_rss_mb=round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1),
    )


def _run(
    command: list[str], folder: Path, log: Path, env: Mapping[str, str], deadline: float, watch: Watch
) -> tuple[int, str]:
    """Run one command; returns its exit code, and why it was stopped: ``_LATE``, ``_HUNG`` or nothing."""
    # Where the runner leads a session (as the main process of a Job does) it shares its group with the IPF, so that
    # whoever kills the group kills both; otherwise the IPF gets a group of its own.
    own = os.getsid(0) != os.getpid()
    if command[0] == "python":
        command[0] = sys.executable
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
            return (_NOT_THERE if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE), ""
    stopped = ""
    try:
        stopped = _wait(process, deadline, watch)
        if stopped:
            _signal(process, signal.SIGTERM, own=own)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
    finally:
        # Whatever is left of it: after its end, after its time, or because this runner is being stopped.
        _signal(process, signal.SIGKILL, own=own)
        process.wait()
    code = process.returncode
    return (code if code >= 0 else 128 - code), stopped


def _wait(process: subprocess.Popen[bytes], deadline: float, watch: Watch) -> str:
    while True:
        left = deadline - time.monotonic()
        try:
            process.wait(max(0.0, min(left, watch.every_s)))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                return _LATE
            if watch.quiet():
                return _HUNG
        else:
            return ""


def _has_room(folder: Path) -> bool:
    """Whether 1 MiB can be written, which a quota may forbid where the disk has room. What cannot be tried has."""
    path = folder / f".room-{os.getpid()}"
    try:
        path.write_bytes(bytes(_NO_ROOM))
    except OSError as error:
        return error.errno not in {errno.ENOSPC, errno.EDQUOT}
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
    return True


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
