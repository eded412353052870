"""Who may talk to whom: what must work, and what must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.manifests import Document, job_of, pods
from tests.support.network import Peer, may_reach

ACTIVATOR = Peer("knative-serving", {"app": "activator"})
AUTOSCALER = Peer("knative-serving", {"app": "autoscaler"})
GATEWAY = Peer("kourier-system", {"app": "3scale-kourier-gateway"})
BROKER = Peer("knative-eventing", {"eventing.knative.dev/brokerRole": "ingress"})
DNS = Peer("kube-system", {"k8s-app": "kube-dns"})
ADAPTER = Peer("s2ps", {"eventing.knative.dev/source": "apiserver-source-controller"})
STRANGER = Peer("default", {"app": "shell"})
INTRUDER = Peer("s2ps", {"app": "shell"})
OUTSIDE = Peer("")
COLLECTOR = Peer("observability", {"app": "otel-collector"})
RGW = Peer("rook-ceph", {"app": "rook-ceph-rgw"})


@pytest.fixture
def in_kind(kind: list[Document], station: list[Document], tmp_path: Path) -> tuple[list[Document], dict[str, Peer]]:
    documents = [*kind, *station]
    return documents, peers([*documents, job_of(documents, "l1c", tmp_path)])


@pytest.fixture
def in_production(production: list[Document], tmp_path: Path) -> tuple[list[Document], dict[str, Peer]]:
    return production, peers([*production, job_of(production, "l1c", tmp_path)])


def peers(documents: list[Document]) -> dict[str, Peer]:
    named = {name.split()[1]: Peer("s2ps", labels) for name, labels, _ in pods(documents)}
    job = next(name for name in named if name.startswith("l1c-"))
    return {**named, "ipf": named[job]}


FUNCTIONS = (
    "station-poll", "aux-poll", "object-events", "file-transfer", "session-assembly", "job-preparation", "job-launch",
    "job-settlement", "product-publication", "session-account", "sweep", "dead-letters", "product-intake",
)  # fmt: skip
WITH_STORE = tuple(name for name in FUNCTIONS if name != "object-events")
SENDERS = ("object-events", "sweep")
CALLERS = ("job-launch", "job-settlement", "sweep")
FETCHERS = ("station-poll", "file-transfer", "aux-poll")


def test_functions_are_called_through_knative_alone(in_kind: tuple[list[Document], dict[str, Peer]]) -> None:
    policies, known = in_kind
    for name in FUNCTIONS:
        function = known[name]
        for port in (8012, 8112):
            assert may_reach(policies, ACTIVATOR, function, port), name
            assert may_reach(policies, GATEWAY, function, port), name
        assert may_reach(policies, AUTOSCALER, function, 9090), name
        for source in (STRANGER, INTRUDER, OUTSIDE, BROKER, known["store"], known["ipf"]):
            for port in (8012, 8080, 8112):
                assert not may_reach(policies, source, function, port), (name, source)
        assert not may_reach(policies, GATEWAY, function, 8080), name  # round the queue-proxy


def test_everybody_resolves_names(in_kind: tuple[list[Document], dict[str, Peer]]) -> None:
    policies, known = in_kind
    for each in (*known.values(), ADAPTER):
        assert may_reach(policies, each, DNS, 53, "UDP")
        assert may_reach(policies, each, DNS, 53)
        assert not may_reach(policies, each, DNS, 8080)


def test_events_reach_the_broker_from_who_sends_them(in_kind: tuple[list[Document], dict[str, Peer]]) -> None:
    policies, known = in_kind
    for name in FUNCTIONS:
        assert may_reach(policies, known[name], BROKER, 8080) is (name in SENDERS), name
        assert may_reach(policies, known[name], BROKER, 8443) is (name in SENDERS), name
    assert may_reach(policies, ADAPTER, BROKER, 8080)
    assert not may_reach(policies, known["ipf"], BROKER, 8080)
    assert not may_reach(policies, known["store"], BROKER, 8080)


def test_the_api_server_is_reached_by_who_calls_it(in_kind: tuple[list[Document], dict[str, Peer]]) -> None:
    policies, known = in_kind
    for name in FUNCTIONS:
        assert may_reach(policies, known[name], OUTSIDE, 6443) is (name in CALLERS), name
    assert may_reach(policies, ADAPTER, OUTSIDE, 6443)
    for name in ("ipf", "store", "station", "store-setup"):
        assert not may_reach(policies, known[name], OUTSIDE, 6443), name


def test_the_store_of_kind(in_kind: tuple[list[Document], dict[str, Peer]]) -> None:
    policies, known = in_kind
    store = known["store"]
    for name in (*WITH_STORE, "ipf", "store-setup"):
        assert may_reach(policies, known[name], store, 8333), name
        for port in (8888, 9333, 9340, 18888, 23646):  # filer, master, volume, filer's gRPC, admin
            assert not may_reach(policies, known[name], store, port), (name, port)
    for source in (known["object-events"], known["station"], ADAPTER, STRANGER, INTRUDER, OUTSIDE, ACTIVATOR):
        assert not may_reach(policies, source, store, 8333), source
    assert may_reach(policies, store, GATEWAY, 8081)  # notifications, by way of object-events' address
    assert not may_reach(policies, store, known["object-events"], 8012)
    assert not may_reach(policies, store, OUTSIDE, 443)


def test_stations(in_kind: tuple[list[Document], dict[str, Peer]]) -> None:
    policies, known = in_kind
    for name in FUNCTIONS:
        assert may_reach(policies, known[name], known["station"], 8080) is (name in FETCHERS), name
    assert may_reach(policies, known["station-poll"], OUTSIDE, 443)
    assert may_reach(policies, known["file-transfer"], OUTSIDE, 443)
    assert may_reach(policies, known["aux-poll"], OUTSIDE, 443)
    assert not may_reach(policies, known["station-poll"], OUTSIDE, 22)
    assert not may_reach(policies, known["session-assembly"], OUTSIDE, 443)


def test_nobody_calls_a_job_and_a_job_calls_only_the_store(in_kind: tuple[list[Document], dict[str, Peer]]) -> None:
    policies, known = in_kind
    for source in (*known.values(), ACTIVATOR, GATEWAY, STRANGER):
        assert not may_reach(policies, source, known["ipf"], 8080)
    for port in (80, 443, 6443):
        assert not may_reach(policies, known["ipf"], OUTSIDE, port)
    assert not may_reach(policies, known["ipf"], known["station"], 8080)


def test_a_pod_that_nobody_planned_talks_to_nobody(
    in_kind: tuple[list[Document], dict[str, Peer]], in_production: tuple[list[Document], dict[str, Peer]]
) -> None:
    for policies, known in (in_kind, in_production):
        for target in (*known.values(), BROKER, GATEWAY, RGW, COLLECTOR, OUTSIDE):
            for port in (80, 443, 4318, 6443, 8012, 8080, 8333):
                assert not may_reach(policies, INTRUDER, target, port), (target, port)
        for source in (*known.values(), ACTIVATOR, GATEWAY, STRANGER, OUTSIDE):
            assert not may_reach(policies, source, INTRUDER, 8080), source


def test_production(in_production: tuple[list[Document], dict[str, Peer]]) -> None:
    policies, known = in_production
    for name in (*WITH_STORE, "ipf"):
        assert may_reach(policies, known[name], RGW, 8080), name
        assert may_reach(policies, known[name], OUTSIDE, 443), name
        assert not may_reach(policies, known[name], OUTSIDE, 22), name
    assert not may_reach(policies, known["object-events"], RGW, 8080)
    for name in (*FUNCTIONS, "ipf"):
        assert may_reach(policies, known[name], COLLECTOR, 4318), name
        assert not may_reach(policies, STRANGER, known[name], 8012), name
    for name in FUNCTIONS:
        assert may_reach(policies, ACTIVATOR, known[name], 8012), name
        assert may_reach(policies, known[name], BROKER, 8443) is (name in SENDERS), name


def test_the_evaluator_itself() -> None:
    def policy(spec: Document) -> Document:
        return {"kind": "NetworkPolicy", "metadata": {"namespace": "a"}, "spec": spec}

    one, other, far = Peer("a", {"x": "1"}), Peer("a", {"x": "2"}), Peer("b", {"x": "2"})
    closed = policy({"podSelector": {}, "policyTypes": ["Ingress"]})
    assert may_reach([], one, other, 80)
    assert not may_reach([closed], one, other, 80)
    assert may_reach([closed], other, far, 80)
    near = policy(
        {
            "podSelector": {"matchExpressions": [{"key": "x", "operator": "In", "values": ["2"]}]},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80, "endPort": 82}]}],
        }
    )
    assert may_reach([closed, near], one, other, 82)
    assert not may_reach([closed, near], one, other, 83)
    assert not may_reach([closed, near], far, other, 80)
    block = policy(
        {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.9/32"]}}]}],
        }
    )
    assert may_reach([block], one, Peer("", address="203.0.113.1"), 80)
    assert not may_reach([block], one, Peer("", address="203.0.113.9"), 80)
    assert not may_reach([block], one, far, 80)
