"""Taking an auxiliary file in: the original as it came, what is in it beside it, its header, and then its entry."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from threading import Lock
from typing import BinaryIO, Final, cast

from shared.auxiliary.catalogue import ENTRY, FILES, AuxiliaryEntry, Catalogue
from shared.auxiliary.headers import MAX_HEADER, MAX_PROBAS, AuxiliaryHeader, read_baseline, read_header
from shared.auxiliary.passing import Checked, Noted, Promise, kept, stream, write_object
from shared.auxiliary.unpacking import Limits, Member, members
from shared.domain.auxiliary.names import AuxiliaryName, without_archive
from shared.domain.auxiliary.types import TypeTable
from shared.errors import BadInputError, IntegrityError
from shared.ledger.ledger import Ledger
from shared.ledger.provision import Arrival, arrival
from shared.ledger.records import FileEntry
from shared.ports import Clock, ObjectStore

_log: Final = logging.getLogger(__name__)
LARGEST_ZIP: Final = 128 << 20
_ONE_ZIP: Final = Lock()
_HEADERS: Final = (".HDR", ".EOF")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file as it comes. ``file``: its name with extension. ``size``, ``md5``, ``sha256``: what is promised, if it is.

    ``source_id`` tells deliveries of one name apart; it is any text.
    """

    file: str
    source: str
    source_id: str = ""
    published: datetime | None = None
    size: int | None = None
    md5: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Intake:
    """Takes files into ``bucket``. ``largest``: bytes that an original may have; ``largest_zip``: if it is a zip.

    ``ledger``: where what has become usable is told, for those that wait for it; nowhere, and the sweep finds it.
    """

    store: ObjectStore
    bucket: str
    clock: Clock
    table: TypeTable
    limits: Limits
    largest: int
    largest_zip: int = LARGEST_ZIP
    ledger: Ledger | None = None

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.store, self.bucket)

    def name_of(self, file: str) -> AuxiliaryName:
        """The name of a delivered file. BadInputError where it is none, or of a type that nothing here takes."""
        name = AuxiliaryName.parse(without_archive(file).removesuffix(".EOF"))
        kind = self.table.find(name.type)
        if kind is None:
            raise BadInputError(f"auxiliary file {name}, type", "one of the table of types", name.type)
        if reason := kind.accepts(name):
            raise BadInputError(f"auxiliary file {name}", "a name as its type has it", reason)
        return name

    def take(self, delivery: Delivery, chunks: Iterator[bytes], traceparent: str = "") -> AuxiliaryEntry:
        """Store the file that ``chunks`` are, unpack it, and make it usable. The same delivery twice is the same.

        BadInputError or IntegrityError where it breaks its format or its promises: nothing of it is left then. What an
        attempt that died has left is written over by the next.
        """
        name = self.name_of(delivery.file)
        prefix = f"{FILES}{name.type}/{name}/{_mark(delivery)}/"
        try:
            original = self._original(delivery, prefix, chunks)
            entry = self._unpacked(delivery, name, prefix, original, traceparent)
        except (BadInputError, IntegrityError):
            self._forget(prefix)
            raise
        self.store.put(self.bucket, f"{prefix}{ENTRY}", entry.to_json())
        if not self.catalogue.add(entry):
            _log.info("auxiliary file %s: another delivery of this name came first", name)
        if self.ledger is not None:
            told = Arrival(created=self.clock.now(), traceparent=traceparent, type=name.type, name=name.text)
            self.store.put(self.ledger.bucket, arrival(name.type), told.to_json())
        return entry

    def _original(self, delivery: Delivery, prefix: str, chunks: Iterator[bytes]) -> FileEntry:
        promise = Promise(f"auxiliary file {delivery.file}", delivery.size, delivery.md5, delivery.sha256)
        check = Checked(promise, self.largest)
        key = f"{prefix}{delivery.file}"
        write_object(self.store, self.bucket, key, check.passing(chunks))
        check.end()
        return FileEntry(path=delivery.file, size=check.size, sha256=check.sha256.hexdigest())

    def _unpacked(
        self, delivery: Delivery, name: AuxiliaryName, prefix: str, original: FileEntry, traceparent: str
    ) -> AuxiliaryEntry:
        found = _Found(delivery.file, name)
        for member in self._members(delivery.file, prefix, original):
            path = f"unpacked/{member.path}"
            noted = Noted()
            body = found.watched(member, noted.passing(member.chunks))
            write_object(self.store, self.bucket, f"{prefix}{path}", body)
            found.files.append(FileEntry(path=path, size=noted.size, sha256=noted.sha256.hexdigest()))
        header = found.header()
        return AuxiliaryEntry(
            created=self.clock.now(),
            traceparent=traceparent,
            name=name.text,
            type=name.type,
            satellite=name.satellite,
            band=name.band,
            start=header.start if header else name.start,
            stop=header.stop if header else name.stop,
            creation=(header and header.creation) or name.creation,
            version=header.version if header else "",
            baseline=found.baseline(),
            source=delivery.source,
            source_id=delivery.source_id,
            published=delivery.published,
            prefix=prefix,
            original=original,
            files=tuple(found.files),
            notes=_notes(name, header),
        )

    def _members(self, file: str, prefix: str, original: FileEntry) -> Iterator[Member]:
        """What the original holds; itself where it is no archive."""
        key = f"{prefix}{file}"
        if without_archive(file) == file:
            yield Member(file, original.size, self.store.read(self.bucket, key))
        elif file[-4:].lower() == ".zip":
            # A zip is read from its end: on disk, of which a function has little. So one at a time, too.
            if original.size > self.largest_zip:
                raise BadInputError(f"auxiliary file {file}, size of a zip", f"at most {self.largest_zip} bytes")
            with _ONE_ZIP, TemporaryFile() as held:
                for chunk in self.store.read(self.bucket, key):
                    held.write(chunk)
                held.seek(0)
                yield from members(cast(BinaryIO, held), file, self.limits)
        else:
            yield from members(stream(self.store.read(self.bucket, key)), file, self.limits)

    def _forget(self, prefix: str) -> None:
        for info in list(self.store.list(self.bucket, prefix)):
            self.store.delete(self.bucket, info.key)


class _Found:
    """What is looked at of an archive's members while they pass: the header, and the baseline that a PROBAS sets."""

    def __init__(self, file: str, name: AuxiliaryName) -> None:
        self._file, self._name = file, name
        self.files: list[FileEntry] = []
        self._headers: dict[str, bytearray] = {}
        self._probas: dict[str, bytearray] = {}

    def watched(self, member: Member, chunks: Iterator[bytes]) -> Iterator[bytes]:
        ending = PurePosixPath(member.path).suffix.upper()
        if ending in _HEADERS:
            return kept(chunks, self._headers.setdefault(member.path, bytearray()), MAX_HEADER)
        if self._name.type == "GIP_PROBAS":
            return kept(chunks, self._probas.setdefault(member.path, bytearray()), MAX_PROBAS)
        return chunks

    def header(self) -> AuxiliaryHeader | None:
        """The header of this very file; None where there is none."""
        if len(self._headers) > 1:
            raise BadInputError(self._file, "one header", ", ".join(self._headers))
        for path, body in self._headers.items():
            what = f"{self._file}, {path}"
            header = read_header(bytes(body), what)
            if header.file_type != self._name.type:
                raise BadInputError(f"{what}, File_Type", self._name.type, header.file_type)
            if without_archive(header.file_name) != self._name.text:
                raise BadInputError(f"{what}, File_Name", self._name.text, header.file_name)
            return header
        return None

    def baseline(self) -> str:
        for path, body in self._probas.items():
            if found := read_baseline(io.BytesIO(bytes(body)), f"{self._file}, {path}"):
                return found
        return ""


def _mark(delivery: Delivery) -> str:
    """One folder for each delivery of a name: the same one is written to the same place, another to another."""
    text = f"{delivery.source}\n{delivery.source_id}\n{delivery.file}"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def _notes(name: AuxiliaryName, header: AuxiliaryHeader | None) -> tuple[str, ...]:
    if header is None:
        return ("no header: validity and creation are those of the name",)
    said: tuple[tuple[str, datetime, datetime | None], ...] = (
        ("validity start", name.start, header.start),
        ("validity stop", name.stop, header.stop),
        ("creation", name.creation, header.creation),
    )
    return tuple(
        f"{what}: the header says {there:%Y-%m-%dT%H:%M:%SZ}, the name {here:%Y-%m-%dT%H:%M:%SZ}"
        for what, here, there in said
        if there is not None and here != there.replace(microsecond=0)
    )
