"""Multipart uploads: resumable ones, those of large files, and server-side copies of large objects.

Limits of S3: parts of 5 MiB to 5 GiB, at most 10 000 of them, and copies in one request up to 5 GiB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

from shared.adapters.s3_client import store_errors, unquoted
from shared.errors import IntegrityError, ObjectAbsentError
from shared.ports import ObjectInfo, Part

MIB: Final = 1 << 20
UPLOAD_PART: Final = 16 * MIB
COPY_PART: Final = 512 * MIB
COPY_LIMIT: Final = 5 << 30
MAX_PARTS: Final = 10_000
THREADS: Final = 3


@dataclass
class S3Upload:
    """A multipart upload under way. Parts that were there when it was opened stand in ``parts``."""

    client: Any
    bucket: str
    key: str
    upload_id: str
    parts: Sequence[Part] = ()
    _etags: dict[int, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._etags.update({part.number: part.etag for part in self.parts})

    @property
    def _ids(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key, "UploadId": self.upload_id}

    @property
    def what(self) -> str:
        return f"{self.bucket}/{self.key}"

    def put_part(self, number: int, body: bytes) -> None:
        """Store one part. ObjectAbsentError where the upload was completed or aborted by another."""
        with store_errors(self.what):
            answer = self.client.upload_part(**self._ids, PartNumber=number, Body=body)
        with self._lock:
            self._etags[number] = answer["ETag"]

    def copy_part(self, number: int, source: dict[str, str], first: int, last: int) -> None:
        """Store one part from bytes ``first`` to ``last`` (inclusive) of another object."""
        span = f"bytes={first}-{last}"
        with store_errors(f"{source['Bucket']}/{source['Key']}"):
            answer = self.client.upload_part_copy(
                **self._ids, PartNumber=number, CopySource=source, CopySourceRange=span
            )
        with self._lock:
            self._etags[number] = answer["CopyPartResult"]["ETag"]

    def complete(self) -> str:
        """Make the object visible. IntegrityError where a part between the first and the last is missing."""
        numbers = sorted(self._etags)
        if numbers != list(range(1, len(numbers) + 1)) or not numbers:
            raise IntegrityError(f"upload of {self.what}: expected parts 1 to n without gaps, found {numbers[:20]}")
        parts = [{"PartNumber": number, "ETag": self._etags[number]} for number in numbers]
        with store_errors(self.what):
            answer = self.client.complete_multipart_upload(**self._ids, MultipartUpload={"Parts": parts})
            # Ceph answers an empty etag here.
            etag = answer.get("ETag") or self.client.head_object(Bucket=self.bucket, Key=self.key)["ETag"]
        return unquoted(str(etag))

    def abort(self) -> None:
        """Forget the upload; no error where it has gone already."""
        try:
            with store_errors(self.what):
                self.client.abort_multipart_upload(**self._ids)
        except ObjectAbsentError:
            return


def create_upload(client: Any, bucket: str, key: str, metadata: Mapping[str, str] | None, kind: str = "") -> S3Upload:
    """A multipart upload of its own, whatever else is under way for the key."""
    content_type = {"ContentType": kind or "application/octet-stream"}
    with store_errors(f"{bucket}/{key}"):
        answer = client.create_multipart_upload(Bucket=bucket, Key=key, Metadata=dict(metadata or {}), **content_type)
    return S3Upload(client, bucket, key, str(answer["UploadId"]))


def newest_upload(client: Any, bucket: str, key: str) -> str | None:
    """The id of the newest upload under way for exactly this key, if any."""
    found: list[tuple[Any, str]] = []
    marker: dict[str, str] = {}
    while True:
        with store_errors(f"{bucket}/{key}"):
            page = client.list_multipart_uploads(Bucket=bucket, Prefix=key, **marker)
        found += [(u["Initiated"], str(u["UploadId"])) for u in page.get("Uploads", ()) if u["Key"] == key]
        if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
            return max(found)[1] if found else None
        marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page.get("NextUploadIdMarker", "")}


def held_parts(client: Any, bucket: str, key: str, upload_id: str) -> tuple[Part, ...]:
    """The contiguous parts, from number 1, that the store holds of an upload."""
    held: dict[int, Part] = {}
    marker: dict[str, int] = {}
    while True:
        with store_errors(f"{bucket}/{key}"):
            page = client.list_parts(Bucket=bucket, Key=key, UploadId=upload_id, **marker)
        for part in page.get("Parts", ()):
            held[part["PartNumber"]] = Part(part["PartNumber"], part["Size"], unquoted(part["ETag"]))
        if not page.get("IsTruncated"):
            break
        marker = {"PartNumberMarker": page["NextPartNumberMarker"]}
    return tuple(_contiguous(held))


def _contiguous(held: Mapping[int, Part]) -> Iterator[Part]:
    for number in range(1, len(held) + 1):
        if number not in held:
            return
        yield held[number]


def spans(size: int, part: int) -> list[tuple[int, int, int]]:
    """(number, first byte, length) of the parts of ``size`` bytes; ``part`` grows where 10 000 would not do."""
    step = max(part, -(-size // MAX_PARTS))
    return [(n + 1, at, min(step, size - at)) for n, at in enumerate(range(0, size, step))]


def _in_parallel(upload: S3Upload, tasks: list[tuple[int, int, int]], put: Callable[[int, int, int], None]) -> str:
    """Run ``put`` over all parts and complete; a failure of one aborts the upload: nothing becomes visible."""
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(lambda task: put(*task), tasks):
                pass
        return upload.complete()
    except BaseException:
        upload.abort()
        raise


def upload_file(client: Any, bucket: str, key: str, path: Path, size: int, metadata: Mapping[str, str] | None) -> str:
    """A large file by parallel parts, ``THREADS`` in memory at most. Never resumes: the file may be another."""
    upload = create_upload(client, bucket, key, metadata)

    def put(number: int, at: int, length: int) -> None:
        with path.open("rb") as file:
            file.seek(at)
            body = file.read(length)
        if len(body) != length:
            raise IntegrityError(f"{path.name}: expected {size} bytes, the file became shorter while it was uploaded")
        upload.put_part(number, body)

    return _in_parallel(upload, spans(size, UPLOAD_PART), put)


def copy_large(client: Any, source: dict[str, str], info: ObjectInfo, bucket: str, key: str, part: int) -> str:
    """Server-side copy of an object by ranges of ``part`` bytes."""
    upload = create_upload(client, bucket, key, info.metadata)

    def put(number: int, at: int, length: int) -> None:
        upload.copy_part(number, source, at, at + length - 1)

    return _in_parallel(upload, spans(info.size, part), put)
