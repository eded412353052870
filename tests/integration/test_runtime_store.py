"""The embedded store and its notifications: an object that is written wakes a function."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventing.local import control
from eventing.local.config import settings_from
from eventing.local.processes import family
from eventing.local.seaweed import weed_binary
from shared.bootstrap import Services
from shared.errors import ConfigurationError, StoreUnavailableError
from shared.ports import ObjectStore
from tests.support.runs import ProbeRun, make_probe_run, stop_and_check, wait_for

TRACE = "00-159d37f9728ad3b39ceb042a05987b32-925fbf7058975b3c-01"


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProbeRun]:
    try:
        weed_binary()
    except ConfigurationError as error:
        pytest.skip(str(error))
    made = make_probe_run(tmp_path_factory.mktemp("store"), store=True)
    made.start()
    yield made
    stop_and_check(made.run)


def services(probe: ProbeRun) -> Services:
    state = control.state(probe.run)
    assert state is not None
    return Services(settings_from(state.settings))


def test_a_record_becomes_an_event(probe: ProbeRun) -> None:
    services(probe).store.put("s2-ledger", "written.json", b"{}", metadata={"traceparent": TRACE})
    (seen,) = wait_for(lambda: probe.attempts("written.json"), "the event of the record")
    assert seen["extensions"]["traceparent"] == TRACE


def test_other_buckets_and_parts_of_uploads_are_silent(probe: ProbeRun) -> None:
    store = services(probe).store
    store.put("s2-work", "silent.json", b"{}")
    upload = store.multipart("s2-ledger", "large.json")
    upload.put_part(1, b"x" * (5 << 20))
    upload.put_part(2, b"y")
    upload.complete()
    wait_for(lambda: probe.attempts("large.json"), "the event of the whole upload")
    assert len(probe.attempts("large.json")) == 1
    assert probe.attempts("silent.json") == []


def test_notifications_without_the_token_are_refused(probe: ProbeRun) -> None:
    body = b'{"event_type": "create", "key": "/buckets/s2-ledger/forged.json", "message": {"new_entry": {"name": "x"}}}'
    assert probe.post("/fn/object_events", {"authorization": "Bearer guess"}, body)[0] == 401
    assert probe.post("/fn/object_events", {}, body)[0] == 401
    assert probe.attempts("forged.json") == []


def test_a_store_that_is_killed_is_started_anew_with_its_data(probe: ProbeRun) -> None:
    store = services(probe).store
    store.put("s2-ledger", "kept.json", b"kept")
    wait_for(lambda: probe.attempts("kept.json"), "the event of the record")
    pid = probe.status()["store"]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: probe.status()["store"]["pid"] not in {pid, None}, "the store to be started")
    assert wait_for(lambda: _read(store, "kept.json"), "the store to answer") == b"kept"
    store.put("s2-ledger", "after.json", b"{}")
    wait_for(lambda: probe.attempts("after.json"), "notifications to be back")


def _read(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get("s2-ledger", key)[0]
    except StoreUnavailableError:
        return None


def test_down_and_up_again_is_the_same_store(probe: ProbeRun) -> None:
    services(probe).store.put("s2-ledger", "before.json", b"before")
    endpoint = services(probe).settings.store_endpoint
    stop_and_check(probe.run)
    probe.start()
    assert services(probe).settings.store_endpoint == endpoint
    assert services(probe).store.get("s2-ledger", "before.json")[0] == b"before"


def test_down_after_a_kill_of_everything_leaves_nothing_outside_the_run(tmp_path: Path) -> None:
    try:
        weed_binary()
    except ConfigurationError as error:
        pytest.skip(str(error))
    made = make_probe_run(tmp_path, store=True)
    runtime = made.start().pid
    ports = json.loads((made.run.store / "ports.json").read_text()).values()
    for pid in sorted(family(made.run.path), key=lambda each: each != runtime):
        os.kill(pid, signal.SIGKILL)
    stop_and_check(made.run)
    assert [path for port in ports for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")] == []
