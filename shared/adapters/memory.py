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
Held = tuple[bytes, ObjectInfo]


class Folder:
    """Objects by their keys, a level of folders for each ``/``: to list a prefix costs what is below it, not more."""

    __slots__ = ("files", "folders", "listed", "order")

    def __init__(self) -> None:
        self.files: dict[str, Held] = {}
        self.folders: dict[str, Folder] = {}
        self.order: list[str] | None = None
        # All below, in the order of their keys: most folders are listed often after they last changed.
        self.listed: list[ObjectInfo] | None = None

    def place(self, key: str) -> tuple[Folder | None, str]:
        """The folder in which an object lies, and its name there; None where there is no such folder."""
        *path, name = key.split("/")
        here = self
        for part in path:
            inner = here.folders.get(part)
            if inner is None:
                return None, name
            here = inner
        return here, name

    def put(self, key: str, held: Held) -> None:
        *path, name = key.split("/")
        here = self
        for part in path:
            here.listed = None
            inner = here.folders.get(part)
            if inner is None:
                inner = here.folders[part] = Folder()
                here.order = None
            here = inner
        here.listed = None
        if name not in here.files:
            here.order = None
        here.files[name] = held

    def delete(self, key: str) -> None:
        """Without the folders that become empty by it: a store has none."""
        path = key.split("/")
        trail = self._trail(path)
        if trail and trail[-1].files.pop(path[-1], None) is not None:
            self._changed(trail, path)

    def forget(self, folder: str) -> None:
        """Drop a folder with all that is below it."""
        path = folder.split("/")
        trail = self._trail(path)
        if trail and trail[-1].folders.pop(path[-1], None) is not None:
            self._changed(trail, path)

    def _trail(self, path: list[str]) -> list[Folder]:
        """The folders from here to the one that the path's last part is in; none where there is no such folder."""
        trail: list[Folder] = [self]
        for part in path[:-1]:
            inner = trail[-1].folders.get(part)
            if inner is None:
                return []
            trail.append(inner)
        return trail

    @staticmethod
    def _changed(trail: list[Folder], path: list[str]) -> None:
        """Something went out of the last folder of a trail, whose names are those of ``path``."""
        for folder in trail:
            folder.listed = None
        trail[-1].order = None
        for above, part in zip(trail[-2::-1], path[-2::-1], strict=True):
            inner = above.folders[part]
            if inner.files or inner.folders:
                return
            del above.folders[part]
            above.order = None

    def names(self) -> list[str]:
        """Files, and folders with their ``/``, in the order in which keys below them sort."""
        if self.order is None:
            self.order = sorted([*self.files, *(f"{name}/" for name in self.folders)])
        return self.order

    def walk(self, prefix: str, after: str = "") -> list[ObjectInfo]:
        """All objects below ``prefix`` after the key ``after``, in the order of their keys."""
        path, slash, begin = prefix.rpartition("/")
        folder, _ = self.place(path + slash)
        if folder is None:
            return []
        found = folder.all()
        if not begin and not after:
            return found
        return [info for info in found if info.key > after and info.key.startswith(prefix)]

    def all(self) -> list[ObjectInfo]:
        """All objects below this folder, in the order of their keys."""
        found = self.listed
        if found is None:
            found = self.listed = []
            for name in self.names():
                if name[-1:] == "/":
                    inner = self.folders[name[:-1]]
                    found += inner.all() if inner.listed is None else inner.listed
                else:
                    found.append(self.files[name][1])
        return found


@dataclass(slots=True)
class Bucket:
    """The objects of a bucket: by folders, to be listed, and by their whole keys, to be found."""

    root: Folder = field(default_factory=Folder)
    held: dict[str, Held] = field(default_factory=dict)

    def put(self, key: str, held: Held) -> None:
        self.held[key] = held
        self.root.put(key, held)

    def delete(self, key: str) -> None:
        if self.held.pop(key, None) is not None:
            self.root.delete(key)

    def forget(self, folder: str) -> None:
        """Drop all objects below a folder, named without its last ``/``."""
        for info in self.root.walk(f"{folder}/"):
            del self.held[info.key]
        self.root.forget(folder)


@dataclass
class MemoryStore:
    """Objects in a dict. Each ``watchers`` entry is called with (bucket, info) after every write: the notifications."""

    clock: Clock
    watchers: list[Watcher] = field(default_factory=list)
    _objects: dict[str, Bucket] = field(default_factory=dict)
    _uploads: dict[tuple[str, str], dict[int, bytes]] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)

    def _write(self, bucket: str, key: str, body: bytes, metadata: Mapping[str, str] | None) -> str:
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        info = ObjectInfo(key, len(body), etag, self.clock.now(), dict(metadata or {}))
        self._bucket(bucket).put(key, (bytes(body), info))
        for watcher in self.watchers:
            watcher(bucket, info)
        return etag

    def _bucket(self, bucket: str) -> Bucket:
        found = self._objects.get(bucket)
        if found is None:
            found = self._objects[bucket] = Bucket()
        return found

    def _find(self, bucket: str, key: str) -> Held | None:
        return self._bucket(bucket).held.get(key)

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
            return iter(self._bucket(bucket).root.walk(prefix, start_after))

    def folders(self, bucket: str, prefix: str = "") -> Iterator[str]:
        path, slash, begin = prefix.rpartition("/")
        above = path + slash
        with self._lock:
            folder, _ = self._bucket(bucket).root.place(above)
            names = [] if folder is None else folder.names()
            return iter([f"{above}{name}" for name in names if name.endswith("/") and name.startswith(begin)])

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
            self._bucket(bucket).delete(key)

    def forget(self, bucket: str, folder: str) -> None:
        """Drop all objects below a folder (``.../``) at once. No store can: it is for rehearsals."""
        with self._lock:
            self._bucket(bucket).forget(folder.rstrip("/"))

    def upload(self, bucket: str, key: str, path: Path, *, metadata: Mapping[str, str] | None = None) -> str:
        return self.put(bucket, key, path.read_bytes(), metadata=metadata)

    def download(self, bucket: str, key: str, path: Path) -> None:
        path.write_bytes(self.get(bucket, key)[0])

    def multipart(self, bucket: str, key: str, *, metadata: Mapping[str, str] | None = None) -> MemoryUpload:
        with self._lock:
            parts = self._uploads.setdefault((bucket, key), {})
        return MemoryUpload(self, bucket, key, dict(metadata or {}), parts)

    def ensure_bucket(self, bucket: str) -> None:
        self._bucket(bucket)


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
