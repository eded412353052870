"""The small files, written by earlier tasks, that decide into how many processes the next ones are split.

An unreadable one stops the reference's scheduler without a word; here it is a BadInputError that names file and
element.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared.errors import BadInputError
from shared.xmltree import content, parse_tree

_INTEGER: Final = re.compile(r"[0-9]{1,6}")
# S2B_OPER_MSI_L0U_GR_REFS_20220614T085324_S20220413T114741_D02_N00.00, within DB1/ or not
_GRANULE: Final = re.compile(r"(?:DB([0-9]{1,3})/)?S2[A-Z_]_[A-Z0-9]{4}_MSI_(L[0-9A-Z_]{2})_GR_\w+_D([0-9]{2})_N\S+")


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of the list: its number, from 1, by which modes are called, and its MGRS name."""

    number: int
    name: str

    @property
    def ident(self) -> str:
        """As the chain writes the number: ``001``."""
        return f"{self.number:03d}"


def _root(document: bytes, tag: str | None, what: str) -> ET.Element:
    root = parse_tree(document, what)
    if tag is not None and root.tag != tag:
        raise BadInputError(what, f"root element {tag}", root.tag)
    return root


def _number(text: str | None, least: int, where: str) -> int:
    value = (text or "").strip()
    if not _INTEGER.fullmatch(value) or int(value) < least:
        raise BadInputError(where, f"an integer from {least} to 999999", text)
    return int(value)


def read_frame_file(document: bytes, what: str = "FRAME_FILE") -> dict[str, int]:
    """Granules of one detector in each data block (``001``), from ``DATA_BLOCK_LIST/GRANULES_NUMBER``."""
    root = _root(document, "FRAME_FILE", what)
    blocks: dict[str, int] = {}
    for element in root.findall("DATA_BLOCK_LIST/GRANULES_NUMBER"):
        where = f"{what}, FRAME_FILE/DATA_BLOCK_LIST/GRANULES_NUMBER"
        block = f"{_number(element.get('data_block'), 1, f'{where}/@data_block'):03d}"
        if block in blocks:
            raise BadInputError(f"{where}/@data_block", "each data block once", block)
        blocks[block] = _number(element.text, 1, f"{where}[@data_block={int(block)}]")
    if not blocks:
        raise BadInputError(f"{what}, FRAME_FILE/DATA_BLOCK_LIST/GRANULES_NUMBER", "at least one data block")
    return blocks


def read_tile_list(document: bytes, what: str = "TILE_LIST_FILE") -> tuple[Tile, ...]:
    """The tiles in the order of their numbers. ``Number_Of_Tiles`` decides the fan-out, so it must be theirs."""
    root = _root(document, "Tile_List", what)
    where = f"{what}, Tile_List"
    announced = _number(root.findtext("Number_Of_Tiles"), 0, f"{where}/Number_Of_Tiles")
    tiles = []
    for index, element in enumerate(root.findall("List_Tile_Id"), 1):
        here = f"{where}/List_Tile_Id[{index}]"
        name = (element.findtext("Tile_Id") or "").strip()
        if not re.fullmatch(r"[0-9]{2}[A-Z]{3}", name):
            raise BadInputError(f"{here}/Tile_Id", "a tile such as 40MDV", name)
        tiles.append(Tile(_number(element.get("Tile_Number"), 1, f"{here}/@Tile_Number"), name))
    tiles.sort(key=lambda tile: tile.number)
    if [tile.number for tile in tiles] != list(range(1, announced + 1)):
        found = f"{len(tiles)} tiles with numbers {[tile.number for tile in tiles][:20]}"
        raise BadInputError(f"{where}/Number_Of_Tiles", f"tiles numbered from 1 to {announced}", found)
    return tuple(tiles)


def read_gri_list(document: bytes, what: str = "GRI_LIST_FILE") -> int:
    """How many granules of reference images there are; 0 means that the datastrip is not refined (L1BNoGRI)."""
    root = _root(document, None, what)
    where = f"{what}, {root.tag}"
    announced = _number(root.get("Total_Number_of_GRI_GR"), 0, f"{where}/@Total_Number_of_GRI_GR")
    listed = sum(1 for _ in root.iter("GRI_GR"))
    if listed != announced:
        raise BadInputError(f"{where}/@Total_Number_of_GRI_GR", f"the {listed} elements GRI_GR that follow", announced)
    return announced


def read_segmentation(document: bytes, what: str = "SEGMENTATION_FILE") -> int:
    """How many segments (virtual fragments) there are, from ``Count``."""
    root = _root(document, None, what)
    counts = root.findall("Count")
    if len(counts) != 1:
        raise BadInputError(f"{what}, {root.tag}/Count", "one element", len(counts))
    return _number(content(counts[0]), 1, f"{what}, {root.tag}/Count")


def block_sizes(granules: Iterable[str]) -> dict[str, int]:
    """Granules of one detector in each data block, from the names (``DB1/S2B_...``; without a folder, block 1).

    The fullest detector counts: the reference takes whichever it meets first, and would cut the range short by the
    granules that this one lacks.
    """
    found: Counter[tuple[str, str]] = Counter()
    for name in granules:
        match = _GRANULE.fullmatch(name.rstrip("/"))
        if match is None:
            raise BadInputError(f"granule {name}", "a granule's folder, as DB1/S2B_OPER_MSI_L0U_GR_..._D02_N00.00")
        found[f"{int(match[1] or 1):03d}", match[3]] += 1
    blocks: dict[str, int] = {}
    for (block, _), size in sorted(found.items()):
        blocks[block] = max(size, blocks.get(block, 0))
    return blocks
