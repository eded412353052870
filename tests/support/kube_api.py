"""An API server for tests: real HTTPS, tokens, rights, schemas and answers; Jobs, pods and events in dicts."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.kube_judge import refusals

Call = tuple[str, str, str]
# The calls (verb, API group, resource) that each function makes, in the namespace of the Jobs. All other functions,
# and the Jobs themselves, make none.
CALLS: Mapping[str, frozenset[Call]] = {
    "job-launch": frozenset({("create", "batch", "jobs")}),
    "job-settlement": frozenset(
        {("get", "batch", "jobs"), ("delete", "batch", "jobs"), ("list", "", "pods"), ("list", "", "events")}
    ),
    "sweep": frozenset(
        {("get", "batch", "jobs"), ("patch", "batch", "jobs"), ("list", "", "pods"), ("list", "", "events")}
    ),
}
_PATH = re.compile(r"/(?:api|apis/(?P<group>[^/]+))/v1/namespaces/(?P<ns>[^/]+)/(?P<resource>[^/]+)(?:/(?P<name>.+))?")
_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}


@dataclass
class Cluster:
    """One namespace. ``rules``: what the token's service account may do; ``faults``: the next answers, as they are."""

    mount: Path
    namespace: str = "s2ps"
    rules: set[Call] = field(default_factory=lambda: {call for calls in CALLS.values() for call in calls})
    token: str = "first-token"
    url: str = ""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    faults: deque[tuple[int, str, str]] = field(default_factory=deque)
    lock: Any = field(default_factory=threading.RLock)
    """Held by whoever changes objects beside the calls."""

    def issue(self, token: str) -> None:
        """The kubelet renews the token in the mount; the old one is worth nothing from now on."""
        self.token = token
        (self.mount / "token").write_text(token)

    def caller(self, authorization: str) -> tuple[str, AbstractSet[Call]]:
        """The user that a token stands for, and what it may do; an empty name where the token is nobody's."""
        return ("system:serviceaccount:s2ps:test" if authorization == f"Bearer {self.token}" else ""), self.rules

    def answer(self, method: str, target: str, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """An answer as the API server's."""
        if self.faults:
            return _status(*self.faults.popleft())
        who, rules = self.caller(authorization)
        if not who:
            return _status(401, "Unauthorized", "Unauthorized")
        split = urlsplit(target)
        match, query = _PATH.fullmatch(split.path), parse_qs(split.query)
        if match is None:
            return _status(404, "NotFound", "the server could not find the requested resource")
        group, resource, name = match["group"] or "", match["resource"], unquote(match["name"] or "")
        verb = _VERBS.get(method, "get" if name else "list")
        self.calls.append((verb, group, resource))
        self.queries.append(query)
        if (verb, group, resource) not in rules or match["ns"] != self.namespace:
            what = f'cannot {verb} resource "{resource}" in API group "{group}" in the namespace "{match["ns"]}"'
            named = f'"{name}" ' if name else ""
            return _status(403, "Forbidden", f'{resource}.{group} {named}is forbidden: User "{who}" {what}')
        if resource == "jobs":
            return self._create(json.loads(body)) if verb == "create" else self._job(verb, name, body)
        return 200, {"kind": "List", "items": self._selected(resource, query)}

    def _create(self, job: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = job["metadata"]["name"]
        wrong = refusals(job)
        if wrong:
            return _status(422, "Invalid", f'Job.batch "{name}" is invalid: {wrong[0]}')
        if name in self.jobs:
            return _status(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
        self.jobs[name] = job
        return 201, job

    def _job(self, verb: str, name: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        if name not in self.jobs:
            return _status(404, "NotFound", f'jobs.batch "{name}" not found')
        if verb == "delete":
            del self.jobs[name]
            return _status(200, "", "")
        if verb == "patch":
            (labels,) = json.loads(body)["metadata"].values()
            self.jobs[name]["metadata"]["labels"].update(labels)
        return 200, self.jobs[name]

    def _selected(self, resource: str, query: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        if resource == "pods":
            key, _, value = query["labelSelector"][0].partition("=")
            return [pod for pod in self.pods if pod["metadata"]["labels"].get(key) == value]
        wanted = dict(part.split("=") for part in query["fieldSelector"][0].split(","))
        return [
            event
            for event in self.events
            if event["involvedObject"]["kind"] == wanted["involvedObject.kind"]
            and event["involvedObject"]["name"] == wanted["involvedObject.name"]
            and event["reason"] == wanted["reason"]
        ]


def _status(code: int, reason: str, message: str) -> tuple[int, dict[str, Any]]:
    kind = {"kind": "Status", "apiVersion": "v1", "status": "Success" if code < 300 else "Failure"}
    return code, {**kind, "message": message, "reason": reason, "code": code}


def make_authority(folder: Path) -> None:
    """An authority of its own (``ca.crt``) and the server's certificate for this machine (``tls.crt``, ``tls.key``)."""
    names = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    ca = ["-x509", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test-authority"]
    usage = ["-addext", "keyUsage=critical,keyCertSign"]
    signed = ["-x509", "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "tls.key", "-out", "tls.crt"]
    leaf = ["-subj", "/CN=kube-apiserver", "-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"]
    for arguments in ([*key, *ca, *usage], [*key, *signed, *leaf]):
        subprocess.run(["openssl", "req", *arguments], cwd=folder, check=True, capture_output=True)


@contextlib.contextmanager
def running_api(
    certificates: Path, mount: Path, host: str = "127.0.0.1", *, made: Cluster | None = None
) -> Iterator[Cluster]:
    """A cluster that answers at ``cluster.url`` until the block ends; ``mount`` becomes the service account's.

    ``made``: a cluster of the caller's own kind.
    """
    cluster = made or Cluster(mount)
    mount.mkdir(parents=True, exist_ok=True)
    (mount / "ca.crt").write_bytes((certificates / "ca.crt").read_bytes())
    (mount / "namespace").write_text(cluster.namespace)
    cluster.issue(cluster.token)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = cluster.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815 - names of the base class

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    with Server((host, 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        shown = f"[{host}]" if ":" in host else host
        cluster.url = f"https://{shown}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield cluster
        finally:
            server.shutdown()
            thread.join()
