"""The console against a cluster: through ``kubectl``, to a real store behind a real port."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
import yaml

from functions.cli.items import work_rows
from functions.cli.kube import routed
from shared.adapters.s3 import S3Store
from shared.bootstrap import Services
from shared.ledger import keys
from shared.ledger.keys import WorkKey
from shared.ledger.records import Complete, OpenMarker, Order, Outcome
from shared.settings import Settings
from tests.support.fake_kubectl import FakeCluster, config_map, install, secret
from tests.support.runs import wait_for

SESSION = "S2A_20261122100000057405"
HOST = "store.storage.svc.cluster.local"


@dataclass
class Cluster:
    """A cluster whose store is real, and the console on an operator's machine."""

    fake: FakeCluster
    home: Path
    settings: Settings

    def environment(self, **more: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("S2PS_")}
        return {**inherited, "PATH": str(self.fake.folder), "HOME": str(self.home), **more}

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "functions.cli.main", *arguments],
            cwd=self.home,
            env={**self.environment(**more), "PYTHONPATH": str(Path.cwd())},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0, **more: str) -> str:
        process = self.start(*arguments, **more)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == code, errors
        return output if code == 0 else errors

    def none_left(self) -> None:
        """No forward is left, of however many there were."""
        assert self.fake.forwards
        wait_for(lambda: not [pid for pid in self.fake.forwards if alive(pid)], "the end of every forward")


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


@pytest.fixture(scope="module")
def settings(s3_settings: Settings) -> Settings:
    """Of a store with one open session."""
    tag = uuid.uuid4().hex[:8]
    found = s3_settings.model_copy(update={"bucket_ledger": f"ledger-{tag}", "bucket_work": f"work-{tag}"})
    services = Services(found)
    for bucket in (found.bucket_ledger, found.bucket_work):
        services.store.ensure_bucket(bucket)
    now, station = services.clock.now(), {"station": "SGS_", "satellite": "S2A"}
    marker = OpenMarker(created=now, session=SESSION, **station)
    services.ledger.create(keys.open_marker(SESSION), marker)
    complete = Complete(created=now, session=SESSION, t0=now, files=(), **station)
    services.ledger.create(keys.complete(SESSION), complete)
    return found


@pytest.fixture
def cluster(tmp_path: Path, settings: Settings) -> Cluster:
    port = urlsplit(settings.store_endpoint).port
    fake = install(tmp_path / "bin")
    data = {
        "S2PS_STORE_ENDPOINT": f"http://{HOST}:8333",
        "S2PS_BUCKET_LEDGER": settings.bucket_ledger,
        "S2PS_BUCKET_WORK": settings.bucket_work,
        "S2PS_OF_A_NEWER_VERSION": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector",
    }
    credentials = {
        "S2PS_STORE_ACCESS_KEY": settings.store_access_key.get_secret_value(),
        "S2PS_STORE_SECRET_KEY": settings.store_secret_key.get_secret_value(),
    }
    fake.know(
        objects={
            "configmap/s2ps-settings": config_map("s2ps-settings", data),
            "secret/s2ps-secrets": secret("s2ps-secrets", credentials),
        },
        services={"storage/store:8333": port},
    )
    return Cluster(fake, tmp_path, settings)


def ordered(cluster: Cluster, place: WorkKey) -> Order:
    now = Services(cluster.settings).clock.now()
    return Order(
        created=now, session=SESSION, step=place.step, unit=place.unit, digest=place.digest, processor="P", version="1",
        inputs=(), parameters={}, t0=now, deadline=now,
    )  # fmt: skip


@pytest.mark.parametrize("flags", [("-n", "s2ps"), ("--context", "kind-kind"), ()])
def test_it_finds_the_store_of_the_cluster_and_leaves_nothing(cluster: Cluster, flags: tuple[str, ...]) -> None:
    found = json.loads(cluster.run("sessions", "-o", "json", *flags))
    assert [(row["session"], row["stands"]) for row in found["items"]] == [(SESSION, "processing")]
    cluster.none_left()
    assert cluster.fake.calls[-1][-2:] == ["service/store", ":8333"] or "current-context" in cluster.fake.calls[-1]
    version = json.loads(cluster.run("version", "-o", "json", *flags))
    assert (version["looks"], version["namespace"]) == ("cluster", "s2ps")
    assert version["place"] == "namespace s2ps, context kind-kind"
    assert version["store"] == f"http://{HOST}:8333"


def test_flags_reach_kubectl_and_the_command_that_mends(cluster: Cluster) -> None:
    place = WorkKey(SESSION, "l1c", "DT01", "a" * 64)
    now, ledger = Services(cluster.settings).clock.now(), Services(cluster.settings).ledger
    outcome = Outcome(created=now, step="l1c", unit="DT01", attempt=1, status="failed", started=now, finished=now)
    order = ordered(cluster, place)
    for key, record in ((place.order, order), (place.outcome, outcome)):
        ledger.create(key, record)
    kubeconfig = cluster.home / "kube config"
    kubeconfig.touch()
    shown = cluster.run("why", "aaaaaa", "-n", "s2ps", "--kubeconfig", str(kubeconfig))
    assert f"--kubeconfig={kubeconfig}" in cluster.fake.calls[0]
    assert shown.splitlines()[-1] == f"Fix: s2ps retry {place.prefix} -n s2ps --kubeconfig '{kubeconfig}'"


def test_a_connection_to_the_pod_that_breaks_is_made_again(cluster: Cluster) -> None:
    process = cluster.start("watch", SESSION, "-n", "s2ps", "--interval", "0.2")
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(cluster.fake.forwards[0], signal.SIGKILL)
    wait_for(lambda: len(cluster.fake.forwards) == 2, "a second forward")
    Services(cluster.settings).store.put(cluster.settings.bucket_ledger, f"sessions/{SESSION}/seen/a.json", b"{}")
    assert "files 0/1" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors.strip()) == (130, "")
    cluster.none_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_nothing_is_left_however_it_ends(cluster: Cluster, number: signal.Signals) -> None:
    process = cluster.start("watch", SESSION, "-n", "s2ps")
    assert process.stdout is not None
    process.stdout.readline()
    assert alive(cluster.fake.forwards[0])
    process.send_signal(number)
    process.communicate(timeout=120)
    cluster.none_left()


def test_an_endpoint_of_the_operators_own_takes_the_place_of_the_clusters(cluster: Cluster) -> None:
    endpoint = cluster.settings.store_endpoint
    found = cluster.run("sessions", "-n", "s2ps", "-o", "name", S2PS_STORE_ENDPOINT=endpoint)
    assert found.split() == [SESSION]
    assert cluster.fake.forwards == []


def test_processor_sets_of_the_operators_are_read_from_the_cluster(cluster: Cluster) -> None:
    graph = Path("shared/workflow/graph.yaml").read_text()
    plain = yaml.safe_load(Path("shared/workflow/processors/open.yaml").read_text())
    steps = yaml.safe_load(graph)["steps"]
    steps[0]["level"] = "L2A"  # 120 minutes
    objects = json.loads((cluster.fake.folder / "cluster.json").read_text())["objects"]
    objects["configmap/s2ps-settings"]["data"]["S2PS_PROCESSOR_SET"] = "/etc/s2ps/processors/mine.yaml"
    objects["configmap/s2ps-processors"] = config_map(
        "s2ps-processors", {"mine.yaml": yaml.safe_dump({**plain, "steps": steps})}
    )
    cluster.fake.know(objects=objects)
    place = WorkKey(SESSION, "l0u", SESSION, "b" * 64)
    Services(cluster.settings).ledger.create(place.order, ordered(cluster, place))
    (row,) = json.loads(cluster.run("work", "-n", "s2ps", "--step", "l0u", "-o", "json"))["items"]
    assert 119 * 60 < row["slack_s"] <= 120 * 60


FORBIDDEN = (
    'Error from server (Forbidden): secrets "s2ps-secrets" is forbidden: User "ana" cannot get resource "secrets"'
)
REFUSED = "The connection to the server localhost:8080 was refused - did you specify the right host or port?"


@pytest.mark.parametrize(
    ("known", "flags", "said"),
    [
        ({"fail": FORBIDDEN}, ("-n", "s2ps"), FORBIDDEN),
        (
            {"fail": REFUSED},
            (),
            f"nowhere to look: --run-dir names a run.*; the current cluster was tried: .*{REFUSED}",
        ),
        ({}, ("--context", "nope"), "context was not found for specified context: nope"),
        ({}, ("-n", "other"), "namespace other: expected a ConfigMap s2ps-settings there"),
        ({"objects": {}}, (), "nowhere to look.*expected a ConfigMap s2ps-settings"),
        (
            {"services": {}},
            ("-n", "s2ps"),
            r'port-forward.*: Error from server \(NotFound\): services "store" not found',
        ),
    ],
)
def test_what_kubectl_refuses_is_one_sentence(
    cluster: Cluster, known: dict[str, Any], flags: tuple[str, ...], said: str
) -> None:
    cluster.fake.know(**known)
    errors = cluster.run("sessions", *flags, code=1)
    (line,) = errors.splitlines()
    assert line.startswith("Error: ")
    assert re.search(said.replace("(Forbidden)", r"\(Forbidden\)").replace("?", r"\?"), line)


def test_settings_of_the_cluster_that_are_wrong_are_named(cluster: Cluster) -> None:
    cluster.fake.know(objects={"configmap/s2ps-settings": config_map("s2ps-settings", {"S2PS_MAX_ATTEMPTS": "many"})})
    assert "S2PS_MAX_ATTEMPTS" in cluster.run("sessions", "-n", "s2ps", code=1)


def test_without_kubectl_it_says_so(cluster: Cluster) -> None:
    (cluster.fake.folder / "kubectl").unlink()
    assert "kubectl: expected it in the PATH" in cluster.run("sessions", "-n", "s2ps", code=1)


def test_completion_reaches_the_cluster_too(cluster: Cluster) -> None:
    words: dict[str, Any] = {"COMP_WORDS": "kn-s2ps status -n s2ps S2A", "COMP_CWORD": "4"}
    assert cluster.run(_S2PS_COMPLETE="bash_complete", **words) == f"plain,{SESSION}\n"
    cluster.none_left()
    cluster.fake.know(fail=REFUSED)
    process = cluster.start(_S2PS_COMPLETE="bash_complete", **words)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output.strip(), errors) == (0, "", "")


class ApiServer(BaseHTTPRequestHandler):
    """As much of an API server as ``kubectl get`` asks for."""

    objects: dict[str, dict[str, Any]]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        head = {"kind": "APIVersions", "versions": ["v1"]}
        resources = [
            {"name": name, "singularName": name[:-1], "namespaced": True, "kind": kind, "verbs": ["get", "list"]}
            for name, kind in (("configmaps", "ConfigMap"), ("secrets", "Secret"))
        ]
        known: dict[str, Any] = {
            "/api": head,
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
            "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": resources},
            **{f"/api/v1/namespaces/s2ps/{name.replace('/', 's/')}": body for name, body in self.objects.items()},
        }
        gone = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
                "message": f"{path} not found"}  # fmt: skip
        body = json.dumps(known.get(path, gone)).encode()
        self.send_response(200 if path in known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api_server(cluster: Cluster) -> Iterator[Callable[..., Path]]:
    """Makes the kubeconfig of an API server that holds these objects."""
    servers = []

    def serve(objects: dict[str, Any]) -> Path:
        handler = type("Handler", (ApiServer,), {"objects": objects})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        path = cluster.home / "kubeconfig"
        where = {"server": f"http://127.0.0.1:{server.server_port}"}
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [],
                    "clusters": [{"name": "k", "cluster": where}],
                    "contexts": [{"name": "c", "context": {"cluster": "k"}}],
                }
            )
        )  # fmt: skip
        return path

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_real_kubectl_is_understood(cluster: Cluster, api_server: Callable[..., Path]) -> None:
    """Its ``get``, against a server with few objects: none, all, one that is missing."""
    real = Path(sys.executable).parent / "kubectl"
    if not real.exists():
        pytest.skip("no kubectl in the environment")
    (cluster.fake.folder / "kubectl").unlink()
    (cluster.fake.folder / "kubectl").symlink_to(real)
    objects = json.loads((cluster.fake.folder / "cluster.json").read_text())["objects"]
    objects["configmap/s2ps-settings"]["data"]["S2PS_STORE_ENDPOINT"] = cluster.settings.store_endpoint
    flags = ("-n", "s2ps", "--kubeconfig", str(api_server(objects)))
    assert cluster.run("sessions", *flags, "-o", "name").split() == [SESSION]
    assert "context c" in cluster.run("version", *flags)
    flags = ("-n", "s2ps", "--kubeconfig", str(api_server({})))
    assert "expected a ConfigMap s2ps-settings there" in cluster.run("sessions", *flags, code=1)
    assert "nope" in cluster.run("sessions", *flags, "--context", "nope", code=1)


def test_the_manifests_of_the_kind_overlay_lead_to_its_store(cluster: Cluster, settings: Settings) -> None:
    """Its own ConfigMaps and Secret as kustomize makes them; credentials and buckets are this test's."""
    kubectl = Path(sys.executable).parent / "kubectl"
    if not kubectl.exists():
        pytest.skip("no kubectl in the environment")
    made = subprocess.run([kubectl, "kustomize", "knative/overlays/kind"], check=True, capture_output=True, text=True)
    objects = {
        f"{each['kind'].lower()}/{each['metadata']['name']}": each
        for each in yaml.safe_load_all(made.stdout)
        if each["kind"] in {"ConfigMap", "Secret"}
    }
    known = json.loads((cluster.fake.folder / "cluster.json").read_text())["objects"]
    data = objects["secret/s2ps-secrets"]["data"]  # kustomize breaks its lines, an API server does not
    data.update({name: "".join(text.split()) for name, text in data.items()} | known["secret/s2ps-secrets"]["data"])
    chosen = {name: text for name, text in known["configmap/s2ps-settings"]["data"].items() if "BUCKET" in name}
    objects["configmap/s2ps-settings"]["data"].update(chosen)
    cluster.fake.know(objects=objects, services={"s2ps/store:8333": urlsplit(settings.store_endpoint).port})
    assert cluster.run("sessions", "-o", "name").split() == [SESSION]
    assert json.loads(cluster.run("version", "-o", "json"))["looks"] == "cluster"


def test_a_session_of_300_tiles_is_quick_on_a_real_store(own_buckets: Settings) -> None:
    """600 work items, 300 outcomes to read: one listing and 301 reads. 0.6 s of processor time here, 1.4 s in all."""
    session = "S2B_20261122100000057405"
    services = Services(own_buckets)
    now = services.clock.now()
    store, bucket = S3Store.from_settings(own_buckets), own_buckets.bucket_ledger

    def write(number: int) -> None:
        for step in ("l1c", "l2a"):
            place = WorkKey(session, step, f"DT01-T{number:05d}", f"{number:064x}")
            store.put(bucket, place.order, b"{}")
            if step == "l1c":
                outcome = Outcome(created=now, step=step, unit=place.unit, attempt=1, status="succeeded", started=now,
                                  finished=now)  # fmt: skip
                store.put(bucket, place.outcome, outcome.to_json())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(300)))
    began = time.process_time()
    rows = list(work_rows(services, [session]))
    spent = time.process_time() - began
    assert sum(row.stands == "succeeded" for row in rows) == 300
    assert len(rows) == 600
    assert spent < 4.0


class Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The port of a TLS server whose certificate is for ``store.storage.svc``, and that certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    name = ["-subj", "/CN=store", "-addext", "subjectAltName=DNS:store.storage.svc"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, certificate
    server.shutdown()
    server.server_close()
    thread.join()


def test_certificates_and_signatures_go_by_the_name_in_the_cluster(secure: tuple[int, Path]) -> None:
    port, certificate = secure
    with urllib3.PoolManager(ca_certs=str(certificate), retries=False, timeout=10) as pool:
        with routed("store.storage.svc", 443, port):
            answer = pool.request("GET", "https://store.storage.svc/")
        assert (answer.status, answer.data) == (200, b"store.storage.svc")
        with routed("other.storage.svc", 443, port), pytest.raises(urllib3.exceptions.SSLError, match="mismatch"):
            pool.request("GET", "https://other.storage.svc/")
        pool.clear()
        with pytest.raises(urllib3.exceptions.NameResolutionError):
            pool.request("GET", "https://store.storage.svc/")
