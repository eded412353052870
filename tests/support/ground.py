"""The ground station and the session of the kind overlay ``pass``, by their own commands on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.manifests import PASS, render

_ELSEWHERE: Final = {"0.0.0.0": "127.0.0.1", "8080": "0"}  # noqa: S104 - what the manifest says, for what is taken


@contextmanager
def station(served: Path, recording: Path) -> Iterator[str]:
    """The ground station of the overlay ``pass``, by its own command on this machine; its address."""
    command = _command("containers", {**_ELSEWHERE, "/data/served": str(served), "/data/recording": str(recording)})
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def recorded(folder: Path, options: Sequence[str]) -> Path:
    """The session of the overlay ``pass``, by its own command; ``options``: another size of it."""
    command = _command("initContainers", {"/data/recording": str(folder)})
    subprocess.run([*command, *options], check=True, capture_output=True)
    return folder


def _command(kind: str, given: dict[str, str]) -> list[str]:
    """The command of the one container of a kind, with other words for some."""
    (deployment,) = (each for each in render(PASS) if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"][kind]
    program, *rest = container["command"]
    return [str(Path(sys.executable).with_name(program)), *(given.get(part, part) for part in rest)]
