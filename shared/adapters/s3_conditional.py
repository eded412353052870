"""Conditional writes to S3: one writer wins each race, and every writer learns whether it was the one.

An answer may be lost, and the client, or a proxy before the store, sends the request again: the copy is refused because
the first was written. And Ceph (16.2) answers 500, not 412, to who loses a race. What the store holds then tells: each
write marks the object with a random text of its own. The bytes would not do: two who do the same work write the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from shared.adapters.s3_client import meaning, status_of, store_errors, unquoted
from shared.errors import ObjectAbsentError, StoreUnavailableError

MARK: Final = "s2ps-write"
"""Where in an object's metadata a conditional write leaves its text."""

_LOOK: Final = frozenset({409, 412, 500})
"""Answers after which the object says who has won."""


def put_when(
    client: Any,
    bucket: str,
    key: str,
    body: bytes,
    etag: str | None,
    metadata: Mapping[str, str] | None,
    content_type: str,
) -> bool:
    """Write the object where the one there has ``etag``; where that is None, where there is none.

    False where it is another, or another's. StoreUnavailableError where that cannot be known yet.
    """
    mark = uuid.uuid4().hex
    wanted = None if etag is None else unquoted(etag)
    condition = {"IfNoneMatch": "*"} if wanted is None else {"IfMatch": wanted}
    try:
        client.put_object(
            Bucket=bucket,
            Key=key,
            Body=body,
            Metadata={**(metadata or {}), MARK: mark},
            ContentType=content_type,
            **condition,
        )
    except ClientError as error:
        if status_of(error) not in _LOOK:
            return _refused(error, f"{bucket}/{key}", replacing=wanted is not None)
        found, of = _there(client, bucket, key)
        if of == mark:
            return True
        if status_of(error) == 412 or found != wanted:
            return False
        if status_of(error) == 409:
            # Another write to this key is under way. It may fail yet, and then the race is not lost.
            raise StoreUnavailableError(f"object store, {bucket}/{key}: a concurrent write is under way") from error
        raise meaning(error, f"{bucket}/{key}") from error
    except Exception:
        with store_errors(f"{bucket}/{key}"):
            raise
    return True


def _refused(error: ClientError, what: str, *, replacing: bool) -> bool:
    """False where what was to be replaced has gone. Raises where the answer tells of another fault."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    if replacing and status_of(error) == 404 and code != "NoSuchBucket":
        return False
    raise meaning(error, what) from error


def _there(client: Any, bucket: str, key: str) -> tuple[str | None, str | None]:
    """The etag and the mark of what is there, each None where there is none."""
    try:
        with store_errors(f"{bucket}/{key}"):
            answer = client.head_object(Bucket=bucket, Key=key)
    except ObjectAbsentError:
        return None, None
    marks = {str(name).lower(): str(value) for name, value in answer.get("Metadata", {}).items()}
    return unquoted(answer["ETag"]), marks.get(MARK)
