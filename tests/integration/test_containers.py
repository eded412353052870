"""Every function of ``knative/base``, started by its container's command and asked as Knative asks."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eventing.local.delivery import judge
from eventing.local.functions import Reply
from shared.adapters.s3 import S3Store
from shared.cloudevents import MAX_BODY
from shared.domain.events import Event, object_created
from shared.ledger import keys
from shared.settings import Settings
from tests.support.runs import wait_for
from tests.support.served import (
    BUCKETS,
    HOP,
    SERVICES,
    JobObject,
    Server,
    Sink,
    binary,
    container_command,
    container_env,
    finish,
    recording_sink,
    reply_of,
    serving,
    store_env,
    structured,
)

SESSION = "S2A_20260621104500057405"
WORK = f"sessions/{SESSION}/work/l0u/{SESSION}/{'0' * 64}/"
SEEN = f"sessions/{SESSION}/seen/DCS_05_{SESSION}_ch1_DSDB_00001.raw.json"
TOKEN = "of-the-store"
STORED = f"sessions/{SESSION}/complete.json"
NOTIFICATION = json.dumps(
    {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-central-1",
                "eventTime": "2026-06-21T10:53:20.000Z",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "bucket": {"name": "s2-ledger", "arn": "arn:aws:s3:::s2-ledger"},
                    "object": {"key": STORED, "size": 10, "eTag": "d41d8cd98f00b204e9800998ecf8427e"},
                },
            }
        ]
    }
).encode()


def tick(name: str, when: datetime | None = None) -> Event:
    source = f"/apis/v1/namespaces/s2ps/pingsources/{name}"
    when = when or datetime.now(UTC)
    return Event("0f6f3a52-9a0c-4b8e-8e3f-0e9b9d1f6a10", source, "dev.knative.sources.ping", time=when, data={})


def dead(event: Event) -> Event:
    said = base64.b64encode(b"session-assembly: DSIB: expected XML").decode()
    error = {"knativeerrordest": "http://session-assembly.s2ps.svc.cluster.local", "knativeerrorcode": "422"}
    return Event(
        event.id, event.source, event.type, event.subject, event.time, event.data, {**error, "knativeerrordata": said}
    )


LEDGER_EVENTS = {
    "file-transfer": SEEN,
    "session-assembly": f"sessions/{SESSION}/received/DCS_05_{SESSION}_ch1_DSDB_00001.raw.receipt.json",
    "job-preparation": STORED,
    "job-launch": f"{WORK}order.json",
    "product-publication": f"{WORK}outcome.json",
    "session-account": f"{WORK}outcome.json",
}
EVENTS: dict[str, Event] = {
    "station-poll": tick("station-poll"),
    "aux-poll": tick("aux-poll"),
    "product-intake": tick("product-intake"),
    "sweep": tick("sweep"),
    "dead-letters": dead(object_created("s2-ledger", STORED, "e")),
    "job-settlement": JobObject("s2ps-l0u-0", {"other.org/team": "x"}).event(),
    **{name: object_created("s2-ledger", key, "e", size=10) for name, key in LEDGER_EVENTS.items()},
}
"""What the broker, or a source, sends to each; none of it is in the store: it has gone, and that is no failure."""
TOLD = sorted(EVENTS)


def test_every_function_is_here() -> None:
    assert {*EVENTS, "object-events"} == set(SERVICES)


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with recording_sink() as sink:
        yield sink


Start = Callable[..., Server]


@pytest.fixture(scope="module")
def settings(s3_settings: Settings) -> Settings:
    """Settings of a store with buckets of these tests' own."""
    tag = uuid.uuid4().hex[:8]
    names = {f"bucket_{name}": f"{name}-{tag}" for name in BUCKETS}
    store = S3Store.from_settings(s3_settings)
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(store.ensure_bucket, names.values()))
    return s3_settings.model_copy(update=names)


@pytest.fixture
def start(settings: Settings, sink: Sink, tmp_path: Path) -> Iterator[Start]:
    """Starts a function's container against the store of these tests."""
    with contextlib.ExitStack() as stack:

        def begin(name: str, **env: str) -> Server:
            secret = {**store_env(settings), "K_SINK": sink.url, "S2PS_NOTIFICATION_TOKEN": TOKEN}
            environment = container_env(SERVICES[name], secret) | env
            return stack.enter_context(serving(container_command(), environment, tmp_path / f"{name}.log"))

        yield begin


def accepted(reply: Reply) -> bool:
    """Done, as the broker reads it: no body, and no type that would make it one."""
    assert (reply.status, reply.body) == (204, b""), reply
    assert "application/cloudevents" not in reply.headers.get("content-type", "")
    assert "transfer-encoding" not in reply.headers
    return judge(reply).accepted


@pytest.mark.parametrize("name", TOLD)
def test_an_event_as_the_broker_sends_it(name: str, start: Start) -> None:
    server = start(name)
    headers, body = binary(EVENTS[name])
    assert accepted(server.post(headers, body)), "binary"
    assert accepted(server.post(headers, iter([body[:5], body[5:]]))), "chunked"
    assert accepted(server.post(*structured(EVENTS[name]))), "structured"
    with contextlib.closing(server.connection()) as kept:  # a proxy keeps its connection
        for _ in range(3):
            kept.request("POST", "/", body, headers)
            answer = reply_of(kept)
            assert accepted(answer)
            assert answer.headers.get("connection", "keep-alive") == "keep-alive"


@pytest.mark.parametrize("name", TOLD)
def test_what_is_no_event_is_refused_for_good_in_one_sentence(name: str, start: Start) -> None:
    server = start(name)
    headers, body = binary(EVENTS[name])
    large = {**headers, "Content-Length": str(MAX_BODY + 1), "Expect": "100-continue"}
    without = {key: value for key, value in headers.items() if key != "Ce-Id"}
    batch = {"Content-Type": "application/cloudevents-batch+json", **HOP}
    replies = {
        "batch": server.post(batch, b"[]"),
        "no id": server.post(without, body),
        "no event": server.post({"Content-Type": "application/json", **HOP}, b"{}"),
        "torn": server.post({**headers, "Content-Type": "application/json"}, b'{"size": 1'),
        "too large": server.post(large),
        "too large, chunked": server.post(headers, (b" " * 65536 for _ in range(MAX_BODY // 65536 + 1))),
    }
    for what, reply in replies.items():
        verdict = judge(reply)
        assert (reply.status, verdict.accepted, verdict.retried) == (400, False, False), (what, reply)
        assert (b"expected" in reply.body, b"\n" in reply.body, len(reply.body) < 300) == (True, False, True), what
    assert accepted(server.post(headers, body)), "it goes on serving"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_probes_hold_nobody_up(name: str, start: Start) -> None:
    server = start(name)
    for _ in range(20):
        socket.create_connection(("127.0.0.1", server.port)).close()
    assert server.post({"User-Agent": "kube-probe/1.34"}, method="GET").status == 405
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))):  # says nothing
        reply = server.post({"User-Agent": "kube-probe/1.34"}, method="GET")
    assert reply.status == 405
    assert server.process.poll() is None


@pytest.mark.parametrize("name", TOLD)
def test_as_many_events_at_a_time_as_the_manifest_says_and_all_end_well_after_sigterm(name: str, start: Start) -> None:
    server = start(name)
    headers, body = binary(EVENTS[name])
    many = SERVICES[name].spec.template.spec.container_concurrency
    under_way = [server.begin(headers, len(body)) for _ in range(many)]
    server.terminate()
    wait_for(lambda: b"SIGTERM" in server.log.read_bytes(), "the server to hear of SIGTERM")
    for request in under_way:
        assert accepted(finish(request, body))
    assert server.process.wait(20) == 0, server.log.read_text()


def test_a_stores_notification_goes_to_the_broker(start: Start, sink: Sink) -> None:
    server = start("object-events")
    headers = {"Content-Type": "application/json", "User-Agent": "store", "Authorization": f"Bearer {TOKEN}", **HOP}
    before = len(sink.seen)
    assert accepted(server.post(headers, NOTIFICATION))
    [event] = sink.seen[before:]
    assert (event.type, event.source, event.subject) == ("com.amazonaws.s3.ObjectCreated:Put", "s2-ledger", STORED)
    assert server.post({**headers, "Authorization": "Bearer guessed"}, NOTIFICATION).status == 401
    assert judge(server.post(headers, b'{"Records": [')).retried is False
    assert len(sink.seen) == before + 1
    request = server.begin(headers, len(NOTIFICATION))
    server.terminate()
    wait_for(lambda: b"SIGTERM" in server.log.read_bytes(), "the server to hear of SIGTERM")
    assert accepted(finish(request, NOTIFICATION))
    assert server.process.wait(20) == 0
    assert len(sink.seen) == before + 2


def test_a_dead_letter_is_in_the_ledger(start: Start, settings: Settings) -> None:
    server = start("dead-letters")
    assert accepted(server.post(*binary(EVENTS["dead-letters"], {"Kn-Namespace": "s2ps"})))
    store = S3Store.from_settings(settings)
    [found] = list(store.list(settings.bucket_ledger, "dead-letters/"))
    record: dict[str, Any] = json.loads(store.get(settings.bucket_ledger, found.key)[0])
    assert record["reason"] == "422: session-assembly: DSIB: expected XML"


@pytest.fixture
def lost(settings: Settings) -> Iterator[S3Store]:
    """An open session with a file that was seen and never fetched: each sweep announces it again."""
    store = S3Store.from_settings(settings)
    store.put(settings.bucket_ledger, keys.open_marker(SESSION), b"{}")
    store.put(settings.bucket_ledger, SEEN, b"{}")
    yield store
    for key in (keys.open_marker(SESSION), keys.complete(SESSION), SEEN):
        store.delete(settings.bucket_ledger, key)


def sweeping(start: Start) -> Server:
    return start("sweep", S2PS_SWEEP_STAY_S="300", S2PS_SWEEP_INTERVAL_S="0.05", S2PS_SWEEP_GRACE_S="0")


def begin_tick(server: Server, event: Event) -> socket.socket:
    headers, body = binary(event)
    request = server.begin(headers, len(body))
    request.sendall(body)
    return request


@pytest.mark.usefixtures("lost")
def test_a_sweep_stays_while_a_session_is_open_and_sigterm_ends_it(start: Start, sink: Sink) -> None:
    before = len(sink.seen)
    server = sweeping(start)
    request = begin_tick(server, tick("sweep"))
    wait_for(lambda: len(sink.seen) >= before + 3, "a third round")
    assert {event.subject for event in sink.seen[before:]} == {SEEN}
    assert accepted(server.post(*binary(tick("sweep")))), "a second tick leaves the rounds to the first"
    server.terminate()
    assert accepted(finish(request, b""))
    assert server.process.wait(20) == 0


def test_a_stay_ends_with_the_last_session(start: Start, sink: Sink, lost: S3Store, settings: Settings) -> None:
    before = len(sink.seen)
    server = sweeping(start)
    request = begin_tick(server, tick("sweep"))
    wait_for(lambda: len(sink.seen) >= before + 2, "a second round")
    lost.delete(settings.bucket_ledger, keys.open_marker(SESSION))
    assert accepted(finish(request, b""))


@pytest.mark.usefixtures("lost")
def test_a_tick_that_waited_too_long_is_one_round(start: Start, sink: Sink) -> None:
    before = len(sink.seen)
    late = tick("sweep", datetime.now(UTC) - timedelta(seconds=301))
    assert accepted(sweeping(start).post(*binary(late)))
    assert len(sink.seen) == before + 1


@pytest.mark.usefixtures("lost")
def test_a_poll_stays_while_a_session_comes_in(start: Start, settings: Settings, lost: S3Store) -> None:
    server = start("station-poll", S2PS_POLL_STAY_S="300", S2PS_POLL_INTERVAL_S="0.05", S2PS_STATIONS="[]")
    request = begin_tick(server, tick("station-poll"))
    request.settimeout(0.5)
    with pytest.raises(TimeoutError):
        request.recv(1)
    request.settimeout(30)
    lost.put(settings.bucket_ledger, keys.complete(SESSION), b"{}")
    assert accepted(finish(request, b""))
