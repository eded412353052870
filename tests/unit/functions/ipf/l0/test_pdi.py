"""Level-0 products as the archive has them: schemas, structure of a real datastrip, manifest, reports, inventory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from lxml import etree

from functions.ipf.common.annotated import ANNOTATION_OCTETS, read_annotated
from functions.ipf.common.processor import Exit
from functions.ipf.l0c.main import process
from functions.ipf.l0c.unconsolidated import find_granules, only_folder, read_downlink
from shared.ccsds.spacepackets import SpacePacket
from shared.errors import BadInputError

CADU = 2044
PSD = "https://psd-14.sentinel2.eo.esa.int"

# What the real datastrip has and ours has not, and why. Everything below such a path is meant as well.
LACKING = {
    "Corrected_Attitudes/Values/INNOVATION_STR1": "no star tracker sends its innovation",
    "Corrected_Attitudes/Values/INNOVATION_STR2": "no star tracker sends its innovation",
    "Attitudes/Raw_Attitudes": "no raw data of star trackers and gyroscopes are sent",
}

Run = Any


@pytest.fixture(scope="module")
def run(module_bench: Any, two_by_two: Any) -> Run:
    datatake = module_bench.l0u(two_by_two).root / "DS_GR_FOLDER" / "DT01"
    return _l0c(module_bench, datatake)


@pytest.fixture(scope="module")
def damaged(module_bench: Any, two_by_two: Any) -> Run:
    """The end of channel 2 is lost: packets and a part of no granule."""
    streams = {**two_by_two.streams, 2: two_by_two.streams[2][: 60 * CADU]}
    datatake = module_bench.l0u(replace(two_by_two, streams=streams)).root / "DS_GR_FOLDER" / "DT01"
    return _l0c(module_bench, datatake)


def _l0c(bench: Any, datatake: Path) -> Run:
    return bench.call(process, {"PDI_L0U": datatake}, ("PDI_DS", "PDI_DS_GR_LIST"))


def _products(run: Run) -> list[Path]:
    return sorted([*run.root.glob("PDI_DS/*"), *run.root.glob("PDI_DS_GR_LIST/*")])


def _root(path: Path) -> Any:
    return etree.parse(path).getroot()


def _schema(data: Path, name: str, change: Callable[[str], str] = lambda text: text) -> etree.XMLSchema:
    """A schema of PSD 14.8, its text changed on the way."""
    path = data / "xsd/PSD148" / name
    text = change(path.read_text("utf-8")).replace('schemaLocation="', f'schemaLocation="{path.parent}/')
    return etree.XMLSchema(etree.fromstring(text.encode()))


def _as_ours(text: str) -> str:
    """The inventory's schema, with the differences that our products have and its own namespace set right.

    - File class TEST in names: the schema has OPER alone.
    - System S2PS: the schema has the two systems of the operational centre alone.
    - The schema is of namespace psd-12; operational files are of psd-14, as ours.
    """
    return (
        text.replace("_OPER_", "_TEST_")
        .replace('"S2PDGS-DPC"', '"S2PS"')
        .replace("psd-12.sentinel2.eo.esa.int/PSD/Inventory", "psd-14.sentinel2.eo.esa.int/PSD/Inventory")
    )


def test_every_document_is_valid(real_data: Path, run: Run, damaged: Run) -> None:
    judges = {
        "MTD_L0__DS": _schema(real_data, "S2_PDI_Level-0_Datastrip_Metadata.xsd"),
        "MTD_L0__GR": _schema(real_data, "S2_PDI_Level-0_Granule_Metadata.xsd"),
        "Inventory_Metadata": _schema(real_data, "Inventory_Metadata.xsd", _as_ours),
        "_report": _schema(real_data, "OLQC_Report.xsd"),
    }
    seen = dict.fromkeys(judges, 0)
    for one in (run, damaged):
        for path in one.root.rglob("*.xml"):
            kind = next(kind for kind in judges if kind in path.name)
            judges[kind].assertValid(etree.parse(path))
            seen[kind] += 1
    assert seen == {"MTD_L0__DS": 2, "MTD_L0__GR": 8, "Inventory_Metadata": 10, "_report": 2 * (4 + 4 * 3)}


def test_the_inventory_differs_from_its_schema_where_it_is_said(real_data: Path, run: Run) -> None:
    namespace = "psd-12.sentinel2.eo.esa.int/PSD/Inventory"
    judge = _schema(
        real_data, "Inventory_Metadata.xsd", lambda text: text.replace(namespace, namespace.replace("12", "14"))
    )
    for path in run.root.rglob("Inventory_Metadata.xml"):
        assert not judge.validate(etree.parse(path))
        log: Any = judge.error_log
        named = {re.search(r"Inventory_Metadata.xsd\}(\w+)'", str(error)) for error in log}
        assert {match[1] for match in named if match} == {"File_ID", "File_Name", "System"}


def _paths(element: Any, above: str = "") -> set[str]:
    """Every element and attribute by the names on the way to it."""
    path = f"{above}/{etree.QName(element).localname}"
    found = {path, *(f"{path}@{name}" for name in element.attrib if "{" not in name)}
    return found.union(*(_paths(child, path) for child in element if isinstance(child.tag, str)))


def test_the_datastrip_has_what_a_real_one_has(real_data: Path, run: Run) -> None:
    theirs = _root(next(real_data.glob("l0_datastrip/*/*MTD_L0__DS*.xml")))
    ours = _root(next(run.root.glob("PDI_DS/*/*MTD_L0__DS*.xml")))
    missing = {path for path in _paths(theirs) - _paths(ours) if not any(reason in path for reason in LACKING)}
    assert missing == set()
    assert {path for path in _paths(ours) - _paths(theirs) if "PROCESSING_SPECIFIC_PARAMETERS" not in path} == set()
    for reason in LACKING:
        assert any(reason in path for path in _paths(theirs)), f"{reason} is no exception any more"
        assert not any(reason in path for path in _paths(ours)), f"{reason} is no exception any more"


def test_the_folder_is_that_of_a_real_one(real_data: Path, run: Run) -> None:
    real = next(real_data.glob("l0_datastrip/*"))
    listed = re.findall(r'href="\./([^"]+)"', (real / "manifest.safe").read_text())
    product = next(run.root.glob("PDI_DS/*"))

    def kinds(names: list[str]) -> set[str]:
        """Places and types of files, without what names a session, an attempt or a kind of packet."""
        return {
            re.sub(r"_S?\d{8}T\d{6}.*?(?=_B\d\d|\.)|(?<=AUX_)S\d+|S2._\w{4}_|_(REFS|S2PS)", "", name) for name in names
        }

    ours = re.findall(r'href="\./([^"]+)"', (product / "manifest.safe").read_text())
    assert kinds(listed) - kinds(ours) == set()
    assert kinds(ours) - kinds(listed) == {"QI_DATA/REP_L0__DS.json"}  # our account of packets


def test_the_manifest_lists_every_file_with_its_digest(run: Run) -> None:
    for product in _products(run):
        root = _root(product / "manifest.safe")
        listed = {}
        for stream in root.iter("byteStream"):
            path = product / stream.find("fileLocation").get("href")
            listed[path.relative_to(product).as_posix()] = stream.findtext("checksum")
            assert stream.get("size") == str(path.stat().st_size)
            assert hashlib.sha3_256(path.read_bytes()).hexdigest().upper() == stream.findtext("checksum")
        files = {path.relative_to(product).as_posix() for path in product.rglob("*") if path.is_file()}
        beside = {name for name in files - set(listed) if not name.endswith("_report.xml")}
        assert beside == {"manifest.safe", "Inventory_Metadata.xml"}


def _failed(run: Run, pattern: str = "*") -> dict[str, str]:
    found: dict[str, str] = {}
    for path in run.root.glob(f"PDI_*/{pattern}/QI_DATA/*_report.xml"):
        root = _root(path)
        checks = root.findall(".//{*}check")
        assert checks
        bad = {
            c.find("{*}inspection").get("id"): c.findtext("{*}message")
            for c in checks
            if c.find("{*}inspection").get("status") != "PASSED"
        }
        assert root.find(".//{*}report").get("globalStatus") == ("FAILED" if bad else "PASSED")
        found |= bad
    return found


def test_a_whole_product_passes_its_checks(run: Run) -> None:
    assert run.code == Exit.OK
    assert _failed(run) == {}


def test_what_is_missing_fails_its_checks(damaged: Run) -> None:
    assert damaged.code == Exit.DEGRADED
    assert set(_failed(damaged, "*_MSI_L0__DS_*")) == {"Lost_Packets"}
    assert set(_failed(damaged, "*_MSI_L0__GR_*")) == {"Bands", "Lost_Packets"}
    assert "GENERAL_QUALITY, Lost_Packets" in damaged.log
    texts = [path.read_text() for path in damaged.root.glob("PDI_DS_GR_LIST/*/*MTD*.xml")]
    firsts = [int(n) for text in texts for n in re.findall(r"<FIRST_SP_ERROR>(\d+)<", text)]
    assert min(firsts) == 0  # whole bands are missing, from their first packet on


def test_a_packet_with_a_false_checksum_is_left_out_and_told(bench: Any, one_granule: Any) -> None:
    datatake = bench.l0u(one_granule).root / "DS_GR_FOLDER" / "DT01"
    path = next(datatake.rglob("IMG_DATA/*_B09.bin"))
    octets = bytearray(path.read_bytes())
    octets[ANNOTATION_OCTETS + 40] ^= 1
    path.write_bytes(octets)
    run = _l0c(bench, datatake)
    assert {"Degraded_Packets", "Lost_Packets"} == set(_failed(run))
    strip = next(run.root.glob("PDI_DS/*/*MTD*.xml")).read_text()
    assert "<NUMBER_OF_TOO_DEGRADED_PACKETS>1<" in strip
    assert "<NUMBER_OF_LOST_PACKETS>0<" in strip


def _dropped(datatake: Path, sid: str, keep: Callable[[int], bool]) -> None:
    """Leave out ancillary packets by their place in their file."""
    (path,) = datatake.glob(f"DS/*/ANC_DATA/*_AUX_{sid}_*.bin")
    packets = [annotation.encode() + octets for annotation, octets in read_annotated(path)]
    path.write_bytes(b"".join(packet for at, packet in enumerate(packets) if keep(at)))


@pytest.mark.parametrize(
    ("sid", "keep", "checks"),
    [
        ("S09150", lambda at: at != 9, {"Degraded_SAD", "GPS_Gaps"}),
        ("S09151", lambda at: not 60 <= at < 70, {"Degraded_SAD", "Attitude_Gaps"}),
        ("S09150", lambda at: at < 12, {"Degraded_SAD", "Ancillary_Coverage"}),
        ("S09154", lambda at: at != 3, {"Degraded_SAD"}),
        ("S09155", lambda _: False, {"Degraded_SAD", "Datation_Model_GPS_SYNC"}),
    ],
    ids=["a GPS point", "attitudes", "the last GPS points", "a control state", "time correlation"],
)
def test_lost_telemetry_fails_its_checks(
    bench: Any, one_granule: Any, sid: str, keep: Callable[[int], bool], checks: set[str]
) -> None:
    datatake = bench.l0u(one_granule).root / "DS_GR_FOLDER" / "DT01"
    _dropped(datatake, sid, keep)
    run = _l0c(bench, datatake)
    assert run.code == Exit.DEGRADED
    assert set(_failed(run)) == checks


def test_without_any_control_state_there_is_no_product(bench: Any, one_granule: Any) -> None:
    datatake = bench.l0u(one_granule).root / "DS_GR_FOLDER" / "DT01"
    _dropped(datatake, "S09154", lambda _: False)
    with pytest.raises(BadInputError, match="APID 154"):
        _l0c(bench, datatake)


def test_packets_dated_apart_fail_the_datation(bench: Any, one_granule: Any) -> None:
    datatake = bench.l0u(one_granule).root / "DS_GR_FOLDER" / "DT01"
    path = next(datatake.rglob("IMG_DATA/*_B09.bin"))
    packets = list(read_annotated(path))
    moved = SpacePacket.decode(packets[3][1])
    later = replace(moved, gps_ns=moved.gps_ns + 1_000_000).encode()
    again = [a.encode() + (later if at == 3 else octets) for at, (a, octets) in enumerate(packets)]
    path.write_bytes(b"".join(again))
    assert set(_failed(_l0c(bench, datatake))) == {"Datation_Model_RMOY"}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_quicklook_is_what_the_lines_hold(run: Run) -> None:
    pictures = sorted(run.root.glob("PDI_DS/*/QI_DATA/*.jp2"))
    assert [path.stem[-3:] for path in pictures] == ["B02", "B03", "B04", "B10", "B11"]
    strip = _root(next(run.root.glob("PDI_DS/*/*MTD*.xml")))
    size = tuple(int(strip.findtext(f".//Image_Size/{name}")) for name in ("NROWS", "NCOLS"))
    for path in pictures:
        with rasterio.open(path) as source:
            assert source.shape == size
            counts = source.read(1)
        assert set(np.unique(counts)) <= {0, *range(400, 404)}
        assert pytest.importorskip("glymur").Jp2k(path).shape == size
        assert np.mean(counts > 0) > 0.95
    assert size[0] == 2 * 72
    assert 150 < size[1] < 165  # two detectors of 81 columns, less their overlap


def test_the_satellites_own_parameters_are_used_and_named(
    real_data: Path, bench: Any, one_granule: Any, tmp_path: Path
) -> None:
    folder = real_data / "geometry/gipp"
    viewing = tmp_path / "viewing"
    viewing.mkdir()
    for path in folder.glob("*VIEDIR*.xml"):
        (viewing / path.name).symlink_to(path)
    (spacecraft,) = folder.glob("*SPAMOD*.xml")
    datatake = bench.l0u(one_granule).root / "DS_GR_FOLDER" / "DT01"
    inputs = {"PDI_L0U": datatake, "GIP_VIEDIR": viewing, "GIP_SPAMOD": spacecraft}
    plain, own = _l0c(bench, datatake), bench.call(process, inputs, ("PDI_DS", "PDI_DS_GR_LIST"))
    assert own.code == plain.code == Exit.OK
    (path,) = own.root.glob("PDI_DS/*/*MTD*.xml")
    _schema(real_data, "S2_PDI_Level-0_Datastrip_Metadata.xsd").assertValid(etree.parse(path))
    named = re.findall(r'<GIPP_FILENAME type="(\w+)" version="">([^<]+)<', path.read_text())
    assert sorted(name for _, name in named) == sorted([p.stem for p in (*viewing.glob("*"), spacecraft)])
    assert {kind for kind, _ in named} == {"GIP_VIEDIR", "GIP_SPAMOD"}
    corners = [
        re.findall(r"<EXT_POS_LIST>([^<]+)<", next(run.root.glob("PDI_DS_GR_LIST/*/*MTD*.xml")).read_text())[0].split()
        for run in (plain, own)
    ]
    # The real focal plane stands elsewhere by some kilometres, no more.
    apart = np.abs(np.array(corners[0], float) - np.array(corners[1], float)).max()
    assert 1e-4 < apart < 0.2


def test_a_bulletin_of_other_years_is_refused(real_data: Path, bench: Any, one_granule: Any) -> None:
    (bulletin,) = real_data.glob("geometry/iers/*.txt")
    datatake = bench.l0u(one_granule).root / "DS_GR_FOLDER" / "DT01"
    with pytest.raises(BadInputError, match=re.escape(bulletin.name)):
        bench.call(process, {"PDI_L0U": datatake, "AUX_UT1UTC": bulletin}, ("PDI_DS", "PDI_DS_GR_LIST"))


def test_a_real_l0u_folder_is_read_as_far_as_it_goes(real_data: Path, bench: Any) -> None:
    datatake = real_data / "l0u_datatake/DT35"
    source = only_folder(datatake / "DS", "datastrip")
    downlink = read_downlink(source)
    assert (downlink.station, downlink.orbit) == ("SGS_", 26648)
    assert {detector: len(folders) for detector, folders in find_granules(datatake).items()} == dict.fromkeys(
        range(2, 13), 1
    )
    with pytest.raises(BadInputError, match="ANC_DATA: expected a datatake descriptor"):
        _l0c(bench, datatake)
