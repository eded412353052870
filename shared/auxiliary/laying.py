"""Laying the auxiliary files of a job where its IPF expects them, each byte checked on its way."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final, get_args

from shared.auxiliary.catalogue import AuxiliaryEntry
from shared.auxiliary.unpacking import CHUNK, Limits, members
from shared.domain.auxiliary.folders import Placement, plan
from shared.domain.auxiliary.types import Folder, TypeTable
from shared.errors import BadInputError, IntegrityError
from shared.ledger.records import FileEntry
from shared.ports import ObjectStore

_GRIB: Final = b"GRIB"


@dataclass(frozen=True)
class Layer:
    """Lays files of ``bucket`` out."""

    store: ObjectStore
    bucket: str
    table: TypeTable
    limits: Limits

    def lay_out(self, entries: Sequence[AuxiliaryEntry], root: Path) -> list[Path]:
        """Lay ``entries`` out below ``root``, in folders that are made, empty ones too; returns the files written.

        BadInputError where a file is not as its type should be, IntegrityError where bytes are not those that were
        taken in, ObjectAbsentError where a file has gone.
        """
        for folder in get_args(Folder):
            (root / folder).mkdir(parents=True, exist_ok=True)
        by_name = {entry.name: entry for entry in entries}
        placements = plan(self.table, {entry.name: [file.path for file in entry.files] for entry in entries})
        written: list[Path] = []
        for placement in placements:
            with TemporaryDirectory(dir=root, prefix=".laying-") as folder:
                written += self._lay(placement, by_name[placement.name], root, Path(folder))
        return sorted(written)

    def _lay(self, placement: Placement, entry: AuxiliaryEntry, root: Path, held: Path) -> list[Path]:
        files = {file.path: file for file in entry.files}
        sources = [
            self._fetch(entry, files[path], held / f"{number:04d}") for number, path in enumerate(placement.sources)
        ]
        target = root / placement.target
        if placement.action == "copy":
            return [_moved(sources[0], target)]
        if placement.action == "concatenate":
            return [_joined(sources, placement.name, target)]
        if placement.action == "concatenate-members":
            return [_joined(list(self._gribs(placement, sources[0], held)), placement.name, target)]
        return [_moved(path, target / path.name) for path in self._gribs(placement, sources[0], held)]

    def _fetch(self, entry: AuxiliaryEntry, file: FileEntry, to: Path) -> Path:
        digest, size = hashlib.sha256(), 0
        with to.open("wb") as out:
            for chunk in self.store.read(self.bucket, f"{entry.prefix}{file.path}"):
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
        if (size, digest.hexdigest()) != (file.size, file.sha256):
            raise IntegrityError(f"auxiliary file {entry.name}, {file.path}: its bytes are not those taken in")
        return to

    def _gribs(self, placement: Placement, block: Path, held: Path) -> Iterator[Path]:
        """The members that are wanted, in the order of their names; the block itself where it is one GRIB."""
        what, found = f"auxiliary file {placement.name}", list[Path]()
        with block.open("rb") as source:
            if source.read(len(_GRIB)) == _GRIB:
                yield block.rename(held / placement.name)
                return
            source.seek(0)
            for member in members(source, what, self.limits):
                name = PurePosixPath(member.path).name
                wanted = name.startswith(placement.prefix)
                path = held / "members" / name
                if wanted and path.exists():
                    raise BadInputError(f"{what}, member", "each name once", name)
                path.parent.mkdir(exist_ok=True)
                _spool(member.chunks, path if wanted else None)
                found += [path] if wanted else []
        if not found:
            raise BadInputError(what, f"a member whose name starts with {placement.prefix}")
        yield from sorted(found)


def _spool(chunks: Iterable[bytes], path: Path | None) -> None:
    """Write the chunks; without a path they are read, and dropped."""
    if path is None:
        for _ in chunks:
            pass
        return
    with path.open("wb") as out:
        for chunk in chunks:
            out.write(chunk)


def _moved(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return source.replace(target)


def _joined(sources: Sequence[Path], name: str, target: Path) -> Path:
    """All sources as one file, which appears whole or not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    joined = sources[0].parent / f"{sources[0].name}.joined"
    with joined.open("wb") as out:
        for source in sources:
            with source.open("rb") as part:
                if part.read(len(_GRIB)) != _GRIB:
                    raise BadInputError(f"auxiliary file {name}, {source.name}", "a GRIB")
                part.seek(0)
                shutil.copyfileobj(part, out, CHUNK)
    return joined.replace(target)
