"""The manifest of a product: every file once, in the place and by the name that operational products have."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from lxml import etree

from functions.ipf.common import xml
from functions.ipf.common.identity import Production
from functions.ipf.safe.manifest import FILE, manifest
from functions.ipf.safe.names import Acquisition, ProductNames

WHEN = datetime(2022, 10, 5, 11, 54, 11, tzinfo=UTC)
TAKEN = Acquisition("S2A", WHEN, "INS-NOBS", 38058, 23, "DESCENDING", WHEN, WHEN)
Level = Literal["L1C", "L2A"]
UNIT = "{urn:ccsds:schema:xfdu:1}contentUnit"


def written(root: Path, level: Level, files: list[str]) -> etree._ElementTree:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(file.encode())
    names = ProductNames(TAKEN, level, "29UNU", Production(WHEN))
    xml.write(root / FILE, manifest(root, names, [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]))
    return etree.parse(root / FILE)


def identities(document: etree._ElementTree) -> dict[str, str]:
    return {str(item[0][0].get("href")): str(item.get("ID")) for item in document.iter("dataObject")}


def units(document: etree._ElementTree) -> set[tuple[str | None, str | None]]:
    return {(unit.get("ID"), above.get("ID")) for above in document.iter() for unit in above.iterchildren(UNIT)}


def test_every_file_is_named_once_and_pointed_at(tmp_path: Path) -> None:
    files = [
        "MTD_MSIL1C.xml",
        "INSPIRE.xml",
        "rep_info/some.xsd",
        "DATASTRIP/DS_X/MTD_DS.xml",
        "DATASTRIP/DS_X/QI_DATA/SENSOR_QUALITY.xml",
        "GRANULE/L1C_X/MTD_TL.xml",
        "GRANULE/L1C_X/AUX_DATA/PROCESSING_NOTES.xml",
        "GRANULE/L1C_X/IMG_DATA/T29UNU_20221005T115411_B8A.jp2",
        "GRANULE/L1C_X/QI_DATA/SENSOR_QUALITY.xml",
        "GRANULE/L1C_X/QI_DATA/MSK_DETFOO_B01.jp2",
        "GRANULE/L1C_X/QI_DATA/MSK_DETFOO_B8A.jp2",
        "GRANULE/L1C_X/QI_DATA/MSK_QUALIT_B01.jp2",
        "GRANULE/L1C_X/QI_DATA/MSK_CLASSI_B00.jp2",
        "GRANULE/L1C_X/QI_DATA/T29UNU_20221005T115411_PVI.jp2",
    ]
    document = written(tmp_path, "L1C", files)
    found = identities(document)
    assert sorted(found) == sorted(f"./{file}" for file in files)
    assert len(set(found.values())) == len(files)
    pointers = [str(p.get("dataObjectID")) for p in document.findall(f".//{UNIT}/dataObjectPointer")]
    assert sorted(pointers) == sorted(found.values())
    every = [e.get("ID") for e in document.iter() if e.get("ID")]
    assert len(every) == len(set(every))
    for stream in document.iter("byteStream"):
        octets = (tmp_path / str(stream[0].get("href"))).read_bytes()
        assert (stream.get("size"), stream[1].text) == (str(len(octets)), hashlib.sha3_256(octets).hexdigest())


def test_names_and_containers_are_those_of_a_real_product(tmp_path: Path, real_data: Path) -> None:
    (path,) = real_data.glob("l2a_safe/*.SAFE/manifest.safe")
    real = etree.parse(path)
    theirs = identities(real)
    ours = written(tmp_path, "L2A", sorted(theirs))
    assert {file: name for file, name in identities(ours).items() if "HTML" not in file} == {
        file: name for file, name in theirs.items() if "HTML" not in file
    }
    # The product's own metadata have another unit's name there; presentation by HTML is not ours.
    unknown = re.compile(r"HTML|Product_Metadata|^AuxData$")
    assert {unit for unit in units(ours) if unit[0] and not unknown.search(unit[0])} == {
        unit for unit in units(real) if unit[0] and not unknown.search(unit[0])
    }
    described = {e.get("ID") for e in real.iter("metadataObject")}
    assert {e.get("ID") for e in ours.iter("metadataObject")} == described


@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_the_same_files_give_the_same_document(tmp_path: Path, level: Level) -> None:
    files = [f"MTD_MSI{level}.xml", "INSPIRE.xml", "GRANULE/X/MTD_TL.xml"]
    assert etree.tostring(written(tmp_path / "a", level, files)) == etree.tostring(
        written(tmp_path / "b", level, files[::-1])
    )
