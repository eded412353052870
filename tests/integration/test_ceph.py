"""A real Ceph: the store holds what the service needs, and its notifications arrive, stay away, and are made good.

Skipped where Debian's packages ceph-mon, ceph-osd and radosgw are not installed.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from functions.sweep.step import Sweep
from shared.adapters.http_sink import HttpSink
from shared.adapters.s3 import S3Store
from shared.adapters.store_setup.ceph import SECTION
from shared.adapters.store_setup.notifications import make_sns, read_configuration
from shared.adapters.store_setup.report import Report
from shared.adapters.store_setup.setup import set_up_store
from shared.bootstrap import Services
from shared.domain.events import Event
from shared.errors import ObjectAbsentError
from shared.ledger import keys
from shared.ledger.records import Seen
from shared.settings import Settings
from tests.support.ceph import Ceph, missing_programs, running_ceph
from tests.support.receiver import TOKEN, Broker, Ingress, expected, running_object_events
from tests.support.runs import wait_for

MIB = 1 << 20
DISCOVERY_S = 60.0
"""The gateway looks for queues that are new to it every 30 s."""
START = datetime(2026, 11, 22, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    missing = missing_programs()
    if missing:
        pytest.skip(f"no Ceph here: {', '.join(missing)} not installed (ceph-mon ceph-osd radosgw)")
    with running_ceph(tmp_path_factory.mktemp("ceph")) as node:
        yield node


@pytest.fixture
def store(ceph: Ceph) -> S3Store:
    made = S3Store.from_settings(ceph.settings)
    made.ensure_bucket("plain")
    return made


def buckets(settings: Settings, tag: str, **more: Any) -> Settings:
    """The settings with buckets of a test's own."""
    names = {f"bucket_{name}": f"{name}-{tag}" for name in ("sessions", "auxiliary", "work", "products", "ledger")}
    return settings.model_copy(update={**names, "notification_token": SecretStr(TOKEN), **more})


def states(report: Report, kind: str = "") -> set[str]:
    return {item.state for item in report.items if kind in {"", item.kind}}


# The store itself


def test_sixteen_writers_have_one_winner(store: S3Store) -> None:
    barrier = threading.Barrier(16)

    def race(writer: int) -> bool:
        barrier.wait()
        return store.put_new("plain", "race", f"{writer}".encode())

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(race, range(16)))
    assert sum(won) == 1
    assert store.get("plain", "race")[0] == f"{won.index(True)}".encode()


def test_of_writers_of_the_same_bytes_one_wins(store: S3Store) -> None:
    """And the others know that they did not: two who do the same work write the same record."""
    barrier = threading.Barrier(6)
    store.put("plain", "same/swapped", b"before")
    before = store.get("plain", "same/swapped")[1].etag

    def race(new: str, etag: str) -> tuple[bool, bool]:
        barrier.wait()
        created = store.put_new("plain", new, b"the same")
        barrier.wait()
        return created, store.put_if("plain", "same/swapped", b"after", etag)

    for n in range(20):
        store.put("plain", "same/swapped", b"before")
        with ThreadPoolExecutor(6) as pool:
            won = list(pool.map(race, [f"same/{n}"] * 6, [before] * 6))
        assert [sum(created for created, _ in won), sum(swapped for _, swapped in won)] == [1, 1]


def test_an_etag_guards_a_replacement_quoted_or_not(store: S3Store) -> None:
    store.put("plain", "swap", b"1")
    etag = store.get("plain", "swap")[1].etag
    assert store.put_if("plain", "swap", b"2", f'"{etag}"')
    assert not store.put_if("plain", "swap", b"3", etag)
    assert store.get("plain", "swap")[0] == b"2"
    assert not store.put_if("plain", "gone", b"4", etag)


def test_no_update_of_a_counter_is_lost(store: S3Store) -> None:
    store.put("plain", "counter", b"0")

    def add(_: int) -> None:
        while True:
            body, info = store.get("plain", "counter")
            if store.put_if("plain", "counter", str(int(body) + 1).encode(), info.etag):
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(16)))
    assert store.get("plain", "counter")[0] == b"16"


def test_an_upload_is_resumed_and_not_seen_before_its_end(store: S3Store) -> None:
    body = bytes(range(256)) * (12 * MIB // 256)
    first = store.multipart("plain", "large", metadata={"a": "b"})
    first.put_part(1, body[: 5 * MIB])
    assert store.head("plain", "large") is None
    again = store.multipart("plain", "large")
    assert [(part.number, part.size) for part in again.parts] == [(1, 5 * MIB)]
    again.put_part(2, body[5 * MIB : 10 * MIB])
    again.put_part(3, body[10 * MIB :])
    again.complete()
    found, info = store.get("plain", "large")
    assert found == body
    assert info.metadata == {"a": "b"}
    with pytest.raises(ObjectAbsentError):
        first.put_part(2, body[:10])


# Its set-up


def test_a_second_set_up_changes_nothing(ceph: Ceph) -> None:
    settings = buckets(ceph.settings, "twice", notification_url="http://127.0.0.1:9/")
    looked = set_up_store(settings, apply=False)
    assert looked.store == "ceph"
    assert states(looked) == {"created"}
    assert states(set_up_store(settings)) == {"created"}
    client = S3Store.from_settings(settings).client
    before = read_configuration(client, settings.bucket_ledger)
    assert states(set_up_store(settings)) == {"unchanged"}
    assert states(set_up_store(settings, apply=False)) == {"unchanged"}
    assert read_configuration(client, settings.bucket_ledger) == before
    rules = client.get_bucket_lifecycle_configuration(Bucket=settings.bucket_sessions)["Rules"]
    assert {rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule} == {30}
    assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)


def test_what_others_made_is_kept(ceph: Ceph) -> None:
    settings = buckets(ceph.settings, "others", notification_url="http://127.0.0.1:9/")
    client, sns = S3Store.from_settings(settings).client, make_sns(settings)
    client.create_bucket(Bucket=settings.bucket_ledger)
    rule = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    client.put_bucket_lifecycle_configuration(Bucket=settings.bucket_ledger, LifecycleConfiguration={"Rules": [rule]})
    arn = sns.create_topic(Name="theirs", Attributes={"push-endpoint": "http://127.0.0.1:9/"})["TopicArn"]
    theirs = {"Id": "theirs", "TopicArn": arn, "Events": ["s3:ObjectRemoved:*"]}
    client.put_bucket_notification_configuration(
        Bucket=settings.bucket_ledger, NotificationConfiguration={SECTION: [theirs]}
    )
    set_up_store(settings)
    set_up_store(settings, renew=True)
    rules = client.get_bucket_lifecycle_configuration(Bucket=settings.bucket_ledger)["Rules"]
    assert {each["ID"] for each in rules} == {"theirs", "s2ps-uploads"}
    entries = read_configuration(client, settings.bucket_ledger)[SECTION]
    assert [each["Id"] for each in entries if each["Id"] == "theirs"] == ["theirs"]
    assert len(entries) == 2, "the topic that was replaced is told of no more"


def test_another_token_is_another_topic_and_writes_go_on(ceph: Ceph) -> None:
    settings = buckets(ceph.settings, "token", notification_url="http://127.0.0.1:9/")
    set_up_store(settings)
    store = S3Store.from_settings(settings)
    changed = set_up_store(settings.model_copy(update={"notification_token": SecretStr("another")}))
    assert states(changed, "topic") == {"changed"}
    assert store.put_new(settings.bucket_ledger, "written.json", b"{}")


def test_a_notification_without_its_topic_is_told_of(ceph: Ceph) -> None:
    """What this release makes of one: every write to the bucket fails."""
    settings = buckets(ceph.settings, "dangling", notification_url="http://127.0.0.1:9/")
    set_up_store(settings)
    client, sns = S3Store.from_settings(settings).client, make_sns(settings)
    (entry,) = read_configuration(client, settings.bucket_ledger)[SECTION]
    sns.delete_topic(TopicArn=entry["TopicArn"])
    assert states(set_up_store(settings), "topic") == {"changed"}, "ours is made anew"
    assert S3Store.from_settings(settings).put_new(settings.bucket_ledger, "written.json", b"{}")


# Its notifications


class Ledger:
    """Writes seen records of one open session, whose events the sweep answers for."""

    def __init__(self, settings: Settings, session: str) -> None:
        self.services = Services(settings)
        self.session = session
        self.services.store.put(settings.bucket_ledger, keys.open_marker(session), b"{}")

    def write(self, *numbers: int) -> list[Event]:
        """Write some; the events that they are to become."""
        return [self._write(number) for number in numbers]

    def _write(self, number: int) -> Event:
        file = f"DCS_05_{self.session}_ch1_DSDB_{number:05d}.raw"
        record = Seen(
            created=START, session=self.session, file=file, station="SGS_", tree="NOMINAL", satellite="S2B",
            path=f"/{file}", size=number, modified=START,
        )  # fmt: skip
        key, bucket = keys.seen(self.session, file), self.services.settings.bucket_ledger
        assert self.services.ledger.create(key, record)
        return expected(bucket, key, self.services.store.get(bucket, key)[1].etag)


def arrived(broker: Broker, events: list[Event]) -> Callable[[], bool]:
    return lambda: all(broker.has(event) for event in events)


def tries(ceph: Ceph) -> Callable[[], bool]:
    """Whether the gateway has, since now, tried to push something in vain: it says so, or still waits for the end."""
    log, socket = ceph.folder / "client.rgw.log", ceph.folder / "client.rgw.asok"
    start = log.stat().st_size

    def tried() -> bool:
        with log.open("rb") as file:
            file.seek(start)
            if b"WARNING: push entry" in file.read():
                return True
        told = subprocess.run(
            ["ceph", "--admin-daemon", str(socket), "perf", "dump"], capture_output=True, check=True, timeout=30
        ).stdout
        return bool(json.loads(told)["rgw"]["pubsub_push_pending"])

    return tried


def test_notifications_arrive_come_late_stay_away_and_are_made_good(ceph: Ceph, tmp_path: Path) -> None:
    """One story, since a new queue is found only after half a minute."""
    broker = Broker()
    settings = buckets(ceph.settings, "story")
    with running_object_events(settings, broker.url, tmp_path / "function.log") as function:
        ingress, other = Ingress(function), Ingress(function)
        settings = settings.model_copy(update={"notification_url": ingress.url})
        canary = buckets(ceph.settings, "canary", notification_url=other.url)
        assert states(set_up_store(settings)) == states(set_up_store(canary)) == {"created"}
        ledger, control = Ledger(settings, "S2B_20261122101500000123"), Ledger(canary, "S2B_20261122101500000124")

        first = [*ledger.write(*range(6)), *control.write(0)]
        wait_for(arrived(broker, first), "the first events", timeout_s=DISCOVERY_S)
        headers = broker.events[first[0].id]
        assert headers["ce-type"] == "com.amazonaws.s3.ObjectCreated:Put"
        assert headers["ce-source"] == settings.bucket_ledger
        assert headers["ce-subject"] == first[0].subject

        _away_behind_its_ingress(ingress, broker, ledger)
        _away_behind_the_function(ingress, broker, ledger)
        _gone(ceph, ingress, broker, ledger, control)
    broker.close()
    ingress.shut()
    other.shut()


def _away_behind_its_ingress(ingress: Ingress, broker: Broker, ledger: Ledger) -> None:
    """503, as an ingress answers without its function: all arrives when it is back, and then there is rest."""
    ingress.mode, before = "unavailable", ingress.requests
    events = ledger.write(*range(10, 30))
    wait_for(lambda: ingress.requests - before > 40, "the gateway to try again")
    assert not any(broker.has(event) for event in events)
    ingress.mode, sent = "forward", broker.requests
    wait_for(arrived(broker, events), "what was written meanwhile")
    later = ledger.write(30)
    wait_for(arrived(broker, later), "what is written then")
    assert broker.requests - sent <= 2 * (len(events) + len(later)), (
        "each comes about once, not as often as it was tried"
    )


def _away_behind_the_function(ingress: Ingress, broker: Broker, ledger: Ledger) -> None:
    """The broker is down: the function answers 503, and not so fast that the gateway's tries wear it out."""
    broker.answers, before, began = 503, ingress.requests, time.monotonic()
    events = ledger.write(*range(40, 44))
    wait_for(lambda: ingress.requests - before >= 3 * len(events), "the gateway to try again")
    rate = (ingress.requests - before) / (time.monotonic() - began)
    broker.answers = 202
    wait_for(arrived(broker, events), "what was written meanwhile")
    assert rate < 4 * len(events), f"{rate:.0f} requests a second"


def _gone(ceph: Ceph, ingress: Ingress, broker: Broker, ledger: Ledger, control: Ledger) -> None:
    """Connections refused: a queue of release 16.2 may stand still for ever; the sweep finds all, renewing heals it."""
    ingress.shut()
    tried = tries(ceph)
    events = ledger.write(*range(50, 56))
    wait_for(tried, "a try in vain")
    ingress.open()
    events += ledger.write(56)
    for number in range(1, 6):
        wait_for(arrived(broker, control.write(number)), "another topic's event, as long as this one's may take")

    sink = Broker()
    vars(ledger.services).update(sink=HttpSink(sink.url), clock=_Later())
    Sweep(ledger.services).run()
    sink.close()
    assert all(sink.has(event) for event in events), "the sweep sends what the store did not, under the same ids"

    renewed = set_up_store(ledger.services.settings, renew=True)
    assert states(renewed, "topic") == {"changed"}
    after = ledger.write(60)
    wait_for(arrived(broker, after), "the event of the new topic", timeout_s=DISCOVERY_S)


class _Later:
    """A clock for which nothing was written just now."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=1)
