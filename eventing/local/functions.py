"""Functions as processes: started by their first event, stopped when idle, started anew when they died.

Each is served exactly as in its image (``eventing.serve``): one gunicorn worker with as many threads as the manifest's
``containerConcurrency``. What Knative's activator and queue-proxy do for a Service, ``FunctionProcess`` does here.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from eventing.local.processes import free_port, send_group
from eventing.manifests import Service

_LOG: Final = logging.getLogger(__name__)
_START_LIMIT_S: Final = 30.0
_POLL_S: Final = 0.01
_IMAGE_ROOT: Final = PurePosixPath("/app")


class FunctionUnavailableError(Exception):
    """The function's process did not start, or gave no whole answer. To a sender this is a network error."""


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One function, as its manifest has it; ``source`` on this machine."""

    name: str
    source: Path
    target: str
    concurrency: int
    timeout_s: float
    env: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = (sys.executable, "-m", "eventing.serve")

    @classmethod
    def from_manifest(cls, service: Service, root: Path, env: Mapping[str, str]) -> FunctionSpec:
        """``root`` is where this machine has what the image has below ``/app``."""
        own = service.env
        source = root / PurePosixPath(own["FUNCTION_SOURCE"]).relative_to(_IMAGE_ROOT)
        revision = service.spec.template.spec
        return cls(
            service.metadata.name,
            source,
            own["FUNCTION_TARGET"],
            revision.container_concurrency,
            float(revision.timeout_s),
            {**own, **env},
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a function answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class FunctionProcess:
    """The process of one function. All methods may be called from several threads."""

    def __init__(self, spec: FunctionSpec, log_dir: Path, *, idle_s: float, grace_s: float = 30.0) -> None:
        self.spec = spec
        self.starts = 0
        self.cold_start_s = 0.0
        self._log = log_dir / f"{spec.name}.log"
        self._idle_s = idle_s
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(spec.concurrency)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._in_flight = 0
        self._last_used = 0.0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Reply:
        """One request, waking the function where it sleeps. FunctionUnavailableError where no answer comes."""
        with self._slot(timeout_s), self._awake() as port:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
            try:
                # No keep-alive: a kept connection may be closed by the other side just as it is used.
                connection.request(method, path, body, {**headers, "connection": "close"})
                answer = connection.getresponse()
                return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
            except (OSError, http.client.HTTPException) as error:
                raise FunctionUnavailableError(f"{self.spec.name}: {type(error).__name__}: {error}") from error
            finally:
                connection.close()

    @contextlib.contextmanager
    def _slot(self, timeout_s: float) -> Iterator[None]:
        if not self._slots.acquire(timeout=timeout_s):
            raise FunctionUnavailableError(f"{self.spec.name}: all of its {self.spec.concurrency} slots are taken")
        try:
            yield
        finally:
            self._slots.release()

    @contextlib.contextmanager
    def _awake(self) -> Iterator[int]:
        with self._lock:
            if self.pid is None:
                self._start()
            self._in_flight += 1
            port = self._port
        try:
            yield port
        finally:
            with self._lock:
                self._in_flight -= 1
                self._last_used = time.monotonic()

    def _start(self) -> None:
        if self._closed:
            raise FunctionUnavailableError(f"{self.spec.name}: the runtime is stopping")
        if self._process is not None:
            _LOG.warning("%s: died with %s, starting it anew", self.spec.name, self._process.returncode)
            send_group(self._process.pid, signal.SIGKILL)
        began = time.monotonic()
        self._port = free_port()
        env = {**os.environ, **self.spec.env, "THREADS": str(self.spec.concurrency), "PYTHONUNBUFFERED": "1"}
        env |= {"HOST": "127.0.0.1", "PORT": str(self._port), "K_SERVICE": self.spec.name}
        env |= {"FUNCTION_TARGET": self.spec.target, "FUNCTION_SOURCE": str(self.spec.source)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.spec.command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._await_port(began + _START_LIMIT_S)
        self.cold_start_s = time.monotonic() - began
        self.starts += 1
        _LOG.info("%s: started in %.0f ms, pid %d", self.spec.name, self.cold_start_s * 1000, self._process.pid)

    def _await_port(self, deadline: float) -> None:
        process = self._process
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1.0):
                return
            time.sleep(_POLL_S)
        if process is not None:
            send_group(process.pid, signal.SIGKILL)
            process.wait()
        raise FunctionUnavailableError(f"{self.spec.name}: did not start; its log is {self._log}")

    def stop_if_idle(self) -> bool:
        """Stop the process where nothing has been asked of it for the idle time; True where it was stopped."""
        with self._lock:
            quiet = time.monotonic() - self._last_used
            if self.pid is None or self._in_flight or quiet < self._idle_s:
                return False
            self._stop()
            return True

    def terminate(self) -> None:
        """Ask the process to end, and start it no more. ``close`` waits for it."""
        self._closed = True
        process = self._process
        if process is not None:
            send_group(process.pid, signal.SIGTERM)

    def close(self) -> None:
        """Stop the process for good; what is in flight may end within the grace time."""
        with self._lock:
            self._closed = True
            self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        send_group(process.pid, signal.SIGTERM)
        try:
            process.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            _LOG.warning("%s: did not stop within %.0f s", self.spec.name, self._grace_s)
        send_group(process.pid, signal.SIGKILL)
        process.wait()
        _LOG.info("%s: stopped", self.spec.name)
