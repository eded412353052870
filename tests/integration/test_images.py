"""The images: what their Dockerfiles say, and the function image built and run as a cluster runs it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from eventing.local.config import ROOT
from eventing.local.processes import free_port
from shared.domain.events import object_created
from shared.settings import Settings
from tests.support.images import Image, builder, missing
from tests.support.runs import wait_for
from tests.support.served import SERVICES, binary, container_env, serving, store_env

IMAGES = ROOT / "knative" / "images"
NAMES = ("functions", "processors", "rehearsal")
# What the base has; anything else that a library asks for has to be installed by its Dockerfile.
BASE_LIBRARIES = {"libc", "libm", "libdl", "libpthread", "librt", "libgcc_s", "libstdc++", "libz", "libutil"}
EVENT = object_created("s2-ledger", "sessions/S2A_20260621104500057405/gone.json", "e")


def text(name: str) -> str:
    return (IMAGES / name / "Dockerfile").read_text()


def test_every_image_has_the_same_base_by_digest() -> None:
    bases = {found for name in NAMES for found in re.findall(r"^ARG BASE=(.+)$", text(name), re.MULTILINE)}
    [base] = bases
    assert re.fullmatch(r"docker\.io/library/python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", base)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_copied_is_there_and_let_in(name: str) -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = [
        word for line in re.findall(r"^COPY (?!--from)(.+)$", text(name), re.MULTILINE) for word in line.split()[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in let_in, source


@pytest.mark.parametrize("name", NAMES)
def test_the_last_stage_is_nobodys_and_has_no_secret(name: str) -> None:
    last = text(name).rsplit("\nFROM ", 1)[1]
    users = re.findall(r"^USER (.+)$", last, re.MULTILINE)
    assert not users or users[-1] == "10001:10001"
    assert "/pip" not in last
    assert "secret" not in last


def pins(lock: str) -> set[str]:
    return set(re.findall(r"^(\S+==\S+)", (ROOT / "requirements" / lock).read_text(), re.MULTILINE))


def test_the_locks_agree() -> None:
    """Each image adds to the one below; a version that differed would replace files of a lower layer."""
    assert pins("functions.txt") < pins("processors.txt") < pins("run.txt")


@pytest.mark.parametrize("engine", ["docker", "podman", "buildah"])
def test_make_names_the_images_as_the_manifests_do(engine: str) -> None:
    said = subprocess.run(
        ["make", "-n", "images", f"ENGINE={engine}", "BASE=example/base@sha256:1"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    builds = [line for line in said.splitlines() if f"{engine} build " in line]
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    for line, name in zip(builds, NAMES, strict=True):
        assert f" -t kind.local/s2ps-{name}:{version[1]} " in line
        assert " --build-arg BASE=example/base@sha256:1 " in line
    assert f"FUNCTIONS=kind.local/s2ps-functions:{version[1]} " in builds[1]
    assert f"PROCESSORS=kind.local/s2ps-processors:{version[1]} " in builds[2]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The function image, built here: one or two minutes."""
    if reason := missing():
        pytest.skip(reason)
    with builder(tmp_path_factory.mktemp("images")) as build:
        build.make_base()
        yield build.make("functions")


def test_the_image_is_as_small_and_poor_as_it_can_be(image: Image) -> None:
    assert image.config["User"] == "10001:10001"
    assert image.config["Cmd"] == ["python", "-m", "eventing.serve"]
    assert image.config["Labels"]["org.opencontainers.image.version"]
    size = sum(path.lstat().st_size for place in ("app", "opt") for path in (image.root / place).rglob("*"))
    assert size < 110e6, f"{size / 1e6:.0f} MB"
    there = {path.name for path in (image.root / "opt/s2ps/lib/python3.11/site-packages").iterdir()}
    assert there.isdisjoint({"pip", "setuptools", "numpy", "numba", "rasterio", "wsgidav", "pytest"})
    assert not (image.root / "build").exists()
    assert not (image.root / "pip").exists()
    assert image.run("id", "-u").stdout == "10001\n"
    search = "find / -xdev -writable ! -type l ! -path '/tmp*' ! -path '/proc*' ! -path '/dev*' 2>/dev/null"
    assert image.run("sh", "-c", search, check=False).stdout == ""


def test_no_library_asks_for_what_the_base_lacks(image: Image) -> None:
    said = image.run("sh", "-c", "find /opt -name '*.so*' -type f | xargs ldd 2>/dev/null", check=False).stdout
    asked = {found.partition(".")[0] for found in re.findall(r"^\s+(\S+) => /", said, re.MULTILINE)}
    assert asked
    assert asked <= BASE_LIBRARIES
    assert "not found" not in said


def test_nothing_is_compiled_at_a_start(image: Image) -> None:
    """On a read-only root it would be compiled at each start, which trebles its time."""
    start = "import functions_framework as f; f.create_app('main', '/app/functions/sweep/main.py')"
    said = image.run("python", "-v", "-c", start, PYTHONDONTWRITEBYTECODE="").stderr
    loaded = re.findall(r"code object from '(.+)'", said)
    assert len(loaded) > 300
    assert [path for path in loaded if not path.endswith(".pyc")] == []


def test_the_console_is_on_the_path_under_both_names(image: Image) -> None:
    for name in ("s2ps", "kn-s2ps"):
        assert "sessions" in image.run(name, "--help").stdout
    assert image.run("/bin/busybox", "sh", "-c", "echo $((6*7))").stdout == "42\n"
    assert "stage-in" in image.run("python", "-m", "functions.ipf.runner", "--help").stdout


def test_the_services_of_aws_that_the_code_calls_are_described(image: Image) -> None:
    called = {
        name
        for folder in ("functions", "shared", "eventing")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"""(?:client|create_client)\(\s*["']([a-z0-9-]+)["']""", path.read_text())
    }
    assert "s3" in called
    clients = "import boto3, sys; [boto3.client(name, 'eu-central-1') for name in sys.argv[1:]]"
    image.run("python", "-c", clients, *sorted(called | {"sts"}))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_function_serves_from_the_image(name: str, image: Image, own_buckets: Settings, tmp_path: Path) -> None:
    env = container_env(SERVICES[name], {**store_env(own_buckets), "K_SINK": "http://127.0.0.1:9/"})
    source = PurePosixPath("/app") / Path(env["FUNCTION_SOURCE"]).relative_to(ROOT)
    port = free_port()
    command = image.command(*image.config["Cmd"], **(env | {"FUNCTION_SOURCE": str(source), "PORT": str(port)}))
    with serving(command, {}, tmp_path / "log", port=port) as server:
        assert server.post({}, method="GET").status == 405
        headers, body = binary(EVENT)
        assert server.post(headers, body).status in {204, 422}  # an event of another kind may be refused
        server.terminate()
        wait_for(lambda: server.process.poll() is not None, "its end")
    assert server.process.returncode == 0
