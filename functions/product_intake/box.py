"""The drop box: what lies in it, told from a listing alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from shared.ports import ObjectInfo, ObjectStore
from shared.steering.paths import clutter

_FOLDER: Final = ".safe/"
_ARCHIVE: Final = ".zip"
_MARK: Final = 24


@dataclass(frozen=True, slots=True)
class Found:
    """A file, or a folder (its name ends in ``/``), that lies directly in the box. ``came``: when the last of it did.

    ``mark``: a digest of what a listing says of it. The same lies there for as long as the mark is the same; of what
    can be no product it is one of the name alone.
    """

    name: str
    mark: str
    came: datetime

    @property
    def folder(self) -> bool:
        return self.name.lower().endswith(_FOLDER)

    @property
    def archive(self) -> bool:
        return self.name.lower().endswith(_ARCHIVE)


@dataclass(frozen=True, slots=True)
class Box:
    """A bucket, or a part of one: ``prefix`` is empty or ends in ``/``."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, setting: str) -> Box:
        """The box of a setting that is not empty."""
        bucket, _, prefix = setting.removeprefix("s3://").partition("/")
        return cls(bucket, f"{prefix.rstrip('/')}/" if prefix.strip("/") else "")

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def contents(self, store: ObjectStore, name: str = "") -> Iterator[Found]:
        """What lies in the box, or what of it has a name that begins so; what desktops and clients leave is none."""

        def top(info: ObjectInfo) -> str:
            head, slash, _ = info.key.removeprefix(self.prefix).partition("/")
            return head + slash

        # In the order of keys, all of a folder stands together.
        for found, infos in groupby(store.list(self.bucket, self.prefix + name), top):
            if found and not clutter(found.rstrip("/")):
                here = _found(found, len(self.prefix), infos)
                if here is not None:
                    yield here


def _found(name: str, skip: int, infos: Iterator[ObjectInfo]) -> Found | None:
    """None for a folder in which nothing is. Held in memory is one object at a time, not what is in a folder."""
    digest, came = hashlib.sha256(), None
    for info in infos:
        path = info.key[skip:]
        if clutter(path) or path.endswith("/"):
            continue
        digest.update(f"{path}\0{info.size}\0{info.etag}\0{info.modified.isoformat()}\n".encode(errors="replace"))
        came = info.modified if came is None else max(came, info.modified)
    if came is None:
        return None
    if not name.lower().endswith((_FOLDER, _ARCHIVE)):
        digest = hashlib.sha256(name.encode(errors="replace"))
    return Found(name, digest.hexdigest()[:_MARK], came)
