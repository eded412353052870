"""Bringing a run up and down from outside its runtime."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eventing.local.config import RunConfig, RunDir, load_config, settings_from
from eventing.local.processes import MARK, end_family, family
from eventing.local.seaweed import remove_sockets
from shared.adapters.local_jobs import write_whole
from shared.errors import ConfigurationError, RetryableError

_POLL_S: Final = 0.02
_LOG_TAIL: Final = 2000


@dataclass(frozen=True, slots=True)
class RunState:
    """A runtime that serves: its address, and the settings that its functions have."""

    pid: int
    url: str
    started: str
    settings: Mapping[str, str]


def state(run: RunDir) -> RunState | None:
    """The runtime of this run, or None where none serves."""
    if not is_served(run):
        return None
    try:
        found = json.loads(run.state.read_bytes())
    except FileNotFoundError:
        return None
    return RunState(found["pid"], found["url"], found["started"], found["settings"])


def is_served(run: RunDir) -> bool:
    """Whether a runtime holds this run folder, ready or not."""
    try:
        with run.lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def start(run: RunDir, config: RunConfig | None = None, *, timeout_s: float = 90.0) -> RunState:
    """Bring a run up and wait until it serves; one that serves already is left as it is, where nothing else is asked.

    Args:
        run: its folder.
        config: how it is set up; what the folder remembers where not given.
        timeout_s: how long to wait.

    Raises:
        ConfigurationError: one of its settings is wrong, or is none, or the run is up with others.
        RetryableError: it did not start; the message ends with the end of its log.
    """
    found = state(run)
    if found is not None:
        if config is not None and config != load_config(run):
            raise ConfigurationError(f"run {run.path}: it is up, and set up otherwise; `s2ps down` it first")
        return found
    settings_from((config or load_config(run)).environment)  # refused here, by name, rather than in a log
    run.logs.mkdir(parents=True, exist_ok=True)
    if config is not None:
        write_whole(run.config, config.model_dump_json(indent=1).encode())
        run.config.chmod(0o600)  # it may hold a station's password
    log_path = run.logs / "runtime.log"
    root = str(Path(__file__).resolve().parents[2])
    # Processes of a run start often: they are to find their byte code, whatever an operator's shell says of it.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
        MARK: str(run.path)
    }
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH", "")]))
    pid = _spawn([sys.executable, "-m", "eventing.local.runtime", "--run-dir", str(run.path)], env, log_path)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = state(run)
        if found is not None:
            return found
        if _has_ended(pid) and not is_served(run):  # else another start was first: its runtime is waited for
            break
        time.sleep(_POLL_S)
    end_family(run.path)
    tail = log_path.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:]
    raise RetryableError(f"run {run.path}: the runtime did not start; its log ends with:\n{tail}")


def stop(run: RunDir, *, timeout_s: float = 30.0) -> int:
    """Bring a run down, and whatever an earlier one left; returns how many processes were ended.

    The runtime is asked first, so that functions and store end in order; RuntimeError where something survives.
    """
    members = set(family(run.path))
    found = state(run)
    if found is not None:
        _ask(found.pid)
        deadline = time.monotonic() + timeout_s
        while is_served(run) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        _has_ended(found.pid)
    end_family(run.path)
    remove_sockets(run.store)
    run.state.unlink(missing_ok=True)
    return len(members)


def _spawn(command: list[str], env: dict[str, str], log: Path) -> int:
    """Start a process that outlives this one, in a session of its own; returns its id."""
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, env, file_actions=actions, setsid=True)


def _has_ended(pid: int) -> bool:
    """Whether a process that this one started has ended; takes it off the process table if so."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False


def _ask(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
