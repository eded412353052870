"""May a pod reach another? NetworkPolicies evaluated as Kubernetes defines them (networking.k8s.io/v1).

A pod that no policy of a direction selects is open in that direction; one that some select is open to what any of them
allows. Both ends must agree: egress of the one, ingress of the other. Ports are those of pods, not of Services.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Peer:
    """A pod in a namespace, or an address outside (``namespace`` empty)."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "203.0.113.7"


def may_reach(policies: Iterable[Policy], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether ``source`` may open a connection to ``port`` of ``target``."""
    known = [each for each in policies if each["kind"] == "NetworkPolicy"]
    return _open(known, "Egress", source, target, port, protocol) and _open(
        known, "Ingress", target, source, port, protocol
    )


def _open(policies: Sequence[Policy], direction: str, pod: Peer, other: Peer, port: int, protocol: str) -> bool:
    if not pod.namespace:
        return True
    chosen = [
        each["spec"]
        for each in policies
        if each["metadata"].get("namespace", "default") == pod.namespace
        and _selects(each["spec"]["podSelector"], pod.labels)
        and direction in each["spec"]["policyTypes"]
    ]
    rules, ends = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    return not chosen or any(
        _peers(rule.get(ends), other, pod.namespace) and _ports(rule.get("ports"), port, protocol)
        for spec in chosen
        for rule in spec.get(rules, ())
    )


def _peers(listed: Sequence[Mapping[str, Any]] | None, other: Peer, home: str) -> bool:
    return not listed or any(_is(each, other, home) for each in listed)


def _is(one: Mapping[str, Any], other: Peer, home: str) -> bool:
    if "ipBlock" in one:
        block, address = one["ipBlock"], ip_address(other.address)
        outside = any(address in ip_network(each) for each in block.get("except", ()))
        return not other.namespace and address in ip_network(block["cidr"]) and not outside
    if not other.namespace:
        return False
    names = {"kubernetes.io/metadata.name": other.namespace}
    there = _selects(one["namespaceSelector"], names) if "namespaceSelector" in one else other.namespace == home
    return there and _selects(one.get("podSelector", {}), other.labels)


def _ports(listed: Sequence[Mapping[str, Any]] | None, port: int, protocol: str) -> bool:
    return not listed or any(
        each.get("protocol", "TCP") == protocol
        and ("port" not in each or each["port"] <= port <= each.get("endPort", each["port"]))
        for each in listed
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= dict(labels).items()
    return wanted and all(_expression(each, labels) for each in selector.get("matchExpressions", ()))


def _expression(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    held = labels.get(one["key"])
    match one["operator"]:
        case "In":
            return held in one["values"]
        case "NotIn":
            return held not in one["values"]
        case "Exists":
            return held is not None
        case "DoesNotExist":
            return held is None
        case other:
            raise ValueError(f"operator {other}")
