"""The tile list file: which tiles a datastrip fills, in the form of the PDGS's ``Tile_List``."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from functions.ipf.common.xml import node
from shared.msi.instrument import band_named
from shared.msi.tiling import tiles_meeting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.msi.geometry import ViewingModel
    from shared.msi.packets import DatatakeDescriptor
    from shared.msi.tiling import Tile


def tiles_seen(model: ViewingModel, described: DatatakeDescriptor) -> list[Tile]:
    """Tiles that some detector sees: between two that took images there may lie ground that none saw."""
    rings = (model.footprint((detector,), band_named("B02"), described.scenes) for detector in described.detectors)
    return sorted({tile for ring in rings for tile in tiles_meeting(*ring)})


def tile_list(tiles: Sequence[Tile]) -> ET.Element:
    """The document, tiles numbered from 1 in the order given."""
    entries = [
        node("List_Tile_Id", node("Tile_Id", tile.name), node("List_Detectors_HR"), Tile_Number=str(number))
        for number, tile in enumerate(tiles, start=1)
    ]
    return node("Tile_List", node("Number_Of_Tiles", str(len(tiles))), *entries)
