"""Rights in the cluster: exactly those that the code uses, and no token where none is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.kube_api import CALLS
from tests.support.manifests import ROOT, Document, job_of, pods

Call = tuple[str, str, str]
WATCH = frozenset({("get", "batch", "jobs"), ("list", "batch", "jobs"), ("watch", "batch", "jobs")})
"""What Knative checks that an ApiServerSource's service account may do with what it watches."""


def rights(documents: list[Document]) -> dict[str, frozenset[Call]]:
    """Service account to the calls that its roles allow."""
    roles = {each["metadata"]["name"]: each["rules"] for each in documents if each["kind"] == "Role"}
    found: dict[str, set[Call]] = {
        each["metadata"]["name"]: set() for each in documents if each["kind"] == "ServiceAccount"
    }
    for binding in (each for each in documents if each["kind"] == "RoleBinding"):
        for subject in binding["subjects"]:
            assert (subject["kind"], subject["namespace"]) == ("ServiceAccount", "s2ps")
            for rule in roles[binding["roleRef"]["name"]]:
                found[subject["name"]] |= {
                    (verb, group, resource)
                    for verb in rule["verbs"]
                    for group in rule["apiGroups"]
                    for resource in rule["resources"]
                }
    return {name: frozenset(calls) for name, calls in found.items()}


@pytest.mark.parametrize("overlay", ["kind", "production"])
def test_each_function_may_do_what_it_does_and_nothing_else(overlay: str, request: pytest.FixtureRequest) -> None:
    documents: list[Document] = request.getfixturevalue(overlay)
    held = rights(documents)
    used: set[str] = set()
    for document in (each for each in documents if "serving.knative.dev" in each["apiVersion"]):
        account = document["spec"]["template"]["spec"]["serviceAccountName"]
        used.add(account)
        name = document["metadata"]["name"]
        assert held[account] == CALLS.get(name, frozenset()), name
    (source,) = (each for each in documents if each["kind"] == "ApiServerSource")
    assert held[source["spec"]["serviceAccountName"]] == WATCH
    assert held.keys() == {*used, source["spec"]["serviceAccountName"], "s2ps-jobs"}
    assert not any(each["kind"].startswith("ClusterRole") for each in documents)


def test_who_asks_for_jobs_is_known_to_the_table_of_calls() -> None:
    """Which calls each makes, its own steps show to a server that judges them (test_kubernetes_jobs)."""
    asking = {path.parent.name for path in (ROOT / "functions").glob("*/*.py") if ".launcher." in path.read_text()}
    assert {name.replace("_", "-") for name in asking} == CALLS.keys()
    beside = [path for path in (ROOT / "shared").rglob("*.py") if ".launcher." in path.read_text()]
    assert beside == [], "whichever function calls these asks too"


def test_who_has_no_rights_has_no_token(base: list[Document]) -> None:
    for document in (each for each in base if each["kind"] == "ServiceAccount"):
        name = document["metadata"]["name"]
        assert document.get("automountServiceAccountToken", True) is bool(rights(base)[name]), name


def test_who_calls_the_api_server_may_reach_it(base: list[Document]) -> None:
    held = rights(base)
    for name, labels, pod in pods(base):
        assert ("s2ps.org/calls-kubernetes" in labels) is bool(held[pod["serviceAccountName"]]), name


def test_jobs_run_without_rights(kind: list[Document], tmp_path: Path) -> None:
    pod = job_of(kind, "l1c", tmp_path)["spec"]["template"]["spec"]
    assert rights(kind)[pod["serviceAccountName"]] == frozenset()
    assert pod["automountServiceAccountToken"] is False
    (ipf,) = (each for each in pod["initContainers"] if each["name"] == "ipf")
    assert "envFrom" not in ipf
