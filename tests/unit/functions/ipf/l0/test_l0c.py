"""L0C: the packets of L0U in products by ESA's names, metadata by the schema, what is missing named."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import etree

from functions.ipf.common.annotated import read_annotated
from functions.ipf.common.processor import Exit
from functions.ipf.l0c.main import process
from shared.ccsds.spacepackets import USER_DATA_AT
from shared.errors import BadInputError
from shared.geometry.heights import HeightField
from shared.msi.packets import image_place

DATA = Path(os.environ.get("S2PS_TEST_DATA") or Path(__file__).parents[6] / "shared/data")
CADU = 2044

Packets = Callable[[Path], Counter[bytes]]
Tree = Callable[[Path], dict[str, bytes]]


def _l0c(bench: Any, datatake: Path) -> Any:
    return bench.call(process, {"PDI_L0U": datatake}, ("PDI_DS", "PDI_DS_GR_LIST"))


def _chain(bench: Any, session: Any) -> tuple[Any, Any]:
    first = bench.l0u(session)
    return first, _l0c(bench, first.root / "DS_GR_FOLDER" / "DT01")


def _account(run: Any) -> Any:
    return json.loads(next(run.root.glob("PDI_DS/*/QI_DATA/*_REP_L0__DS_*.json")).read_text())


def test_every_packet_of_l0u_is_in_level_0(bench: Any, two_by_two: Any, packets_under: Packets) -> None:
    _, run = _chain(bench, two_by_two)
    assert run.code == Exit.OK
    sent = Counter(packet for packets in two_by_two.packets.values() for packet in packets)
    assert packets_under(run.root) == sent
    assert _account(run)["granules_missing"] == []
    assert len(_account(run)["granules"]) == _account(run)["granules_expected"] == 4


def test_names_are_those_of_the_contract(bench: Any, two_by_two: Any) -> None:
    _, run = _chain(bench, two_by_two)
    stamp = "S2PS_20260621T110000"
    assert [path.name for path in run.root.glob("PDI_DS/*")] == [f"S2A_TEST_MSI_L0__DS_{stamp}_S20260621T102000_N00.01"]
    assert sorted(path.name for path in run.root.glob("PDI_DS_GR_LIST/*")) == [
        f"S2A_TEST_MSI_L0__GR_{stamp}_S20260621T10200{second}_D0{detector}_N00.01"
        for second in (0, 3)
        for detector in (6, 7)
    ]


def test_packets_stand_in_the_order_of_their_blocks(bench: Any, one_granule: Any) -> None:
    # A stretch sent after its successors: the packets of L0U are out of order.
    stream = one_granule.streams[1]
    turned = stream[: 10 * CADU] + stream[20 * CADU : 30 * CADU] + stream[10 * CADU : 20 * CADU] + stream[30 * CADU :]
    _, run = _chain(bench, replace(one_granule, streams={**one_granule.streams, 1: turned}))
    for path in run.root.rglob("IMG_DATA/*.bin"):
        blocks = [image_place(octets[USER_DATA_AT:]).block for _, octets in read_annotated(path)]
        assert blocks == sorted(set(blocks))


def test_the_same_order_gives_the_same_bytes(bench: Any, one_granule: Any, tree: Tree) -> None:
    assert tree(_chain(bench, one_granule)[1].root) == tree(_chain(bench, one_granule)[1].root)


def test_missing_granules_and_packets_are_named(bench: Any, two_by_two: Any) -> None:
    streams = {1: two_by_two.streams[1][: 40 * CADU]}
    first, run = _chain(bench, replace(two_by_two, streams=streams))
    account = _account(run)
    assert run.code == Exit.DEGRADED
    assert account["granules_missing"] == ["D06 scene 2", "D07 scene 2"]
    assert "D07 scene 2: no image packet came" in run.log
    granules = [path.read_text() for path in run.root.glob("PDI_DS_GR_LIST/*/*MTD*.xml")]
    lost = sum(int(n) for text in granules for n in re.findall(r"<NUMBER_OF_SP_ERROR>(\d+)<", text))
    assert lost == sum(account["packets_missing"].values()) > 0
    strip = next(run.root.glob("PDI_DS/*/*MTD*.xml")).read_text()
    total = json.loads((first.root / "REP_PASS").read_text())["packets"]
    images = sum(count["lost"] for apid, count in total.items() if int(apid) > 500)
    assert f"<NUMBER_OF_LOST_PACKETS>{images}<" in strip


def test_granule_metadata_is_valid_by_the_schema(bench: Any, two_by_two: Any) -> None:
    schema = DATA / "xsd/PSD148/S2_PDI_Level-0_Granule_Metadata.xsd"
    if not schema.exists():
        pytest.skip("no PSD 14 schemas: set S2PS_TEST_DATA to a folder with xsd/PSD148/")
    damaged = replace(two_by_two, streams={**two_by_two.streams, 2: two_by_two.streams[2][: 60 * CADU]})
    _, run = _chain(bench, damaged)
    judge = etree.XMLSchema(etree.parse(schema))
    documents = list(run.root.glob("PDI_DS_GR_LIST/*/*MTD*.xml"))
    assert len(documents) == 4
    for path in documents:
        judge.assertValid(etree.parse(path))


def test_datastrip_metadata_has_the_names_of_a_real_one(bench: Any, one_granule: Any) -> None:
    real = list(DATA.glob("l0_datastrip/*/*MTD_L0__DS*.xml"))
    if not real:
        pytest.skip("no real Level-0 datastrip: set S2PS_TEST_DATA to a folder with l0_datastrip/")
    _, run = _chain(bench, one_granule)
    ours = etree.parse(next(run.root.glob("PDI_DS/*/*MTD_L0__DS*.xml"))).getroot()
    theirs = {_path(element) for element in etree.parse(real[0]).getroot().iter() if isinstance(element.tag, str)}
    own = {_path(element) for element in ours.iter() if isinstance(element.tag, str)}
    assert {path for path in own - theirs if "PROCESSING_SPECIFIC_PARAMETERS" not in path} == set()


def _path(element: etree._Element) -> str:
    names = [etree.QName(element).localname]
    names += [etree.QName(parent).localname for parent in element.iterancestors()]
    return "/".join(reversed(names))


def test_simplifications_are_named_in_every_product(bench: Any, one_granule: Any) -> None:
    _, run = _chain(bench, one_granule)
    documents = list(run.root.rglob("*MTD_L0__*.xml"))
    assert len(documents) == 2
    for path in documents:
        text = path.read_text()
        assert "CCSDS 121" in text
        assert max(map(len, re.findall(r">([^<]*CCSDS 121[^<]*)<", text))) <= 1024


def test_the_footprint_lies_where_the_datatake_was_aimed(bench: Any, one_granule: Any) -> None:
    _, run = _chain(bench, one_granule)
    text = next(run.root.glob("PDI_DS_GR_LIST/*/*MTD*.xml")).read_text()
    values = [float(v) for v in re.search(r"<EXT_POS_LIST>([^<]*)<", text)[1].split()]  # type: ignore[index]
    latitudes, longitudes, heights = values[0::3], values[1::3], values[2::3]
    assert min(latitudes) < 44.62 < max(latitudes)
    assert min(longitudes) < 8.15 < max(longitudes)
    assert set(heights) == {0.0}
    assert (latitudes[0], longitudes[0]) == (latitudes[-1], longitudes[-1])


def test_the_footprint_lies_on_the_ground_where_elevations_are_given(
    bench: Any, one_granule: Any, tmp_path: Path
) -> None:
    dem = tmp_path / "dem"
    dem.mkdir()
    HeightField(np.full((41, 41), 800.0, np.float32), 7.0, 43.5, 0.05, 0.05).save(dem / "alps.tif")
    first = bench.l0u(one_granule)
    folder = first.root / "DS_GR_FOLDER" / "DT01"
    run = bench.call(process, {"PDI_L0U": folder}, ("PDI_DS", "PDI_DS_GR_LIST"), DEM_PATH=str(dem))
    granule = next(run.root.glob("PDI_DS_GR_LIST/*/*MTD*.xml")).read_text()
    values = [float(v) for v in re.search(r"<EXT_POS_LIST>([^<]*)<", granule)[1].split()]  # type: ignore[index]
    assert values[2::3] == pytest.approx([800.0] * 5, abs=0.01)
    datastrip = next(run.root.glob("PDI_DS/*/*MTD*.xml")).read_text()
    assert ">S2__TEST_DEM_VOLUME_S2PS_" in datastrip
    assert "ellipsoid" not in granule


def test_a_part_of_an_instrument_is_none_and_the_product_says_so(bench: Any, one_granule: Any, tmp_path: Path) -> None:
    spacecraft = tmp_path / "S2A_OPER_GIP_SPAMOD_MPC__20200101T000000_V20200101T000000_21000101T000000_B00.xml"
    spacecraft.write_text("<a/>")
    folder = bench.l0u(one_granule).root / "DS_GR_FOLDER" / "DT01"
    run = bench.call(process, {"PDI_L0U": folder, "GIP_SPAMOD": spacecraft}, ("PDI_DS", "PDI_DS_GR_LIST"))
    assert run.code == Exit.DEGRADED
    assert "0 of 13 GIP_VIEDIR and 1 of 1 GIP_SPAMOD: no instrument is whole in them" in run.log
    assert "_GIP_NOMINL_" in next(run.root.glob("PDI_DS/*/*MTD*.xml")).read_text()


def _datatake(bench: Any, session: Any) -> Path:
    folder: Path = bench.l0u(session).root / "DS_GR_FOLDER" / "DT01"
    return folder


def test_a_file_that_ends_inside_a_packet_is_refused_by_name(bench: Any, one_granule: Any) -> None:
    datatake = _datatake(bench, one_granule)
    path = next(datatake.rglob("IMG_DATA/*_B02.bin"))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(BadInputError, match=re.escape(path.name)):
        _l0c(bench, datatake)


def test_packets_of_another_band_are_refused_by_name(bench: Any, one_granule: Any) -> None:
    datatake = _datatake(bench, one_granule)
    path = next(datatake.rglob("IMG_DATA/*_B02.bin"))
    path.write_bytes(next(datatake.rglob("IMG_DATA/*_B03.bin")).read_bytes())
    with pytest.raises(BadInputError, match=f"{re.escape(path.name)}.*detector 6, B02"):
        _l0c(bench, datatake)


@pytest.mark.parametrize("text", ["", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "<a/>"])
def test_hostile_datastrip_metadata_is_refused_by_name(bench: Any, one_granule: Any, text: str) -> None:
    datatake = _datatake(bench, one_granule)
    path = next(datatake.glob("DS/*/*.xml"))
    path.write_text(text)
    with pytest.raises(BadInputError, match=re.escape(path.name)):
        _l0c(bench, datatake)


def test_a_folder_with_two_datastrips_is_refused(bench: Any, one_granule: Any) -> None:
    datatake = _datatake(bench, one_granule)
    (datatake / "DS" / "another").mkdir()
    with pytest.raises(BadInputError, match="exactly one datastrip"):
        _l0c(bench, datatake)


def test_a_datastrip_without_descriptor_is_refused(bench: Any, one_granule: Any) -> None:
    datatake = _datatake(bench, one_granule)
    for path in datatake.rglob("*S09152*.bin"):
        path.unlink()
    with pytest.raises(BadInputError, match="descriptor"):
        _l0c(bench, datatake)
