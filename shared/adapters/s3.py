"""The object store on S3: one adapter for every S3 server.

Uses the S3 API of 2006-03-01 with conditional writes (``If-None-Match: *``, ``If-Match``), as AWS, SeaweedFS, MinIO and
Ceph RGW understand them. Integrity on the way in is the client's default: a CRC and a signed digest of each payload.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from botocore.exceptions import ClientError

from shared.adapters import s3_multipart as multi
from shared.adapters.s3_client import make_client, meaning, status_of, store_errors, unquoted
from shared.adapters.s3_conditional import MARK, put_when
from shared.errors import ObjectAbsentError, StoreUnavailableError
from shared.ports import MultipartUpload, ObjectInfo
from shared.settings import Settings

_log: Final = logging.getLogger(__name__)
_CHUNK: Final = 1 << 20
_REOPEN: Final = 4


@dataclass(frozen=True)
class S3Store:
    """``shared.ports.ObjectStore`` over a botocore client. Thread-safe, as that client is.

    ``copy_limit`` and ``copy_part`` are S3's limits, smaller in tests only.
    """

    client: Any
    create_in: str = ""
    copy_limit: int = multi.COPY_LIMIT
    copy_part: int = multi.COPY_PART

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The store that the settings name."""
        own_region = not settings.store_endpoint and settings.store_region != "us-east-1"
        return cls(make_client(settings), create_in=settings.store_region if own_region else "")

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> str:
        with store_errors(f"{bucket}/{key}"):
            answer = self.client.put_object(
                Bucket=bucket, Key=key, Body=body, Metadata=dict(metadata or {}), ContentType=content_type
            )
        return unquoted(answer["ETag"])

    def put_new(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> bool:
        return put_when(self.client, bucket, key, body, None, metadata, content_type)

    def put_if(
        self,
        bucket: str,
        key: str,
        body: bytes,
        etag: str,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> bool:
        return put_when(self.client, bucket, key, body, etag, metadata, content_type)

    def get(self, bucket: str, key: str) -> tuple[bytes, ObjectInfo]:
        with store_errors(f"{bucket}/{key}"):
            answer = self.client.get_object(Bucket=bucket, Key=key)
            return answer["Body"].read(), _info(key, answer)

    def read(self, bucket: str, key: str, *, start: int = 0) -> Iterator[bytes]:
        """See the port. A connection that breaks is opened again at the same byte of the same object, a few times."""
        at, etag, left = start, "", _REOPEN
        while True:
            try:
                for chunk, of in self._stream(bucket, key, at, etag):
                    at, etag = at + len(chunk), of
                    yield chunk
            except StoreUnavailableError as error:
                left -= 1
                if left == 0 or not etag:
                    raise
                _log.info("%s/%s: reading on from byte %d: %s", bucket, key, at, error)
            else:
                return

    def _stream(self, bucket: str, key: str, start: int, etag: str) -> Iterator[tuple[bytes, str]]:
        ask = {"Range": f"bytes={start}-"} if start else {}
        if etag:
            ask["IfMatch"] = etag
        with store_errors(f"{bucket}/{key}"):
            try:
                answer = self.client.get_object(Bucket=bucket, Key=key, **ask)
            except ClientError as error:
                if status_of(error) == 416:
                    return
                raise
            of = unquoted(answer["ETag"])
            with closing(answer["Body"]) as body:
                for chunk in body.iter_chunks(_CHUNK):
                    yield chunk, of

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        try:
            with store_errors(f"{bucket}/{key}"):
                return _info(key, self.client.head_object(Bucket=bucket, Key=key))
        except ObjectAbsentError:
            return None

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        first = {"StartAfter": start_after} if start_after else {}
        for page in self._pages(bucket, prefix, first):
            for item in page.get("Contents", ()):
                yield ObjectInfo(item["Key"], item["Size"], unquoted(item["ETag"]), item["LastModified"])

    def folders(self, bucket: str, prefix: str = "") -> Iterator[str]:
        for page in self._pages(bucket, prefix, {"Delimiter": "/"}):
            for item in page.get("CommonPrefixes", ()):
                yield item["Prefix"]

    def _pages(self, bucket: str, prefix: str, ask: dict[str, str]) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            with store_errors(f"{bucket}/{prefix}"):
                page = self.client.list_objects_v2(Bucket=bucket, Prefix=prefix, **ask, **token)
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def copy(self, bucket: str, key: str, to_bucket: str, to_key: str, *, size: int | None = None) -> str:
        source = {"Bucket": bucket, "Key": key}
        if size is None or size > self.copy_limit:
            info = self.head(bucket, key)
            if info is None:
                raise ObjectAbsentError(f"no object {bucket}/{key}")
            if info.size > self.copy_limit:
                return multi.copy_large(self.client, source, info, to_bucket, to_key, self.copy_part)
        with store_errors(f"{bucket}/{key}"):
            answer = self.client.copy_object(Bucket=to_bucket, Key=to_key, CopySource=source)
        return unquoted(answer["CopyObjectResult"]["ETag"])

    def delete(self, bucket: str, key: str) -> None:
        try:
            with store_errors(f"{bucket}/{key}"):
                self.client.delete_object(Bucket=bucket, Key=key)
        except ObjectAbsentError:
            return

    def upload(self, bucket: str, key: str, path: Path, *, metadata: Mapping[str, str] | None = None) -> str:
        size = path.stat().st_size
        if size > multi.UPLOAD_PART:
            return multi.upload_file(self.client, bucket, key, path, size, metadata)
        return self.put(bucket, key, path.read_bytes(), metadata=metadata, content_type="application/octet-stream")

    def download(self, bucket: str, key: str, path: Path) -> None:
        with path.open("wb") as file:
            for chunk in self.read(bucket, key):
                file.write(chunk)

    def multipart(self, bucket: str, key: str, *, metadata: Mapping[str, str] | None = None) -> MultipartUpload:
        found = multi.newest_upload(self.client, bucket, key)
        if found is not None:
            try:
                parts = multi.held_parts(self.client, bucket, key, found)
            except ObjectAbsentError:
                _log.info("%s/%s: the upload under way ended meanwhile, a new one is opened", bucket, key)
            else:
                return multi.S3Upload(self.client, bucket, key, found, parts)
        return multi.create_upload(self.client, bucket, key, metadata)

    def ensure_bucket(self, bucket: str) -> None:
        try:
            self.client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if status_of(error) != 404:
                raise meaning(error, bucket) from error
        except Exception:
            with store_errors(bucket):
                raise
        else:
            return
        where = {"CreateBucketConfiguration": {"LocationConstraint": self.create_in}} if self.create_in else {}
        try:
            self.client.create_bucket(Bucket=bucket, **where)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise meaning(error, bucket) from error
        except Exception:
            with store_errors(bucket):
                raise


def _info(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
    metadata = {str(name).lower(): str(value) for name, value in answer.get("Metadata", {}).items()}
    metadata.pop(MARK, None)
    return ObjectInfo(key, answer["ContentLength"], unquoted(answer["ETag"]), answer["LastModified"], metadata)
