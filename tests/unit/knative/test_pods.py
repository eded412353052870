"""Every pod that the manifests or the launcher make is one that a restricted namespace takes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.manifests import Document, containers, crds, job_of, pods
from tests.support.restricted import violations


@pytest.fixture
def everything(
    kind: list[Document], station: list[Document], production: list[Document], tmp_path: Path
) -> list[Document]:
    jobs = [job_of(each, step, tmp_path) for each in (kind, production) for step in ("l0u", "l1b")]
    return [*kind, *station, *production, *jobs]


def test_all_pods_are_restricted(everything: list[Document]) -> None:
    found = {name: list(violations(pod)) for name, _, pod in pods(everything)}
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert len(found) >= 15


def test_namespaces_enforce_it(kind: list[Document], production: list[Document]) -> None:
    for documents in (kind, production):
        (namespace,) = (each for each in documents if each["kind"] == "Namespace")
        assert namespace["metadata"]["name"] == "s2ps"
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pod: pod.update(hostNetwork=True),
        lambda pod: pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
        lambda pod: pod["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
        lambda pod: pod["containers"][0]["securityContext"].pop("runAsNonRoot"),
        lambda pod: pod["containers"][0]["securityContext"].update(runAsUser=0),
        lambda pod: pod["containers"][0]["securityContext"].pop("seccompProfile"),
        lambda pod: pod["containers"][0]["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
    ],
)
def test_what_is_not_restricted_is_found(base: list[Document], spoil: Callable[[Any], None]) -> None:
    pod = copy.deepcopy(next(pod for _, _, pod in pods(base)))
    assert list(violations(pod)) == []
    spoil(pod)
    assert list(violations(pod)) != []


def test_no_container_writes_to_its_root_or_runs_without_bounds(everything: list[Document]) -> None:
    for name, _, pod in pods(everything):
        assert pod.get("enableServiceLinks") is False, name
        for each in containers(pod):
            if each["name"] != "ipf":  # an image that is not ours may need its root
                assert each["securityContext"].get("readOnlyRootFilesystem") is True, (name, each["name"])
            assert "memory" in each["resources"]["limits"], (name, each["name"])
            assert each["imagePullPolicy"] == "IfNotPresent", (name, each["name"])


def test_functions_scale_to_zero_and_are_probed_by_knative(base: list[Document]) -> None:
    for document in (each for each in base if "serving.knative.dev" in each["apiVersion"]):
        template = document["spec"]["template"]
        notes = template["metadata"]["annotations"]
        assert notes["autoscaling.knative.dev/min-scale"] == "0"
        assert notes["autoscaling.knative.dev/scale-to-zero-pod-retention-period"] == "0s"
        assert "periodSeconds" not in template["spec"]["containers"][0]["readinessProbe"]
        assert document["metadata"]["labels"]["networking.knative.dev/visibility"] == "cluster-local"


def test_operators_files_are_mounted_where_jobs_see_them_too(
    base: list[Document], kind: list[Document], tmp_path: Path
) -> None:
    job = job_of(kind, "l0u", tmp_path)["spec"]["template"]["spec"]
    stages = [each for each in containers(job) if each["name"].startswith("stage-")]
    functions = [each for _, _, pod in pods(base) for each in containers(pod)]
    for each in (*stages, *functions):
        places = {mount["mountPath"] for mount in each["volumeMounts"]}
        assert {"/etc/s2ps/processors", "/tmp"} <= places
    for _, _, pod in pods(base):
        (volume,) = (each["configMap"] for each in pod["volumes"] if "configMap" in each)
        assert volume == {"name": "s2ps-processors", "optional": True}


ALLOWED_BY_DEFAULT = {"emptyDir"}
"""Flags that Knative sets itself (``kubernetes.podspec-volumes-emptydir: enabled``)."""


def flagged(schema: Any, value: Any) -> Iterator[str]:
    """Fields of a document that its schema says to be behind a feature flag."""
    if isinstance(value, list):
        for each in value:
            yield from flagged(schema.get("items", {}), each)
    elif isinstance(value, dict):
        for name, each in value.items():
            told = schema.get("properties", {}).get(name, {})
            if "behind a feature flag" in told.get("description", ""):
                yield name
            yield from flagged(told, each)


def test_functions_need_no_feature_flag(base: list[Document], real_data: Path) -> None:
    assert real_data.is_dir()
    schema = crds()[("serving.knative.dev/v1", "Service")]
    services = [copy.deepcopy(each) for each in base if "serving.knative.dev" in each["apiVersion"]]
    for service in services:
        assert set(flagged(schema, service)) <= ALLOWED_BY_DEFAULT, service["metadata"]["name"]
    services[0]["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    assert "nodeSelector" in set(flagged(schema, services[0]))


@pytest.mark.parametrize(
    ("function", "measured_mib"),
    [("job-preparation", 303), ("session-account", 640), ("product-publication", 792), ("sweep", 300)],
)
def test_functions_have_room_for_the_outcomes_of_the_longest_datastrip(
    kind: list[Document], production: list[Document], function: str, measured_mib: int
) -> None:
    """Measured: as many requests at a time as the function takes, 2 544 granules of 20 files each."""
    for rendered in (kind, production):
        (service,) = (d for d in rendered if (d["kind"], d["metadata"]["name"]) == ("Service", function))
        (each,) = service["spec"]["template"]["spec"]["containers"]
        limit = each["resources"]["limits"]["memory"]
        assert limit.endswith("Mi")
        assert int(limit.removesuffix("Mi")) >= 1.5 * measured_mib
