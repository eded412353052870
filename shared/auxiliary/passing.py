"""Bytes on their way: counted and digested, compared with what was promised, cut into parts, written as they come."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from shared.errors import BadInputError, IntegrityError
from shared.ports import ObjectStore

PART: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Promise:
    """What is said of the bytes of ``what`` before they come; nothing where it is None or empty."""

    what: str
    size: int | None = None
    md5: str = ""
    sha256: str = ""


class Noted:
    """Size and digest of the bytes that pass."""

    def __init__(self) -> None:
        self.size, self.sha256 = 0, hashlib.sha256()

    def passing(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.size += len(chunk)
            self.sha256.update(chunk)
            self.check()
            yield chunk

    def check(self) -> None:
        """Called with every chunk."""


class Checked(Noted):
    """Compares what comes with what was promised."""

    def __init__(self, promise: Promise, largest: int) -> None:
        super().__init__()
        self._promised, self._largest = promise, largest
        self._md5 = hashlib.md5(usedforsecurity=False)
        if promise.size is not None and promise.size > largest:
            raise BadInputError(f"{promise.what}, size", f"at most {largest} bytes", promise.size)

    def passing(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in super().passing(chunks):
            self._md5.update(chunk)
            yield chunk

    def check(self) -> None:
        if self.size > self._largest:
            raise BadInputError(f"{self._promised.what}, size", f"at most {self._largest} bytes")

    def end(self) -> None:
        promised, what = self._promised, self._promised.what
        if promised.size is not None and self.size != promised.size:
            raise IntegrityError(f"{what}: {promised.size} bytes were promised, {self.size} came")
        for kind, expected, found in (
            ("MD5", promised.md5, self._md5.hexdigest()),
            ("SHA-256", promised.sha256, self.sha256.hexdigest()),
        ):
            if expected and expected.lower() != found:
                raise IntegrityError(f"{what}: its {kind} is {found}, {expected} was promised")


def stream(chunks: Iterator[bytes]) -> BinaryIO:
    """Chunks as a file to read from front to end."""
    return cast(BinaryIO, io.BufferedReader(_Stream(chunks), 1 << 16))


class _Stream(io.RawIOBase):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._held = chunks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: bytearray) -> int:  # type: ignore[override]
        while not self._held:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._held = memoryview(chunk)
        count = min(len(into), len(self._held))
        into[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


def write_object(store: ObjectStore, bucket: str, key: str, chunks: Iterator[bytes]) -> None:
    """Write an object of any size from bytes as they come; at most three parts of it are in memory."""
    parts = _cut(chunks)
    first, second = next(parts, b""), next(parts, None)
    if second is None:
        store.put(bucket, key, first, content_type="application/octet-stream")
        return
    upload = store.multipart(bucket, key)
    if upload.parts:  # of an attempt that died
        upload.abort()
        upload = store.multipart(bucket, key)
    try:
        upload.put_part(1, first)
        upload.put_part(2, second)
        for number, part in enumerate(parts, 3):
            upload.put_part(number, part)
    except BaseException:
        upload.abort()
        raise
    upload.complete()


def kept(chunks: Iterator[bytes], into: bytearray, most: int) -> Iterator[bytes]:
    """The same chunks; what passes is kept in ``into``, until that holds more than ``most`` bytes."""
    for chunk in chunks:
        if len(into) <= most:
            into += chunk
        yield chunk


def _cut(chunks: Iterator[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= PART:
            part = bytes(held[:PART])
            del held[:PART]
            yield part
    if held:
        yield bytes(held)
