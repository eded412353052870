"""The few calls to the API server that the service makes, as the service account that the pod runs under.

Token and authority are read from the mount of the service account at each call: the kubelet renews the token there
long before it ends, and an instance may outlive the first one.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import quote, urlencode

import urllib3

from shared.errors import ConfigurationError, RetryableError, S2psError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT: Final = urllib3.Timeout(connect=3.0, read=10.0)
# A request that never reached the server may be sent again here; all else is for whoever delivers the event.
_RETRIES: Final = urllib3.Retry(total=2, connect=2, read=0, status=0, redirect=0, other=0, backoff_factor=0.2)
_SHOWN: Final = 500

Method = Literal["GET", "POST", "PATCH", "DELETE"]


class KubernetesApi:
    """A namespace of one cluster.

    Args:
        url: of the API server.
        mount: folder with ``token`` and ``ca.crt``.
        namespace: where all calls go.
    """

    def __init__(self, url: str, mount: Path, namespace: str) -> None:
        self.namespace = namespace
        self._url, self._mount = url, mount
        self._pool: tuple[str, urllib3.HTTPSConnectionPool] | None = None

    @classmethod
    def from_environment(
        cls, namespace: str = "", *, environ: Mapping[str, str] = os.environ, mount: Path = SERVICE_ACCOUNT
    ) -> Self:
        """The cluster that this pod runs in; ``namespace``: empty for the pod's own. ConfigurationError outside one."""
        host = environ.get("KUBERNETES_SERVICE_HOST", "")
        port = environ.get("KUBERNETES_SERVICE_PORT_HTTPS") or environ.get("KUBERNETES_SERVICE_PORT") or "443"
        if not host:
            raise ConfigurationError(
                "KUBERNETES_SERVICE_HOST: expected the address of an API server: S2PS_LAUNCHER=kubernetes runs in a pod"
            )
        url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        return cls(url, mount, namespace or _read(mount / "namespace"))

    def create_job(self, manifest: Mapping[str, Any]) -> bool:
        """Create a Job; False where one of this name is there."""
        status, answer = self._call("POST", self._path("apis/batch/v1", "jobs"), body=manifest)
        if status == 409 and answer.get("reason") == "AlreadyExists":
            return False
        _check(status, answer, f"create Job {manifest['metadata']['name']}")
        return True

    def job(self, name: str) -> Mapping[str, Any] | None:
        """A Job, None where there is none."""
        status, answer = self._call("GET", self._path("apis/batch/v1", "jobs", name))
        if status == 404 and answer.get("reason") == "NotFound":
            return None
        _check(status, answer, f"get Job {name}")
        return answer

    def label_job(self, name: str, labels: Mapping[str, str]) -> None:
        """Change labels of a Job; no error where there is none."""
        body = {"metadata": {"labels": dict(labels)}}
        status, answer = self._call("PATCH", self._path("apis/batch/v1", "jobs", name), body=body)
        if status != 404 or answer.get("reason") != "NotFound":
            _check(status, answer, f"label Job {name}")

    def delete_job(self, name: str) -> None:
        """Delete a Job, and then its pods; no error where there is none."""
        query = {"propagationPolicy": "Background"}
        status, answer = self._call("DELETE", self._path("apis/batch/v1", "jobs", name), query)
        if status != 404 or answer.get("reason") != "NotFound":
            _check(status, answer, f"delete Job {name}")

    def pods(self, job: str) -> list[Mapping[str, Any]]:
        """The pods of a Job, those that ended included."""
        return self._list("pods", {"labelSelector": f"batch.kubernetes.io/job-name={job}"}, f"list Pods of Job {job}")

    def creation_failures(self, job: str) -> list[Mapping[str, Any]]:
        """The events that say why a Job could not create its pod."""
        selector = f"involvedObject.kind=Job,involvedObject.name={job},reason=FailedCreate"
        return self._list("events", {"fieldSelector": selector}, f"list Events of Job {job}")

    def _list(self, resource: str, query: Mapping[str, str], what: str) -> list[Mapping[str, Any]]:
        status, answer = self._call("GET", self._path("api/v1", resource), query)
        _check(status, answer, what)
        return list(answer.get("items") or ())

    def _path(self, group: str, resource: str, name: str = "") -> str:
        path = f"/{group}/namespaces/{quote(self.namespace, safe='')}/{resource}"
        return f"{path}/{quote(name, safe='')}" if name else path

    def _call(
        self, method: Method, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {_read(self._mount / 'token')}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            response = self._connections().request(
                method,
                f"{path}?{urlencode(query)}" if query else path,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise RetryableError(f"Kubernetes at {self._url}: {error}") from error
        return response.status, _object(response.data)

    def _connections(self) -> urllib3.HTTPSConnectionPool:
        authority = _read(self._mount / "ca.crt")
        if self._pool is None or self._pool[0] != authority:
            try:
                context = ssl.create_default_context(cadata=authority)
            except ssl.SSLError as error:
                raise ConfigurationError(f"{self._mount}/ca.crt: expected PEM certificates: {error}") from None
            # Python 3.13 asks more of an authority than older clusters put into theirs (a key identifier).
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            pool = urllib3.connection_from_url(
                self._url, ssl_context=context, timeout=_TIMEOUT, retries=_RETRIES, maxsize=4
            )
            assert isinstance(pool, urllib3.HTTPSConnectionPool)  # noqa: S101 - the URL begins with https
            self._pool = (authority, pool)
        return self._pool[1]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path}: expected the mount of a service account (automountServiceAccountToken): {error}"
        ) from None


def _object(body: bytes) -> dict[str, Any]:
    """An answer's JSON object; what is none (a proxy's page) becomes a message."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"message": body[:_SHOWN].decode(errors="replace")}


def _check(status: int, answer: Mapping[str, Any], what: str) -> None:
    if 200 <= status < 300:
        return
    raise _error(status, str(answer.get("message") or answer.get("reason") or ""), what)


def _error(status: int, message: str, what: str) -> S2psError:
    """What an answer means: may the same call succeed later?

    409 without AlreadyExists is a quota that changed meanwhile; a quota that is used up (403) becomes free again.
    """
    text = f"Kubernetes, {what}: {status} {message[:_SHOWN]}"
    if status >= 500 or status in {408, 409, 425, 429} or (status == 403 and "exceeded quota" in message):
        return RetryableError(text)
    return ConfigurationError(text)
