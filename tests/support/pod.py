"""A kubelet in small: runs the pod of a Job's manifest, one container after the other, as real processes.

Each container gets exactly the manifest's command, environment and folder. Where root allows, the IPF's runs as in a
cluster: as process 1 of its own, as its user, in an image that holds only what a test put there, with a read-only root
where the manifest says so. The scratch volume is a folder that is seen under the same path everywhere.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from functions.ipf.runner.pod import is_static
from shared.adapters.kubernetes.manifest import job_manifest
from shared.ports import STAGING_S, JobSpec
from tests.support.bench import NOW, Bench

CONTAINERS: Final = ("stage-in", "ipf", "stage-out")
ROOT: Final = Path(__file__).resolve().parents[2]
_REFERENCE: Final = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
# A container of its own: mounts, process ids, root folder, user. $1 image, $2 "ro" or "rw", $3 user:group, $4 groups,
# then pairs of what is mounted where, "--", the command.
_ENTER: Final = """
root=$1 mode=$2 user=$3 groups=$4; shift 4
{mount} --bind "$root" "$root"
while [ "$1" != -- ]; do {mkdir} -p "$root$2"; {mount} --bind "$1" "$root$2"; shift 2; done
shift
{mkdir} -p "$root/proc" "$root/dev"
{mount} --bind /dev "$root/dev" || exit 99
[ "$mode" = rw ] || {mount} -o remount,ro,bind "$root" || exit 99
{mount} -t proc proc "$root/proc" || exit 99
exec {chroot} --userspec="$user" --groups="$groups" "$root" "$@"
"""


@cache
def isolates() -> bool:
    """Whether containers can have process ids and mounts of their own here."""
    if os.getuid() != 0 or not all(map(shutil.which, ("unshare", "mount", "chroot"))):
        return False
    probe = ["unshare", "--pid", "--fork", "--mount", "true"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def busybox() -> Path | None:
    """A busybox that needs no library, None where there is none."""
    path = shutil.which("busybox")
    return Path(path) if path is not None and is_static(Path(path)) else None


def plain_image(folder: Path, **files: str) -> Path:
    """The root folder of an image that holds a static busybox, its links, and ``files`` (in /opt, executable)."""
    program = busybox()
    assert program is not None
    for name in ("bin", "opt", "tmp", "etc"):
        (folder / name).mkdir(parents=True)
    (folder / "tmp").chmod(0o1777)
    shutil.copyfile(program, folder / "bin/busybox")
    (folder / "bin/busybox").chmod(0o755)
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in set(names) - {"busybox"}:
        (folder / "bin" / name).symlink_to("busybox")
    for name, text in files.items():
        (folder / "opt" / name).write_text(text)
        (folder / "opt" / name).chmod(0o755)
    return folder


def open_to_all(program: Path) -> bool:
    """Whether every user can reach ``program``: a Python in root's home runs as root, with the group of the pod."""
    return all(folder.stat().st_mode & 0o001 for folder in (program.resolve().parent, *program.resolve().parents))


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user of this machine can reach, as a volume's is."""
    folder = Path(tempfile.mkdtemp(prefix="s2ps-pod-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def enter(root: Path, mounts: Mapping[str, Path], security: Mapping[str, Any]) -> list[str]:
    """What a command is put behind to run in a container of its own.

    Args:
        root: the root folder.
        mounts: path in the container to a folder of this machine.
        security: the container's security context, over that of its pod.
    """
    programs = {name: shutil.which(name) for name in ("mount", "chroot", "mkdir")}
    pairs = [str(part) for path, folder in sorted(mounts.items()) for part in (folder, path)]
    mode = "ro" if security.get("readOnlyRootFilesystem") else "rw"
    user = f"{security['runAsUser']}:{security['runAsGroup']}"
    groups = str(security.get("fsGroup", security["runAsGroup"]))
    unshare = [shutil.which("unshare") or "", "--pid", "--fork", "--kill-child", "--mount"]
    return [*unshare, "/bin/sh", "-c", _ENTER.format(**programs), "enter", str(root), mode, user, groups, *pairs, "--"]


@dataclass(frozen=True)
class Ended:
    """How a container ended. ``output`` is what ``kubectl logs`` would show; ``peak_mb`` its largest process, MiB."""

    name: str
    code: int
    output: str
    peak_mb: int = 0


@dataclass
class Pod:
    """A pod of a Job.

    Args:
        job: the manifest.
        folder: for logs and volumes; reachable by every user.
        config: ConfigMaps and Secrets, by name.
        images: image to its root folder; one that is not named runs on this machine, which has the checkout at work.
        image_env: what an image's own environment holds.
        image_mounts: what an image holds beyond its root folder: path in the container to a folder of this machine.
        users: whether containers run as the users that the manifest names.
    """

    job: Mapping[str, Any]
    folder: Path
    config: Mapping[str, Mapping[str, str]]
    images: Mapping[str, Path] = field(default_factory=dict)
    image_env: Mapping[str, str] = field(default_factory=dict)
    image_mounts: Mapping[str, Path] = field(default_factory=dict)
    users: bool = field(default_factory=lambda: os.getuid() == 0)
    ended: list[Ended] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _isolated: bool = False
    _stopped: bool = False

    @property
    def spec(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.job["spec"]["template"]["spec"]
        return found

    def run(self, before: Callable[[str], object] = lambda _name: None, timeout_s: float = 120) -> list[Ended]:
        """Run all containers, as far as they succeed; ``before`` is called with the name of each that comes."""
        self._volumes()
        for container in (*self.spec.get("initContainers", ()), *self.spec["containers"]):
            if self._stopped:
                break
            before(container["name"])
            self.ended.append(self._run(container, timeout_s))
            if self.ended[-1].code != 0:
                break
        return self.ended

    def stop(self) -> None:
        """What a kubelet does first when a pod is deleted: SIGTERM to process 1 of the container that runs."""
        self._stopped = True
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        inner = children.read_text().split() if self._isolated else []
        os.kill(int(inner[0]) if inner else pid, signal.SIGTERM)

    def _volumes(self) -> None:
        group = self.spec["securityContext"].get("fsGroup", 0)
        for volume in self.spec["volumes"]:
            path = self._volume(volume["name"])
            path.mkdir(parents=True, exist_ok=True)
            if self.users:
                os.chown(path, 0, group)
            path.chmod(0o2777)

    def _volume(self, name: str) -> Path:
        """Where a volume lies: the scratch volume where the manifest mounts it, others below the pod's folder."""
        if name == "scratch":
            mounts = self.spec["initContainers"][0]["volumeMounts"]
            return Path(next(mount["mountPath"] for mount in mounts if mount["name"] == name))
        return self.folder / "volumes" / name

    def _show(self, container: Mapping[str, Any]) -> None:
        """A container that runs on this machine finds the sub-paths of its claims where they are mounted, too."""
        for mount in container["volumeMounts"]:
            path = Path(mount["mountPath"])
            if mount.get("subPath") and not path.is_symlink():
                path.symlink_to(self._mounted(mount))

    def _mounted(self, mount: Mapping[str, Any]) -> Path:
        """What is mounted; a sub-path is made where it is not there, with the mode and group of the volume."""
        path = self._volume(mount["name"])
        for step in mount.get("subPath", "").split("/") if mount.get("subPath") else ():
            parent, path = path, path / step
            if not path.exists():
                path.mkdir()
                path.chmod(parent.stat().st_mode)
        return path

    def _run(self, container: Mapping[str, Any], timeout_s: float) -> Ended:
        root = self.images.get(container["image"])
        env = self._env(container, own=root is not None)
        command = [expand(part, env) for part in [*container["command"], *container.get("args", ())]]
        security = {**self.spec["securityContext"], **container["securityContext"]}
        self._isolated = root is not None
        if root is None:
            self._show(container)
        log = self.folder / f"{container['name']}.log"
        with log.open("wb") as output:
            if root is None:
                self._process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=env,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    user=security["runAsUser"] if self.users and open_to_all(Path(sys.executable)) else None,
                    group=security["runAsGroup"] if self.users else None,
                    extra_groups=[security["fsGroup"]] if self.users else None,
                )
            else:
                self._process = subprocess.Popen(
                    [*self._enter(container, security, root), *command], env=env, stdout=output, stderr=output
                )
            try:
                code, peak_mb = _ended(self._process, timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise AssertionError(f"{container['name']}: hangs: {log.read_text()[-2000:]}") from None
        return Ended(container["name"], code if code >= 0 else 128 - code, log.read_text(errors="replace"), peak_mb)

    def _enter(self, container: Mapping[str, Any], security: Mapping[str, Any], root: Path) -> list[str]:
        mounts = {mount["mountPath"]: self._mounted(mount) for mount in container["volumeMounts"]}
        return enter(root, {**self.image_mounts, **mounts}, security)

    def _env(self, container: Mapping[str, Any], *, own: bool) -> dict[str, str]:
        here = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        env = {"PATH": "/bin"} | dict(self.image_env) if own else here
        for source in container.get("envFrom", ()):
            (reference,) = source.values()
            env |= self.config[reference["name"]]
        for item in container.get("env", ()):
            env[item["name"]] = expand(item["value"], env)
        return env


def _ended(process: subprocess.Popen[bytes], timeout_s: float) -> tuple[int, int]:
    """The exit code, and the most memory that one of the processes had, MiB: 0 where it is not known.

    It is not where another thread saw the end first, nor up to what this process had when it forked: the kernel counts
    that as the child's. TimeoutExpired where it runs longer.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        except ChildProcessError:
            return process.wait(), 0
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return process.returncode, usage.ru_maxrss // 1024 if usage.ru_maxrss > ours else 0
        time.sleep(0.01)
    raise subprocess.TimeoutExpired(process.args, timeout_s)


def pod_of(bench: Bench, folder: Path, attempt: int = 1, **more: Any) -> Pod:
    """The pod of an attempt at ``bench``'s work, by the manifest that the launcher makes; its volumes in ``folder``."""
    settings = bench.services.settings.model_copy(update={"job_scratch": folder / "scratch"})
    processor = bench.services.workflow.processors[bench.place.step]
    job = JobSpec(
        name=bench.place.job_name(attempt),
        work=bench.place.prefix,
        attempt=attempt,
        session=bench.place.session,
        step=bench.place.step,
        unit=bench.place.unit,
        cpus=processor.cpus,
        memory_mb=processor.memory_mb,
        time_limit_s=processor.time_limit_s + STAGING_S,
        deadline=NOW,
        priority=0,
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        shared=f"{bench.place.session}/{bench.place.unit}" if processor.shared is not None else "",
    )
    env = {name: value for name, value in bench.env().items() if name.startswith(("S2PS_", "OTEL_"))}
    config = {settings.job_config_map: env, settings.job_secret: {}}
    return Pod(job_manifest(job, processor, settings, NOW), folder, config, **more)


def expand(text: str, env: Mapping[str, str]) -> str:
    """``$(NAME)`` replaced and ``$$`` halved, as a kubelet does."""
    return _REFERENCE.sub(lambda m: "$" if m[1] is None else env.get(m[1], m[0]), text)


def until(true: Callable[[], object], timeout_s: float = 60) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
