"""A Job's pod, container by container: the IPF is a shell script in a plain image, which knows nothing of us."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import Settings
from shared.workflow import graph
from tests.support.bench import RAW, Bench, make_bench
from tests.support.pod import CONTAINERS, Pod, busybox, isolates, open_folder, plain_image, pod_of, until

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/integrating-an-ipf.md"
IMAGE = "list-session"
USER = 4711


def documented(name: str) -> str:
    """A file that the document shows."""
    found = re.search(rf"<!-- file: {name} -->\n```\w+\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None, name
    return found[1]


pytestmark = [
    pytest.mark.skipif(not isolates(), reason="containers of their own need root and unshare"),
    pytest.mark.skipif(busybox() is None, reason="no static busybox (package busybox-static)"),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


class House:
    """A work item whose processor is the document's, with changes, and the image that it names."""

    def __init__(self, settings: Settings, folder: Path, script: str = "", **changes: Any) -> None:
        self.folder = folder
        document = yaml.safe_load((Path(graph.__file__).parent / "processors/open.yaml").read_text())
        document["processors"]["l0u"] = yaml.safe_load(documented("processor.yaml"))["l0u"] | changes
        (folder / "mine.yaml").write_text(yaml.safe_dump(document))
        self.image = plain_image(folder / "image", **{IMAGE: script or documented(IMAGE)})
        self.bench: Bench = make_bench(settings, folder, folder / "mine.yaml")

    def pod(self, number: int = 1, **more: Any) -> Pod:
        return pod_of(self.bench, self.folder / f"pod-{number}", **{"images": {IMAGE: self.image}, **more})

    def run(self, **more: Any) -> str:
        """Run the pod to its end; returns what its containers said."""
        ended = self.pod(**more).run()
        said = "\n".join(f"{container.name} ({container.code}): {container.output}" for container in ended)
        assert [(container.name, container.code) for container in ended] == [(name, 0) for name in CONTAINERS], said
        return said


def script(body: str) -> str:
    """The document's script, with something done at its end."""
    return documented(IMAGE) + body


def test_the_documents_ipf_runs_by_configuration_alone(own_buckets: Settings, folder: Path) -> None:
    house = House(own_buckets, folder)
    said = house.run()
    outcome = house.bench.outcome
    assert outcome is not None, said
    assert (outcome.status, outcome.units) == ("succeeded", {"datastrip": ("DT01",)}), outcome.reason
    (artifact,) = outcome.outputs
    key = next(f"{artifact.prefix}{file.path}" for file in artifact.files if file.path == "DS/files.txt")
    body, _ = house.bench.services.store.get(artifact.bucket, key)
    assert [Path(line).name for line in body.decode().split()] == sorted(RAW)
    assert "[I] 2 raw files" in said
    # In hundredths of a second: a script as short as this one may take none.
    assert 0 <= outcome.figures["execute_s"] < 60


def test_the_image_and_what_the_ipf_finds(own_buckets: Settings, folder: Path) -> None:
    probe = """
env | sort >"$strip/env"; id >"$strip/id"; echo $$ >"$strip/pid"; cat "$0" >/dev/null
touch /opt/written 2>/dev/null && exit 200
touch /tmp/written inputs/STO_CADU_S/written || exit 201
pwd >"$strip/pwd"; umask >"$strip/umask"; ls -a / >"$strip/root"
"""
    house = House(own_buckets, folder, script(probe), user=USER, read_only_root=True)
    said = house.run(image_env={"PATH": "/bin", "OF_THE_IMAGE": "yes"})
    outcome = house.bench.outcome
    assert outcome is not None, said
    assert outcome.status == "succeeded", outcome.reason
    (artifact,) = outcome.outputs
    found = {
        file.path: house.bench.services.store.get(artifact.bucket, artifact.prefix + file.path)[0].decode().strip()
        for file in artifact.files
    }
    env = dict(line.split("=", 1) for line in found["env"].splitlines())
    assert set(env) - {"PWD", "OLDPWD", "SHLVL", "_"} == {
        "PATH",
        "OF_THE_IMAGE",
        "HOME",
        "TMPDIR",
        "TRACEPARENT",
        "LEAST_FILES",
    }
    assert f"uid={USER} gid=10001" in found["id"]
    assert (found["pwd"], found["umask"]) == (f"{house.folder}/pod-1/scratch/job", "0002")
    assert not {"app", "work", "usr", "lib"} & set(found["root"].split()), "nothing of ours, and no libraries"
    assert int(found["pid"]) < 20, "processes of its own"


@pytest.mark.parametrize(
    ("body", "changes", "status", "reason"),
    [
        ("", {"env": {"LEAST_FILES": "9"}}, "succeeded-with-warnings", "only 2 raw files"),
        ("exit 130", {}, "retry", "exit code 130"),
        ("exit 200", {}, "failed", "exit code 200"),
        ("trap 'sleep 1; exit 0' TERM; sleep 60 & wait", {"time_limit_s": 1}, "retry", "DeadlineExceeded"),
        ("", {"command": ["/opt/none", "{joborder}"]}, "infrastructure", "command /opt/none is not there"),
        ("sleep 60 & setsid sleep 60 & yes | head -c 9000000", {}, "succeeded", ""),
        ("rm -rf joborder.xml inputs .s2ps; ln -sf /proc/self/environ log.txt", {}, "succeeded", ""),
        ("rm -r outputs; ln -s /proc/self outputs", {}, "failed", "outputs"),
    ],
)
def test_how_it_ends(
    own_buckets: Settings, folder: Path, body: str, changes: dict[str, Any], status: str, reason: str
) -> None:
    house = House(own_buckets, folder, script(body), **changes)
    said = house.run()
    outcome, ended = house.bench.outcome, house.bench.ended()
    assert (outcome is None) == (status in {"retry", "infrastructure"}), said
    found = outcome or ended
    assert found is not None, said
    assert found.status == status, f"{found.reason}\n{said}"
    assert reason in found.reason + "".join(outcome.warnings if outcome else ())
    logs = [house.bench.services.store.get(own_buckets.bucket_work, key)[0] for key in house.bench.uploaded()]
    assert not any(b"S2PS_STORE" in body for body in logs), "the stages' environment is nobody's"


def test_arguments_arrive_as_they_are(own_buckets: Settings, folder: Path) -> None:
    odd = ["a b", "", "it's", '"quoted"', "$HOME $(HOME) `id`", "$$", "two\nlines", "*", "\\n", "ü", "%s;&|<>"]
    body = 'shift; for part; do printf "%s\\0" "$part"; done >"$strip/arguments"'
    house = House(own_buckets, folder, script(body), command=[f"/opt/{IMAGE}", "{joborder}", *odd])
    said = house.run()
    outcome = house.bench.outcome
    assert outcome is not None, said
    (artifact,) = outcome.outputs
    content, _ = house.bench.services.store.get(artifact.bucket, f"{artifact.prefix}arguments")
    assert content.decode().split("\0")[:-1] == odd


def test_an_image_without_a_shell(own_buckets: Settings, folder: Path) -> None:
    house = House(own_buckets, folder)
    for link in (house.image / "bin").iterdir():
        if link.name not in {"busybox", "sed", "find", "sort", "wc", "mkdir", "date"}:
            link.unlink()
    text = documented(IMAGE).replace("#!/bin/sh", "#!/bin/busybox sh", 1)
    (house.image / f"opt/{IMAGE}").write_text(text)
    brought = house.folder / "pod-1/scratch/job/.s2ps/busybox"
    processor = house.bench.services.workflow.processors["l0u"].model_copy(update={"shell": (str(brought), "sh")})
    vars(house.bench.services)["workflow"] = house.bench.services.workflow.model_copy(
        update={"processors": {"l0u": processor}}
    )
    said = house.run()
    assert house.bench.outcome is not None, said
    assert house.bench.outcome.status == "succeeded", said


def test_the_kernels_word_on_memory(own_buckets: Settings, folder: Path) -> None:
    events = "/sys/fs/cgroup/memory.events"
    house = House(own_buckets, folder, script(f"printf 'oom 1\\noom_kill 1\\n' >{events}; kill -9 $$"), user=USER)
    group = house.image / "sys/fs/cgroup"
    group.mkdir(parents=True)
    for name, text in {
        "memory.events": "low 0\noom 0\noom_kill 0\noom_group_kill 0\n",
        "memory.peak": "1572864\n",
        "cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
    }.items():
        (group / name).write_text(text)
        (group / name).chmod(0o666)
    house.run()
    ended = house.bench.ended()
    assert ended is not None
    assert (ended.status, ended.reason) == ("infrastructure", "OOMKilled")
    note = (house.folder / "pod-1/scratch/job/execution.json").read_text()
    assert '"peak_rss_mb": 1.5' in note
    assert '"cpu_seconds": 0.00' in note


def test_a_pod_that_is_deleted_leaves_nothing_visible_and_the_next_one_finishes(
    own_buckets: Settings, folder: Path
) -> None:
    body = "case $(ls /opt) in *go*) ;; *) echo waiting; sleep 60 & wait;; esac"
    house = House(own_buckets, folder, script(body))
    pod = house.pod()
    thread = threading.Thread(target=pod.run)
    thread.start()
    until(
        lambda: (house.folder / "pod-1/ipf.log").exists() and "waiting" in (house.folder / "pod-1/ipf.log").read_text()
    )
    pod.stop()
    thread.join(60)
    assert [(container.name, container.code) for container in pod.ended] == [
        ("stage-in", 0),
        ("ipf", 128 + signal.SIGTERM),
    ]
    assert (house.bench.outcome, house.bench.ended(), house.bench.uploaded()) == (None, None, {})
    (house.image / "opt/go").touch()
    house.run(number=2)
    assert house.bench.outcome is not None
    assert house.bench.outcome.status == "succeeded"


def test_the_same_pod_once_more_from_its_beginning(own_buckets: Settings, folder: Path) -> None:
    house = House(
        own_buckets,
        folder,
        script("[ ! -e working ] || exit 202; mkdir working; chmod 700 working; exit 130"),
        user=USER,
    )
    pod = house.pod()
    stage_out = pod.job["spec"]["template"]["spec"]["containers"].pop()
    pod.run()
    pod.job["spec"]["template"]["spec"]["containers"].append(stage_out)
    house.run()
    ended = house.bench.ended()
    assert ended is not None
    assert (ended.status, ended.exit_code) == ("retry", 130)
    house.run()
    assert (house.folder / "pod-1/scratch/job/.s2ps/skip").exists(), "the attempt is over: nothing is run again"
    assert house.bench.ended() == ended


class Gate:
    """Stands between a pod and its store. While it is shut, connections end at once; after so many it opens."""

    def __init__(self, endpoint: str, refusals: int) -> None:
        host, _, port = endpoint.removeprefix("http://").partition(":")
        self._store, self._left, self.shut, self.refused = (host, int(port)), refusals, False, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.shut and self.refused < self._left:
                self.refused += 1
                near.close()
                continue
            threading.Thread(target=self._join, args=(near, socket.create_connection(self._store)), daemon=True).start()

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        with near, far:
            back = threading.Thread(target=self._pass, args=(far, near), daemon=True)
            back.start()
            self._pass(near, far)
            back.join()

    @staticmethod
    def _pass(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := one.recv(1 << 16):
                other.sendall(chunk)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


def test_a_store_that_is_away_when_stage_out_begins_does_not_cost_the_run(own_buckets: Settings, folder: Path) -> None:
    house = House(own_buckets, folder)
    gate = Gate(own_buckets.store_endpoint, refusals=9)
    pod = house.pod()
    config = {name: {**values, "S2PS_STORE_ENDPOINT": gate.endpoint} for name, values in pod.config.items()}
    pod.config = config

    def shut(name: str) -> None:
        gate.shut = name == "stage-out"

    try:
        ended = pod.run(before=shut)
    finally:
        gate.close()
    assert [container.code for container in ended] == [0, 0, 0], ended[-1].output
    assert gate.refused == 9
    assert "again in" in ended[-1].output
    assert house.bench.outcome is not None
    assert house.bench.outcome.status == "succeeded"


def test_an_open_processor_in_a_pod(own_buckets: Settings, folder: Path) -> None:
    bench = make_bench(own_buckets, folder, Path(graph.__file__).parent / "processors/open.yaml")
    ended = pod_of(bench, folder / "pod").run()
    assert [container.code for container in ended] == [0, 0, 0], ended[-1].output
    assert bench.outcome is not None
    assert (bench.outcome.status, bench.outcome.exit_code) == ("failed", 128)
    assert "no frame that decodes" in bench.outcome.reason
    assert "[E]" in ended[1].output


def test_an_ipf_works_in_its_own_folder_of_the_shared_volume(own_buckets: Settings, folder: Path) -> None:
    probe = """
pwd >"$strip/pwd"; umask 077; mkdir "$strip/closed"; echo x >"$strip/closed/x"
"""
    seen = folder / "seen"
    shared = {"claim": "l1", "path": str(seen)}
    documented_outputs = yaml.safe_load(documented("processor.yaml"))["l0u"]["outputs"]
    # What is a place for later steps keeps the folder there once the products are in the store.
    place_of = {"file_type": "L0U_PLACE", "path": "outputs/DS_GR_FOLDER", "harvest": {"rule": "place"}}
    house = House(own_buckets, folder, script(probe), user=USER, shared=shared, outputs=[*documented_outputs, place_of])
    said = house.run()
    outcome = house.bench.outcome
    assert outcome is not None, said
    assert outcome.status == "succeeded", outcome.reason
    artifact = outcome.outputs[0]
    assert {"MTD.xml", "closed/x"} <= {file.path for file in artifact.files}, "what the IPF closed is the group's again"
    place = house.bench.place
    (base,) = seen.iterdir()
    assert base.name.startswith(f"l0u-{place.digest[:8]}-1-")
    (volume,) = (path for path in (folder / "pod-1/volumes").iterdir() if (path / place.session).exists())
    assert seen.resolve() == volume / place.session / place.unit
    strip = base / "outputs/DS_GR_FOLDER/DT01"
    assert (strip / "pwd").read_text().split() == [f"{folder}/pod-1/scratch/job"], "it is called in its working folder"
    assert strip.stat().st_uid == USER
    assert {path.stat().st_gid for path in (base, strip, strip / "closed")} == {10001}
