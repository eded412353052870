"""The catalogue of auxiliary files: which are in the store, and what is known of each.

In the bucket of auxiliary files::

    files/<type>/<name>/<mark>/...            one delivery: the original and what was unpacked of it
    files/<type>/<name>/<mark>/entry.json     written last: this delivery is whole
    catalogue/<type>/<name>.json              a copy of the entry that counts: the first one
    catalogue/<type>/<name>.differs           before it, where the header corrects the name

A file is usable when its entry stands in the catalogue, and not before. Names say all that a selection asks, so to list
a type costs one listing and reads no object but those of names that a header corrects. All below ``catalogue/`` is made
again from ``files/`` by ``rebuild``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import ClassVar, Final

from pydantic import AwareDatetime, ValidationError

from shared.domain.auxiliary.names import AuxiliaryName
from shared.errors import BadInputError
from shared.ledger.records import FileEntry, Record
from shared.ports import ObjectStore

CATALOGUE: Final = "catalogue/"
FILES: Final = "files/"
ENTRY: Final = "entry.json"
_DIFFERS: Final = ".differs"
_SECOND: Final = timedelta(seconds=1)


@lru_cache(maxsize=4096)
def _parsed(name: str) -> AuxiliaryName:
    """A name of the catalogue: the same are asked for by each work item that needs files of their type."""
    return AuxiliaryName.parse(name)


class AuxiliaryEntry(Record):
    """An auxiliary file in the store. Validity and creation are the header's where it has one, else the name's.

    ``files``: what was unpacked, paths below ``prefix``; ``original``: the path there of what was delivered, as it was.
    ``published``: when the source says that it was published. ``notes``: where header and name disagree.
    """

    kind: ClassVar[str] = "auxiliary"
    name: str
    type: str
    satellite: str
    band: str | None = None
    start: AwareDatetime
    stop: AwareDatetime
    creation: AwareDatetime
    version: str = ""
    baseline: str = ""
    source: str
    source_id: str = ""
    published: AwareDatetime | None = None
    prefix: str
    original: FileEntry
    files: tuple[FileEntry, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """The files of a type, and the mark of what was there then."""

    names: list[AuxiliaryName]
    mark: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue in ``bucket`` of ``store``."""

    store: ObjectStore
    bucket: str

    def add(self, entry: AuxiliaryEntry) -> bool:
        """Make a file usable; False where a file of this name is already, which is no error: the first one counts."""
        key = _key(entry.type, entry.name)
        if _corrected(entry):
            # Before the entry: whoever lists the one finds the other.
            self.store.put_new(self.bucket, f"{key}{_DIFFERS}", b"{}")
        return self.store.put_new(self.bucket, f"{key}.json", entry.to_json())

    def has(self, name: AuxiliaryName) -> bool:
        """Whether a file of this name is usable."""
        return self.store.head(self.bucket, f"{_key(name.type, name.text)}.json") is not None

    def find(self, name: str) -> AuxiliaryEntry:
        """The entry of the file of this name. ObjectAbsentError where it is not in the catalogue."""
        return self._read(f"{_key(AuxiliaryName.parse(name).type, name)}.json")

    def names(self, kind: str) -> list[AuxiliaryName]:
        """The files of a type, to select among, in the order of their names."""
        return self.look(kind).names

    def look(self, kind: str) -> Look:
        """The files of a type, and the mark of what is there."""
        prefix = f"{CATALOGUE}{kind}/"
        keys = {info.key for info in self.store.list(self.bucket, prefix)}
        entries = sorted(each for each in keys if each.endswith(".json"))
        return Look(self._named(prefix, keys, entries), _mark(entries))

    def mark(self, kind: str) -> str:
        """Tells whether another file of a type came since, by one listing: it is another then."""
        found = (info.key for info in self.store.list(self.bucket, f"{CATALOGUE}{kind}/"))
        return _mark(sorted(key for key in found if key.endswith(".json")))

    def _named(self, prefix: str, keys: set[str], entries: list[str]) -> list[AuxiliaryName]:
        found = []
        for key in entries:
            try:
                name = _parsed(key.removeprefix(prefix).removesuffix(".json"))
            except BadInputError:
                continue  # no file of ours: someone else put it there
            if f"{key.removesuffix('.json')}{_DIFFERS}" in keys:
                entry = self._read(key)
                name = replace(name, start=entry.start, stop=entry.stop, creation=entry.creation)
            found.append(name)
        return found

    def by_type(self, kinds: Iterable[str]) -> dict[str, list[AuxiliaryName]]:
        """The files of several types, as the selection takes them."""
        return {kind: self.names(kind) for kind in sorted(set(kinds))}

    def types(self) -> list[str]:
        """The types of which there are files."""
        return [folder.removeprefix(CATALOGUE).removesuffix("/") for folder in self._folders(CATALOGUE)]

    def rebuild(self) -> int:
        """Make the catalogue again from the files; returns how many entries were not there.

        Of several whole deliveries of one name, the one that was taken in first counts.
        """
        made = 0
        for kind in self._folders(FILES):
            for name in self._folders(kind):
                entries = [self._read(f"{mark}{ENTRY}") for mark in self._folders(name) if self._whole(mark)]
                made += any(self.add(entry) for entry in sorted(entries, key=_taken_in)[:1])
        return made

    def _whole(self, mark: str) -> bool:
        return self.store.head(self.bucket, f"{mark}{ENTRY}") is not None

    def _folders(self, prefix: str) -> Iterator[str]:
        return self.store.folders(self.bucket, prefix)

    def _read(self, key: str) -> AuxiliaryEntry:
        body, _ = self.store.get(self.bucket, key)
        try:
            return AuxiliaryEntry.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BadInputError(f"auxiliary entry {key}, {where}", first["msg"]) from None


def _key(kind: str, name: str) -> str:
    return f"{CATALOGUE}{kind}/{name}"


def _mark(keys: list[str]) -> str:
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]


def _corrected(entry: AuxiliaryEntry) -> bool:
    """Whether the entry says other times than the name, which has whole seconds."""
    name = AuxiliaryName.parse(entry.name)
    pairs = ((entry.start, name.start), (entry.stop, name.stop), (entry.creation, name.creation))
    return any(abs(one - other) >= _SECOND for one, other in pairs)


def _taken_in(entry: AuxiliaryEntry) -> tuple[AwareDatetime, str]:
    return entry.created, entry.prefix
