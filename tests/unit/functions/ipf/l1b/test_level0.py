"""Reading L0 products: what is sound is taken once, what is not is counted, what is hostile is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from functions.ipf.common.annotated import Annotation
from functions.ipf.l1b.level0 import granules_by_detector, read_ancillary, read_band, read_downlink
from functions.ipf.l1b.tile_list import tile_list
from shared.ccsds.spacepackets import SpacePacket
from shared.errors import BadInputError
from shared.msi.codec import compress
from shared.msi.instrument import BANDS
from shared.msi.packets import (
    ATTITUDE_APID,
    COMPRESSION_CCSDS121,
    DATATAKE_APID,
    GPS_APID,
    AttitudePoint,
    DatatakeDescriptor,
    GpsPoint,
    ImageBlock,
    image_apid,
)
from shared.msi.tiling import tile
from shared.rehearsal.flight import fly
from shared.rehearsal.plan import Datatake

RECEIVED = Annotation(datetime(2026, 11, 22, tzinfo=UTC), 0)
GRANULE = "S2A_TEST_MSI_L0__GR_S2PS_20261122T120000_S20260621T102000_D06_N00.01"
BAND = BANDS[0]
DESCRIPTOR = DatatakeDescriptor("S2A", 57_405, 65, 10**18, "INS-NOBS", (6,), 1, 10**18 + 5 * 10**9, 1, 1, 1)


def stored(*packets: tuple[int, bytes], **flags: Any) -> bytes:
    """Packets of (APID, user data) as an L0 file has them."""
    made = [SpacePacket(apid, 0, 10**18, data).encode() for apid, data in packets]
    return b"".join(replace(RECEIVED, length=len(p) - 7, **flags).encode() + p for p in made)


def block(number: int, value: int, **changed: Any) -> tuple[int, bytes]:
    samples = np.full((16, BAND.width), value, np.uint16)
    made = ImageBlock(6, BAND.index, 1, number, 16, BAND.width, COMPRESSION_CCSDS121, compress(samples))
    return image_apid(6, BAND.index), replace(made, **changed).encode()


def granule(root: Path, content: bytes) -> Path:
    images = root / GRANULE / "IMG_DATA"
    images.mkdir(parents=True)
    (images / f"{GRANULE[:-7]}_{BAND.name}.bin").write_bytes(content)
    return root / GRANULE


def datastrip(root: Path, content: bytes) -> Path:
    (root / "ANC_DATA").mkdir()
    (root / "ANC_DATA" / "telemetry.bin").write_bytes(content)
    return root


def test_blocks_stand_in_their_lines(tmp_path: Path) -> None:
    image = read_band([granule(tmp_path, stored(block(3, 700), block(0, 400)))], 6, BAND, range(1, 2))
    assert image.counts.shape == (384, 432)
    assert set(image.counts[:16].ravel()) == {400}
    assert set(image.counts[48:64].ravel()) == {700}
    assert np.flatnonzero(image.present).tolist() == [0, 3]
    assert image.refused == []


@pytest.mark.parametrize(
    "wrong",
    [{"detector": 7}, {"band": 1}, {"scene": 2}, {"block": 24}, {"lines": 8}, {"columns": 400}, {"compression": 9}],
)
def test_a_block_that_does_not_belong_is_refused_and_counted(tmp_path: Path, wrong: dict[str, int]) -> None:
    image = read_band([granule(tmp_path, stored(block(0, 400, **wrong), block(1, 500)))], 6, BAND, range(1, 2))
    assert np.flatnonzero(image.present).tolist() == [1]
    assert len(image.refused) == 1
    assert not image.counts[:16].any()


def test_a_damaged_payload_is_refused(tmp_path: Path) -> None:
    apid, data = block(0, 400)
    image = read_band([granule(tmp_path, stored((apid, data[:14])))], 6, BAND, range(1, 2))
    assert not image.present.any()
    assert np.flatnonzero(image.damaged).tolist() == [0]
    assert len(image.refused) == 1


@pytest.mark.parametrize("flag", ["ignore", "incomplete", "invalid"])
def test_packets_flagged_on_reception_are_left_out(tmp_path: Path, flag: str) -> None:
    image = read_band([granule(tmp_path, stored(block(0, 400), **{flag: True}))], 6, BAND, range(1, 2))
    assert not image.present.any()


def test_ancillary_points_are_taken_once_and_in_order(tmp_path: Path) -> None:
    fixes = [GpsPoint(10**18 + n * 10**9, (1.0 * n, 2.0, 7e6), (4.0, 5.0, 6.0)) for n in (2, 0, 2)]
    attitude = AttitudePoint(10**18, (0.0, 0.0, 0.0, 1.0))
    packets = [(GPS_APID, fix.encode()) for fix in fixes]
    packets += [
        (ATTITUDE_APID, attitude.encode()),
        (DATATAKE_APID, DESCRIPTOR.encode()),
        (DATATAKE_APID, DESCRIPTOR.encode()),
    ]
    found = read_ancillary(datastrip(tmp_path, stored(*packets)))
    assert [fix.position[0] for fix in found.gps] == [0.0, 2.0]
    assert len(found.attitudes) == 1
    assert (found.descriptor.satellite, found.descriptor.scenes, found.descriptor.detectors) == ("S2A", 1, (6,))


def test_two_datatakes_in_one_datastrip_are_refused(tmp_path: Path) -> None:
    other = replace(DESCRIPTOR, scenes=2)
    content = stored((DATATAKE_APID, DESCRIPTOR.encode()), (DATATAKE_APID, other.encode()))
    with pytest.raises(BadInputError, match="one datatake"):
        read_ancillary(datastrip(tmp_path, content))


def test_granules_are_found_one_by_one_or_in_a_folder(tmp_path: Path) -> None:
    made = granule(tmp_path, b"")
    assert granules_by_detector([made]) == granules_by_detector([tmp_path]) == {6: [made]}


def test_downlink_comes_from_the_metadata_and_entities_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "S2A_TEST_MTD_L0__DS_S2PS_20261122T120000_S20260621T102000.xml"
    assert read_downlink(tmp_path) is None
    path.write_text(
        "<a><Downlink_Info><RECEPTION_STATION>SGS_</RECEPTION_STATION>"
        "<DOWNLINK_ORBIT_NUMBER>57406</DOWNLINK_ORBIT_NUMBER></Downlink_Info></a>"
    )
    assert read_downlink(tmp_path) == ("SGS_", 57_406)
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    with pytest.raises(BadInputError, match="entities"):
        read_downlink(tmp_path)
    path.write_text('<?xml version="1.0" encoding="unheard-of"?><a/>')
    with pytest.raises(BadInputError, match="well-formed"):
        read_downlink(tmp_path)


def test_tile_list_counts_and_numbers_its_tiles() -> None:
    document = tile_list([tile("32TLQ"), tile("32TMQ")])
    assert document.findtext("Number_Of_Tiles") == "2"
    entries = document.findall("List_Tile_Id")
    assert [(e.get("Tile_Number"), e.findtext("Tile_Id")) for e in entries] == [("1", "32TLQ"), ("2", "32TMQ")]


def test_tiles_between_detectors_that_took_no_image_are_not_listed() -> None:
    def seen(*detectors: int) -> set[str]:
        flight = fly(Datatake(scenes=1, detectors=detectors), "S2A")
        return {tile.name for tile in flight.model.tiles()}

    swath = seen(*range(1, 13))
    ends = seen(1, 12)
    assert "32TMQ" in swath - ends
    assert ends < swath
