"""What a namespace that enforces the Pod Security Standard ``restricted`` refuses of a pod."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_ALLOWED_VOLUMES: Final = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


def violations(pod: Mapping[str, Any]) -> Iterator[str]:
    """Of the Pod Security Standard ``restricted`` (kubernetes.io, Pod Security Standards)."""
    whole = pod.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for volume in pod.get("volumes", ()):
        if not volume.keys() - {"name"} <= _ALLOWED_VOLUMES:
            yield f"volume {volume['name']}"
    for each in (*pod.get("initContainers", ()), *pod["containers"]):
        own, name = each.get("securityContext", {}), each["name"]
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation"
        if own.get("privileged") or any("hostPort" in port for port in each.get("ports", ())):
            yield f"{name}: privileged, or a port of the node"
        if own.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True:
            yield f"{name}: runAsNonRoot"
        if own.get("runAsUser", whole.get("runAsUser")) == 0:
            yield f"{name}: runAsUser"
        if own.get("seccompProfile", whole.get("seccompProfile", {})).get("type") not in {
            "RuntimeDefault",
            "Localhost",
        }:
            yield f"{name}: seccompProfile"
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
            yield f"{name}: capabilities"
