"""CloudEvents 1.0 on HTTP: bytes and headers to ``Event`` and back. Pure; the standard library only.

Source: CloudEvents 1.0.2, its HTTP protocol binding (binary and structured content modes, percent-encoding
of header values) and JSON event format. An attribute that the sender must give is never made up here: a receiver that
invents an ``id`` turns every redelivery into a new event.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from shared.domain.events import Event
from shared.errors import BadInputError

MAX_BODY: Final = 1 << 20
"""Bytes of an event's body at most; what is larger belongs into the store, and the event names it."""
STRUCTURED: Final = "application/cloudevents+json"
_MAX_HEADER: Final = 4096
_NAME: Final = re.compile(r"[a-z0-9]{1,64}", re.ASCII)
_ENCODED: Final = re.compile(r'[^!#$&-~]|[\x7f"% ]')
_CORE: Final = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"})


def from_http(headers: Mapping[str, str], body: bytes) -> Event:
    """One event from a request's headers and body, in binary or structured mode.

    Raises:
        BadInputError: no CloudEvent, a batch, a mandatory attribute absent, a body that is not what its type says.
    """
    fields = {name.lower(): value for name, value in headers.items()}
    if len(body) > MAX_BODY:
        raise BadInputError("event body", f"at most {MAX_BODY} bytes", len(body))
    content_type = fields.get("content-type", "").partition(";")[0].strip().lower()
    if content_type.startswith("application/cloudevents-batch"):
        raise BadInputError("event", "a single event, not a batch", content_type)
    if content_type == STRUCTURED:
        return _structured(body)
    if content_type.startswith("application/cloudevents"):
        raise BadInputError("content-type", f"{STRUCTURED} or binary mode", content_type)
    attributes = {
        name[3:]: _decode(name, value) for name, value in fields.items() if name.startswith("ce-") and len(name) > 3
    }
    return _event(attributes, _body(content_type, body))


def to_http(event: Event) -> tuple[dict[str, str], bytes]:
    """Headers and body of an event in binary mode. Header values are ASCII, percent-encoded where the binding asks."""
    attributes = {"specversion": "1.0", "id": event.id, "source": event.source, "type": event.type}
    if event.subject:
        attributes["subject"] = event.subject
    if event.time is not None:
        attributes["time"] = format_time(event.time)
    attributes.update(event.extensions)
    headers = {f"ce-{name}": _encode(name, value) for name, value in attributes.items()}
    if event.data is None:
        return headers, b""
    if isinstance(event.data, bytes):
        return headers | {"content-type": "application/octet-stream"}, event.data
    return headers | {"content-type": "application/json"}, json.dumps(event.data, separators=(",", ":")).encode()


def to_json(event: Event) -> dict[str, Any]:
    """An event in the JSON event format, e.g. to keep a dead letter."""
    document: dict[str, Any] = {"specversion": "1.0", "id": event.id, "source": event.source, "type": event.type}
    if event.subject:
        document["subject"] = event.subject
    if event.time is not None:
        document["time"] = format_time(event.time)
    document.update(event.extensions)
    if isinstance(event.data, bytes):
        document["data_base64"] = base64.b64encode(event.data).decode()
    elif event.data is not None:
        document["datacontenttype"] = "application/json"
        document["data"] = event.data
    return document


def format_time(when: datetime) -> str:
    """RFC 3339 in UTC, microseconds, ``Z``."""
    return when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """An RFC 3339 instant; BadInputError where it is none or has no offset."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError("event attribute time", "an RFC 3339 time", text) from None
    if when.tzinfo is None:
        raise BadInputError("event attribute time", "an offset from UTC", text)
    try:
        return when.astimezone(UTC)
    except OverflowError:
        raise BadInputError("event attribute time", "an RFC 3339 time", text) from None


def _structured(body: bytes) -> Event:
    document = _json(body, "event")
    if not isinstance(document, dict):
        raise BadInputError("event", "a JSON object", type(document).__name__)
    data = document.pop("data", None)
    encoded = document.pop("data_base64", None)
    if encoded is not None:
        if data is not None:
            raise BadInputError("event", "either data or data_base64")
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise BadInputError("event field data_base64", "base64 text") from None
    attributes: dict[str, str] = {}
    for name, value in document.items():
        if value is None:
            continue
        if isinstance(value, bool):
            attributes[name] = "true" if value else "false"
        elif isinstance(value, (str, int)):
            attributes[name] = str(value)
        else:
            raise BadInputError(f"event attribute {name!r}", "a string, integer or boolean", value)
    return _event(attributes, data)


def _event(attributes: Mapping[str, str], data: Any) -> Event:
    version = attributes.get("specversion")
    if version is None:
        raise BadInputError("event", "a CloudEvent, with the attribute specversion")
    if version != "1.0":
        raise BadInputError("event attribute specversion", "1.0", version)
    for name in ("id", "source", "type"):
        if not attributes.get(name):
            raise BadInputError(f"event attribute {name}", "a value; it is mandatory")
    for name in attributes:
        if not _NAME.fullmatch(name):
            raise BadInputError("event attribute name", "lower-case letters and digits", name)
    return Event(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        subject=attributes.get("subject", ""),
        time=parse_time(attributes["time"]) if "time" in attributes else None,
        data=data,
        extensions={name: value for name, value in attributes.items() if name not in _CORE},
    )


def _body(content_type: str, body: bytes) -> Any:
    if not body:
        return None
    if content_type in {"application/json", "text/json"} or content_type.endswith("+json"):
        return _json(body, "event data")
    return body


def _json(body: bytes, what: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInputError(what, f"JSON ({error})", body[:60]) from None


def _encode(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadInputError("event attribute name", "lower-case letters and digits", name)
    return _ENCODED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace")), value)


def _decode(name: str, value: str) -> str:
    if len(value) > _MAX_HEADER:
        raise BadInputError(f"header {name}", f"at most {_MAX_HEADER} characters", len(value))
    return unquote(value, errors="replace") if "%" in value else value
