"""Products as folders: datastrips, granules and tiles, each with its metadata and files that stand for its data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

from functions.ipf.common.inventory import FILE as INVENTORY
from functions.ipf.common.inventory import folder_size
from functions.ipf.common.olqc import Check, Inspector, write_reports
from functions.ipf.common.xml import render
from functions.ipf.standin import NAME, SOFTWARE, VERSION, documents
from functions.ipf.standin.failing import Rules
from functions.ipf.standin.strip import Strip, metadata_name

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

BANDS: Final = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
_STANDS_FOR: Final = f"{SOFTWARE}: this file stands for data and holds none.\n".encode()
_DAMAGE: Final = b"<General_Info><Datatake_Info>this is where a rule cut the document off"


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the products of one run. Rules may damage or leave out what it writes."""

    strip: Strip
    created: datetime
    rules: Rules
    light: bool = False

    def document(self, path: Path, root: ET.Element) -> None:
        """Write a metadata document, or what a rule makes of it."""
        self.file(path, render(root))

    def file(self, path: Path, body: bytes = _STANDS_FOR) -> None:
        """Write a file; nothing where a rule says that it is missing, damaged where one says so."""
        if self.rules.hits("missing-output", path):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        damaged = path.suffix == ".xml" and self.rules.hits("invalid-metadata", path)
        path.write_bytes(_DAMAGE if damaged else body)

    def datastrip(self, folder: Path, level: str, parts: Sequence[str]) -> str:
        """A datastrip product below ``folder``; ``parts`` are its granules or tiles. Returns its name."""
        name = self.strip.datastrip(level, self.created)
        product = folder / name
        root = documents.datastrip_metadata(self.strip, name, self.created, parts)
        self.document(product / metadata_name(name), root)
        if level == "L0_":
            self.file(product / "ANC_DATA" / f"{self.strip.satellite}_ancillary.bin")
        return name

    def granule(self, folder: Path, name: str, datastrip: str) -> None:
        """The metadata of a granule."""
        root = documents.granule_metadata(self.strip, name, datastrip, self.created)
        self.document(folder / name / metadata_name(name), root)

    def images(self, product: Path, stem: str, bands: Iterable[str], suffix: str) -> None:
        """Files in place of images; of a granule none where runs are light."""
        for band in bands:
            self.file(product / "IMG_DATA" / f"{stem}_{band}.{suffix}")

    def reports(self, product: Path, names: Sequence[str]) -> None:
        """Reports of quality control, which say that nothing was looked at."""
        check = Check("standIn", "Nothing is inspected.", passed=True, message=f"Written by {SOFTWARE}.")
        inspector = Inspector(NAME, VERSION, self.created)
        write_reports(product, {name: [check] for name in names}, inspector)

    def inventory(self, product: Path, datastrip: str = "") -> None:
        """``Inventory_Metadata.xml`` within a product."""
        size = folder_size(product)
        root = documents.inventory(self.strip, product.name, datastrip, self.created, size)
        self.document(product / INVENTORY, root)


def names_in(folder: Path, pattern: str = "S2*") -> tuple[str, ...]:
    """The names of the products in a folder, sorted."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(p.name for p in folder.iterdir() if fnmatchcase(p.name, pattern)))


def granules_in(folder: Path) -> tuple[str, ...]:
    """The granules in a folder, with that of their data block where there are some."""
    blocks = sorted(p.name for p in folder.iterdir() if p.name.startswith("DB")) if folder.is_dir() else []
    found = [f"{block}/{name}" for block in blocks for name in names_in(folder / block)]
    return tuple(found) or names_in(folder)


def copy_tree(source: Path, to: Path) -> None:
    """A copy that shares its files with the original where the file system can; files that are there stay."""
    shutil.copytree(source, to, copy_function=_linked, dirs_exist_ok=True)


def _linked(source: str, to: str) -> None:
    real = os.path.realpath(source)
    try:
        os.link(real, to)
    except FileExistsError:
        return
    except OSError:
        shutil.copyfile(real, to)
