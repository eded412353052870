"""The README's first command, whole: real processes, real store, real station, real processors; then killed at will."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rasterio

from eventing.local import control
from eventing.local.config import RunDir, settings_from
from eventing.local.processes import family, send
from shared.bootstrap import Services
from shared.errors import S2psError
from shared.ledger.keys import parse_work
from shared.ledger.ledger import Ledger
from shared.ledger.records import Account, Attempt, Published
from shared.telemetry import session_context
from tests.support.runs import stop_and_check, wait_for

SMALL = ("--scenes", "1", "--detectors", "6", "--chunk-mib", "6", "--rate", "20")


@dataclass
class DemoRun:
    """``s2ps run`` as a process of its own."""

    run: RunDir
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, folder: Path, *more: str) -> DemoRun:
        run = RunDir.at(folder)
        command = [sys.executable, "-m", "functions.cli.main", "run", "--run-dir", str(folder), *SMALL, *more]
        environment = {**os.environ, "COLUMNS": "200"}
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return cls(run, process)

    def ledger(self) -> Ledger | None:
        found = control.state(self.run)
        return None if found is None else Services(settings_from(found.settings)).ledger

    def when(self, moment: Callable[[Ledger], object], what: str) -> None:
        """Wait for a moment of the session, by its ledger."""

        def reached() -> object:
            assert self.process.poll() is None, self.process.communicate()[0]
            ledger = self.ledger()
            try:
                return ledger is not None and moment(ledger)
            except S2psError:
                return False  # the store is not up yet

        wait_for(reached, what, timeout_s=240)

    def finish(self) -> str:
        output, _ = self.process.communicate(timeout=500)
        assert self.process.returncode == 0, output
        return output

    def kill_everything(self) -> None:
        """As a power cut would: no process gets to say a word."""
        self.process.kill()
        wait_for(lambda: not self._killed(), "the end of every process")
        self.process.communicate()

    def _killed(self) -> list[int]:
        alive = family(self.run.path)
        send(alive, signal.SIGKILL)
        return alive


@dataclass(frozen=True)
class Reference:
    """The undisturbed run: what it printed, and the bytes of its images by name without creation stamps."""

    folder: Path
    output: str
    account: Account
    images: dict[str, bytes]
    spans: list[dict[str, Any]]


def finished(ledger: Ledger) -> tuple[Account, list[Published]]:
    (found,) = [i.key for i in ledger.list("sessions/") if i.key.endswith("/account.json")]
    products = [ledger.read(info.key, Published) for info in ledger.list("products/")]
    return ledger.read(found, Account), products


def images(folder: Path) -> dict[str, bytes]:
    """The images of all tiles; their own names hold no creation stamp."""
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("IMG_DATA/**/T*.jp2"))}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("reference") / "run"
    started = DemoRun.start(folder, "--keep")
    try:
        output = started.finish()
        ledger = started.ledger()
        assert ledger is not None
        account, _ = finished(ledger)
    finally:
        started.process.kill()
        stop_and_check(started.run)
    traced = subprocess.run(
        [sys.executable, "-m", "functions.cli.main", "trace", account.session, "--run-dir", str(folder), "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return Reference(folder, output, account, images(folder / "products"), json.loads(traced.stdout)["items"])


def test_every_product_is_produced_and_the_table_says_when(reference: Reference) -> None:
    account = reference.account
    assert {entry.ended for entry in account.entries} == {"produced"}
    assert {"SAD", "L0", "L1C", "L2A"} == {entry.level for entry in account.entries}
    assert f"{account.produced} of {account.produced} produced" in reference.output
    for entry in account.entries:
        assert entry.product in re.sub(r"\s+", "", reference.output)


# The driver's container dataset has no place of its own, only its subdatasets have.
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_gdal_opens_every_tile_product_through_its_sentinel2_driver(reference: Reference) -> None:
    products = sorted((reference.folder / "products").glob("*_MSIL*"))
    assert {p.name.split("_")[1] for p in products} == {"MSIL1C", "MSIL2A"}
    for product in products:
        level = product.name.split("_")[1]
        with rasterio.open(product / f"MTD_{level}.xml") as dataset:
            assert dataset.driver == "SENTINEL2"
            resolutions = {name.split(":")[-2] for name in dataset.subdatasets}
            assert resolutions == {"10m", "20m", "60m", "TCI"}
            first = dataset.subdatasets[2]
        with rasterio.open(first) as bands:
            assert bands.read(1, out_shape=(183, 183)).max() > 0


def test_the_trace_of_the_session_is_one_from_the_station_to_the_last_product(reference: Reference) -> None:
    account = reference.account
    services = {str(span["service"]) for span in reference.spans}
    assert {"station_poll", "file_transfer", "session_assembly", "job_preparation", "job_launch"} <= services
    assert {"product_publication", "session_account"} <= services
    roots = [span for span in reference.spans if not span["parent_id"]]
    assert [root["name"] for root in roots] == [f"session {account.session}"]
    known = {span["span_id"] for span in reference.spans}
    assert all(span["parent_id"] in known for span in reference.spans if span["parent_id"])
    executed = {span["attributes"]["s2ps.step"] for span in reference.spans if span["name"] == "execute"}
    assert executed == {"l0u", "l0c", "l1b", "l1c", "l2a"}
    assert {span["trace_id"] for span in reference.spans} == {session_context(account.session).trace_id}


def test_the_quicklook_is_a_picture(reference: Reference) -> None:
    assert (reference.folder / "quicklook.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_left_running(reference: Reference) -> None:
    assert family(reference.folder) == []


# kill -9 ---------------------------------------------------------------------------------------------------------
def attempts(ledger: Ledger, step: str) -> list[str]:
    found = [i.key for i in ledger.list("sessions/") if f"/work/{step}/" in i.key]
    return [key for key in found if "/attempts/" in key and not key.endswith("ended.json")]


def has_outcome(ledger: Ledger, step: str) -> bool:
    return any(i.key.endswith("/outcome.json") and f"/work/{step}/" in i.key for i in ledger.list("sessions/"))


def received(ledger: Ledger) -> list[str]:
    return [i.key for i in ledger.list("sessions/") if i.key.endswith(".receipt.json")]


def kill_job(demo: DemoRun, step: str) -> None:
    """One attempt's runner and processor, and nothing else."""
    running = [pid for pid in family(demo.run.path) if f"/work/{step}/" in command_line(pid)]
    assert running
    send(running, signal.SIGKILL)


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A run folder; what a test that failed left up in it is brought down."""
    yield tmp_path / "run"
    stop_and_check(RunDir.at(tmp_path / "run"))


def test_the_command_outlives_its_store_and_says_that_its_runtime_has_ended(folder: Path) -> None:
    demo = DemoRun.start(folder)
    demo.when(received, "a first file in the store")
    state = control.state(demo.run)
    assert state is not None
    (store,) = [pid for pid in family(demo.run.path) if "weed" in command_line(pid)]
    send([store], signal.SIGKILL)
    demo.when(lambda ledger: attempts(ledger, "l0u"), "L0U, from the store that was started anew")
    send([state.pid], signal.SIGKILL)
    output, _ = demo.process.communicate(timeout=60)
    assert demo.process.returncode == 1
    assert "--resume" in output
    assert "Traceback" not in output
    assert family(demo.run.path) == []


def test_killed_at_any_moment_and_started_again_it_ends_with_the_same_products(
    reference: Reference, folder: Path
) -> None:
    demo = DemoRun.start(folder)
    demo.when(received, "a first file in the store")
    demo.kill_everything()

    demo = DemoRun.start(folder, "--resume")
    demo.when(lambda ledger: attempts(ledger, "l0u") and not has_outcome(ledger, "l0u"), "L0U under way")
    wait_for(lambda: any("/work/l0u/" in command_line(pid) for pid in family(demo.run.path)), "the Job's process")
    kill_job(demo, "l0u")
    demo.when(lambda ledger: len(attempts(ledger, "l0u")) > 1 or has_outcome(ledger, "l0u"), "a second attempt at L0U")
    demo.when(lambda ledger: attempts(ledger, "l1b"), "L1B under way")
    demo.kill_everything()

    demo = DemoRun.start(folder, "--resume")
    demo.when(lambda ledger: has_outcome(ledger, "l1c"), "an L1C product about to be published")
    demo.kill_everything()

    demo = DemoRun.start(folder, "--resume", "--keep")
    demo.finish()
    ledger = demo.ledger()
    assert ledger is not None
    account, products = finished(ledger)
    places = [p[0] for i in ledger.list("sessions/") if (p := parse_work(i.key)) is not None and p[1] == "order.json"]
    tries = [ledger.read(key, Attempt).number for key in attempts(ledger, "l0u")]
    stop_and_check(demo.run)

    assert (account.produced, account.absent, account.parked) == (reference.account.produced, 0, 0)
    assert len(products) == len({p.product for p in products}) == account.produced
    assert len(places) == len({(place.step, place.unit) for place in places})
    assert max(tries) > 1
    assert images(folder / "products") == reference.images
