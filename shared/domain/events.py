"""The event as the steps know it: a frozen value, free of any SDK's types.

Attribute names and meaning: CloudEvents 1.0. Object events follow the CloudEvents adapter for S3: type
``com.amazonaws.s3.ObjectCreated:*``, subject the key, source the bucket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

OBJECT_CREATED: Final = "com.amazonaws.s3.ObjectCreated:Put"
TIMER_DUE: Final = "org.s2ps.timer.due"
PING: Final = "dev.knative.sources.ping"
JOB_CHANGED: Final = "dev.knative.apiserver.resource.update"


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent. ``data`` is decoded JSON, raw bytes, or ``None``; ``extensions`` holds e.g. ``traceparent``."""

    id: str
    source: str
    type: str
    subject: str = ""
    time: datetime | None = None
    data: Any = None
    extensions: Mapping[str, str] = field(default_factory=dict)

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context that the event carries, if any."""
        return self.extensions.get("traceparent")


def event_id(*parts: str) -> str:
    """A stable id: the same facts give the same id, so a redelivery is known as one (32 hex digits)."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def object_created(
    bucket: str,
    key: str,
    etag: str,
    *,
    size: int | None = None,
    when: datetime | None = None,
    traceparent: str | None = None,
) -> Event:
    """The event of an object that was written. Its id is derived from bucket, key and etag."""
    data: dict[str, Any] = {"bucket": bucket, "key": key, "etag": etag}
    if size is not None:
        data["size"] = size
    extensions = {"traceparent": traceparent} if traceparent else {}
    return Event(event_id(bucket, key, etag), bucket, OBJECT_CREATED, key, when, data, extensions)
