"""Images built without an engine's daemon: by buildah, on a base made by debootstrap; run by chroot, read-only."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eventing.local.config import ROOT

USER: Final = "10001:10001"
BASE: Final = "localhost/base:debian"
_PACKAGES: Final = "python3,python3-venv,ca-certificates,busybox-static"
_MIRROR: Final = "http://deb.debian.org/debian"
# Mounts for one process and its children: the root read-only, what a kubelet mounts over it, and no way to more rights.
_INSIDE: Final = """
root=$1; user=$2; shift 2
mount --bind "$root" "$root" && mount -o remount,ro,bind "$root" || exit 125
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp" || exit 125
mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" || exit 125
exec chroot --userspec="$user" "$root" "$@"
"""


def missing() -> str:
    """Why images cannot be built here; empty where they can."""
    if os.geteuid() != 0:
        return "building images without an engine needs root"
    absent = [name for name in ("buildah", "debootstrap", "unshare", "chroot", "make") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


@dataclass(frozen=True)
class Image:
    """An image whose files are mounted at ``root``."""

    root: Path
    config: dict[str, Any]

    @property
    def env(self) -> dict[str, str]:
        return dict(entry.split("=", 1) for entry in self.config["Env"])

    def command(self, *command: str, **env: str) -> list[str]:
        """A command in a container of this image as Knative starts one: read-only, no user's rights, no environment."""
        settings = [f"{name}={value}" for name, value in (self.env | env).items()]
        inside = ["env", "-i", "-C", self.config["WorkingDir"], *settings, *command]
        return [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            _INSIDE,
            "sh",
            str(self.root),
            USER,
            *inside,
        ]

    def run(self, *command: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run to its end; what it said comes back."""
        done = subprocess.run(self.command(*command, **env), capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done


@dataclass(frozen=True)
class Builder:
    """A storage of buildah's of its own."""

    folder: Path

    @property
    def engine(self) -> list[str]:
        options = [
            "--root",
            str(self.folder / "root"),
            "--runroot",
            str(self.folder / "run"),
            "--storage-driver",
            "vfs",
        ]
        return ["buildah", *options]

    def __call__(self, *arguments: str, **options: Any) -> str:
        done = subprocess.run([*self.engine, *arguments], capture_output=True, text=True, check=False, **options)
        assert done.returncode == 0, f"buildah {' '.join(arguments)}: {done.stderr[-3000:]}"
        return str(done.stdout).strip()

    def make_base(self) -> None:
        """A Debian with Python, as the base of images; some 30 seconds."""
        system = self.folder / "base"
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(system), _MIRROR]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        container = self("from", "scratch")
        self("copy", "--quiet", container, str(system), "/")
        self("commit", "--quiet", "--rm", container, BASE)
        shutil.rmtree(system)

    def download(self, lock: str) -> Path:
        """The wheels of a lock file, fetched as this machine's pip is set up to, for builds that fetch nothing else."""
        wheels = self.folder / "wheels"
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary", ":all:"]
        subprocess.run([*fetch, "-r", str(ROOT / "requirements" / lock), "-d", str(wheels)], check=True)
        (self.folder / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        return wheels

    def make(self, name: str) -> Image:
        """``make image-<name>``, mounted."""
        wheels = self.download(f"{name}.txt")
        arguments = ["--isolation", "chroot", "--volume", f"{wheels}:/wheels:ro"]
        arguments += ["--secret", f"id=pip,src={self.folder / 'pip.conf'}", "--quiet"]
        options = {"ENGINE": " ".join(self.engine), "BASE": BASE, "BUILD_ARGS": " ".join(arguments)}
        settings = [f"{key}={value}" for key, value in options.items()]
        done = subprocess.run(
            ["make", "-s", f"image-{name}", *settings], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
        identifier = done.stdout.split()[-1]
        container = self("from", "--pull-never", identifier)
        config = json.loads(self("inspect", "--type", "image", identifier))["OCIv1"]["config"]
        return Image(Path(self("mount", container)), config)


@contextlib.contextmanager
def builder(folder: Path) -> Iterator[Builder]:
    """A builder whose storage is gone at the end."""
    made = Builder(folder)
    try:
        yield made
    finally:
        for arguments in (("umount", "--all"), ("rm", "--all"), ("rmi", "--all", "--force")):
            subprocess.run([*made.engine, *arguments], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)
