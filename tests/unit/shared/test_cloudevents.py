"""CloudEvents on HTTP: what goes out comes back, and what is none is refused by name."""

from __future__ import annotations

import base64
import contextlib
import json
import string
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cloudevents import MAX_BODY, STRUCTURED, format_time, from_http, parse_time, to_http, to_json
from shared.domain.events import Event
from shared.errors import BadInputError

NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20).filter(
    lambda name: name not in {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"}
)
# Surrogates are no characters, and an empty attribute is none.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
JSON = st.recursive(
    st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.builds(
    Event,
    id=TEXT,
    source=TEXT,
    type=TEXT,
    subject=st.just("") | TEXT,
    time=st.none() | st.datetimes(timezones=st.just(UTC)),
    data=st.none() | JSON | st.binary(min_size=1, max_size=50),
    extensions=st.dictionaries(NAMES, TEXT, max_size=3),
)


@given(EVENTS)
def test_binary_mode_round_trip(event: Event) -> None:
    headers, body = to_http(event)
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    assert from_http(headers, body) == event


@given(EVENTS)
def test_structured_mode_round_trip(event: Event) -> None:
    assert from_http({"content-type": STRUCTURED}, json.dumps(to_json(event)).encode()) == event


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=20), max_size=5), st.binary(max_size=60))
def test_arbitrary_requests_are_events_or_refused(headers: dict[str, str], body: bytes) -> None:
    with contextlib.suppress(BadInputError):
        assert from_http(headers, body).id


def test_headers_are_case_insensitive_and_percent_decoded() -> None:
    event = from_http(
        {"Ce-Id": "1", "CE-Source": "s", "ce-Type": "t", "ce-specversion": "1.0", "ce-subject": "a%20%E2%82%AC%25"}, b""
    )
    assert event.subject == "a €%"


WHOLE = b'{"specversion":"1.0","id":"1","source":"s","type":"t",%s}'
HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}


@pytest.mark.parametrize("name", ["ce-id", "ce-source", "ce-type", "ce-specversion"])
def test_a_mandatory_attribute_is_never_made_up(name: str) -> None:
    with pytest.raises(BadInputError, match=name.removeprefix("ce-")):
        from_http({key: value for key, value in HEADERS.items() if key != name}, b"")
    with pytest.raises(BadInputError, match=name.removeprefix("ce-")):
        from_http(HEADERS | {name: ""}, b"")


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({"content-type": "application/cloudevents-batch+json"}, b"[]", "not a batch"),
        ({"content-type": "application/cloudevents+avro"}, b"", "content-type"),
        (HEADERS | {"ce-specversion": "0.3"}, b"", "1.0"),
        (HEADERS | {"ce-time": "yesterday"}, b"", "RFC 3339"),
        (HEADERS | {"ce-time": "2026-11-22T08:00:00"}, b"", "offset"),
        (HEADERS | {"ce-time": "0001-01-01T00:00:00+10:00"}, b"", "RFC 3339"),
        (HEADERS | {"ce-bad_name": "x"}, b"", "lower-case"),
        (HEADERS | {"ce-subject": "x" * 5000}, b"", "at most"),
        (HEADERS | {"content-type": "application/json"}, b"{", "JSON"),
        (HEADERS | {"content-type": "application/json"}, b"[" * 100_000, "JSON"),
        (HEADERS, b"x" * (MAX_BODY + 1), "at most"),
        ({"content-type": STRUCTURED}, b"[]", "JSON object"),
        ({"content-type": STRUCTURED}, WHOLE % b'"x":{}', "'x'"),
        ({"content-type": STRUCTURED}, WHOLE % b'"data":1,"data_base64":""', "either"),
        ({"content-type": STRUCTURED}, WHOLE % b'"data_base64":"%"', "base64"),
    ],
)  # fmt: skip
def test_refusals_name_what_is_wrong(headers: dict[str, str], body: bytes, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        from_http(headers, body)


def test_data_by_its_content_type() -> None:
    assert from_http(HEADERS | {"content-type": "application/json; charset=utf-8"}, b'{"a": 1}').data == {"a": 1}
    assert from_http(HEADERS | {"content-type": "application/x+json"}, b"[1]").data == [1]
    assert from_http(HEADERS | {"content-type": "text/plain"}, b"hello").data == b"hello"
    assert from_http(HEADERS, b"").data is None


def test_binary_data_in_the_json_format() -> None:
    document: dict[str, Any] = to_json(Event("1", "s", "t", data=b"\x00\xff"))
    assert base64.b64decode(document["data_base64"]) == b"\x00\xff"


@given(st.datetimes(timezones=st.timezones()))
def test_times_round_trip_in_utc(when: datetime) -> None:
    try:
        expected = when.astimezone(UTC)
    except OverflowError:
        return
    assert parse_time(format_time(when)) == expected


def test_time_with_offset_and_nanoseconds() -> None:
    assert parse_time("2026-11-22T10:00:00.123456789+02:00") == datetime(2026, 11, 22, 8, 0, 0, 123456, UTC)
    assert format_time(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == "2025-12-31T23:00:00.000000Z"
