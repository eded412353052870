"""Archives from outside, read member by member within limits: TGZ, tar and zip.

An archive is hostile until it has been read whole. Only regular files are taken; a link, a device, a path that is
absolute or leads upwards, a name that is not plain, the same name twice, more files or bytes than allowed, an encrypted
member, or an archive that is cut short: each refuses the archive as a whole, by name. Nothing is extracted by the
libraries' own functions, and neither a header nor a compressed block makes more memory be used than the limits say.
"""

from __future__ import annotations

import errno
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO, Final, Self, cast

from shared.errors import BadInputError

CHUNK: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK"
# What may stand between two members of a tar: extended headers, and the zeros at the end (one record by default).
_BETWEEN: Final = 256 << 10
_DIRECTORY: Final = 8 << 20
_EOCD: Final = b"PK\x05\x06"
_EOCD64_LOCATOR: Final = b"PK\x06\x07"
_BROKEN: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    struct.error,
    NotImplementedError,
    OverflowError,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """``files``: at most so many members. ``size``: bytes of all members together. ``name``, ``depth``: of a path."""

    files: int = 1000
    size: int = 4 << 30
    name: int = 240
    depth: int = 8


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive. ``chunks`` must be read to its end before the next member is asked for."""

    path: str
    size: int
    chunks: Iterator[bytes]


def members(source: BinaryIO, what: str, limits: Limits) -> Iterator[Member]:
    """The files of the archive ``source``, in its order, whichever kind its first bytes say.

    Zip needs a source that can seek. BadInputError, naming ``what``, where the archive breaks its format or the limits;
    it may come after members have been given: who takes them keeps none before the end.
    """
    peeked = _Peeked(source)
    head, source = peeked.peek(4), cast(BinaryIO, peeked)
    with _broken(what):
        if head.startswith(_ZIP):
            yield from _checked(_of_zip(peeked.whole(), what), what, limits)
        elif head.startswith(_GZIP):
            with gzip.GzipFile(fileobj=source) as plain:
                yield from _checked(_of_tar(cast(BinaryIO, plain), what, limits), what, limits)
        else:
            yield from _checked(_of_tar(source, what, limits), what, limits)


@contextmanager
def _broken(what: str) -> Iterator[None]:
    """What the libraries raise over a broken archive, as the error of the service. An OSError of the source passes."""
    try:
        yield
    except BadInputError:
        raise
    except _BROKEN as error:
        raise BadInputError(what, "a whole archive (TGZ, tar or zip)", f"{type(error).__name__}: {error}") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place that is none, asked for by a zip
            raise
        raise BadInputError(what, "a whole archive (TGZ, tar or zip)", str(error)) from None


def _checked(found: Iterator[Member], what: str, limits: Limits) -> Iterator[Member]:
    seen: set[str] = set()
    total = 0
    for member in found:
        _check_path(member.path, what, limits)
        # Two names that differ in case alone are one file on some file systems.
        if member.path.casefold() in seen:
            raise BadInputError(f"{what}, member", "each name once", member.path)
        seen.add(member.path.casefold())
        if len(seen) > limits.files:
            raise BadInputError(f"{what}, members", f"at most {limits.files}")
        if total + member.size > limits.size:
            raise BadInputError(f"{what}, its members' bytes", f"at most {limits.size}")
        rest = _Rest(member.size)
        yield Member(member.path, member.size, rest.all_of(member.chunks, what, member.path))
        if rest.bytes_left:
            raise BadInputError(f"{what}, {member.path}", f"{member.size} bytes", member.size - rest.bytes_left)
        total += member.size
    if not seen:
        raise BadInputError(what, "an archive with at least one file")


@dataclass
class _Rest:
    """How much of a member is still to come: what its header promises is what must come."""

    bytes_left: int

    def all_of(self, chunks: Iterator[bytes], what: str, path: str) -> Iterator[bytes]:
        with _broken(what):
            for chunk in chunks:
                self.bytes_left -= len(chunk)
                if self.bytes_left < 0:
                    raise BadInputError(f"{what}, {path}", "no more bytes than its header says")
                yield chunk


def _check_path(path: str, what: str, limits: Limits) -> None:
    steps = path.split("/")
    plain = path.isascii() and path.isprintable() and "\\" not in path and ":" not in path
    if not plain or len(path) > limits.name or any(step in {"", ".", ".."} for step in steps):
        raise BadInputError(f"{what}, member", f"a plain relative path of at most {limits.name} characters", path)
    if len(steps) > limits.depth:
        raise BadInputError(f"{what}, member", f"at most {limits.depth} folders deep", path)


# tar ----------------------------------------------------------------------------------------------------------
def _of_tar(source: BinaryIO, what: str, limits: Limits) -> Iterator[Member]:
    """Members of a tar, read from front to end. ``./`` before a path is dropped, folders are passed over."""
    guarded, folders = _Guarded(source, what), 0
    with tarfile.open(fileobj=cast(IO[bytes], guarded), mode="r|", tarinfo=_StrictInfo) as archive:
        while True:
            guarded.allow(_BETWEEN)
            info = archive.next()
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep every member it met
            if info is None:
                break
            if info.isdir():
                folders += 1
                if folders > limits.files:
                    raise BadInputError(f"{what}, folders", f"at most {limits.files}")
                continue
            if info.type not in {tarfile.REGTYPE, tarfile.AREGTYPE} or info.issparse() or info.size < 0:
                raise BadInputError(f"{what}, {info.name[:120]!r}", "a regular file", f"type {info.type!r}")
            body = archive.extractfile(info)
            if body is None:  # pragma: no cover - tarfile gives a reader for every regular file
                raise BadInputError(f"{what}, {info.name[:120]!r}", "a regular file")
            guarded.allow(info.size + _BETWEEN)
            yield Member(info.name.removeprefix("./"), info.size, _chunks(body))
    guarded.allow(_BETWEEN)
    while guarded.read(CHUNK):  # what follows the end: to be read, for the checksum that stands behind it
        pass


class _StrictInfo(tarfile.TarInfo):
    """A header that makes no sense, or none before the mark of the end, is an error. tarfile takes it for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the mark of the end: typeshed does not know it
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


class _Guarded:
    """A reader that gives no more bytes than were allowed since: a header cannot claim a gigabyte for itself."""

    def __init__(self, source: BinaryIO, what: str) -> None:
        self._source, self._what = source, what
        self.allow(_BETWEEN)

    def allow(self, more: int) -> None:
        self._left = more + tarfile.RECORDSIZE

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = CHUNK
        body = self._source.read(size)
        self._left -= len(body)
        if self._left < 0:
            raise BadInputError(f"{self._what}, a header in it", f"at most {_BETWEEN} bytes")
        return body


# zip ----------------------------------------------------------------------------------------------------------
def _of_zip(source: BinaryIO, what: str) -> Iterator[Member]:
    _check_directory(source, what)
    with zipfile.ZipFile(source) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.filename.endswith("/"):
                continue
            if kind not in {0, stat.S_IFREG}:
                raise BadInputError(f"{what}, {info.filename[:120]!r}", "a regular file", f"mode {kind:o}")
            if info.flag_bits & 0x1:
                raise BadInputError(f"{what}, {info.filename[:120]!r}", "a member that is not encrypted")
            if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise BadInputError(
                    f"{what}, {info.filename[:120]!r}", "a member stored or deflated", info.compress_type
                )
            with archive.open(info) as body:
                yield Member(info.filename.removeprefix("./"), info.file_size, _chunks(body))


def _check_directory(source: BinaryIO, what: str) -> None:
    """The list of members is read whole before the first is given: it must be small. Zip64 is not needed for that."""
    end = source.seek(0, 2)
    source.seek(max(0, end - (22 + 0xFFFF + 20)))
    tail = source.read()
    at = tail.rfind(_EOCD)
    if at < 0 or len(tail) - at < 22:
        raise BadInputError(what, "a whole archive (TGZ, tar or zip)", "no end of central directory")
    size = int.from_bytes(tail[at + 12 : at + 16], "little")
    if size > _DIRECTORY or _EOCD64_LOCATOR in tail[max(0, at - 20) : at]:
        raise BadInputError(f"{what}, its central directory", f"at most {_DIRECTORY} bytes, and no zip64")
    source.seek(0)


def _chunks(body: IO[bytes]) -> Iterator[bytes]:
    while chunk := body.read(CHUNK):
        yield chunk


class _Peeked:
    """A reader whose first bytes can be looked at."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._head = source, b""

    def peek(self, size: int) -> bytes:
        while len(self._head) < size and (more := self._source.read(size - len(self._head))):
            self._head += more
        return self._head

    def read(self, size: int = -1) -> bytes:
        if not self._head:
            return self._source.read(size)
        if size < 0:
            body, self._head = self._head + self._source.read(), b""
        else:
            body, self._head = self._head[:size], self._head[size:]
        return body

    def whole(self) -> BinaryIO:
        """The source itself, from its beginning."""
        self._source.seek(0)
        return self._source
