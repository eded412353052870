"""The service's own images in small: a root folder that shows a container this machine's programs, and the checkout.

As in the images (knative/images), the code lies in /app, ``python`` and ``s2ps`` are on the path, and the environment
is the Dockerfile's. Nothing else of the machine is seen: no other folder, no environment of whoever runs the tests.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_LINKS: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# What the loader, the resolver and TLS read; no other settings of the machine.
_ETC: Final = ("ld.so.cache", "hosts", "nsswitch.conf", "resolv.conf", "mime.types", "ssl")
_USERS: Final = {
    "passwd": "root:x:0:0::/root:/bin/sh\ns2ps:x:10001:10001::/tmp:/usr/sbin/nologin\n",
    "group": "root:x:0:\ns2ps:x:10001:\n",
}


def image(folder: Path) -> Path:
    """Make the root folder of all images; it stays empty but for what links and settings need."""
    (folder / "etc").mkdir(parents=True)
    (folder / "tmp").mkdir()
    for name in _LINKS:
        here = Path("/") / name
        if here.is_symlink():
            (folder / name).symlink_to(here.readlink())
    for name in _ETC:
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, folder / "etc" / name, ignore=shutil.ignore_patterns("private"))
        elif source.exists():
            shutil.copyfile(source, folder / "etc" / name)
    for name, text in _USERS.items():
        (folder / "etc" / name).write_text(text)
    return folder


def image_mounts() -> dict[str, Path]:
    """What is seen through the root folder: path in the container to a folder of this machine."""
    plain = [Path("/") / name for name in _LINKS]
    folders = [Path("/usr"), Path(sys.base_prefix), Path(sys.prefix)]
    folders += [path for path in plain if path.is_dir() and not path.is_symlink()]
    # The folder above comes first: a mount would hide what was mounted below it.
    return {"/app": ROOT} | {str(path): path for path in sorted(set(folders)) if path != Path("/")}


def image_env() -> dict[str, str]:
    """The environment that the Dockerfiles set, with the tests' interpreter in place of the image's."""
    env: dict[str, str] = {}
    for name in ("functions", "processors"):
        text = (ROOT / "knative" / "images" / name / "Dockerfile").read_text().replace("\\\n", " ")
        for line in re.findall(r"^ENV (.*)$", text, re.MULTILINE):
            env |= dict(word.split("=", 1) for word in shlex.split(line))
    return env | {"PATH": env["PATH"].replace("/opt/s2ps/bin", str(Path(sys.executable).parent))}
