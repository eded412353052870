"""Runs of the local runtime with small functions of the test's own."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from eventing.local import control
from eventing.local.config import ROOT, RunConfig, RunDir
from eventing.local.processes import family
from shared.adapters.http_sink import HttpSink
from shared.domain.events import Event

# What the probe does is the event's type; each attempt leaves a line in <subject>.log below the folder PROBE.
PROBE = """
import json, os, signal, time
from pathlib import Path
import functions_framework
from eventing.http import answer
from shared.errors import BadInputError, NotReadyError

FOLDER = Path(os.environ["S2PS_PROBE"])

def step(event):
    with (FOLDER / f"{event.subject}.log").open("a") as log:
        log.write(json.dumps({"id": event.id, "pid": os.getpid(), "extensions": dict(event.extensions)}) + "\\n")
    attempts = len((FOLDER / f"{event.subject}.log").read_text().splitlines())
    if event.type == "refuse":
        raise BadInputError("probe", "something else")
    if event.type == "later" and attempts < 3:
        raise NotReadyError("not yet")
    if event.type == "crash-worker" and attempts == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if event.type == "crash-all" and attempts == 1:
        os.killpg(os.getpgrp(), signal.SIGKILL)

@functions_framework.http
def main(request):
    return answer(request, "probe", step)
"""


def wait_for(condition: Callable[[], Any], what: str, *, timeout_s: float = 30.0, pause_s: float = 0.02) -> Any:
    """The first true value of ``condition``; the test fails, naming ``what``, where none comes in time.

    ``pause_s``: between two looks; longer where looking costs what is waited for its time.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(pause_s)
    pytest.fail(f"waited {timeout_s:.0f} s for {what}")


@dataclass
class ProbeRun:
    """A run whose functions ``probe`` and ``dead-letters`` write down what they get."""

    run: RunDir
    folder: Path
    config: RunConfig

    def start(self) -> control.RunState:
        return control.start(self.run, self.config)

    def send(self, kind: str, subject: str) -> Event:
        state = control.state(self.run)
        assert state is not None
        event = Event(f"id-{subject}", "test", kind, subject)
        HttpSink(f"{state.url}/broker").send(event)
        return event

    def attempts(self, subject: str, folder: str = "probe") -> list[dict[str, Any]]:
        path = self.folder / folder / f"{subject}.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def status(self) -> dict[str, Any]:
        state = control.state(self.run)
        assert state is not None
        found: dict[str, Any] = urllib3.request("GET", f"{state.url}/status", timeout=10).json()
        return found

    def post(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        state = control.state(self.run)
        assert state is not None
        answer = urllib3.request("POST", f"{state.url}{path}", body=body, headers=headers, timeout=30, retries=False)
        return answer.status, answer.data.decode()


def make_probe_run(folder: Path, *, store: bool = False, job_script: str = "", **options: Any) -> ProbeRun:
    """A run below ``folder``, not started yet. ``job_script`` is the Python program that Jobs are."""
    root, base = folder / "root", folder / "manifests"
    services = ["probe", "dead-letters"]
    for name in services:
        place = root / "functions" / name.replace("-", "_")
        place.mkdir(parents=True)
        (folder / name).mkdir()
        (place / "main.py").write_text(
            PROBE.replace('os.environ["S2PS_PROBE"]', repr(str(folder / name))), encoding="utf-8"
        )
    if store:
        (root / "functions" / "object_events").symlink_to(ROOT / "functions" / "object_events")
        services.append("object-events")
    base.mkdir()
    documents = [_broker(), *(_service(name) for name in services), _binding(), *_triggers()]
    (base / "all.yaml").write_text(yaml.safe_dump_all(documents))
    (base / "kustomization.yaml").write_text(
        yaml.safe_dump({**_head("kustomize.config.k8s.io/v1beta1", "Kustomization"), "resources": ["all.yaml"]})
    )
    (folder / "job.py").write_text(job_script)
    config = RunConfig(
        manifests=base,
        root=root,
        store=store,
        job_command=(sys.executable, str(folder / "job.py")),
        environment={"PYTHONPATH": os.pathsep.join([str(root), str(ROOT)])},
        **options,
    )
    return ProbeRun(RunDir.at(folder / "run"), folder, config)


def stop_and_check(run: RunDir) -> None:
    """Bring a run down; nothing of it may be left."""
    control.stop(run)
    assert family(run.path) == []
    assert not control.is_served(run)


def _head(version: str, kind: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind}


def _service(name: str) -> dict[str, Any]:
    source = f"/app/functions/{name.replace('-', '_')}/main.py"
    env = [{"name": "FUNCTION_TARGET", "value": "main"}, {"name": "FUNCTION_SOURCE", "value": source}]
    container = {"name": "function", "image": "x", "env": env}
    template = {"spec": {"containerConcurrency": 4, "timeoutSeconds": 30, "containers": [container]}}
    return {
        **_head("serving.knative.dev/v1", "Service"),
        "metadata": {"name": name, "labels": {"sends": "true"}},
        "spec": {"template": template},
    }


def _broker() -> dict[str, Any]:
    sink = {"ref": {**_head("serving.knative.dev/v1", "Service"), "name": "dead-letters"}}
    delivery = {"retry": 5, "backoffDelay": "PT0.05S", "timeout": "PT20S", "deadLetterSink": sink}
    return {
        **_head("eventing.knative.dev/v1", "Broker"),
        "metadata": {"name": "s2ps"},
        "spec": {"delivery": delivery},
    }


def _binding() -> dict[str, Any]:
    subject = {**_head("serving.knative.dev/v1", "Service"), "selector": {"matchLabels": {"sends": "true"}}}
    sink = {"ref": {**_head("eventing.knative.dev/v1", "Broker"), "name": "s2ps"}}
    return {
        **_head("sources.knative.dev/v1", "SinkBinding"),
        "metadata": {"name": "bound"},
        "spec": {"subject": subject, "sink": sink},
    }


def _triggers() -> list[dict[str, Any]]:
    filters = {
        "test": [{"exact": {"source": "test"}}],
        "jobs": [{"exact": {"type": "dev.knative.apiserver.resource.update"}}],
        "ledger": [{"exact": {"source": "s2-ledger"}}, {"suffix": {"subject": ".json"}}],
    }
    subscriber = {"ref": {**_head("serving.knative.dev/v1", "Service"), "name": "probe"}}
    return [
        {
            **_head("eventing.knative.dev/v1", "Trigger"),
            "metadata": {"name": name},
            "spec": {"broker": "s2ps", "filters": each, "subscriber": subscriber},
        }
        for name, each in filters.items()
    ]
