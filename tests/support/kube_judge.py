"""What an API server refuses of a Job: the schemas of Kubernetes, and the rules of its validation beyond them.

Read in kubernetes/kubernetes: pkg/apis/batch/validation, pkg/apis/core/validation, third_party/forked/golang/expansion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import kubernetes_validate
from kubernetes_validate import utils

# It reads its file of a megabyte anew for each document.
utils.schema_contents = cache(utils.schema_contents)

VERSIONS = ("1.34", kubernetes_validate.latest_version())
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", re.ASCII)
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*", re.ASCII)
_UNITS = {"": 1.0, "m": 1e-3, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}


def refusals(job: Mapping[str, Any]) -> list[str]:
    """Why an API server would refuse the Job; empty where it takes it."""
    found: list[str] = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(dict(job), version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{version}: {error}")
    return found or list(rules(job))


def rules(job: Mapping[str, Any]) -> Iterator[str]:
    """The rules beyond the schemas that the service's Jobs come near."""
    pod = job["spec"]["template"]["spec"]
    if not _DNS_LABEL.fullmatch(job["metadata"]["name"]) or len(job["metadata"]["name"]) > 63:
        yield "metadata.name"
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        for key, value in metadata.get("labels", {}).items():
            if len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
                yield f"label {key}"
        if any(not isinstance(value, str) for value in metadata.get("annotations", {}).values()):
            yield "annotations"
    yield from _containers(pod)
    yield from _policy(job["spec"], pod)


def _containers(pod: Mapping[str, Any]) -> Iterator[str]:
    volumes = {volume["name"] for volume in pod["volumes"]}
    if len(volumes) != len(pod["volumes"]):
        yield "volumes: a name twice"
    containers = [*pod.get("initContainers", ()), *pod["containers"]]
    if len({each["name"] for each in containers}) != len(containers):
        yield "containers: a name twice"
    for each in containers:
        mounts = each["volumeMounts"]
        if not {mount["name"] for mount in mounts} <= volumes:
            yield f"{each['name']}: a mount without its volume"
        if len({mount["mountPath"] for mount in mounts}) != len(mounts):
            yield f"{each['name']}: a mountPath twice"
        if not all(_ENV_NAME.fullmatch(env["name"]) for env in each["env"]):
            yield f"{each['name']}: env"
        if not each["image"] or each["image"] != each["image"].strip():
            yield f"{each['name']}: image"
        resources = each["resources"]
        for name, limit in resources.get("limits", {}).items():
            if quantity(resources["requests"].get(name, limit)) > quantity(limit):
                yield f"{each['name']}: more {name} requested than its limit"


def _policy(spec: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    if pod["restartPolicy"] != "Never":
        yield "podFailurePolicy: only with restartPolicy Never"
    if spec.get("podReplacementPolicy", "Failed") != "Failed":
        yield "podReplacementPolicy: only Failed with a podFailurePolicy"
    names = {each["name"] for each in (*pod.get("initContainers", ()), *pod["containers"])}
    for rule in spec.get("podFailurePolicy", {}).get("rules", ()):
        if ("onExitCodes" in rule) == ("onPodConditions" in rule):
            yield "podFailurePolicy: one of onExitCodes and onPodConditions"
        codes = rule.get("onExitCodes")
        if codes is None:
            continue
        if codes.get("containerName", next(iter(names))) not in names:
            yield "podFailurePolicy: containerName"
        if codes["values"] != sorted(set(codes["values"])) or not codes["values"]:
            yield "podFailurePolicy: values"
        if codes["operator"] == "In" and 0 in codes["values"]:
            yield "podFailurePolicy: 0 with In"


def quantity(text: str) -> float:
    """A resource quantity as a number."""
    match = re.fullmatch(r"(\d+)([a-zA-Z]*)", text)
    assert match is not None, text
    return int(match[1]) * _UNITS[match[2]]


def expand(text: str, env: Mapping[str, str]) -> str:
    """What a kubelet makes of an argument: ``$(NAME)`` of a known name is replaced, ``$$`` is one ``$``."""

    def replaced(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return env.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replaced, text)


def policy_action(job: Mapping[str, Any], pod_status: Mapping[str, Any]) -> str:
    """What the Job controller does with a pod that failed: the first rule that fits, else Count."""
    statuses = [*pod_status.get("containerStatuses", ()), *pod_status.get("initContainerStatuses", ())]
    ends = [(s["name"], s["state"]["terminated"]["exitCode"]) for s in statuses if "terminated" in s["state"]]
    for rule in job["spec"]["podFailurePolicy"]["rules"]:
        if _applies(rule, ends, pod_status.get("conditions", ())):
            return str(rule["action"])
    return "Count"


def _applies(rule: Mapping[str, Any], ends: list[tuple[str, int]], conditions: Any) -> bool:
    if "onPodConditions" in rule:
        wanted = {(c["type"], c["status"]) for c in rule["onPodConditions"]}
        return any((c["type"], c["status"]) in wanted for c in conditions)
    codes = rule["onExitCodes"]
    return any(
        code != 0
        and codes.get("containerName", name) == name
        and (code in codes["values"]) == (codes["operator"] == "In")
        for name, code in ends
    )
