"""The tile list file: which tiles a datastrip fills, in the form of the PDGS's ``Tile_List``."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from functions.ipf.common.xml import node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.msi.tiling import Tile


def tile_list(tiles: Sequence[Tile]) -> ET.Element:
    """The document, tiles numbered from 1 in the order given."""
    entries = [
        node("List_Tile_Id", node("Tile_Id", tile.name), node("List_Detectors_HR"), Tile_Number=str(number))
        for number, tile in enumerate(tiles, start=1)
    ]
    return node("Tile_List", node("Number_Of_Tiles", str(len(tiles))), *entries)
