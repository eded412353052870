"""A product that is given: a folder, an archive, or a place in the store; what is of it, and whether it is whole.

Its manifest says which files it has and how long they are. Images and metadata have to be there with that length; what
else is missing or differs is told, and does not stop it: products come without their schemas and pages, and are none
the worse. What desktops and clients leave beside files is passed over.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from shared.bootstrap import Services
from shared.domain.names import CompactName
from shared.errors import BadInputError, ObjectAbsentError, RefusedError
from shared.ledger.records import FileEntry
from shared.parallel import pool_of
from shared.steering.packed import SUFFIX, bounded, unpacked
from shared.steering.paths import MOST_FILES, checked, clutter
from shared.workflow.plan import tree_digest
from shared.xmltree import Limits, parse_tree

MANIFEST: Final = "manifest.safe"
"""The file of a SAFE product that is brought last: with it, the product is whole."""
PLACE: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+?)/?", re.ASCII)
_NEEDED: Final = re.compile(r"(.*/)?(MTD_[^/]*\.xml|IMG_DATA/.*\.jp2)")
_LONG_NAME: Final = re.compile(r"S2[A-D]_[A-Z]{4}_PRD_MSIL1C_")
_LIMITS: Final = Limits(size=16 << 20, elements=200_000)
_THREADS: Final = 8
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Product:
    """A product's files; ``folder`` where they are on this machine, else they are below ``prefix`` in ``bucket``.
    ``remarks`` are sentences about what is not as its manifest says.
    """

    name: str
    files: tuple[FileEntry, ...]
    bucket: str
    prefix: str
    folder: Path | None = None
    remarks: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return tree_digest([(file.path, file.size, file.sha256) for file in self.files])


def product_name(text: str) -> CompactName:
    """The product that a folder's or archive's name tells of; BadInputError where it tells of none."""
    if _LONG_NAME.match(text):
        raise BadInputError(
            f"product {text}",
            "a product of one tile with a compact name; those of before 6 December 2016 hold several tiles under long"
            " names, and are not processed",
        )
    name = CompactName.parse(text)
    if not name.safe:
        raise BadInputError("product", "the name of a SAFE product, with .SAFE", text)
    return name


@contextmanager
def opened(services: Services, target: str) -> Iterator[str]:
    """The folder's path, or the place in the store, of a product; an archive is unpacked for as long as this lasts."""
    place = PLACE.fullmatch(target)
    if not target.rstrip("/").lower().endswith(SUFFIX):
        yield target.rstrip("/")
    elif place is None:
        with unpacked(Path(target)) as folder:
            yield str(folder)
    else:
        with TemporaryDirectory(prefix="s2ps-archive-") as scratch:
            archive = Path(scratch) / place[2].rpartition("/")[2]
            there = services.store.head(place[1], place[2])
            if there is not None:
                bounded(archive.name, there.size)
            try:
                services.store.download(place[1], place[2], archive)
            except OSError as error:
                reason = f"{error.strerror or error}; TMPDIR says where"
                raise RefusedError(f"archive {archive.name}: it cannot be fetched: {reason}") from None
            with unpacked(archive) as folder:
                yield str(folder)


def find(services: Services, target: str, name: str) -> Product:
    """The product at ``target``, held against its manifest, each file with its digest."""
    place = PLACE.fullmatch(target)
    if place:
        bucket, prefix = place[1], f"{place[2]}/"
        listed = _in_store(services, bucket, prefix)
    else:
        listed = _in_folder(Path(target))
    if MANIFEST not in listed:
        raise ObjectAbsentError(f"product {target}: it has no {MANIFEST}, so it is not whole")
    if listed[MANIFEST] > _LIMITS.size:
        raise BadInputError(f"product {name}, {MANIFEST}", f"at most {_LIMITS.size} octets", listed[MANIFEST])
    if place:
        remarks = check(name, _manifest(services, bucket, prefix, name, listed), listed)
        return Product(name, _stored_entries(services, bucket, prefix, listed), bucket, prefix, remarks=remarks)
    folder = Path(target)
    remarks = check(name, (folder / MANIFEST).read_bytes(), listed)
    files = tuple(_entry(folder, path) for path in listed)
    digest = tree_digest([(file.path, file.size, file.sha256) for file in files])
    # Under its content: other files of the same name never take the place of those that are being read.
    prefix = f"given/{digest[:16]}/{name}/"
    return Product(name, files, services.settings.bucket_sessions, prefix, folder, remarks)


def check(name: str, manifest: bytes, listed: Mapping[str, int]) -> tuple[str, ...]:
    """What of a product is not as its manifest says, as sentences; ``listed`` are sizes by path.

    BadInputError where that is an image or metadata.
    """
    wrong: list[str] = []
    for path, size in _stated(name, manifest):
        if path not in listed:
            found = "it is not there"
        elif size is not None and size != listed[path]:
            found = f"it has {listed[path]} octets, not {size}"
        else:
            continue
        if _NEEDED.fullmatch(path):
            raise BadInputError(f"product {name}, {path}", f"the file that {MANIFEST} lists", found)
        wrong.append(f"{path}: {found}")
    if not wrong:
        return ()
    more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return (f"not as {MANIFEST} says: {'; '.join(wrong[:_SHOWN])}{more}",)


def arrived(services: Services, target: str) -> bool:
    """Whether the manifest of a product in the store is there, and each file it lists, not shorter than it says.

    BadInputError where the manifest cannot be read, or the product has paths that no product has.
    """
    place = PLACE.fullmatch(target)
    if place is None:
        raise BadInputError("product", "a place in the store, s3://bucket/key", target)
    bucket, prefix, name = place[1], f"{place[2]}/", place[2].rpartition("/")[2]
    listed = _in_store(services, bucket, prefix)
    if MANIFEST not in listed:
        return False
    stated = _stated(name, _manifest(services, bucket, prefix, name, listed))
    return all(path in listed and listed[path] >= (size or 0) for path, size in stated)


def _manifest(services: Services, bucket: str, prefix: str, name: str, listed: Mapping[str, int]) -> bytes:
    """A manifest in the store, which is there; BadInputError where it is longer than any."""
    if listed[MANIFEST] > _LIMITS.size:
        raise BadInputError(f"product {name}, {MANIFEST}", f"at most {_LIMITS.size} octets", listed[MANIFEST])
    return b"".join(services.store.read(bucket, prefix + MANIFEST))


def _stated(name: str, manifest: bytes) -> Iterator[tuple[str, int | None]]:
    """(path, size) of each file that a manifest lists; None where it tells no size."""
    for stream in parse_tree(manifest, f"product {name}, {MANIFEST}", _LIMITS).iter("byteStream"):
        location = stream.find("fileLocation")
        path = (location.get("href") or "").removeprefix("./") if location is not None else ""
        size = stream.get("size", "").strip()
        if path and not clutter(path):
            yield path, int(size[:20]) if size.isdecimal() else None  # more digits than any size has


def _in_store(services: Services, bucket: str, prefix: str) -> dict[str, int]:
    listed = {}
    for info in services.store.list(bucket, prefix):
        path = info.key.removeprefix(prefix)
        if not path.endswith("/") and not clutter(path):  # a folder's own object, as some clients make
            listed[checked("product", path)] = info.size
        if len(listed) > MOST_FILES:
            raise BadInputError(f"product s3://{bucket}/{prefix}", f"at most {MOST_FILES} files")
    return listed


def _stored_entries(services: Services, bucket: str, prefix: str, listed: Mapping[str, int]) -> tuple[FileEntry, ...]:
    def entry(path: str) -> FileEntry:
        digest, size = hashlib.sha256(), 0
        for chunk in services.store.read(bucket, prefix + path):
            digest.update(chunk)
            size += len(chunk)
        return FileEntry(path=path, size=size, sha256=digest.hexdigest())

    with pool_of(_THREADS, len(listed)) as pool:
        return tuple(pool.map(entry, listed))


def _in_folder(folder: Path) -> dict[str, int]:
    if folder.is_symlink() or not folder.is_dir():
        raise ObjectAbsentError(f"product {folder}: there is no such folder")
    listed = {}
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names + [each for each in folders if Path(here, each).is_symlink()]):
            path = Path(here, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or not path.is_file():
                raise BadInputError(f"product {folder}, {relative}", "a file, not a link")
            if clutter(relative):
                continue
            listed[checked("product", relative)] = path.stat().st_size
            if len(listed) > MOST_FILES:
                raise BadInputError(f"product {folder}", f"at most {MOST_FILES} files")
    return listed


def _entry(folder: Path, path: str) -> FileEntry:
    with (folder / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(path=path, size=file.tell(), sha256=digest)
