"""Store notifications: who may send them, and what goes out."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from functions.object_events.envelopes import SnsEnvelopes
from functions.object_events.step import Receiver, StormError, WrongTokenError, knows_token
from shared.domain.events import Event
from shared.errors import BadInputError, PermanentError, RetryableError
from shared.settings import Settings
from tests.support.sns import PUBLIC_KEY, confirmation

TOKEN = "to/ken+é="
GOLDEN = Path(__file__).parents[2] / "eventing" / "golden" / "sns"


class Sink:
    """Keeps what is sent; fails where it is told to, by the subject."""

    def __init__(self, **failures: Exception) -> None:
        self.sent: list[Event] = []
        self.failures = failures

    def send(self, event: Event) -> None:
        if event.subject in self.failures:
            raise self.failures[event.subject]
        self.sent.append(event)

    @property
    def subjects(self) -> list[str]:
        return [event.subject for event in self.sent]


class NoEnvelopes:
    def open(self, document: Mapping[str, Any]) -> bytes | None:
        raise AssertionError(document)


def receiver(sink: Sink, token: str = "") -> Receiver:
    return Receiver(token, sink, NoEnvelopes())


def records(*keys: str, opaque: str | None = None, **more: Any) -> bytes:
    made: list[dict[str, Any]] = [
        {
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 1, "eTag": "e"}},
            **({} if opaque is None else {"eventSource": "ceph:s3", "opaqueData": opaque}),
            **more,
        }
        for key in keys
    ]
    return json.dumps({"Records": made}).encode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_each_object_is_one_event() -> None:
    sink = Sink()
    assert receiver(sink).receive(records("one", "two"), None) == 2
    assert sink.subjects == ["one", "two"]


def test_what_is_no_notification_sends_nothing() -> None:
    sink = Sink()
    with pytest.raises(BadInputError):
        receiver(sink).receive(b"<xml/>", None)
    assert sink.sent == []


def test_a_broker_that_is_down_half_way_is_told_and_the_batch_may_come_again() -> None:
    sink = Sink(two=RetryableError("the broker is down"))
    with pytest.raises(RetryableError):
        receiver(sink).receive(records("one", "two", "three"), None)
    del sink.failures["two"]
    receiver(sink).receive(records("one", "two", "three"), None)
    assert sink.subjects == ["one", "one", "two", "three"]
    assert sink.sent[0].id == sink.sent[1].id


def test_one_event_that_is_refused_keeps_no_other_from_going() -> None:
    sink = Sink(one=PermanentError("too large"))
    with pytest.raises(PermanentError, match="too large"):
        receiver(sink).receive(records("one", "two"), None)
    assert sink.subjects == ["two"]


def test_a_record_that_is_wrong_keeps_no_other_from_going() -> None:
    mixed = json.loads(records("one", "two", "three"))
    mixed["Records"][1]["s3"]["object"]["key"] = 3
    sink = Sink()
    with pytest.raises(BadInputError, match="key"):
        receiver(sink).receive(json.dumps(mixed).encode(), None)
    assert sink.subjects == ["one", "three"]


WRONG = [
    None, "", TOKEN, "Bearer", "Bearer wrong", f"bearer {TOKEN}", f"Bearer {TOKEN} ", "Bearer \udce9", "Basic",
    "Basic %", basic("s2ps", "wrong"), basic(TOKEN, ""), basic("s2ps", TOKEN + "x"), f"Digest {TOKEN}",
]  # fmt: skip


@pytest.mark.parametrize("header", WRONG)
def test_a_wrong_header_is_refused(header: str | None) -> None:
    sink = Sink()
    with pytest.raises(WrongTokenError) as refused:
        receiver(sink, TOKEN).receive(records("one"), header)
    assert TOKEN not in str(refused.value)
    assert sink.sent == []


@pytest.mark.parametrize(
    "header", [f"Bearer {TOKEN}", basic("s2ps", TOKEN), basic("", TOKEN), basic("s2ps", quote(TOKEN, safe=""))]
)
def test_the_right_token_opens_however_the_store_carries_it(header: str) -> None:
    sink = Sink()
    assert receiver(sink, TOKEN).receive(records("one"), header) == 1


def test_ceph_repeats_the_token_in_each_record() -> None:
    sink = Sink()
    assert receiver(sink, TOKEN).receive(records("one", "two", opaque=TOKEN), None) == 2


@pytest.mark.parametrize(
    "body",
    [
        records("one", opaque="wrong"),
        records("one", opaque=""),
        records("one", eventSource="ceph:s3"),
        records("one", eventSource="aws:s3", opaqueData=TOKEN),
        records(),
        records(opaque=TOKEN),
        json.dumps(
            {
                "Records": [
                    *json.loads(records("one", opaque=TOKEN))["Records"],
                    *json.loads(records("two", opaque="x"))["Records"],
                ]
            }
        ).encode(),
        b'{"Records": [{"eventSource": "ceph:s3", "opaqueData": ["a"]}]}',
        b'{"Records": [{"eventSource": "ceph:s3", "opaqueData": "\\ud800"}]}',
        b'{"event_type": "create", "opaqueData": "x"}',
        b"<xml/>",
        b"[" * 100_000,
        b"",
    ],
)
def test_strangers_learn_nothing_but_that_they_are_strangers(body: bytes) -> None:
    sink = Sink()
    with pytest.raises(WrongTokenError):
        receiver(sink, TOKEN).receive(body, None)
    assert sink.sent == []


def test_a_header_that_is_wrong_is_not_made_good_by_the_body() -> None:
    with pytest.raises(WrongTokenError):
        receiver(Sink(), TOKEN).receive(records("one", opaque=TOKEN), "Bearer wrong")


@pytest.mark.parametrize("header", WRONG)
def test_no_more_of_a_strangers_body_is_read_than_a_record_of_ceph_needs(header: str | None) -> None:
    """Of 4 MiB a reader of JSON makes 100: two such bodies at a time, and the function's memory is gone."""
    made = receiver(Sink(), TOKEN)
    assert made.limit(header) == (0 if header else 1 << 18)
    with pytest.raises(WrongTokenError):
        made.refuse(header, BadInputError("request body", "at most 262144 bytes"))


def test_who_knows_the_token_may_send_much_and_hears_what_is_too_much() -> None:
    for made, header in ((receiver(Sink(), TOKEN), f"Bearer {TOKEN}"), (receiver(Sink()), None)):
        assert made.limit(header) == 4 << 20
        with pytest.raises(BadInputError, match="at most"):
            made.refuse(header, BadInputError("request body", "at most 4194304 bytes"))


def test_ceph_is_braked_where_the_broker_is_down() -> None:
    with pytest.raises(StormError, match="down"):
        receiver(Sink(one=RetryableError("down")), TOKEN).receive(records("one", opaque=TOKEN), None)
    with pytest.raises(RetryableError) as other:
        receiver(Sink(one=RetryableError("down"))).receive(records("one"), None)
    assert not isinstance(other.value, StormError)


@pytest.mark.parametrize(
    "body", [records("one", opaque=TOKEN), records("one", opaque=TOKEN, s3={}), records("one", opaque=TOKEN, s3=1)]
)
def test_what_ceph_would_repeat_for_ever_is_taken_and_told_in_the_log(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Sink(one=PermanentError("no"))
    assert receiver(sink, TOKEN).receive(body, None) == 0
    assert "dropped" in caplog.text
    assert TOKEN not in caplog.text


def test_tokens_are_compared_whole() -> None:
    assert knows_token(f"Bearer {TOKEN}", TOKEN)
    assert not knows_token(f"Bearer {TOKEN}", TOKEN + "x")


# Amazon SNS

SETTINGS = Settings(store_region="eu-central-1", notification_token=SecretStr(TOKEN))


class Web:
    """What is fetched, and what from."""

    def __init__(self, **more: bytes) -> None:
        self.fetched: list[str] = []
        self.documents = {"SimpleNotificationService": (GOLDEN / "certificate.pem").read_bytes(), **more}

    def get(self, url: str) -> bytes:
        self.fetched.append(url)
        return next(body for part, body in self.documents.items() if part in url)


def notification() -> bytes:
    return (GOLDEN / "notification.json").read_bytes()


def test_a_signed_envelope_is_opened_and_its_certificate_kept() -> None:
    web, sink = Web(), Sink()
    made = Receiver(TOKEN, sink, SnsEnvelopes(SETTINGS, web.get))
    for _ in range(2):
        assert made.receive(notification(), basic("s2ps", TOKEN)) == 1
    assert sink.subjects == ["sessions/S 1/complete é.json"] * 2
    assert len(web.fetched) == 1


def test_an_envelope_without_the_token_is_not_even_looked_at() -> None:
    web = Web()
    with pytest.raises(WrongTokenError):
        Receiver(TOKEN, Sink(), SnsEnvelopes(SETTINGS, web.get)).receive(notification(), None)
    assert web.fetched == []


def test_an_altered_envelope_is_refused() -> None:
    sink = Sink()
    body = notification().replace(b"complete", b"compiete")
    with pytest.raises(PermanentError, match="Signature"):
        Receiver(TOKEN, sink, SnsEnvelopes(SETTINGS, Web().get)).receive(body, f"Bearer {TOKEN}")
    assert sink.sent == []


@pytest.mark.parametrize("changes", [{"store_region": "us-east-1"}, {"bucket_ledger": "other"}])
def test_other_topics_are_refused_before_anything_is_fetched(changes: dict[str, str]) -> None:
    web = Web()
    envelopes = SnsEnvelopes(SETTINGS.model_copy(update=changes), web.get)
    with pytest.raises(PermanentError, match="TopicArn"):
        envelopes.open(json.loads(notification()))
    assert web.fetched == []


def test_a_subscription_of_ours_is_confirmed_once_it_is_known_who_asks() -> None:
    web, sink = Web(SimpleNotificationService=PUBLIC_KEY, ConfirmSubscription=b"<xml/>"), Sink()
    body = json.dumps(confirmation()).encode()
    assert Receiver(TOKEN, sink, SnsEnvelopes(SETTINGS, web.get)).receive(body, basic("s2ps", TOKEN)) == 0
    assert web.fetched[-1] == confirmation()["SubscribeURL"]
    assert sink.sent == []


def test_no_subscription_is_confirmed_where_there_is_no_token() -> None:
    web = Web(SimpleNotificationService=PUBLIC_KEY, ConfirmSubscription=b"<xml/>")
    open_to_all = SETTINGS.model_copy(update={"notification_token": SecretStr("")})
    with pytest.raises(PermanentError, match="S2PS_NOTIFICATION_TOKEN"):
        SnsEnvelopes(open_to_all, web.get).open(confirmation())
    assert not any("ConfirmSubscription" in url for url in web.fetched)


def test_the_end_of_a_subscription_is_confirmed_by_nothing() -> None:
    web = Web(SimpleNotificationService=PUBLIC_KEY)
    assert SnsEnvelopes(SETTINGS, web.get).open(confirmation(Type="UnsubscribeConfirmation")) is None
    assert len(web.fetched) == 1


def test_sns_that_is_not_there_is_asked_again_later() -> None:
    def get(_: str) -> bytes:
        raise RetryableError("Amazon SNS: not now")

    with pytest.raises(RetryableError):
        SnsEnvelopes(SETTINGS, get).open(json.loads(notification()))
