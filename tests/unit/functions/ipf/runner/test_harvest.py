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


UNCONSOLIDATED = """<s><General_Info><Datatake_Info datatakeIdentifier="GS2B_20220413T114629_026647_N00.00"/>
<DATASTRIP_SENSING_START>2022-04-13T11:47:41.009Z</DATASTRIP_SENSING_START>
<DATASTRIP_SENSING_STOP>2022-04-13T11:50:08.928Z</DATASTRIP_SENSING_STOP></General_Info></s>"""


def test_a_folder_of_products_is_described_by_the_metadata_that_stand_least_deep(tmp_path: Path) -> None:
    put(tmp_path, "DS_GR_FOLDER/DT35/GR/DB1/S2B_GR/S2B_GR.xml", MTD)
    put(tmp_path, "DS_GR_FOLDER/DT35/DS/S2B_DS/S2B_MTD.xml", UNCONSOLIDATED)
    (item,) = harvest(tmp_path, [DATASTRIPS]).found
    assert item.attributes == {
        "sensing_start": "2022-04-13T11:47:41.009Z",
        "sensing_stop": "2022-04-13T11:50:08.928Z",
        "datatake": "GS2B_20220413T114629_026647_N00.00",
    }


def test_metadata_deep_in_a_product_must_be_readable_and_in_a_working_folder_need_not(tmp_path: Path) -> None:
    put(tmp_path, "DS_GR_FOLDER/DT35/DS/S2B_DS/S2B_MTD.xml", "<broken")
    put(tmp_path, "L1B_WORKING/a/b/notes.xml", "<broken")
    found = harvest(tmp_path, [DATASTRIPS, WHOLE])
    assert [item.name for item in found.found] == ["L1B_WORKING"]
    assert ["DT35" in problem for problem in found.problems] == [True]


def test_outputs_lie_where_the_processor_says(tmp_path: Path) -> None:
    base = tmp_path / "outputs"
    put(tmp_path, "working/INV/S2A_MSI_L1C_TL_1/x.bin")
    put(tmp_path, "working/INV/S2A_MSI_L1C_TC_1.jp2")
    put(tmp_path, "working/INV/S2A_MSI_L1C_TC_2.jp2")
    put(tmp_path, "output/L1BNoGRI/tile_list_file.xml", "<a><Tile_Id>32TQM</Tile_Id></a>")
    outputs = (
        Output(file_type="TL", path="working/INV", harvest=Harvest(rule="folders", pattern="S2*_TL_*")),
        Output(file_type="TC", path="working/INV", harvest=Harvest(rule="files", pattern="S2*_TC_*.jp2")),
        Output(file_type="LIST", path="output/{MODE}", file_name="tile_list_file.xml", harvest=TILES.harvest),
    )
    found = harvest(base, outputs, {"MODE": "L1BNoGRI"})
    names = [item.name for item in found.found]
    assert names == ["S2A_MSI_L1C_TL_1", "S2A_MSI_L1C_TC_1.jp2", "S2A_MSI_L1C_TC_2.jp2", "tile_list_file.xml"]
    assert found.units == {"tile": ("32TQM",)}


def test_what_stays_in_its_place_is_not_looked_through(tmp_path: Path) -> None:
    base = tmp_path / "outputs"
    place = Output(file_type="L1A_PLACE", path="output/L1A", harvest=Harvest(rule="place"))
    assert harvest(base, [place]).found == ()
    (base / "output/L1A").mkdir(parents=True)
    empty = harvest(base, [place])
    assert (empty.found, empty.problems) == ((), ("L1A_PLACE: the folder is empty",))
    put(tmp_path, "output/L1A/idp_infos.xml", "<broken")
    (item,) = harvest(base, [place]).found
    assert (item.name, item.files, item.root) == ("L1A_PLACE", (), base / "output/L1A")


def test_a_link_on_the_way_to_an_output_fails_the_run(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/L1A/x")
    (tmp_path / "outputs/output").symlink_to(tmp_path / "outputs/elsewhere")
    with pytest.raises(BadInputError, match="not a link"):
        harvest(tmp_path / "outputs", [Output(file_type="A", path="output/L1A")])
