"""A ``kubectl`` for tests: answers as the real one does, forwards ports for real, and fails in the ways it fails.

``install`` puts the program into a folder; what it knows and does is in ``cluster.json`` there, read at each call. Each
call is a line of ``calls.log``, each forward leaves its process id in ``forwards.log``.
"""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_PROGRAM: Final = """#!{python}
import json, os, signal, socket, sys, threading
from pathlib import Path
FOLDER = Path({folder!r})
KNOWN = json.loads((FOLDER / "cluster.json").read_text())
ARGS = sys.argv[1:]
with (FOLDER / "calls.log").open("a") as log:
    log.write(json.dumps(ARGS) + "\\n")
options = dict(a[2:].split("=", 1) for a in ARGS if a.startswith("--") and "=" in a)
words = [a for a in ARGS if not a.startswith("--")]
klog = 'E1122 11:28:30.550349   31572 memcache.go:265] "Unhandled Error" err="no current server API group list"'

def fail(text):
    sys.exit(text)  # to standard error, with exit code 1

if words[:2] == ["config", "current-context"]:
    print(KNOWN["context"]) if KNOWN["context"] else fail("error: current-context is not set")
    sys.exit()
if options.get("context") not in (None, KNOWN["context"]):
    fail(f"Error in configuration: context was not found for specified context: {{options['context']}}")
if KNOWN["fail"]:
    print(klog, file=sys.stderr)
    fail(KNOWN["fail"])

def get():
    found = [KNOWN["objects"][name] for name in words[1:] if options["namespace"] == KNOWN["namespace"]
             and name in KNOWN["objects"]]
    if found and len(words) == 2:
        print(json.dumps(found[0], indent=4))
    elif found:
        print(json.dumps({{"apiVersion": "v1", "items": found, "kind": "List", "metadata": {{"resourceVersion": ""}}}}))

def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    for each in (one, other):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

def forward():
    service, ports = words[1], words[2]
    local, remote = ports.split(":")
    target = KNOWN["services"].get(f"{{options['namespace']}}/{{service.removeprefix('service/')}}:{{remote}}")
    if target is None:
        fail(f'Error from server (NotFound): services "{{service.removeprefix("service/")}}" not found')
    server = socket.create_server(("127.0.0.1", int(local or 0)))
    with (FOLDER / "forwards.log").open("a") as log:
        log.write(f"{{os.getpid()}}\\n")
    print(f"Forwarding from 127.0.0.1:{{server.getsockname()[1]}} -> {{remote}}", flush=True)
    while True:
        client, _ = server.accept()
        print(f"Handling connection for {{server.getsockname()[1]}}", flush=True)
        there = socket.create_connection(("127.0.0.1", target))
        for pair in ((client, there), (there, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()

{{"get": get, "port-forward": forward}}[words[0]]()
"""


@dataclass(frozen=True)
class FakeCluster:
    """What the fake ``kubectl`` in ``folder`` knows."""

    folder: Path

    def know(self, **more: Any) -> None:
        """Change what is known: ``objects``, ``services``, ``fail``, ``context``, ``namespace``."""
        path = self.folder / "cluster.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, **more}))

    @property
    def calls(self) -> list[list[str]]:
        path = self.folder / "calls.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def forwards(self) -> list[int]:
        """Process ids of all forwards so far."""
        path = self.folder / "forwards.log"
        return [int(line) for line in path.read_text().split()] if path.exists() else []


def install(folder: Path) -> FakeCluster:
    """A ``kubectl`` in ``folder``, of a cluster that knows nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "kubectl"
    program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)))
    program.chmod(0o755)
    found = FakeCluster(folder)
    found.know(objects={}, services={}, fail="", context="kind-kind", namespace="s2ps")
    return found


def config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "s2ps"}, "data": data}


def secret(name: str, data: dict[str, str]) -> dict[str, Any]:
    coded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": coded,
            "metadata": {"name": name, "namespace": "s2ps"}}  # fmt: skip
