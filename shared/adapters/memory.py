"""The in-memory store: the same port and the same conditional semantics as S3, for rehearsals and tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from shared.errors import ObjectAbsentError
from shared.ports import Clock, ObjectInfo, Part

Watcher = Callable[[str, ObjectInfo], None]


@dataclass
class MemoryStore:
    """Objects in a dict. Each ``watchers`` entry is called with (bucket, info) after every write: the notifications."""

    clock: Clock
    watchers: list[Watcher] = field(default_factory=list)
    _objects: dict[str, dict[str, tuple[bytes, ObjectInfo]]] = field(default_factory=dict)
    _uploads: dict[tuple[str, str], dict[int, bytes]] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)

    def _write(self, bucket: str, key: str, body: bytes, metadata: Mapping[str, str] | None) -> str:
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        info = ObjectInfo(key, len(body), etag, self.clock.now(), dict(metadata or {}))
        self._objects.setdefault(bucket, {})[key] = (bytes(body), info)
        for watcher in self.watchers:
            watcher(bucket, info)
        return etag

    def _find(self, bucket: str, key: str) -> tuple[bytes, ObjectInfo] | None:
        return self._objects.get(bucket, {}).get(key)

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/json",  # noqa: ARG002  the port's signature
    ) -> str:
        with self._lock:
            return self._write(bucket, key, body, metadata)

    def put_new(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/json",  # noqa: ARG002  the port's signature
    ) -> bool:
        with self._lock:
            if self._find(bucket, key) is not None:
                return False
            self._write(bucket, key, body, metadata)
            return True

    def put_if(
        self,
        bucket: str,
        key: str,
        body: bytes,
        etag: str,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/json",  # noqa: ARG002  the port's signature
    ) -> bool:
        with self._lock:
            found = self._find(bucket, key)
            if found is None or found[1].etag != etag:
                return False
            self._write(bucket, key, body, metadata)
            return True

    def get(self, bucket: str, key: str) -> tuple[bytes, ObjectInfo]:
        with self._lock:
            found = self._find(bucket, key)
        if found is None:
            raise ObjectAbsentError(f"no object {bucket}/{key}")
        return found

    def read(self, bucket: str, key: str, *, start: int = 0) -> Iterator[bytes]:
        body = self.get(bucket, key)[0]
        for at in range(start, len(body), 1 << 20):
            yield body[at : at + (1 << 20)]

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        with self._lock:
            found = self._find(bucket, key)
        return None if found is None else found[1]

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        with self._lock:
            objects = self._objects.get(bucket, {})
            found = sorted(key for key in objects if key.startswith(prefix) and key > start_after)
            return iter([objects[key][1] for key in found])

    def folders(self, bucket: str, prefix: str = "") -> Iterator[str]:
        heads = {
            prefix + info.key[len(prefix) :].split("/", 1)[0] + "/"
            for info in self.list(bucket, prefix)
            if "/" in info.key[len(prefix) :]
        }
        return iter(sorted(heads))

    def copy(
        self,
        bucket: str,
        key: str,
        to_bucket: str,
        to_key: str,
        *,
        size: int | None = None,  # noqa: ARG002  the port's signature
    ) -> str:
        body, info = self.get(bucket, key)
        with self._lock:
            return self._write(to_bucket, to_key, body, info.metadata)

    def delete(self, bucket: str, key: str) -> None:
        with self._lock:
            self._objects.get(bucket, {}).pop(key, None)

    def upload(self, bucket: str, key: str, path: Path, *, metadata: Mapping[str, str] | None = None) -> str:
        return self.put(bucket, key, path.read_bytes(), metadata=metadata)

    def download(self, bucket: str, key: str, path: Path) -> None:
        path.write_bytes(self.get(bucket, key)[0])

    def multipart(self, bucket: str, key: str, *, metadata: Mapping[str, str] | None = None) -> MemoryUpload:
        with self._lock:
            parts = self._uploads.setdefault((bucket, key), {})
        return MemoryUpload(self, bucket, key, dict(metadata or {}), parts)

    def ensure_bucket(self, bucket: str) -> None:
        self._objects.setdefault(bucket, {})


@dataclass
class MemoryUpload:
    """A multipart upload of the in-memory store."""

    store: MemoryStore
    bucket: str
    key: str
    metadata: dict[str, str]
    _parts: dict[int, bytes]

    @property
    def parts(self) -> Sequence[Part]:
        found = []
        for number in range(1, len(self._parts) + 1):
            if number not in self._parts:
                break
            body = self._parts[number]
            found.append(Part(number, len(body), hashlib.md5(body, usedforsecurity=False).hexdigest()))
        return found

    def put_part(self, number: int, body: bytes) -> None:
        self._parts[number] = bytes(body)

    def complete(self) -> str:
        body = b"".join(self._parts[number] for number in sorted(self._parts))
        etag = self.store.put(self.bucket, self.key, body, metadata=self.metadata)
        self.abort()
        return etag

    def abort(self) -> None:
        self.store._uploads.pop((self.bucket, self.key), None)  # noqa: SLF001  one class in two parts
