"""A product as an archive (.zip), as data hubs give it: unpacked as hostile.

Every name is held to the grammar of products' paths, so none leads out of the folder; links, encrypted entries and two
entries of one name are refused, and what the archive claims to hold is bounded before the first octet is written. An
entry never gives more than it claims: reading stops there, and its checksum has to be right.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from shared.domain.names import CompactName
from shared.errors import BadInputError, ObjectAbsentError, RefusedError
from shared.steering.paths import MOST_FILES, checked, clutter

SUFFIX: Final = ".zip"
_MOST_OCTETS: Final = 2 << 30
"""A tile with no compression at all has 1.7 GiB; the disk that functions have for archives holds twice this."""
_MOST_ENTRIES: Final = 4 * MOST_FILES
_MOST_AT_ONCE: Final = 16 << 20
_CHUNK: Final = 1 << 20
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED: Final = 1
# The last two of names that are empty, or not of the characters that they claim.
_UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, IndexError, ValueError)


class _Bounded(io.BufferedReader):
    """The file, of which no more than so much is read at once: an archive's list of entries is, before any is seen.

    Places that an archive names wrongly are its fault: no error of the system, as a disk's would be.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MOST_AT_ONCE:
            raise zipfile.BadZipFile(f"its list of entries is longer than {_MOST_AT_ONCE} octets")
        return super().read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_SET and not 0 <= offset <= os.fstat(self.fileno()).st_size:
            raise zipfile.BadZipFile("what it says of its places leads out of it")
        return super().seek(offset, whence)


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """The folder of the one SAFE product in an archive, for as long as the context lasts.

    Raises:
        ObjectAbsentError: where there is no such file.
        BadInputError: for an archive that cannot be read, or holds anything but one product's files.
        RefusedError: where there is no room for it.
    """
    with TemporaryDirectory(prefix="s2ps-product-") as scratch:
        try:
            bounded(archive.name, archive.stat().st_size)
            name = _unpack(archive, Path(scratch))
        except FileNotFoundError:
            raise ObjectAbsentError(f"product {archive}: there is no such file") from None
        except _UNREADABLE as error:
            raise BadInputError(_of(archive), "a .zip that can be read", str(error)) from None
        except OSError as error:
            reason = f"{error.strerror}; TMPDIR says where"
            raise RefusedError(f"{_of(archive)}: it cannot be unpacked: {reason}") from None
        yield Path(scratch) / name


def bounded(name: str, octets: int) -> None:
    """BadInputError where an archive is larger than all that it may hold."""
    if octets > _MOST_OCTETS:
        raise BadInputError(f"archive {name}", f"at most {_MOST_OCTETS} octets", octets)


def _of(archive: Path) -> str:
    return f"archive {archive.name}"


def _unpack(archive: Path, scratch: Path) -> str:
    """The name of the product's folder, which is written to ``scratch``."""
    with _Bounded(archive.open("rb", buffering=0)) as octets, zipfile.ZipFile(octets) as file:
        entries = _entries(archive, file)
        name = _product(archive, entries)
        for path, entry in entries.items():
            _extract(archive, file, entry, scratch / path)
    return name


def _entries(archive: Path, file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Files by their checked paths; folders and clutter are left out."""
    listed = file.infolist()
    if len(listed) > _MOST_ENTRIES:
        raise BadInputError(_of(archive), f"at most {_MOST_ENTRIES} entries", len(listed))
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in listed:
        if entry.is_dir() or clutter(entry.filename):
            _held_against_its_header(archive, file, entry)
            continue
        path = checked(_of(archive), entry.filename)
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise BadInputError(f"{_of(archive)}, {path}", "a file, not a link")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
            raise BadInputError(f"{_of(archive)}, {path}", "an entry that is stored or deflated, not encrypted")
        if path in found:
            raise BadInputError(f"{_of(archive)}, {path}", "one entry of this name", "two")
        found[path] = entry
    total = sum(entry.file_size for entry in found.values())
    if total > _MOST_OCTETS:
        raise BadInputError(_of(archive), f"at most {_MOST_OCTETS} octets when unpacked", total)
    return found


def _held_against_its_header(archive: Path, file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """What is passed over is not read. Where only the list calls it so, it is a file whose name was damaged."""
    if entry.is_dir() and entry.file_size:
        raise BadInputError(f"{_of(archive)}, {entry.filename}", "no octets in a folder", entry.file_size)
    if not entry.flag_bits & _ENCRYPTED:
        file.open(entry).close()


def _product(archive: Path, entries: dict[str, zipfile.ZipInfo]) -> str:
    """The name of the folder that all entries are in."""
    tops = sorted({path.partition("/")[0] for path in entries})
    if len(tops) != 1 or not tops[0].endswith(".SAFE"):
        raise BadInputError(_of(archive), "one folder, whose name ends in .SAFE", tops[:5])
    return str(CompactName.parse(tops[0]))


def _extract(archive: Path, file: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with file.open(entry) as source, target.open("xb") as written:
        while chunk := source.read(_CHUNK):
            written.write(chunk)
        size = written.tell()
    if size != entry.file_size:
        raise BadInputError(f"{_of(archive)}, {entry.filename}", f"{entry.file_size} octets", size)
