"""What the overlays render: taken by the schemas and the strict models, whole in itself, and refused when it is not."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from pydantic import BaseModel, SecretStr

from eventing.manifests import Service, load_manifests
from shared.settings import Settings
from shared.workflow.graph import Volume, load_workflow
from tests.support.kube_judge import refusals as job_refusals
from tests.support.manifests import (
    BASE,
    PRODUCTION,
    ROOT,
    SECRET_KEYS,
    Document,
    containers,
    crds,
    data_of,
    job_of,
    misspelt,
    pods,
    refusals,
    settings_of,
    workflow,
    wrong_fields,
)

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SECRET = frozenset({("Secret", "s2ps-secrets")})
"""In production others bring it; the README says what it holds."""


def test_kind_is_whole(kind: list[Document]) -> None:
    assert refusals(kind) == []


def test_production_is_whole_but_for_its_secret(production: list[Document]) -> None:
    assert refusals(production, external=SECRET) == []
    assert any("no Secret s2ps-secrets" in fault for fault in refusals(production))


def test_the_pass_is_whole_beside_kind(kind: list[Document], station: list[Document]) -> None:
    assert refusals([*kind, *station]) == []
    names = [(each["kind"], each["metadata"]["name"]) for each in (*kind, *station)]
    assert len(names) == len(set(names))


def holds_secrets(kind: Any) -> bool:
    """Whether a setting's type holds a secret, or a model with one, however deep."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return any(holds_secrets(field.annotation) for field in kind.model_fields.values())
    return kind is SecretStr or any(map(holds_secrets, get_args(kind)))


def test_what_is_secret_stands_in_the_secret_and_is_documented(
    kind: list[Document], production: list[Document]
) -> None:
    found = {f"S2PS_{name.upper()}" for name, f in Settings.model_fields.items() if holds_secrets(f.annotation)}
    assert found == SECRET_KEYS | {"S2PS_AUXIP"}
    text = (PRODUCTION / "README.md").read_text()
    assert [key for key in found if f"`{key}`" not in text] == []
    for documents in (kind, production):
        assert found & (data_of(documents, "ConfigMap", "s2ps-settings") or {}).keys() == set()


def test_every_file_of_a_manifest_is_rendered() -> None:
    for folder in (BASE, *(path.parent for path in (ROOT / "knative" / "overlays").rglob("kustomization.yaml"))):
        told = yaml.safe_load((folder / "kustomization.yaml").read_text())
        text = (folder / "kustomization.yaml").read_text()
        files = {path for path in folder.rglob("*.yaml") if path.name != "kustomization.yaml"}
        nested = {path.parent for path in folder.rglob("kustomization.yaml")} - {folder}
        own = {path for path in files if not any(each in path.parents for each in nested)}
        assert [path for path in own if str(path.relative_to(folder)) not in text] == [], told


def find(documents: list[Document], kind: str, name: str) -> Document:
    return next(
        each
        for each in documents
        if (each["kind"], each["metadata"]["name"]) == (kind, name)
        and (kind != "Service" or "serving" in each["apiVersion"])
    )


def at(kind: str, name: str, *path: str | int) -> Callable[[list[Document], Any], None]:
    def change(documents: list[Document], value: Any) -> None:
        holder: Any = find(documents, kind, name)
        for part in path[:-1]:
            holder = holder[part]
        if value is None:
            del holder[path[-1]]
        else:
            holder[path[-1]] = value

    return change


def test_knatives_own_schemas_have_judged(kind: list[Document], real_data: Path) -> None:
    judged = {(each["apiVersion"], each["kind"]) for each in kind if "knative.dev" in each["apiVersion"]}
    assert judged <= crds().keys()
    assert real_data.is_dir()
    spoilt = copy.deepcopy(find(kind, "Trigger", "order-to-job-launch"))
    spoilt["spec"]["deliver"] = spoilt["spec"].pop("delivery")
    fields = jsonschema.Draft202012Validator(crds()[("eventing.knative.dev/v1", "Trigger")])
    assert [fault.json_path for fault in fields.iter_errors(spoilt)] == ["$.spec"]


SWEEP = ("Service", "sweep", "spec", "template")
TRIGGER = ("Trigger", "order-to-job-launch", "spec")
FUNCTION = (*SWEEP, "spec", "containers", 0)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (at(*SWEEP, "spec", "timeoutSecond"), 60),
        (at(*SWEEP, "spec", "timeoutSeconds"), 900),
        (at(*SWEEP, "spec", "priorityClassName"), "high"),
        (at(*SWEEP, "spec", "initContainers"), []),
        (at(*SWEEP, "spec", "serviceAccountName"), "s2ps-jobs-inspect"),
        (at(*SWEEP, "spec", "volumes", 0, "hostPath"), {"path": "/"}),
        (at(*SWEEP, "metadata", "annotations", "autoscaling.knative.dev/window"), "5s"),
        (at(*SWEEP, "metadata", "annotations", "autoscaling.knative.dev/windows"), "10s"),
        (at(*FUNCTION, "readinessProbe", "failureThreshold"), 3),
        (at(*FUNCTION, "resources", "limit"), {"memory": "1Gi"}),
        (at(*FUNCTION, "securityContext", "readonlyRootFilesystem"), True),
        (at(*FUNCTION, "envFrom", 1, "secretRef", "name"), "s2ps-secret"),
        (at(*FUNCTION, "envFrom", 0, "configMapRef", "name"), "s2ps-setting"),
        (at(*FUNCTION, "volumeMounts", 0, "name"), "temp"),
        (at(*TRIGGER, "broker"), "default"),
        (at(*TRIGGER, "subscriber", "ref", "name"), "job-lunch"),
        (at(*TRIGGER, "delivery", "deadLetterSink", "ref", "name"), "dead-letter"),
        (at(*TRIGGER, "delivery", "retryAfterMax"), "PT60S"),
        (at(*TRIGGER, "delivery", "timeout"), "30s"),
        (at(*TRIGGER, "filters", 0, "suffixes"), {"subject": "x"}),
        (at("Broker", "s2ps", "spec", "config", "kind"), None),
        (at("PingSource", "sweep", "spec", "schedule"), "*/5 * * *"),
        (at("PingSource", "sweep", "spec", "sink", "ref", "name"), "sweeper"),
        (at("PingSource", "sweep", "spec", "jsonData"), "{}"),
        (at("ApiServerSource", "jobs", "spec", "serviceAccountName"), "s2ps-jobs-watch"),
        (at("ApiServerSource", "jobs", "spec", "resource"), []),
        (at("SinkBinding", "sweep", "spec", "sink", "ref", "kind"), "Channel"),
        (at("SinkBinding", "sweep", "spec", "subject", "selector", "matchLabels"), {"app.kubernetes.io/name": "swep"}),
        (at("StatefulSet", "store", "spec", "template", "metadata", "labels", "app.kubernetes.io/name"), "stores"),
        (at("EventType", "timer-due", "spec", "reference", "name"), "default"),
        (at("EventType", "timer-due", "spec", "type"), None),
        (at("EventType", "timer-due", "spec", "schemadata"), "{}"),
        (at("RoleBinding", "s2ps-job-launch", "roleRef", "name"), "s2ps-job-lunch"),
        (at("RoleBinding", "s2ps-job-launch", "subjects", 0, "name"), "s2ps-job-lunch"),
        (at("RoleBinding", "s2ps-job-launch", "subject"), []),
        (at("NetworkPolicy", "store", "spec", "ingres"), []),
        (at("StatefulSet", "store", "spec", "template", "spec", "volumes", 1, "configMap", "name"), "stores"),
        (at("StatefulSet", "store", "spec", "template", "spec", "containers", 0, "resorces"), {}),
        (at("ConfigMap", "s2ps-settings", "data", "S2PS_STORE_ENDPIONT"), "http://x"),
        (at("ConfigMap", "s2ps-settings", "data", "S2PS_IMAGES"), "{"),
        (at("ConfigMap", "s2ps-settings", "data", "S2PS_STORE_SECRET_KEY"), "x"),
        (at("ConfigMap", "s2ps-settings", "metadata", "namespace"), "default"),
        (at("Secret", "s2ps-secrets", "data", "S2PS_STORE_ACCESS_KEY"), None),
        (at("Secret", "s2ps-secrets", "data", "S2PS_STATIONS"), "bm8ganNvbg=="),
    ],
)
def test_a_mistake_is_found(kind: list[Document], change: Callable[[list[Document], Any], None], value: Any) -> None:
    documents = copy.deepcopy(kind)
    change(documents, value)
    assert refusals(documents, schemas=False) != []


def test_every_field_that_is_misspelt_is_found(
    kind: list[Document], station: list[Document], production: list[Document]
) -> None:
    """Each field of each kind once: by the schemas of Kubernetes and the strict models, Knative's own schemas aside."""
    seen: set[tuple[str, str, str]] = set()
    let_by = []
    for document in (*kind, *station, *production):
        for field, spoilt in misspelt(document):
            place = (document["apiVersion"], document["kind"], field)
            if field not in {"apiVersion", "kind"} and place not in seen:
                seen.add(place)
                if wrong_fields(spoilt) == []:
                    let_by.append(place)
    assert let_by == []
    assert len(seen) > 400


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (at("ClusterQueue", "s2ps", "metadata", "namespace"), "s2ps"),
        (at("ClusterQueue", "s2ps", "spec", "cohort"), "x"),
        (at("ClusterQueue", "s2ps", "spec", "resourceGroups", 0, "coveredResources"), ["memory", "cpu"]),
        (at("LocalQueue", "s2ps", "apiVersion"), "kueue.x-k8s.io/v1beta1"),
        (at("EventPolicy", "jobs", "spec", "from", 0, "ref", "name"), "job"),
        (at("EventPolicy", "jobs", "spec", "form"), []),
        (at("StorageClass", "s2ps-scratch", "volumeBindMode"), "Immediate"),
        (at("PriorityClass", "s2ps-soon", "preemptionPolicy"), 1),
        (at("PersistentVolumeClaim", "s2ps-dem", "spec", "accessMode"), []),
        (at("ConfigMap", "s2ps-settings", "data", "S2PS_JOB_PRIORITIES"), '[["x"]]'),
    ],
)
def test_a_mistake_in_production_is_found(
    production: list[Document], change: Callable[[list[Document], Any], None], value: Any
) -> None:
    documents = copy.deepcopy(production)
    change(documents, value)
    assert refusals(documents, external=SECRET, schemas=False) != []


def test_each_function_has_its_service_in_every_overlay(kind: list[Document], production: list[Document]) -> None:
    folders = {path.parent.name.replace("_", "-") for path in (ROOT / "functions").glob("*/main.py")} - {"cli"}
    for documents in (kind, production):
        served = {each["metadata"]["name"] for each in documents if "serving.knative.dev" in each["apiVersion"]}
        assert served == folders


def images(documents: list[Document]) -> Iterator[str]:
    for _, _, pod in pods(documents):
        yield from (each["image"] for each in containers(pod))


def test_images_are_named_in_one_place(
    kind: list[Document], station: list[Document], production: list[Document]
) -> None:
    for documents, prefix in (
        (kind, "kind.local/"),
        (station, "kind.local/"),
        (production, "registry.example.org/s2ps/"),
    ):
        assert all(each.startswith(prefix) and each.endswith(f":{VERSION}") for each in images(documents))
    for documents, prefix in ((kind, "kind.local/"), (production, "registry.example.org/s2ps/")):
        settings = settings_of(documents)
        assert settings.runner_image == f"{prefix}s2ps-functions:{VERSION}"
        assert settings.images == {"s2ps-processors": f"{prefix}s2ps-processors:{VERSION}"}


@pytest.mark.parametrize("overlay", ["kind", "production"])
def test_the_jobs_of_an_overlay(overlay: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    documents: list[Document] = request.getfixturevalue(overlay)
    graph = workflow(documents, tmp_path)
    assert {step.name for step in graph.steps} == graph.processors.keys()
    for step in graph.steps:
        made = job_of(documents, step.name, tmp_path)
        assert job_refusals(made) == []
        assert refusals([*documents, made], external=SECRET) == []


def test_the_jobs_of_the_licensed_processors_find_their_volumes(production: list[Document], tmp_path: Path) -> None:
    documents = copy.deepcopy(production)
    find(documents, "ConfigMap", "s2ps-settings")["data"]["S2PS_PROCESSOR_SET"] = "esa"
    made = [job_of(documents, step, tmp_path) for step in workflow(documents, tmp_path).processors]
    assert [fault for each in made for fault in job_refusals(each)] == []
    assert refusals([*documents, *made], external=SECRET) == []
    claims = [each for each in documents if each["kind"] != "PersistentVolumeClaim"]
    assert {fault.rpartition(": ")[2] for fault in refusals([*claims, *made], external=SECRET)} == {
        "no PersistentVolumeClaim s2-l1-shared",
        "no PersistentVolumeClaim s2ps-dem",
        "no PersistentVolumeClaim s2ps-gri",
    }


def test_jobs_find_their_queue_their_class_and_their_volume(production: list[Document]) -> None:
    settings = settings_of(production)
    known = {(each["kind"], each["metadata"]["name"]) for each in production}
    assert ("LocalQueue", settings.job_queue) in known
    assert ("StorageClass", settings.job_scratch_class) in known
    assert max(limit for limit, _ in settings.job_priorities) >= 1e6, "each Job has a class, so that it can be changed"
    for _, name in settings.job_priorities:
        assert {("PriorityClass", name), ("WorkloadPriorityClass", name)} <= known
    queue = find(production, "LocalQueue", settings.job_queue)
    cluster = find(production, "ClusterQueue", queue["spec"]["clusterQueue"])
    assert cluster["spec"]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "s2ps"}
    flavors = {flavor["name"] for group in cluster["spec"]["resourceGroups"] for flavor in group["flavors"]}
    assert {("ResourceFlavor", name) for name in flavors} <= known


def test_kueue_covers_what_jobs_ask_for(production: list[Document], tmp_path: Path) -> None:
    cluster = find(production, "ClusterQueue", "s2ps")
    covered = {name for group in cluster["spec"]["resourceGroups"] for name in group["coveredResources"]}
    for step in workflow(production, tmp_path).steps:
        made = job_of(production, step.name, tmp_path)
        for each in containers(made["spec"]["template"]["spec"]):
            assert {*each["resources"].get("requests", {}), *each["resources"].get("limits", {})} <= covered


def test_the_example_of_a_processor_set_names_claims_that_are_there(production: list[Document], tmp_path: Path) -> None:
    files = data_of(production, "ConfigMap", "s2ps-processors") or {}
    assert list(files) == ["with-volumes.yaml"]
    (tmp_path / "with-volumes.yaml").write_text(files["with-volumes.yaml"])
    found: set[Volume] = set()
    for processor in load_workflow(str(tmp_path / "with-volumes.yaml")).processors.values():
        found.update(processor.volumes)
    licensed = load_workflow("esa").processors.values()
    assert {volume.claim for each in licensed for volume in each.volumes} == {volume.claim for volume in found}
    shared = {each.shared.claim for each in licensed if each.shared is not None}
    claims = {each["metadata"]["name"] for each in production if each["kind"] == "PersistentVolumeClaim"}
    assert {volume.claim for volume in found} | shared == claims
    assert all(volume.read_only for volume in found)


def test_the_example_of_a_processor_set_is_the_open_one_but_for_its_volumes() -> None:
    example = yaml.safe_load((PRODUCTION / "processors" / "with-volumes.yaml").read_text())
    for processor in example["processors"].values():
        folders = [volume["path"] for volume in processor.pop("volumes", ())]
        for path in processor.pop("parameters", {}).values():
            assert any(PurePosixPath(path).is_relative_to(folder) for folder in folders), path
    assert example == yaml.safe_load((ROOT / "shared" / "workflow" / "processors" / "open.yaml").read_text())


def test_a_request_may_outlast_what_it_waits_for() -> None:
    services = {each.metadata.name: each for each in load_manifests(BASE) if isinstance(each, Service)}
    settings = yaml.safe_load((BASE / "settings.yaml").read_text())["data"]
    for name, stay, tick_s in (("station-poll", "S2PS_POLL_STAY_S", 120), ("sweep", "S2PS_SWEEP_STAY_S", 300)):
        assert float(settings[stay]) < tick_s
        # A round that begins at the stay's last moment ends too.
        assert services[name].spec.template.spec.timeout_s >= float(settings[stay]) + 60
