"""Store notifications to events: four dialects, one event. Pure.

Sources: SeaweedFS webhook (filer ``EventNotification`` as JSON); S3 event message structure 2.x (``Records``) as AWS,
Ceph RGW and MinIO send it; CloudEvents adapter for AWS S3 for type, subject and source. An event's id follows from
bucket, key and etag, so a notification that comes twice, and the sweep's own, are known as one. The envelope in which
AWS wraps its records is ``eventing.sns``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote_plus

from shared.cloudevents import parse_time
from shared.domain.events import Event, object_created
from shared.errors import BadInputError

_BUCKETS: Final = "/buckets/"
_MAX_KEY: Final = 1024
_MAX_RECORDS: Final = 1000
_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999, in seconds since 1970: later ones are no date."""
_TRACE_META: Final = "x-amz-meta-traceparent"


def parse_notification(body: bytes) -> list[Event]:
    """The objects that a notification says were written; none for noise (folders, parts of uploads, deletions, tests).

    Raises:
        BadInputError: no JSON, no dialect that we know, or a field that is not what its dialect says.
    """
    events, wrong = sorted_out(read_document(body))
    if wrong is not None:
        raise wrong
    return events


def read_document(body: bytes) -> dict[str, Any]:
    """The JSON object that a notification is, in whatever dialect. BadInputError where it is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInputError("notification", f"JSON ({error})", body[:60]) from None
    if not isinstance(document, dict):
        raise BadInputError("notification", "a JSON object", type(document).__name__)
    return document


def opaque_data(document: Mapping[str, Any]) -> list[str]:
    """What a Ceph topic was given to repeat in each record, record by record; empty for every other dialect.

    A record without it counts as one with an empty text.
    """
    records = document.get("Records")
    if not isinstance(records, list) or len(records) > _MAX_RECORDS:
        return []
    if not all(isinstance(record, dict) and _is_ceph(record) for record in records):
        return []
    return [value if isinstance(value := record.get("opaqueData"), str) else "" for record in records]


def sorted_out(document: Mapping[str, Any]) -> tuple[list[Event], BadInputError | None]:
    """The objects that a notification's document says were written, and what is wrong with the first record that is
    not what its dialect says: it keeps no other record from being an event.

    Raises:
        BadInputError: no dialect that we know.
    """
    if "event_type" in document:
        return _each([document], _seaweed)
    if "Records" in document:
        records = document["Records"]
        if not isinstance(records, list) or len(records) > _MAX_RECORDS:
            raise BadInputError("notification, Records", f"a list of at most {_MAX_RECORDS}", type(records).__name__)
        return _each(records, lambda record: _record(_mapping(record, "Records")))
    if document.get("Event") == "s3:TestEvent":
        return [], None  # AWS and Ceph greet a new subscriber
    raise BadInputError("notification", "SeaweedFS's event_type or S3's Records", sorted(document)[:8])


def _each(records: Iterable[Any], read: Callable[[Any], Event | None]) -> tuple[list[Event], BadInputError | None]:
    events: list[Event] = []
    wrong: BadInputError | None = None
    for record in records:
        try:
            event = read(record)
        except BadInputError as error:
            wrong = wrong or error
        else:
            events += [] if event is None else [event]
    return events, wrong


def _seaweed(document: Mapping[str, Any]) -> Event | None:
    path = _text(document.get("key"), "key")
    message = _mapping(document.get("message") or {}, "message")
    if _text(document["event_type"], "event_type") not in {"create", "update"} or not path.startswith(_BUCKETS):
        return None
    bucket, _, key = path[len(_BUCKETS) :].partition("/")
    entry = _mapping(message.get("new_entry") or {}, "message.new_entry")
    if not entry or entry.get("is_directory") or not key or bucket.startswith("."):
        return None
    if key.startswith(".uploads/") or _is_version(key):
        return None
    attributes = _mapping(entry.get("attributes") or {}, "message.new_entry.attributes")
    extended = {
        name.lower(): _base64(value, f"message.new_entry.extended.{name}")
        for name, value in _mapping(entry.get("extended") or {}, "message.new_entry.extended").items()
        if name.lower() in {"seaweed-x-amz-etag", _TRACE_META}
    }
    etag = extended.get("seaweed-x-amz-etag") or _md5(attributes)
    size = attributes.get("file_size", 0)
    seconds = attributes.get("mtime")
    when = datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and 0 < seconds <= _LAST_SECOND else None
    return _created(bucket, key, etag, size, when, extended.get(_TRACE_META))


def _is_version(key: str) -> bool:
    """Versioned buckets keep each version below ``<key>.versions/``."""
    folder, _, name = key.rpartition("/")
    return folder.endswith(".versions") and name.startswith("v_")


def _md5(attributes: Mapping[str, Any]) -> str:
    digest = attributes.get("md5")
    if not isinstance(digest, str):
        return ""
    try:
        return base64.b64decode(digest, validate=True).hex()
    except ValueError:
        raise BadInputError("notification, attributes.md5", "base64", digest) from None


def _record(record: Mapping[str, Any]) -> Event | None:
    name = _text(record.get("eventName"), "Records.eventName")
    if not name.removeprefix("s3:").startswith("ObjectCreated"):
        return None
    s3 = _mapping(record.get("s3"), "Records.s3")
    thing = _mapping(s3.get("object"), "Records.s3.object")
    bucket = _text(_mapping(s3.get("bucket"), "Records.s3.bucket").get("name"), "Records.s3.bucket.name")
    key = _text(thing.get("key"), "Records.s3.object.key")
    if not _is_ceph(record):
        key = unquote_plus(key)  # AWS and MinIO send it as in a query string, Ceph as it is
    if not key or key.endswith("/"):
        return None
    time = record.get("eventTime")
    when = parse_time(_text(time, "Records.eventTime")) if time else None
    etag = thing.get("eTag") or thing.get("etag") or ""
    return _created(bucket, key, _text(etag, "Records.s3.object.eTag"), thing.get("size"), when, _trace(thing))


def _is_ceph(record: Mapping[str, Any]) -> bool:
    return str(record.get("eventSource", "")).startswith("ceph:")


def _trace(thing: Mapping[str, Any]) -> str | None:
    """``traceparent`` in the object's user metadata: a list of pairs on Ceph, a map on MinIO, not there on AWS."""
    listed = thing.get("metadata")
    pairs: dict[str, Any] = {}
    if isinstance(listed, list):
        pairs = {str(each.get("key")): each.get("val") for each in listed if isinstance(each, dict)}
    mapped = thing.get("userMetadata")
    if isinstance(mapped, dict):
        pairs |= mapped
    value = next((text for name, text in pairs.items() if name.lower() == _TRACE_META), None)
    return value if isinstance(value, str) else None


def _created(
    bucket: str, key: str, etag: str, size: object, when: datetime | None, traceparent: str | None
) -> Event | None:
    if len(key.encode(errors="replace")) > _MAX_KEY:
        raise BadInputError("notification, key", f"at most {_MAX_KEY} bytes", key)
    if isinstance(size, bool) or not isinstance(size, (int, type(None))):
        raise BadInputError("notification, size", "a whole number", size)
    return object_created(bucket, key, etag.strip('"'), size=size, when=when, traceparent=traceparent or None)


def _mapping(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadInputError(f"notification, {field}", "a JSON object", value)
    return value


def _text(value: Any, field: str) -> str:
    """Text that can be sent on: JSON may hold halves of characters, which no encoding has."""
    try:
        value.encode()
    except (AttributeError, UnicodeEncodeError):
        raise BadInputError(f"notification, {field}", "text", value) from None
    return str(value)


def _base64(value: Any, field: str) -> str:
    try:
        return base64.b64decode(_text(value, field), validate=True).decode()
    except ValueError:  # what is no base64, no ASCII, or no UTF-8
        raise BadInputError(f"notification, {field}", "base64 of text", value) from None
