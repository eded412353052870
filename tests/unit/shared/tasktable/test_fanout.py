from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import BadInputError
from shared.tasktable import block_sizes, read_frame_file, read_gri_list, read_segmentation, read_tile_list

FRAME = b"""<FRAME_FILE><COMPRESSION_MARGIN>1</COMPRESSION_MARGIN><DATA_BLOCK_LIST><NUMBER>2</NUMBER>
<GRANULES_NUMBER data_block="2">7</GRANULES_NUMBER><GRANULES_NUMBER data_block="1">16</GRANULES_NUMBER>
</DATA_BLOCK_LIST></FRAME_FILE>"""
TILES = b"""<Tile_List xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="x.xsd">
<Number_Of_Tiles>2</Number_Of_Tiles>
<List_Tile_Id Tile_Number="2"><Tile_Id>40MCU</Tile_Id><List_Detectors_HR/></List_Tile_Id>
<List_Tile_Id Tile_Number="1"><Tile_Id>40MDV</Tile_Id><List_Detectors_HR/></List_Tile_Id></Tile_List>"""
GRI = b'<GRI_List Total_Number_of_GRI_GR="2"><GRI_GR GRI_GR_Number="1"/><GRI_GR GRI_GR_Number="2"/></GRI_List>'
SEGMENTS = b"<Segmentation><Count>3</Count></Segmentation>"


def test_what_decides_the_fan_out_is_read() -> None:
    assert read_frame_file(FRAME) == {"001": 16, "002": 7}
    assert [(tile.ident, tile.name) for tile in read_tile_list(TILES)] == [("001", "40MDV"), ("002", "40MCU")]
    assert read_gri_list(GRI) == 2
    assert read_gri_list(b'<GRI_List Total_Number_of_GRI_GR="0"/>') == 0
    assert read_segmentation(SEGMENTS) == 3


def test_the_real_tile_list(real_data: Path) -> None:
    tiles = read_tile_list((real_data / "l1c_datastrip" / "tile_list_file.xml").read_bytes())
    assert [tile.number for tile in tiles] == list(range(1, 19))
    assert (tiles[0].name, tiles[1].name) == ("40MDV", "40MCU")


def test_granules_of_a_real_datatake(real_data: Path) -> None:
    """Eleven granules of one scene are at hand, one for each of eleven detectors."""
    folder = real_data / "l0u_datatake" / "DT35" / "GR"
    names = [f"{path.parent.name}/{path.name}" for path in folder.glob("DB*/S2*")]
    assert len(names) == 11
    assert block_sizes(names) == {"001": 1}


def test_the_fullest_detector_decides_and_blocks_are_apart() -> None:
    def granule(block: str, second: int, detector: int) -> str:
        return f"{block}S2B_OPER_MSI_L0__GR_REFS_20221124T163650_S20221011T0640{second:02d}_D{detector:02d}_N02.08"

    names = [granule("DB1/", second, detector) for second in range(4) for detector in range(1, 13)]
    names.remove(granule("DB1/", 0, 1))
    names += [granule("DB2/", 30, 5)]
    assert block_sizes(names) == {"001": 4, "002": 1}
    assert block_sizes([granule("", second, 3) for second in range(16)]) == {"001": 16}
    with pytest.raises(BadInputError, match="granule NOTHING"):
        block_sizes(["NOTHING"])


@pytest.mark.parametrize(
    ("read", "document", "named"),
    [
        (read_frame_file, b"", "frame.xml: expected well-formed"),
        (read_frame_file, b"<Tile_List/>", "frame.xml: expected root element FRAME_FILE"),
        (read_frame_file, b"<FRAME_FILE/>", "DATA_BLOCK_LIST/GRANULES_NUMBER: expected at least one"),
        (read_frame_file, FRAME.replace(b">7<", b">seven<"), r"GRANULES_NUMBER\[@data_block=2\]: .*'seven'"),
        (read_frame_file, FRAME.replace(b">7<", b"><"), r"GRANULES_NUMBER\[@data_block=2\]"),
        (read_frame_file, FRAME.replace(b">7<", b">0<"), r"GRANULES_NUMBER\[@data_block=2\]"),
        (read_frame_file, FRAME.replace(b'"2"', b'"1"'), "@data_block: expected each data block once"),
        (read_frame_file, FRAME.replace(b' data_block="2"', b""), "@data_block"),
        (read_frame_file, b"<!DOCTYPE a><FRAME_FILE/>", "without entities or a document type"),
        (read_tile_list, TILES.replace(b">2<", b">3<"), "Number_Of_Tiles: expected tiles numbered from 1 to 3"),
        (read_tile_list, TILES.replace(b"<Number_Of_Tiles>2</Number_Of_Tiles>", b""), "Number_Of_Tiles"),
        (read_tile_list, TILES.replace(b"40MCU", b"40M"), r"List_Tile_Id\[1\]/Tile_Id"),
        (read_tile_list, TILES.replace(b'Tile_Number="1"', b'Tile_Number="2"'), "Number_Of_Tiles"),
        (read_gri_list, b"<GRI_List/>", "GRI_List/@Total_Number_of_GRI_GR"),
        (read_gri_list, GRI.replace(b'GR="2"><', b'GR="24"><'), "expected the 2 elements GRI_GR that follow"),
        (read_segmentation, b"<Segmentation/>", "Segmentation/Count"),
        (read_segmentation, SEGMENTS.replace(b"3", b"-3"), "Segmentation/Count: .*'-3'"),
        (read_segmentation, SEGMENTS.replace(b"3", b"9" * 5000), "at most 4096 characters"),
    ],
)
def test_a_broken_file_is_refused_with_file_and_element(
    read: Callable[[bytes, str], object], document: bytes, named: str
) -> None:
    with pytest.raises(BadInputError, match=named) as refusal:
        read(document, "frame.xml")
    assert str(refusal.value).startswith("frame.xml")
