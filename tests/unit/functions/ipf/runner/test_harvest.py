from __future__ import annotations

import os
from pathlib import Path

import pytest

from functions.ipf.runner.harvest import harvest
from shared.errors import BadInputError
from shared.workflow.graph import Harvest, Output

DATASTRIPS = Output(
    file_type="DS_GR_FOLDER", harvest=Harvest(rule="folders", pattern="DT*", file_type="PDI_L0U", unit="datastrip")
)
WHOLE = Output(file_type="L1B_WORKING")
TILES = Output(
    file_type="TILE_LIST_FILE", file_name="tile_list_file.xml", harvest=Harvest(rule="tile-list", unit="tile")
)
MTD = """<n1:Level-1C_User_Product xmlns:n1="https://psd-14/x"><General_Info>
<PRODUCT_START_TIME>2026-11-22T09:30:00.000Z</PRODUCT_START_TIME><PRODUCT_STOP_TIME>no time</PRODUCT_STOP_TIME>
<Global_Footprint><EXT_POS_LIST>46.1 7.9
 46.2 8.1 </EXT_POS_LIST></Global_Footprint></General_Info></n1:Level-1C_User_Product>"""


def put(root: Path, path: str, text: str = "x") -> Path:
    file = root / "outputs" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_folders_become_artifacts_with_units_and_attributes(tmp_path: Path) -> None:
    put(tmp_path, "DS_GR_FOLDER/DT02/DS/a.bin")
    put(tmp_path, "DS_GR_FOLDER/DT01/MTD.xml", MTD)
    put(tmp_path, "DS_GR_FOLDER/DT01/GR/DB1/b.bin", "12")
    put(tmp_path, "DS_GR_FOLDER/report.json")
    put(tmp_path, "DS_GR_FOLDER/other/x")
    found = harvest(tmp_path, [DATASTRIPS])
    assert [(f.name, f.unit) for f in found.found] == [("DT01", "DT01"), ("DT02", "DT02")]
    assert found.found[0].files == (("MTD.xml", len(MTD)), ("GR/DB1/b.bin", 2))
    assert found.found[0].attributes == {"sensing_start": "2026-11-22T09:30:00.000Z", "footprint": "46.1 7.9 46.2 8.1"}
    assert found.units == {"datastrip": ("DT01", "DT02")}
    assert found.made == ("DS_GR_FOLDER",)
    assert found.problems == ()


def test_a_whole_output_is_one_artifact(tmp_path: Path) -> None:
    put(tmp_path, "L1B_WORKING/a/b.npy")
    (item,) = harvest(tmp_path, [WHOLE]).found
    assert (item.name, item.unit, item.files) == ("L1B_WORKING", "", (("a/b.npy", 1),))


def test_a_tile_list_gives_the_tiles(tmp_path: Path) -> None:
    tiles = "".join(f"<List_Tile_Id><Tile_Id>{t}</Tile_Id></List_Tile_Id>" for t in ("32TQM", "32TQL", "32TQM"))
    put(tmp_path, "TILE_LIST_FILE/tile_list_file.xml", f"<Tile_List>{tiles}</Tile_List>")
    found = harvest(tmp_path, [TILES])
    assert found.units == {"tile": ("32TQM", "32TQL")}
    (item,) = found.found
    assert (item.name, item.files[0][0], item.attributes) == (
        "tile_list_file.xml",
        "tile_list_file.xml",
        {"form": "file"},
    )


@pytest.mark.parametrize("tile", ["../x", "32TQMX", "32IQM", "", "３２TQM"])
def test_what_is_no_tile_is_refused(tmp_path: Path, tile: str) -> None:
    put(tmp_path, "TILE_LIST_FILE/tile_list_file.xml", f"<Tile_List><Tile_Id>{tile}</Tile_Id></Tile_List>")
    with pytest.raises(BadInputError, match="Tile_Id"):
        harvest(tmp_path, [TILES])


def test_nothing_made_is_nothing_found(tmp_path: Path) -> None:
    for folder in ("DS_GR_FOLDER", "L1B_WORKING", "TILE_LIST_FILE"):
        (tmp_path / "outputs" / folder).mkdir(parents=True)
    assert harvest(tmp_path, [DATASTRIPS, WHOLE, TILES]).found == ()
    assert harvest(tmp_path / "absent", [DATASTRIPS, WHOLE, TILES]).found == ()


@pytest.mark.parametrize("text", ["<broken", "", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_unreadable_metadata_makes_no_product(tmp_path: Path, text: str) -> None:
    put(tmp_path, "DS_GR_FOLDER/DT01/MTD.xml", text)
    put(tmp_path, "DS_GR_FOLDER/DT02/MTD.xml", "<good/>")
    found = harvest(tmp_path, [DATASTRIPS])
    assert [item.name for item in found.found] == ["DT02"]
    assert found.units == {"datastrip": ("DT02",)}
    (problem,) = found.problems
    assert "DT01" in problem
    assert "MTD.xml" in problem


def test_links_sockets_and_empty_folders_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "secret", "secret")
    put(tmp_path, "DS_GR_FOLDER/DT01/a.bin")
    root = tmp_path / "outputs/DS_GR_FOLDER"
    (root / "DT01/file").symlink_to(tmp_path / "outputs/secret")
    (root / "DT01/folder").symlink_to(tmp_path)
    (root / "DT02").symlink_to(root / "DT01")
    os.mkfifo(root / "DT01/pipe")
    (root / "DT03/empty").mkdir(parents=True)
    found = harvest(tmp_path, [DATASTRIPS])
    assert [(f.name, f.files) for f in found.found] == [("DT01", (("a.bin", 1),))]
    told = " ".join(found.problems)
    assert all(name in told for name in ("DT01/file", "DT01/folder", "DT01/pipe", "DT02", "DT03"))


@pytest.mark.parametrize("name", ["a\nb", "-x", ".hidden", "é", "a'b", "a;b", "a\\b"])
def test_names_that_cannot_stand_in_a_key_are_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"DS_GR_FOLDER/DT01/{name}")
    with pytest.raises(BadInputError, match="path"):
        harvest(tmp_path, [DATASTRIPS])
