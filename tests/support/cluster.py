"""The whole service as the kind overlay has it, over a double of the cluster: what ``kubectl apply -k`` sends is run.

Real processes and a real store. Every function runs in a container of its own, as its Knative Service says: command,
environment, user, volumes, concurrency, and the token of its service account, which the API server judges by the
rendered Roles. Brokers, Triggers and PingSources are the rendered ones. What stands for the cluster: the event router
of the local runtime for Knative, ``kube_api`` and ``kubelet`` for Kubernetes. Only addresses and keys of store and
station are not the overlay's.
"""

from __future__ import annotations

import copy
import itertools
import json
import threading
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from eventing.local.broker import LocalBroker
from eventing.local.config import settings_from
from eventing.local.functions import FunctionProcess, FunctionSpec
from eventing.local.processes import MARK, free_port
from eventing.local.seaweed import SeaweedStore
from eventing.local.server import Front
from eventing.local.sources import tick
from eventing.manifests import Manifest, PingSource, Service, SinkBinding, parse_manifest
from shared.adapters.http_sink import HttpSink
from shared.bootstrap import Services
from tests.support.kube_api import Call, Cluster, make_authority, running_api
from tests.support.kubelet import ClusterPod, Kubelet, Object, created
from tests.support.machine import image, image_env, image_mounts
from tests.support.manifests import KIND, Document, data_of, render
from tests.support.pod import enter

NAMESPACE: Final = "s2ps"
_SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_IDLE_S: Final = 6.0
"""Knative's window in every Service of the base."""


def rights(documents: list[Document]) -> dict[str, set[Call]]:
    """Service account to the calls that its Roles allow."""
    roles = {each["metadata"]["name"]: each["rules"] for each in documents if each["kind"] == "Role"}
    found: dict[str, set[Call]] = {
        each["metadata"]["name"]: set() for each in documents if each["kind"] == "ServiceAccount"
    }
    for binding in (each for each in documents if each["kind"] == "RoleBinding"):
        for subject in binding["subjects"]:
            for rule in roles[binding["roleRef"]["name"]]:
                found[subject["name"]] |= set(itertools.product(rule["verbs"], rule["apiGroups"], rule["resources"]))
    return found


@dataclass
class Accounts(Cluster):
    """An API server that knows the service accounts of the rendering, each with a token and its own rights."""

    accounts: dict[str, set[Call]] = field(default_factory=dict)
    answered: list[tuple[str, str, str, int]] = field(default_factory=list)
    """(service account, method, path, status) of each call."""
    kubelet: Kubelet | None = None

    def caller(self, authorization: str) -> tuple[str, AbstractSet[Call]]:
        name = authorization.removeprefix("Bearer token-of-")
        known = self.accounts.get(name)
        return ("", set()) if known is None else (f"system:serviceaccount:{NAMESPACE}:{name}", known)

    def answer(self, method: str, target: str, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
        with self.lock:
            before = set(self.jobs)
            status, answer = super().answer(method, target, authorization, body)
            self.answered.append((authorization.removeprefix("Bearer token-of-"), method, target, status))
            for name in set(self.jobs) - before:
                answer = created(self.jobs[name], NAMESPACE)
                assert self.kubelet is not None
                self.kubelet.admit(self.jobs[name])
            return status, copy.deepcopy(answer)


class ClusterRun:
    """A cluster that the kind overlay was applied to, below ``folder``; ``running`` brings it up."""

    def __init__(self, folder: Path, documents: list[Document]) -> None:
        self.folder, self.documents = folder, documents
        self.manifests: list[Manifest] = [
            parse_manifest(d, "kind") for d in documents if "knative.dev" in d["apiVersion"]
        ]
        self.root = image(folder / "image")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config: dict[str, dict[str, str]] = {}
        for each in documents:
            if each["kind"] in {"ConfigMap", "Secret"}:
                name = each["metadata"]["name"]
                self.config[name] = dict(data_of(documents, each["kind"], name) or {})
        self.functions: dict[str, FunctionProcess] = {}
        self.broker: LocalBroker
        self.api: Accounts
        self.kubelet: Kubelet
        self._stack = ExitStack()

    @property
    def services(self) -> Services:
        """What the Jobs of this cluster are set to, for whoever looks at its ledger."""
        return Services(settings_from({**self.config["s2ps-settings"], **self.config["s2ps-secrets"]}))

    def start(self, station: str) -> None:
        """Bring up store, API server, broker and functions; ``station``: the address of the pick-up point."""
        settings, secrets = self.config["s2ps-settings"], self.config["s2ps-secrets"]
        stations = json.loads(secrets["S2PS_STATIONS"])
        secrets["S2PS_STATIONS"] = json.dumps([{**each, "url": station} for each in stations])
        store = SeaweedStore(
            self.folder / "store",
            webhook=f"{self.url}/fn/object_events",
            token=secrets["S2PS_NOTIFICATION_TOKEN"],
            watched=[settings["S2PS_BUCKET_LEDGER"]],
        )
        self._stack.callback(store.stop)
        store.start()
        settings["S2PS_STORE_ENDPOINT"] = store.endpoint
        secrets["S2PS_STORE_ACCESS_KEY"] = store.credentials.access_key
        secrets["S2PS_STORE_SECRET_KEY"] = store.credentials.secret_key
        self._start_api()
        for each in self.manifests:
            if isinstance(each, Service):
                self.functions[each.metadata.name] = self._function(each)
        self.broker = LocalBroker(self.manifests, self.functions)
        self._stack.callback(lambda: self.broker.close(5.0))
        # First they are asked to end, all at once: requests that stay do so until then.
        for process in self.functions.values():
            self._stack.callback(process.terminate)
        front = Front(self.port, self.broker, self.functions, dict)
        front.serve()
        self._stack.callback(front.close)
        self._set_up()
        stopping = threading.Event()
        thread = threading.Thread(target=self._scale, args=(stopping,), daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(stopping.set)
        self._stack.callback(self.kubelet.close)

    def close(self) -> None:
        """Take everything down, in the reverse order."""
        self._stack.close()

    def _start_api(self) -> None:
        certificates = self.folder / "certificates"
        certificates.mkdir()
        make_authority(certificates)
        self.api = Accounts(self.folder / "admin", accounts=rights(self.documents))
        self._stack.enter_context(running_api(certificates, self.api.mount, made=self.api))
        (source,) = (each for each in self.documents if each["kind"] == "ApiServerSource")
        sink = HttpSink(f"{self.url}/broker")
        self.kubelet = Kubelet(
            self.api,
            self._pod,
            self.folder / "pods",
            sink.send,
            source["spec"]["resources"][0]["selector"]["matchLabels"],
        )
        self.api.kubelet = self.kubelet

    def _set_up(self) -> None:
        """The overlay's own Job: it makes the buckets."""
        (job,) = (each for each in self.documents if each["kind"] == "Job")
        folder = self.folder / "store-setup"
        folder.mkdir()
        (ended,) = self._pod(job, folder).run()
        assert ended.code == 0, ended.output

    def _pod(self, job: Object, folder: Path) -> ClusterPod:
        spec = job["spec"]["template"]["spec"]
        images = {each["image"]: self.root for each in (*spec.get("initContainers", ()), *spec["containers"])}
        env = {**image_env(), MARK: str(self.folder)}
        return ClusterPod(job, folder, self.config, images, env, image_mounts())

    def _function(self, service: Service) -> FunctionProcess:
        revision = service.spec.template.spec
        (container,) = revision.containers
        env = {**image_env(), MARK: str(self.folder)}
        for source in container.env_from:
            found = source.config_map or source.secret
            assert found is not None
            env |= self.config[found.name]
        host, _, port = self.api.url.removeprefix("https://").rpartition(":")
        env |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        if self._bound(service):
            env["K_SINK"] = f"{self.url}/broker"
        folder = self.folder / "functions" / service.metadata.name
        (folder / "tmp").mkdir(parents=True)
        (folder / "tmp").chmod(0o1777)
        mounts = {**image_mounts(), **self._token(revision.service_account_name or "default", folder)}
        for mount in container.volume_mounts:
            (volume,) = (each for each in revision.volumes if each.name == mount.name)
            mounts[mount.mount_path] = folder / "tmp"
            if volume.config_map is not None:
                mounts[mount.mount_path] = self._files(volume.config_map.name)
        context = container.security_context
        assert context is not None
        wrap = enter(self.root, mounts, context.model_dump(by_alias=True))
        spec = FunctionSpec.from_manifest(service, Path("/app"), env)
        spec = replace(spec, command=(*wrap, *spec.command))
        process = FunctionProcess(spec, self.folder / "logs", idle_s=_IDLE_S, grace_s=5.0)
        self._stack.callback(process.close)
        return process

    def _bound(self, service: Service) -> bool:
        labels = service.metadata.labels.items()
        bindings = (each.spec.subject for each in self.manifests if isinstance(each, SinkBinding))
        return any(each.kind == "Service" and each.selector.match_labels.items() <= labels for each in bindings)

    def _token(self, account: str, folder: Path) -> dict[str, Path]:
        """The mount of a service account; none where it says so."""
        (found,) = (d for d in self.documents if (d["kind"], d["metadata"]["name"]) == ("ServiceAccount", account))
        if not found.get("automountServiceAccountToken", True):
            return {}
        mount = folder / "serviceaccount"
        mount.mkdir()
        (mount / "ca.crt").write_bytes((self.api.mount / "ca.crt").read_bytes())
        (mount / "namespace").write_text(NAMESPACE)
        (mount / "token").write_text(f"token-of-{account}")
        return {_SERVICE_ACCOUNT: mount}

    def _files(self, name: str) -> Path:
        """A ConfigMap as a volume."""
        folder = self.folder / "maps" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in self.config.get(name, {}).items():
            (folder / file).write_text(text)
        return folder

    def _scale(self, stopping: threading.Event) -> None:
        """The autoscaler: who is asked nothing for a while, sleeps."""
        while not stopping.wait(0.5):
            for function in self.functions.values():
                function.stop_if_idle()

    def tick(self, name: str) -> bool:
        """The minute of a PingSource's schedule has come; False where the tick before is still under way."""
        (source,) = (e for e in self.manifests if isinstance(e, PingSource) and e.metadata.name == name)
        return self.broker.ping(name, tick(source, datetime.now(UTC)))

    @property
    def awake(self) -> list[str]:
        """The functions that have a process."""
        return [name for name, function in self.functions.items() if function.pid is not None]

    def logs(self) -> str:
        """The end of what each function and each container said."""
        paths = sorted([*(self.folder / "logs").glob("*.log"), *(self.folder / "pods").glob("*/*.log")])
        return "\n".join(f"== {path}\n{path.read_text(errors='replace')[-1500:]}" for path in paths)


@contextmanager
def running(folder: Path, station: str) -> Iterator[ClusterRun]:
    """The kind overlay, applied; everything is down again when the block ends."""
    (folder / "logs").mkdir(parents=True)
    run = ClusterRun(folder, render(KIND))
    try:
        run.start(station)
        yield run
    finally:
        run.close()
