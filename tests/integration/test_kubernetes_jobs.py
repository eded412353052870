"""The Kubernetes launcher against an API server over real HTTPS: rights, refusals, a token that rotates."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.job_launch.step import launch
from functions.job_settlement.step import settle
from functions.sweep.step import Sweep
from shared.adapters.kubernetes.client import KubernetesApi
from shared.adapters.kubernetes.launcher import KubernetesJobLauncher
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import Event, object_created
from shared.errors import BadInputError, ConfigurationError, RetryableError
from shared.ledger import keys
from shared.ledger.keys import WorkKey
from shared.ledger.records import AttemptEnded, OpenMarker, Order
from shared.ports import JobSpec, JobState
from shared.settings import Settings
from shared.workflow.graph import load_workflow
from tests.support.house import START, VirtualClock
from tests.support.kube_api import CALLS, Cluster, make_authority, running_api

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates with")

PROCESSORS = load_workflow("open").processors
JOB = JobSpec(
    name="l1b-" + "0" * 32 + "-1",
    work=f"sessions/S2A/work/l1b/DT01/{'0' * 64}/",
    attempt=1,
    session="S2A",
    step="l1b",
    unit="DT01",
    cpus=2.0,
    memory_mb=4096,
    time_limit_s=4500,
    deadline=START + timedelta(hours=1),
    priority=0,
    traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_authority(folder)
    return folder


@pytest.fixture
def cluster(certificates: Path, tmp_path: Path) -> Iterator[Cluster]:
    with running_api(certificates, tmp_path / "serviceaccount") as made:
        yield made


def connect(cluster: Cluster, namespace: str = "") -> KubernetesApi:
    host, _, port = cluster.url.removeprefix("https://").rpartition(":")
    environ = {"KUBERNETES_SERVICE_HOST": host.strip("[]"), "KUBERNETES_SERVICE_PORT": port}
    return KubernetesApi.from_environment(namespace, environ=environ, mount=cluster.mount)


def launcher_of(cluster: Cluster, **given: Any) -> KubernetesJobLauncher:
    return KubernetesJobLauncher(
        connect(cluster), lambda job: PROCESSORS[job.step], Settings(**given), VirtualClock(datetime.now(UTC))
    )


def test_a_job_is_created_once_however_often_it_is_launched(cluster: Cluster) -> None:
    launcher = launcher_of(cluster)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: launcher.launch(JOB), range(8)))
    assert list(cluster.jobs) == [JOB.name]
    assert cluster.calls == [("create", "batch", "jobs")] * 8


def test_every_open_processor_is_taken(cluster: Cluster) -> None:
    launcher = launcher_of(cluster)
    for step in PROCESSORS:
        launcher.launch(replace(JOB, name=f"{step}-0-1", step=step))
    assert len(cluster.jobs) == len(PROCESSORS)


def test_a_job_that_is_not_there_is_none(cluster: Cluster) -> None:
    launcher = launcher_of(cluster)
    assert launcher.state(JOB.name) is None
    launcher.stop(JOB.name)


PATCH = ("patch", "batch", "jobs")


def test_a_job_that_waits_in_a_queue_rises_as_its_turn_comes(cluster: Cluster) -> None:
    clock = VirtualClock(START)
    settings = Settings(job_queue="s2ps", job_priorities=((30, "urgent"), (75, "soon"), (1e6, "later")))
    launcher = KubernetesJobLauncher(connect(cluster), lambda job: PROCESSORS[job.step], settings, clock)
    launcher.launch(replace(JOB, priority=-10))  # due in an hour, and goes as what is due 50 minutes after
    job = cluster.jobs[JOB.name]
    job["spec"]["suspend"] = True

    seen = []
    for _ in range(4):
        launcher.hasten(JOB.name)
        seen.append(job["metadata"]["labels"]["kueue.x-k8s.io/priority-class"])
        clock.advance(30 * 60)
    assert seen == ["later", "later", "soon", "urgent"]
    assert cluster.calls.count(PATCH) == 2
    assert job["metadata"]["labels"]["s2ps.org/step"] == "l1b"


def test_a_job_that_runs_or_waits_in_no_queue_keeps_what_it_has(cluster: Cluster) -> None:
    for queue, suspended in (("s2ps", False), ("", True)):
        clock = VirtualClock(START)
        settings = Settings(job_queue=queue, job_priorities=((30, "urgent"), (1e6, "later")))
        launcher = KubernetesJobLauncher(connect(cluster), lambda job: PROCESSORS[job.step], settings, clock)
        name = f"l1b-{queue or 'none'}-1"
        launcher.launch(replace(JOB, name=name))
        cluster.jobs[name]["spec"]["suspend"] = suspended
        clock.advance(45 * 60)
        launcher.hasten(name)
    launcher.hasten("l1b-gone-1")
    assert PATCH not in cluster.calls


@pytest.mark.parametrize("given", ["urgent", "of their own"])
def test_a_class_that_an_operator_gave_a_job_stays(cluster: Cluster, given: str) -> None:
    clock = VirtualClock(START)
    settings = Settings(job_queue="s2ps", job_priorities=((30, "urgent"), (75, "soon"), (1e6, "later")))
    launcher = KubernetesJobLauncher(connect(cluster), lambda job: PROCESSORS[job.step], settings, clock)
    launcher.launch(JOB)
    job = cluster.jobs[JOB.name]
    job["spec"]["suspend"], job["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] = True, given
    for _ in range(3):
        launcher.hasten(JOB.name)
        clock.advance(30 * 60)
    assert PATCH not in cluster.calls


@pytest.mark.parametrize("turn", ["soon", "2026-11-22T12:00:00"])
def test_a_turn_that_somebody_made_no_instant_is_refused_by_its_name(cluster: Cluster, turn: str) -> None:
    launcher = launcher_of(cluster, job_queue="s2ps", job_priorities=((1e6, "later"),))
    launcher.launch(JOB)
    job = cluster.jobs[JOB.name]
    job["spec"]["suspend"], job["metadata"]["annotations"]["s2ps.org/turn"] = True, turn
    with pytest.raises(BadInputError, match=rf"Job {JOB.name}, annotation s2ps.org/turn: expected an instant"):
        launcher.hasten(JOB.name)


def test_an_odd_name_reaches_no_other_path(cluster: Cluster) -> None:
    assert launcher_of(cluster).state("../../nodes?x=1#") is None
    assert (cluster.calls, cluster.queries) == ([("get", "batch", "jobs")], [{}])


def pod(cluster: Cluster, **status: Any) -> None:
    labels = {"batch.kubernetes.io/job-name": JOB.name}
    cluster.pods.append({"metadata": {"name": f"{JOB.name}-x", "labels": labels}, "status": status})


def test_states_from_launch_to_end(cluster: Cluster) -> None:
    launcher = launcher_of(cluster)
    launcher.launch(JOB)
    assert launcher.state(JOB.name) == JobState("waiting")
    cluster.pods.append({"metadata": {"name": "other", "labels": {"batch.kubernetes.io/job-name": "other"}}})
    oom = {"exitCode": 137, "reason": "OOMKilled"}
    pod(cluster, phase="Pending", initContainerStatuses=[{"name": "stage-in", "state": {"running": {}}}])
    assert launcher.state(JOB.name) == JobState("running")
    cluster.pods.clear()
    pod(cluster, phase="Failed", initContainerStatuses=[{"name": "ipf", "state": {"terminated": oom}}])
    cluster.jobs[JOB.name]["status"] = {
        "conditions": [{"type": "Failed", "status": "True", "reason": "PodFailurePolicy"}]
    }
    assert launcher.state(JOB.name) == JobState("failed", 137, "OOMKilled")
    cluster.jobs[JOB.name]["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    assert launcher.state(JOB.name) == JobState("succeeded", 0)


def test_a_job_without_a_pod_says_why_by_its_events(cluster: Cluster) -> None:
    launcher = launcher_of(cluster)
    launcher.launch(JOB)
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    cluster.jobs[JOB.name]["status"] = {"startTime": hour_ago}
    about = {"kind": "Job", "name": JOB.name}
    cluster.events = [
        {"involvedObject": about, "reason": "FailedCreate", "message": "no PriorityClass with name urgent was found"},
        {"involvedObject": {**about, "name": "other"}, "reason": "FailedCreate", "message": "not this"},
    ]
    state = launcher.state(JOB.name)
    assert state == JobState("failed", None, "FailedCreate: no PriorityClass with name urgent was found", stuck=True)
    launcher.stop(JOB.name)
    assert cluster.jobs == {}
    assert cluster.queries[-1] == {"propagationPolicy": ["Background"]}


def test_a_token_that_rotates_is_read_again(cluster: Cluster) -> None:
    launcher = launcher_of(cluster)
    launcher.launch(JOB)
    cluster.issue("second-token")
    assert launcher.state(JOB.name) == JobState("waiting")


def test_an_authority_that_changes_is_read_again(certificates: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    make_authority(other)
    with running_api(certificates, tmp_path / "serviceaccount") as cluster:
        (cluster.mount / "ca.crt").write_bytes((other / "ca.crt").read_bytes())
        launcher = launcher_of(cluster)
        with pytest.raises(RetryableError, match="certificate verify failed"):
            launcher.state(JOB.name)
        assert cluster.calls == []
        (cluster.mount / "ca.crt").write_bytes((certificates / "ca.crt").read_bytes())
        assert launcher.state(JOB.name) is None


@pytest.mark.parametrize(
    ("status", "reason", "message", "error"),
    [
        (500, "InternalError", "failed calling webhook", RetryableError),
        (503, "ServiceUnavailable", "apiserver not ready", RetryableError),
        (504, "Timeout", "etcd", RetryableError),
        (429, "TooManyRequests", "too many requests", RetryableError),
        (409, "Conflict", "Operation cannot be fulfilled on resourcequotas", RetryableError),
        (403, "Forbidden", "exceeded quota: jobs, used: 100, limited: 100", RetryableError),
        (401, "Unauthorized", "Unauthorized", ConfigurationError),
        (404, "NotFound", 'namespaces "s2ps" not found', ConfigurationError),
        (422, "Invalid", "spec.template: Invalid value", ConfigurationError),
        (400, "BadRequest", 'strict decoding error: unknown field "x"', ConfigurationError),
    ],
)
def test_an_answer_says_whether_to_try_again(
    cluster: Cluster, status: int, reason: str, message: str, error: type[Exception]
) -> None:
    cluster.faults.append((status, reason, message))
    with pytest.raises(error, match="create Job l1b-") as raised:
        launcher_of(cluster).launch(JOB)
    assert message in str(raised.value)
    assert cluster.jobs == {}


def test_what_the_schemas_refuse_is_told_in_the_servers_sentence(cluster: Cluster) -> None:
    with pytest.raises(ConfigurationError, match=r"422 Job\.batch .* is invalid"):
        connect(cluster).create_job({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spc": {}})


def test_without_the_right_the_sentence_says_which_is_missing(cluster: Cluster) -> None:
    cluster.rules.clear()
    launcher = launcher_of(cluster)
    with pytest.raises(ConfigurationError, match=r'cannot create resource "jobs" in API group "batch"'):
        launcher.launch(JOB)
    with pytest.raises(ConfigurationError, match='cannot get resource "jobs"'):
        launcher.state(JOB.name)


def test_a_server_that_is_away_is_a_reason_to_try_again(cluster: Cluster) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        cluster.url = f"https://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(RetryableError, match="Kubernetes at https://127"):
            launcher_of(cluster).state(JOB.name)


def test_a_server_that_closes_the_line_is_a_reason_to_try_again(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        cluster.url = f"https://127.0.0.1:{server.getsockname()[1]}"

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(RetryableError):
            launcher_of(cluster).launch(JOB)
        thread.join()


def test_a_cluster_of_ipv6(certificates: Path, tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with running_api(certificates, tmp_path / "serviceaccount", "::1") as cluster:
        launcher_of(cluster).launch(JOB)
        assert list(cluster.jobs) == [JOB.name]


def test_the_namespace_is_the_pods_own_unless_one_is_set(cluster: Cluster) -> None:
    assert connect(cluster).namespace == "s2ps"
    assert connect(cluster, "elsewhere").namespace == "elsewhere"


def test_outside_a_cluster_the_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"KUBERNETES_SERVICE_HOST: .*S2PS_LAUNCHER"):
        KubernetesApi.from_environment(environ={}, mount=tmp_path)


def test_a_pod_without_its_token_is_told_so(cluster: Cluster) -> None:
    (cluster.mount / "token").unlink()
    with pytest.raises(ConfigurationError, match="automountServiceAccountToken"):
        launcher_of(cluster).state(JOB.name)


def test_a_name_that_is_none_never_reaches_the_cluster(cluster: Cluster) -> None:
    with pytest.raises(BadInputError):
        launcher_of(cluster).launch(replace(JOB, name="l1b_1"))
    assert cluster.calls == []


# ---- what each function asks of the cluster ------------------------------------------------------------------
class Sink:
    """Keeps what the sweep sends."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def send(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def services(cluster: Cluster) -> Services:
    clock = VirtualClock(datetime.now(UTC) - timedelta(hours=1))
    queue = Settings(launcher="kubernetes", job_queue="s2ps", job_priorities=((5, "urgent"), (1e6, "later")))
    made = Services(queue, clock)
    store = MemoryStore(clock)
    launcher = KubernetesJobLauncher(connect(cluster), lambda job: PROCESSORS[job.step], made.settings, clock)
    vars(made).update(store=store, sink=Sink(), launcher=launcher)
    place = WorkKey("S2A", "l1b", "DT01", "0" * 64)
    order = Order(
        created=clock.now(),
        session="S2A",
        step="l1b",
        unit="DT01",
        digest="0" * 64,
        processor="S2PS-L1B",
        version="0.1.0",
        inputs=(),
        parameters={},
        t0=clock.now(),
        deadline=clock.now() + timedelta(minutes=14),
    )
    made.ledger.create(
        keys.open_marker("S2A"), OpenMarker(created=clock.now(), session="S2A", station="SGS_", satellite="S2A")
    )
    made.ledger.create(place.order, order)
    return made


def test_each_function_makes_the_calls_that_its_role_allows_and_all_of_them(
    cluster: Cluster, services: Services
) -> None:
    """An image that does not exist, from the order to the settled attempt; the Job goes, and another is launched."""
    clock, sink = services.clock, services.sink
    assert isinstance(clock, VirtualClock)
    assert isinstance(sink, Sink)
    place = WorkKey("S2A", "l1b", "DT01", "0" * 64)

    cluster.rules = set(CALLS["job-launch"])
    launch(object_created("s2-ledger", place.order, "e"), services)
    made = {"job-launch": set(cluster.calls)}
    (name,) = cluster.jobs
    stage = cluster.jobs[name]
    stage["spec"]["suspend"] = True

    clock.advance(600)
    cluster.calls.clear()
    cluster.rules = set(CALLS["sweep"])
    Sweep(services).run()
    assert stage["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "urgent"
    stage["spec"]["suspend"] = False
    stage["status"] = {"startTime": clock.now().isoformat()}
    clock.advance(600)
    about = {"kind": "Job", "name": name}
    cluster.events = [{"involvedObject": about, "reason": "FailedCreate", "message": "violates PodSecurity"}]
    Sweep(services).run()
    made["sweep"] = set(cluster.calls)
    (told,) = sink.events

    cluster.calls.clear()
    cluster.rules = set(CALLS["job-settlement"])
    settle(told, services)
    made["job-settlement"] = set(cluster.calls)
    assert cluster.jobs == {}
    assert services.ledger.read(place.ended(1), AttemptEnded).reason == "FailedCreate: violates PodSecurity"

    clock.advance(60)
    cluster.rules = set(CALLS["job-launch"])
    launch(object_created("s2-ledger", place.order, "e"), services)
    assert list(cluster.jobs) == [place.job_name(2)]
    assert {function: frozenset(calls) for function, calls in made.items()} == CALLS


def test_the_launcher_is_chosen_by_the_settings(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> None:
    api = connect(cluster)
    monkeypatch.setattr(KubernetesApi, "from_environment", lambda namespace: api if namespace == "s2ps" else None)
    services = Services(Settings(launcher="kubernetes", kube_namespace="s2ps"))
    services.launcher.launch(JOB)
    assert list(cluster.jobs) == [JOB.name]


def test_what_a_launcher_costs_a_functions_start() -> None:
    """Nothing that a function has not imported already, but urllib3 and our own modules: no client package."""
    code = (
        "import json, sys, shared.bootstrap, shared.workflow.graph;"
        "before = set(sys.modules);"
        "import shared.adapters.kubernetes.launcher;"
        "print(json.dumps(sorted({m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) <= {"shared", "urllib3", "h2", "brotli", "zstandard", "socks"}
