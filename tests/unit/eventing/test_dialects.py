"""Store notifications: recorded ones in every dialect, and what is none.

``golden/<name>.json`` is a notification; ``golden/<name>.expected`` the events that it means, one JSON object a line.
"""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.dialects import parse_notification, sorted_out
from shared.cloudevents import from_http, to_http, to_json
from shared.domain.events import object_created
from shared.errors import BadInputError

GOLDEN = Path(__file__).with_name("golden")


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.json")))
def test_golden(name: str) -> None:
    events = parse_notification((GOLDEN / f"{name}.json").read_bytes())
    expected = [json.loads(line) for line in (GOLDEN / f"{name}.expected").read_text().splitlines()]
    assert [to_json(event) for event in events] == expected


def test_every_dialect_names_an_object_alike() -> None:
    """The same bytes under the same key have one id, whichever store tells of them, and the sweep's is the same."""
    names = ["seaweedfs-put", "aws-put", "ceph-put", "minio-put"]
    ids = {parse_notification((GOLDEN / f"{name}.json").read_bytes())[0].id for name in names}
    assert ids == {object_created("s2-ledger", "sessions/S 1/complete é.json", "99914b932bd37a50b983c5e7c90ae93b").id}


def seaweed(key: str, **entry: Any) -> bytes:
    message = {"new_entry": {"name": "x", "attributes": {"file_size": 1, "md5": ""}, **entry}}
    return json.dumps({"event_type": "create", "key": key, "message": message}).encode()


@pytest.mark.parametrize(
    "body",
    [
        seaweed("/buckets/b/sessions", is_directory=True),
        seaweed("/buckets/b/.uploads/12/0001.part"),
        seaweed("/buckets/.system/owners/x"),
        seaweed("/buckets/b/a.json.versions/v_12"),
        seaweed("/etc/seaweedfs/filer.conf"),
        seaweed("/buckets/b"),
        b'{"event_type": "delete", "key": "/buckets/b/x", "message": {"old_entry": {}}}',
        b'{"event_type": "rename", "key": "/buckets/b/x"}',
        b'{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}',
        b'{"Records": []}',
        b'{"Records": [{"eventName": "ObjectRemoved:Delete"}]}',
    ],
)
def test_noise_means_nothing(body: bytes) -> None:
    assert parse_notification(body) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "JSON"),
        (b"[]", "JSON object"),
        (b"{}", "event_type"),
        (b"[" * 100_000, "JSON"),
        (b'{"event_type": "create", "key": 1}', "key"),
        (b'{"event_type": ["create"], "key": "/buckets/b/x"}', "event_type"),
        (b'{"Records": {}}', "Records"),
        (b'{"Records": [1]}', "Records"),
        (b'{"Records": [{"eventName": "ObjectCreated:Put"}]}', "s3"),
        (b'{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {}, "object": {}}}]}', "name"),
        (seaweed("/buckets/b/x", extended={"Seaweed-X-Amz-ETag": "%"}), "base64"),
        (seaweed("/buckets/b/x", attributes={"file_size": "1"}), "size"),
        (seaweed("/buckets/b/" + "x" * 2000), "key"),
        (json.dumps({"Records": [{}] * 1001}).encode(), "at most 1000"),
        (seaweed("/buckets/b/x", extended={"Seaweed-X-Amz-ETag": "é"}), "base64"),
        (seaweed("/buckets/b/x", attributes={"md5": "\ud800"}), "base64"),
        (seaweed("/buckets/b/\ud800"), "key"),
        (
            b'{"event_type": "create", "key": "/buckets/b/\xed\xa0\x80", "message": {"new_entry": {"name": "x"}}}',
            "key",
        ),
    ],
)
def test_what_is_no_notification_is_refused_by_name(body: bytes, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        parse_notification(body)


def test_a_date_that_is_none_is_left_out() -> None:
    (event,) = parse_notification(seaweed("/buckets/b/x", attributes={"mtime": 253_402_300_800}))
    assert event.time is None


def test_a_record_that_is_wrong_keeps_no_other_from_being_an_event() -> None:
    records = [
        {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": key}}}
        for key in ("one", "\ud800", 3, "two")
    ]
    events, wrong = sorted_out({"Records": records})
    assert [event.subject for event in events] == ["one", "two"]
    assert "ud800" in str(wrong), "the first of them"


@pytest.mark.parametrize("depth", range(900, 1000))
def test_nesting_as_deep_as_json_is_read_is_refused(depth: int) -> None:
    body = b'{"Records":' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(BadInputError):
        parse_notification(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["event_type", "key", "message", "new_entry", "Records", "s3", "object", "bucket", "eventName"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_arbitrary_documents_are_read_or_refused(document: Any) -> None:
    with contextlib.suppress(BadInputError):
        assert isinstance(parse_notification(json.dumps(document).encode()), list)


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, float("nan"), 253_402_300_800, 1 << 70, "", "\ud800", "\x00", "a\r\nce-id: b", "%ff%",
     "é", "====", "/wD/", [], [[]], {}, {"a": 1}, "9999-12-31T23:59:59-23:59", "update", "ceph:s3", "x" * 3000,
     "/buckets//", "/buckets/b//x", "ObjectCreated:Put"]
)  # fmt: skip


def _places(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [at] * bool(at) + [place for name, inner in below for place in _places(inner, (*at, name))]


@given(st.data())
def test_recorded_notifications_with_a_few_wrong_values_are_read_or_refused(data: st.DataObject) -> None:
    """What is read can be sent on: no header of it says more than it should."""
    document = json.loads(data.draw(st.sampled_from(sorted(GOLDEN.glob("*.json")))).read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(_places(document)))
        holder = document
        for name in way:
            holder = holder[name]
        holder[last] = copy.deepcopy(data.draw(VALUES))
    with contextlib.suppress(BadInputError):
        for event in sorted_out(json.loads(json.dumps(document)))[0]:
            headers, body = to_http(event)
            assert all(value.isascii() and value.isprintable() for value in headers.values())
            assert from_http(headers, body).subject == event.subject
