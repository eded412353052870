"""The always-on process of a run: store, broker, functions, sources, job host. ``python -m eventing.local.runtime``.

It holds a lock on the run folder for as long as it lives, and begins by ending whatever an earlier one left behind.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from eventing.local.broker import LocalBroker
from eventing.local.config import RunConfig, RunDir, load_config, settings_from
from eventing.local.functions import FunctionProcess, FunctionSpec
from eventing.local.job_host import JobHost
from eventing.local.processes import MARK, end_family, free_port, is_free
from eventing.local.seaweed import SeaweedStore
from eventing.local.server import Front
from eventing.local.sources import Ticker
from eventing.local.spool import Capacity
from eventing.manifests import Manifest, Service, SinkBinding, load_manifests
from shared.adapters.local_jobs import write_whole
from shared.errors import ConfigurationError, S2psError, StoreUnavailableError

_LOG: Final = logging.getLogger("s2ps.runtime")
_CHECK_S: Final = 0.5
_STOP_S: Final = 5.0


class Runtime:
    """One run, from ``start`` to ``close``."""

    def __init__(self, run: RunDir, config: RunConfig) -> None:
        self._run, self._config = run, config
        self._stack = ExitStack()
        for folder in (run.logs, run.jobs, run.scratch, run.traces):
            folder.mkdir(parents=True, exist_ok=True)
        self._port, self._token = _identity(run)
        self.url = f"http://127.0.0.1:{self._port}"
        self._store: SeaweedStore | None = None
        self._functions: dict[str, FunctionProcess] = {}
        self._broker: LocalBroker | None = None
        self._jobs: JobHost | None = None

    def start(self) -> None:
        """Bring everything up, and write ``runtime.json`` when it serves. S2psError where something does not start."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        config, run = self._config, self._run
        manifests = load_manifests(config.manifests)
        settings = self._start_store()
        self._functions = {
            each.metadata.name: self._function(each, manifests, settings)
            for each in manifests
            if isinstance(each, Service)
        }
        self._stack.callback(self._ask_functions_to_end)
        broker = self._broker = LocalBroker(manifests, self._functions)
        self._stack.callback(lambda: broker.close(_STOP_S))
        for left in run.scratch.iterdir():  # by Jobs that were killed with the last runtime
            shutil.rmtree(left, ignore_errors=True)
        command = config.job_command or (sys.executable, "-m", "functions.ipf.runner")
        capacity = Capacity(config.cpus, config.memory_mb)
        self._jobs = JobHost(run.jobs, command, settings, capacity, broker.accept)
        self._stack.callback(self._jobs.close)
        front = Front(self._port, broker, self._functions, self.status)
        front.serve()
        self._stack.callback(front.close)
        self._jobs.start()
        ticker = Ticker(manifests, broker)
        self._stack.callback(ticker.close)
        write_whole(run.state, json.dumps(self._state(settings), indent=1).encode())
        run.state.chmod(0o600)
        self._stack.callback(lambda: run.state.unlink(missing_ok=True))
        ticker.start()
        _LOG.info("runtime: ready at %s", self.url)

    def _start_store(self) -> dict[str, str]:
        settings = self._settings()
        if not self._config.store:
            return settings
        ledger = settings.get("S2PS_BUCKET_LEDGER", "s2-ledger")
        store = self._store = SeaweedStore(
            self._run.store, webhook=f"{self.url}/fn/object_events", token=self._token, watched=[ledger]
        )
        self._stack.callback(store.stop)
        store.start()
        settings |= {
            "S2PS_STORE_ENDPOINT": store.endpoint,
            "S2PS_STORE_ACCESS_KEY": store.credentials.access_key,
            "S2PS_STORE_SECRET_KEY": store.credentials.secret_key,
        }
        _ensure_buckets(settings)
        return settings

    def _settings(self) -> dict[str, str]:
        run = self._run
        return {
            "S2PS_LAUNCHER": "local",
            "S2PS_JOBS_DIR": str(run.jobs),
            "S2PS_SCRATCH_DIR": str(run.scratch),
            "S2PS_SHARED_DIR": str(run.shared),
            "S2PS_TRACE_DIR": str(run.traces),
            "S2PS_NOTIFICATION_TOKEN": self._token,
            MARK: str(run.path),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(self._config.root), os.environ.get("PYTHONPATH", "")])),
            **self._config.environment,
        }

    def _function(
        self, service: Service, manifests: Sequence[Manifest], settings: Mapping[str, str]
    ) -> FunctionProcess:
        env = dict(settings)
        if _is_bound(service, manifests):
            env["K_SINK"] = f"{self.url}/broker"
        spec = FunctionSpec.from_manifest(service, self._config.root, env)
        function = FunctionProcess(spec, self._run.logs, idle_s=self._config.idle_s, grace_s=_STOP_S)
        self._stack.callback(function.close)
        return function

    def _ask_functions_to_end(self) -> None:
        """All at once; each is waited for on its own."""
        for function in self._functions.values():
            function.terminate()

    def check(self) -> None:
        """What a platform does all the time: stop what is idle, start again what died."""
        for function in self._functions.values():
            function.stop_if_idle()
        if self._store is not None:
            try:
                self._store.restart_if_dead()
            except StoreUnavailableError as error:
                _LOG.warning("runtime: %s", error)  # tried again at the next check

    def status(self) -> dict[str, Any]:
        """How everything stands, for operators."""
        return {
            "functions": {
                name: {"pid": each.pid, "starts": each.starts, "cold_start_ms": round(each.cold_start_s * 1000)}
                for name, each in self._functions.items()
            },
            "subscriptions": {} if self._broker is None else self._broker.figures(),
            "jobs": {} if self._jobs is None else self._jobs.figures(),
            "store": {"pid": None if self._store is None else self._store.pid},
        }

    def _state(self, settings: Mapping[str, str]) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "started": datetime.now(UTC).isoformat(),
            "url": self.url,
            "settings": {name: value for name, value in settings.items() if name.startswith("S2PS_") and name != MARK},
        }

    def close(self) -> None:
        """Stop everything, in the reverse order."""
        self._stack.close()


def _is_bound(service: Service, manifests: Sequence[Manifest]) -> bool:
    """Whether a SinkBinding gives this function the broker's address."""
    labels = service.metadata.labels.items()
    bindings = [each.spec.subject for each in manifests if isinstance(each, SinkBinding)]
    return any(each.kind == "Service" and each.selector.match_labels.items() <= labels for each in bindings)


def _ensure_buckets(environment: Mapping[str, str]) -> None:
    from shared.adapters.s3 import S3Store

    settings = settings_from(environment)
    store = S3Store.from_settings(settings)
    for name in ("sessions", "auxiliary", "work", "products", "ledger"):
        store.ensure_bucket(getattr(settings, f"bucket_{name}"))


def _identity(run: RunDir) -> tuple[int, str]:
    """The front's port and the notification token: those of last time, a new port where another took it."""
    path = run.path / "front.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    port = int(known.get("port", 0))
    if not port or not is_free(port):
        port = free_port()
    token = str(known.get("token") or secrets.token_urlsafe(24))
    write_whole(path, json.dumps({"port": port, "token": token}).encode())
    path.chmod(0o600)
    return port, token


def serve(run: RunDir) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    run.path.mkdir(parents=True, exist_ok=True)
    with run.lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"{run.path}: another runtime serves this run folder") from None
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        run.state.unlink(missing_ok=True)
        left = end_family(run.path, grace_s=2.0)
        if left:
            _LOG.warning("runtime: ended %d processes that an earlier one left behind", left)
        runtime = Runtime(run, load_config(run))
        runtime.start()
        try:
            while not stop.wait(_CHECK_S):
                runtime.check()
        finally:
            _LOG.info("runtime: stopping")
            runtime.close()
            end_family(run.path, grace_s=_STOP_S)
    return 0


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Serve one run folder until SIGTERM.")
    parser.add_argument("--run-dir", type=Path, required=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    run = RunDir.at(parser.parse_args().run_dir)
    try:
        return serve(run)
    except S2psError as error:
        _LOG.error("runtime: %s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
