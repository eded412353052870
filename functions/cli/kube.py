"""A cluster, through ``kubectl``: what operators have, set up for their cluster, proxy and single sign-on.

A process for each question; none is left behind, whatever happens to this one: a shell waits for the end of a pipe
that only this process holds open, and takes ``kubectl`` down with it.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3.util.connection

from shared.errors import AbsentError, ConfigurationError, RetryableError

_FORWARDING: Final = re.compile(r"Forwarding from (?:127\.0\.0\.1|\[::1\]):(\d+) -> \d+")
_KLOG: Final = re.compile(r"[IWEF]\d{4} ")
_GUARD: Final = '"$@" </dev/null & child=$!; exec >&- 2>&-; read -r _; kill "$child" 2>&-; wait "$child"'
_START_S: Final = 20.0
_ANSWER_S: Final = 30.0
_END_S: Final = 5.0
_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Kubectl:
    """``kubectl`` for one namespace of one cluster."""

    namespace: str
    context: str | None = None
    kubeconfig: Path | None = None
    timeout_s: int = 10

    def __post_init__(self) -> None:
        if shutil.which("kubectl") is None:
            raise ConfigurationError("kubectl: expected it in the PATH, to look at a cluster; found none")

    def command(self, namespace: str, *arguments: str) -> list[str]:
        """A command line."""
        chosen = [f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else []
        chosen += [f"--context={self.context}"] if self.context else []
        return ["kubectl", *chosen, f"--namespace={namespace}", *arguments]

    def current_context(self) -> str:
        """The name of the context, empty where there is none."""
        if self.context:
            return self.context
        found = self._run(["kubectl", *([f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else []), "config",
                           "current-context"])  # fmt: skip
        return found.stdout.strip() if found.returncode == 0 else ""

    def get(self, *resources: str) -> dict[str, dict[str, Any]]:
        """Objects by ``kind/name``, lower case; those that are not there are left out.

        Raises:
            ConfigurationError: kubectl, or the cluster, refuses.
            RetryableError: the cluster did not answer.
        """
        arguments = ("get", *resources, "--output=json", "--ignore-not-found", f"--request-timeout={self.timeout_s}s")
        found = self._run(self.command(self.namespace, *arguments))
        if found.returncode != 0:
            raise ConfigurationError(f"kubectl get {' '.join(resources)}: {last_word(found.stderr)}")
        if not found.stdout.strip():
            return {}
        try:
            document = json.loads(found.stdout)
            items = document.get("items", [document])
            return {f"{item['kind'].lower()}/{item['metadata']['name']}": item for item in items}
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"kubectl get {' '.join(resources)}: answered no object ({error})") from None

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                timeout=_ANSWER_S,
            )
        except subprocess.TimeoutExpired:
            raise RetryableError(f"{' '.join(command)}: no answer within {_ANSWER_S:.0f} s") from None

    @contextmanager
    def forward(self, namespace: str, service: str, port: int) -> Iterator[int]:
        """A port of this machine that leads to a Service's, as long as the block lasts.

        Connections to pods break, and ``kubectl`` ends then: it is started again, with the same port.

        Raises:
            ConfigurationError: it does not start; the message has its reason.
        """
        target = self.command(namespace, "port-forward", "--address=127.0.0.1", f"service/{service}")
        tunnel = _Tunnel(target, port)
        try:
            yield tunnel.port
        finally:
            tunnel.close()


class _Forward:
    """One ``kubectl port-forward``. ``ready`` waits until it listens; ``ended`` is set when it does no more."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # an interrupt ends this process first, and then, in order, the tunnel
        )
        self.ended = threading.Event()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="port-forward output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as output:
                for line in output:
                    self._lines.put(line)
        self._lines.put(None)
        self.ended.set()

    def ready(self) -> int:
        """The port of this machine. ConfigurationError with kubectl's reason where it does not start."""
        said: list[str] = []
        try:
            while (line := self._lines.get(timeout=_START_S)) is not None:
                match = _FORWARDING.match(line)
                if match is not None:
                    return int(match[1])
                said.append(line)
        except queue.Empty:
            said.append(f"not ready within {_START_S:.0f} s")
        self.end()
        raise ConfigurationError(f"{' '.join(self._command)}: {last_word(''.join(said))}")

    def end(self) -> None:
        """No process is left when this returns; more than once does no harm."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(_END_S)


class _Tunnel:
    """A port that stays: ``kubectl port-forward`` is started again when it ends."""

    def __init__(self, command: Sequence[str], remote: int) -> None:
        self._command, self._remote = command, remote
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._current = _Forward([*command, f":{remote}"])
        self.port = self._current.ready()
        self._keeper = threading.Thread(target=self._keep, name="port-forward", daemon=True)
        self._keeper.start()

    def _keep(self) -> None:
        while True:
            self._current.ended.wait()
            if self._closed.is_set():
                return
            self._current.end()
            with self._lock:
                if self._closed.is_set():
                    return
                self._current = _Forward([*self._command, f"{self.port}:{self._remote}"])
            try:
                self._current.ready()
            except ConfigurationError:
                self._closed.wait(_AGAIN_S)  # the pod that takes its place may not run yet

    def close(self) -> None:
        with self._lock:
            self._closed.set()
            self._current.end()
        self._keeper.join(_END_S)


def last_word(output: str) -> str:
    """What kubectl says at last, without the lines of its log."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if not _KLOG.match(line)] or lines
    return told[-1].removeprefix("error: ") if told else "it said nothing"


@contextmanager
def routed(host: str, port: int, local: int) -> Iterator[None]:
    """Connections of this process to ``host:port`` go to a port of this machine.

    The name stays in requests: certificates are checked, and signatures made, as in the cluster.
    """
    real = urllib3.util.connection.create_connection

    def connect(address: tuple[str, int], *args: Any, **kwargs: Any) -> Any:
        return real(("127.0.0.1", local) if address == (host, port) else address, *args, **kwargs)

    urllib3.util.connection.create_connection = connect
    try:
        yield
    finally:
        urllib3.util.connection.create_connection = real


def plain_data(found: Mapping[str, Any] | None) -> dict[str, str]:
    """The data of a ConfigMap or Secret as text. AbsentError where there is none."""
    if found is None:
        raise AbsentError("no such object")
    data = {str(name): str(value) for name, value in (found.get("data") or {}).items()}
    if found.get("kind") != "Secret":
        return data
    try:
        return {name: base64.b64decode(value, validate=True).decode() for name, value in data.items()}
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"secret {found['metadata']['name']}: expected text in base64 ({error})") from None
