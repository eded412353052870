"""A datastrip through every mode, by the command lines of the set ``esa``."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from functions.ipf.standin import NAME
from shared.domain.names import HktmName, PdiName
from shared.joborder import read_job_order
from shared.joborder.schema import check_by_schema
from shared.tasktable.logs import read_logs
from tests.support.esa import rows
from tests.unit.functions.ipf.standin.conftest import TAKE, Desk

SCENES, DETECTORS = 4, 12


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_ingestion_makes_datatakes_ancillary_data_and_housekeeping(desk: Desk) -> None:
    base = desk.lay_l0c()
    dump = desk.chain.root / "l0u" / "L0U_DUMP"
    (hktm,) = dump.glob("*PRD_HKTM*")
    (sad,) = dump.glob("*AUX_SADATA*")
    assert HktmName.parse(hktm.name).satellite == "S2B"
    assert PdiName.parse(sad.name).file_type == "AUX_SADATA"
    granules = [PdiName.parse(name) for name in names(base / "input" / "GR" / "DB1")]
    assert Counter(granule["D"] for granule in granules) == {f"{d:02d}": SCENES for d in range(1, 13)}
    assert {granule.file_type for granule in granules} == {"MSI_L0U_GR"}
    (datastrip,) = (base / "input" / "DS").iterdir()
    (metadata,) = datastrip.glob("*.xml")
    root = ET.parse(metadata).getroot()
    assert root.findtext(".//DATATAKE_TYPE") == "INS-NOBS"
    assert root.findtext(".//DATASTRIP_SENSING_START") == "2022-04-13T11:47:41.000Z"
    assert {g.get("granuleId") for g in root.iter("Granule")} == set(names(base / "input" / "GR" / "DB1"))


def test_level_0_makes_the_datastrip_and_every_granule(desk: Desk) -> None:
    base = desk.lay_l1().with_name("l0c-DT1")
    (datastrip,) = names(base / "working" / "INV_L0C_DS")
    granules = names(base / "working" / "INV_L0C_GR")
    assert PdiName.parse(datastrip).file_type == "MSI_L0__DS"
    assert len(granules) == SCENES * DETECTORS
    assert {PdiName.parse(name).file_class for name in granules} == {"TEST"}
    (found,) = {
        e.text
        for name in granules
        for path in (base / "working" / "INV_L0C_GR" / name).glob("*.xml")
        for e in ET.parse(path).getroot().iter("DATASTRIP_ID")
    }
    assert found == datastrip


def test_level_1_goes_on_by_the_contexts_of_the_modes_before(desk: Desk) -> None:
    base = desk.lay_l1()
    for mode in ("L1A", "L1B", "OLQC_L1BDS", "L1BFormatGR", "OLQC_L1CDS"):
        assert desk.mode(mode, base) == 0, desk.said
        assert {(row.status, row.exit_code) for row in rows(base, mode)} == {("FINISHED", 0)}
    for tile in ("001", "002"):
        assert desk.mode("L1CTile", base, "-t", tile) == 0, desk.said
    working = base / "working"
    assert len(names(working / "INV_L1B_GR")) == SCENES * DETECTORS
    tiles = [PdiName.parse(name.removesuffix(".jp2")) for name in names(working / "INV_L1C_TL")]
    assert Counter(tile.file_type for tile in tiles) == {"MSI_L1C_TL": 2, "MSI_L1C_TC": 2}
    assert len({tile["T"] for tile in tiles}) == 2
    (datastrip,) = (working / "INV_L1C_DS").iterdir()
    assert (datastrip / "Inventory_Metadata.xml").is_file()
    assert len(list((datastrip / "QI_DATA").glob("*_report.xml"))) == 5
    context = json.loads((base / "output" / "L1B" / "ContextFile_T000.json").read_text())
    assert context["standin"].startswith(NAME)
    assert all(Path(made["path"]).is_absolute() and Path(made["path"]).exists() for made in context["outputs"])
    programs = {e.text for e in ET.parse(base / "output" / "L1B" / "idp_infos.xml").getroot().iter("IDPSc_Name")}
    assert {"UPDATE_LOC", "GET_TILE_LIST"} <= programs  # of both modes


def test_without_reference_images_there_is_l1b_no_gri(desk: Desk) -> None:
    desk.chain.configure(datatakes=[{**TAKE, "gri": 0}], light=True)
    base = desk.lay_l1()
    assert desk.mode("L1A", base) == 0
    listed = (base / "output/L1A/GET_GRI/output/GRI_LIST_FILE/gri_list_file.xml").read_text()
    assert "<GRI_" not in listed
    assert desk.mode("L1BNoGRI", base) == 0
    assert len(rows(base, "L1BNoGRI")) == 6
    assert desk.mode("OLQC_L1CDS", base) == 0  # with the context of whichever of the two was run


def test_level_2_makes_the_datastrip_then_a_tile_of_it(desk: Desk) -> None:
    base = desk.lay_l1()
    for mode in ("L1A", "L1B", "OLQC_L1CDS"):
        assert desk.mode(mode, base) == 0
    assert desk.mode("L1CTile", base, "-t", "002") == 0
    level2 = desk.chain.root / "l2"
    (datastrip,) = (base / "working" / "INV_L1C_DS").iterdir()
    (tile,) = (base / "working" / "INV_L1C_TL").glob("*_TL_*")
    assert desk.run(desk.chain.level2("DS", datastrip, base=level2, aux=base / "aux")) == 0, desk.said
    (of_l2,) = (level2 / "output" / "INV_L2A_DS").iterdir()
    assert desk.run(desk.chain.level2("TL", tile, datastrip, of_l2, base=level2, aux=base / "aux")) == 0, desk.said
    (made,) = (level2 / "output" / "INV_L2A_TL").glob("*_TL_*")
    assert PdiName.parse(made.name)["T"] == PdiName.parse(tile.name)["T"]
    assert PdiName.parse(made.name).creation == PdiName.parse(of_l2.name).creation
    orders = [read_job_order(path) for path in level2.rglob("JobOrderL2.xml")]
    assert [order.tasks[0].name for order in orders] == ["Sen2Cor", "Sen2Cor"]
    assert sorted(len(order.input_files("MSI_L1C_DS")) for order in orders) == [1, 1]


@pytest.mark.parametrize(
    ("kind", "l1a", "l1b"), [("NOBS", False, True), ("DASC", True, False), ("RAW", True, True), ("TST", False, False)]
)
def test_only_the_levels_that_a_datatake_is_processed_to_are_passed_on(
    desk: Desk, kind: str, l1a: bool, l1b: bool
) -> None:
    desk.chain.configure(datatakes=[{**TAKE, "type": kind}], light=True, job_orders="first")
    base = desk.lay_l1()
    assert desk.mode("L1A", base) == 0
    kept = base / "output" / "L1A" / "RADIO_AB" / "output" / "PDI_ATF_LIST"
    assert (any(kept.glob("*L1A*.raw")), any(kept.glob("*L1B*.raw"))) == (l1a, l1b)
    # What no later mode may read is not kept: EXCLUDE of the mode.
    assert not (base / "output" / "L1A" / "RADIO_AB" / "output" / "VECTOR").exists()
    assert desk.mode("L1AFormatGR", base) == (0 if l1a else 1), desk.said


def test_every_job_order_is_valid_and_names_what_is_there(desk: Desk) -> None:
    desk.chain.configure(datatakes=[TAKE], light=True)
    base = desk.lay_l1().with_name("l0c-DT1")
    orders = sorted((base / "working").glob("ipf_output_L0_*/L0/TaskTable_*/*/JobOrder_*.xml"))
    # As many as for a datastrip of 16 scenes: each of 4 parts has one of them. And GSE, before the table.
    assert len(orders) == 128 + 1
    checked = set()
    for path in orders:
        order = read_job_order(path)
        if order.tasks[0].name not in checked:
            check_by_schema(path.read_bytes())
            checked.add(order.tasks[0].name)
        for given in order.tasks[0].inputs:
            assert all(Path(name).exists() for name in given.names)
        for output in order.tasks[0].outputs:
            assert not output.name or Path(output.name).exists()


def test_each_run_leaves_the_archive_of_its_logs(desk: Desk) -> None:
    base = desk.lay_l1().with_name("l0c-DT1")
    (archive,) = (base / "output" / "L0").glob("logs_SUCCESS_L0_T000_*.tar")
    with archive.open("rb") as stream:
        logs = read_logs(stream, archive.name)
    assert sum("JobOrder_" in name for name in logs.sizes) >= 7
    assert logs.errors == {}


def test_it_says_what_it_is_wherever_it_shows(desk: Desk) -> None:
    base = desk.lay_l1()
    assert desk.mode("L1A", base) == 0
    first = desk.said.splitlines()[0]
    assert NAME in first
    assert "no licensed processor" in first
    (datastrip,) = (base.with_name("l0c-DT1") / "working" / "INV_L0C_DS").iterdir()
    (metadata,) = datastrip.glob("S2B_TEST_MTD*.xml")
    software = ET.parse(metadata).getroot().findtext(".//PROCESSING_SOFTWARE")
    assert software is not None
    assert NAME in software
    inventory = ET.parse(datastrip / "Inventory_Metadata.xml").getroot()
    assert NAME in next(e.text or "" for e in inventory.iter() if e.tag.endswith("Source_Sw_Version"))
