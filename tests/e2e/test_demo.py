"""The README's first command, whole: real processes, real store, real station, real processors; then killed at will."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import rasterio

from eventing.local import control
from eventing.local.config import RunDir
from eventing.local.processes import family, send
from shared.ledger.keys import parse_work
from shared.ledger.ledger import Ledger
from shared.ledger.records import Attempt
from shared.telemetry import session_context
from tests.support.demo_run import DemoRun, Reference, finished, images
from tests.support.runs import stop_and_check, wait_for


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


def test_its_own_time_is_told_for_each_product_and_is_but_a_part_of_the_way(reference: Reference) -> None:
    """Whatever the machine: all that was under way is on each way, and the IPFs' own figures are not in it."""
    told, account = reference.overhead, reference.account
    assert told["spans"] is True
    assert {each["product"] for each in told["products"]} == {entry.product for entry in account.entries}
    for each in told["products"]:
        assert 0 < each["own_s"] < each["total_s"]
        assert sum(each["parts"].values()) == pytest.approx(each["total_s"], abs=0.001)
        assert each["parts"]["ipf"] > 0
        assert each["parts"].get("untold", 0) < 0.1
        assert not {"failed", "operator", "auxiliary", "station"} & each["parts"].keys()
    assert 0 < told["first_ipf_s"] < min(each["total_s"] for each in told["products"])
    assert told["skew_s"] < 0.5
    l2a = max((each for each in told["products"] if each["level"] == "L2A"), key=lambda each: each["total_s"])
    executed = [span for span in reference.spans if span["name"] == "execute"]
    ran = sum((span["end"] - span["start"]) / 1e9 for span in executed)
    assert l2a["parts"]["ipf"] <= ran
    assert l2a["parts"]["function"] > 0


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
