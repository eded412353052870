"""Rendered manifests, and what a cluster would find wrong with them."""

from __future__ import annotations

import base64
import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import yaml

from eventing.local.config import settings_from
from eventing.manifests import parse_manifest
from shared.adapters.kubernetes.manifest import job_manifest
from shared.errors import ConfigurationError
from shared.ports import JobSpec
from shared.settings import Settings
from shared.workflow.graph import Workflow, load_workflow
from tests.support.kube_judge import VERSIONS
from tests.support.kueue import kueue_refusals

ROOT: Final = Path(__file__).resolve().parents[2]
BASE: Final = ROOT / "knative" / "base"
KIND: Final = ROOT / "knative" / "overlays" / "kind"
PASS: Final = KIND / "pass"
PRODUCTION: Final = ROOT / "knative" / "overlays" / "production"
SECRET_KEYS: Final = frozenset(
    {"S2PS_STORE_ACCESS_KEY", "S2PS_STORE_SECRET_KEY", "S2PS_NOTIFICATION_TOKEN", "S2PS_STATIONS"}
)
"""What the Secret s2ps-secrets holds, wherever it comes from."""

Document = dict[str, Any]
_CLUSTER: Final = frozenset(
    {"Namespace", "PriorityClass", "StorageClass", "ResourceFlavor", "ClusterQueue", "WorkloadPriorityClass"}
)
# Whose names are free: of the reader's making, not fields.
_FREE: Final = frozenset(
    {"annotations", "data", "exact", "labels", "limits", "matchLabels", "parameters", "prefix", "requests", "suffix"}
)  # fmt: skip
_POD: Final = {"Pod": (), "Job": ("template",), "StatefulSet": ("template",), "Deployment": ("template",)}


def kubectl() -> Path | None:
    """The kubectl of this environment; None where there is none."""
    path = Path(sys.executable).with_name("kubectl")
    return path if path.exists() else None


def render(folder: Path) -> list[Document]:
    """What ``kubectl apply -k`` would send. AssertionError with kustomize's own words where it fails."""
    done = subprocess.run([str(kubectl()), "kustomize", str(folder)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@cache
def crds() -> Mapping[tuple[str, str], Any]:
    """Knative's own schemas by (apiVersion, kind), closed to unknown fields; empty where they are not at hand."""
    folder = Path(os.environ.get("S2PS_TEST_DATA", ROOT.parent / "shared" / "data")) / "crds"
    found: dict[tuple[str, str], Any] = {}
    for path in sorted(folder.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document and document.get("kind") == "CustomResourceDefinition":
                spec = document["spec"]
                for version in spec["versions"]:
                    schema = closed(version.get("schema", {}).get("openAPIV3Schema") or {})
                    schema.setdefault("properties", {}).update(apiVersion={}, kind={}, metadata={})
                    found[(f"{spec['group']}/{version['name']}", spec["names"]["kind"])] = schema
    return found


def closed(schema: Any) -> Any:
    """A structural schema without the fields that it does not name, even where the server would let them pass."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {
        name: {key: closed(each) for key, each in value.items()} if name == "properties" else closed(value)
        for name, value in schema.items()
        if name != "format"
    }
    if parts.pop("x-kubernetes-int-or-string", False):
        parts["type"] = ["integer", "string"]
        parts.pop("anyOf", None)
    if "properties" in parts:
        if "backoffDelay" in parts["properties"]:  # a delivery: its timeout is allowed by default, and in no schema yet
            parts["properties"]["timeout"] = {"type": "string"}
        parts.setdefault("additionalProperties", False)
    return parts


def refusals(
    documents: Sequence[Document], *, external: frozenset[tuple[str, str]] = frozenset(), schemas: bool = True
) -> list[str]:
    """Everything that is wrong; empty where a cluster takes it and it works together.

    ``external``: (kind, name) of what others put into the namespace. ``schemas``: ask Knative's own too, where they are
    at hand.
    """
    found = [fault for document in documents for fault in _one(json.dumps(document, sort_keys=True), schemas)]
    return found or [*_references(documents, external), *_selectors(documents), *_settings(documents)]


@cache
def _one(text: str, schemas: bool) -> tuple[str, ...]:
    """Kept: renderings share most of their documents, and mutants all but one."""
    return tuple(_wrong(json.loads(text), crds() if schemas else {}))


def misspelt(document: Document) -> Iterator[tuple[str, Document]]:
    """The document with one field misspelt, once for each field: (the field, the document)."""
    for path in _fields(document):
        spoilt = copy.deepcopy(document)
        holder: Any = spoilt
        for part in path[:-1]:
            holder = holder[part]
        holder[f"{path[-1]}x"] = holder.pop(path[-1])
        yield ".".join(str(part) for part in path if isinstance(part, str)), spoilt


def _fields(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _fields(each, (*path, number))
    elif isinstance(value, dict):
        for name, each in value.items():
            yield (*path, name)
            if name not in _FREE and (name != "selector" or "matchLabels" in each):
                yield from _fields(each, (*path, name))


def wrong_fields(document: Document) -> list[str]:
    """What the schemas of one version and the strict models, without Knative's own, find wrong with one document."""
    return list(_wrong(document, {}, VERSIONS[:1]))


def _wrong(
    document: Document, known: Mapping[tuple[str, str], Any], versions: Sequence[str] = VERSIONS
) -> Iterator[str]:
    where = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    namespace = document.get("metadata", {}).get("namespace")
    if namespace != (None if document.get("kind") in _CLUSTER else "s2ps"):
        yield f"{where}: namespace {namespace}"
    if group.endswith("knative.dev"):
        try:
            parse_manifest(document, where)
        except ConfigurationError as error:
            yield str(error)
        schema = known.get((document["apiVersion"], document["kind"]))
        if known and schema is None:
            yield f"{where}: no such kind"
        for fault in jsonschema.Draft202012Validator(schema or {}).iter_errors(document):
            yield f"{where}: {fault.json_path}: {fault.message}"
    elif group == "kueue.x-k8s.io":
        yield from kueue_refusals(document)
    else:
        for version in versions:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{where}: {version}: {error.message}"


def pods(documents: Sequence[Document]) -> Iterator[tuple[str, dict[str, str], Document]]:
    """(name, labels, pod spec) of everything that makes pods, Knative Services among it."""
    for document in documents:
        name, spec = document["metadata"]["name"], document.get("spec", {})
        knative = document["kind"] == "Service" and document["apiVersion"].startswith("serving.knative.dev/")
        if knative or document["kind"] in _POD:
            template = spec["template"]
            yield f"{document['kind']} {name}", template["metadata"].get("labels", {}), template["spec"]


def containers(pod: Document) -> list[Document]:
    """All containers of a pod."""
    return [*pod.get("initContainers", ()), *pod["containers"]]


def data_of(documents: Sequence[Document], kind: str, name: str) -> dict[str, str] | None:
    """What a ConfigMap or Secret holds, as text; None where it is not there."""
    for document in documents:
        if (document["kind"], document["metadata"]["name"]) == (kind, name):
            held: dict[str, str] = document.get("data", {})
            return (
                held if kind == "ConfigMap" else {key: base64.b64decode(value).decode() for key, value in held.items()}
            )
    return None


def workflow(documents: Sequence[Document], folder: Path) -> Workflow:
    """The workflow that the settings name; a file of the operator's is written to ``folder``."""
    name = (data_of(documents, "ConfigMap", "s2ps-settings") or {}).get("S2PS_PROCESSOR_SET", "open")
    if "/" not in name:
        return load_workflow(name)
    files = data_of(documents, "ConfigMap", "s2ps-processors") or {}
    path = folder / name.rpartition("/")[2]
    path.write_text(files[path.name])
    return load_workflow(str(path))


def settings_of(documents: Sequence[Document]) -> Settings:
    """What functions and Jobs of this rendering are set to."""
    held = data_of(documents, "ConfigMap", "s2ps-settings") or {}
    return settings_from({**held, **(data_of(documents, "Secret", "s2ps-secrets") or {})})


def job_of(documents: Sequence[Document], step: str, folder: Path, *, minutes_left: float = 20) -> Document:
    """The Job of a step, as the launcher makes it of this rendering's settings; ``folder`` is for a processor set."""
    now = datetime(2026, 11, 22, 10, tzinfo=UTC)
    session, digest = "S2A_20261122100000057405", "a" * 64
    processor = workflow(documents, folder).processors[step]
    job = JobSpec(
        name=f"{step}-{digest[:20]}-1",
        work=f"sessions/{session}/work/{step}/DT01/{digest}/",
        attempt=1,
        session=session,
        step=step,
        unit="DT01",
        cpus=processor.cpus,
        memory_mb=processor.memory_mb,
        time_limit_s=processor.time_limit_s,
        deadline=now + timedelta(minutes=minutes_left),
        priority=1,
        traceparent=f"00-{'1' * 32}-{'2' * 16}-01",
        shared=f"{session}/DT01" if processor.shared is not None else "",
    )
    made = job_manifest(job, processor, settings_of(documents), now)
    # The launcher names the namespace in the address that it posts to.
    return {**made, "metadata": {**made["metadata"], "namespace": "s2ps"}}


def _references(documents: Sequence[Document], external: frozenset[tuple[str, str]]) -> Iterator[str]:
    known = {(each["kind"], each["metadata"]["name"]) for each in documents} | external
    for document in documents:
        where = f"{document['kind']} {document['metadata']['name']}"
        for kind, name, namespace in _named(document):
            if namespace in {None, "s2ps"} and (kind, name) not in known:
                yield f"{where}: no {kind} {name}"
        broker = document["spec"].get("broker") if document["kind"] == "Trigger" else None
        if broker is not None and ("Broker", broker) not in known:
            yield f"{where}: no Broker {broker}"
    for where, _, pod in pods(documents):
        for kind, name in _used(pod):
            if (kind, name) not in known:
                yield f"{where}: no {kind} {name}"
        for variable in (env for each in containers(pod) for env in each.get("env", ())):
            wanted = variable.get("valueFrom", {}).get("secretKeyRef")
            held = data_of(documents, "Secret", wanted["name"]) if wanted else None
            if wanted and wanted["key"] not in (SECRET_KEYS if held is None else held):
                yield f"{where}: {variable['name']}: no key {wanted['key']} in Secret {wanted['name']}"


def _selectors(documents: Sequence[Document]) -> Iterator[str]:
    """Who is chosen by labels is there: nothing else tells of a label that is misspelt."""
    made = [(labels, pod) for _, labels, pod in pods(documents)]
    for document in documents:
        where, spec = f"{document['kind']} {document['metadata']['name']}", document.get("spec", {})
        if document["kind"] in {"Deployment", "StatefulSet"}:
            if not spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items():
                yield f"{where}: selector: not its own pods"
        elif document["apiVersion"] == "v1" and document["kind"] == "Service":
            chosen = [pod for labels, pod in made if spec["selector"].items() <= labels.items()]
            ports = {port.get("name") for pod in chosen for each in pod["containers"] for port in each.get("ports", ())}
            if not chosen:
                yield f"{where}: selector: no pod"
            elif not {port["targetPort"] for port in spec["ports"]} <= ports:
                yield f"{where}: targetPort: no port of its pods"
        elif document["kind"] == "SinkBinding":
            wanted, subject = spec["subject"]["selector"]["matchLabels"].items(), spec["subject"]
            if not any(
                wanted <= each["metadata"].get("labels", {}).items()
                for each in documents
                if (each["apiVersion"], each["kind"]) == (subject["apiVersion"], subject["kind"])
            ):
                yield f"{where}: subject: no {subject['kind']}"


def _named(value: Any) -> Iterator[tuple[str, str, str | None]]:
    """Every reference by kind and name, wherever it stands."""
    if isinstance(value, list):
        for each in value:
            yield from _named(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in {"ref", "reference", "config", "roleRef"} and isinstance(each, dict) and "kind" in each:
                yield each["kind"], each["name"], each.get("namespace")
            elif name == "subjects":
                yield from ((subject["kind"], subject["name"], subject.get("namespace")) for subject in each)
            else:
                yield from _named(each)
        if "serviceAccountName" in value:
            yield "ServiceAccount", value["serviceAccountName"], None


def _used(pod: Document) -> Iterator[tuple[str, str]]:
    for volume in pod.get("volumes", ()):
        held = volume.get("configMap", {})
        if held and not held.get("optional"):
            yield "ConfigMap", held["name"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
    for each in containers(pod):
        for source in each.get("envFrom", ()):
            for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if field in source:
                    yield kind, source[field]["name"]


def _settings(documents: Sequence[Document]) -> Iterator[str]:
    """The settings that functions and Jobs get are known ones with good values, and none that they need is missing."""
    held = data_of(documents, "ConfigMap", "s2ps-settings")
    if held is None:
        return
    secret = data_of(documents, "Secret", "s2ps-secrets")
    if secret is not None and (missing := SECRET_KEYS - secret.keys()):
        yield f"Secret s2ps-secrets: {', '.join(sorted(missing))}: missing"
    for name in SECRET_KEYS & held.keys():
        yield f"ConfigMap s2ps-settings: {name}: a secret"
    try:
        settings_from({**held, **(secret or {})})
    except ConfigurationError as error:
        yield f"settings: {error}"
