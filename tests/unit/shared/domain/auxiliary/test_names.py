from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.auxiliary.names import BANDS, AuxiliaryName, without_archive
from shared.errors import BadInputError

VIEDIR = "S2A_OPER_GIP_VIEDIR_MPC__20150605T094736_V20150622T000000_21000101T000000_B8A"


def test_a_name_says_satellite_type_creation_validity_and_band() -> None:
    name = AuxiliaryName.parse(VIEDIR)
    assert (name.satellite, name.file_class, name.type, name.site, name.band) == (
        "S2A",
        "OPER",
        "GIP_VIEDIR",
        "MPC_",
        "8A",
    )
    assert name.creation == datetime(2015, 6, 5, 9, 47, 36, tzinfo=UTC)
    assert (name.start, name.stop) == (datetime(2015, 6, 22, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    assert str(name) == VIEDIR


def test_a_file_of_no_satellite_serves_all_and_another_its_own() -> None:
    bulletin = AuxiliaryName.parse("S2__OPER_AUX_UT1UTC_PDMC_20220407T000000_V20220408T000000_20230407T000000")
    assert bulletin.band is None
    assert all(bulletin.serves(satellite) for satellite in ("S2A", "S2B", "S2C", "S2D"))
    assert [s for s in ("S2A", "S2B", "S2C") if AuxiliaryName.parse(VIEDIR).serves(s)] == ["S2A"]


def test_there_are_thirteen_bands_in_the_order_of_their_index() -> None:
    assert len(BANDS) == 13
    assert BANDS[8] == "8A"


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("S2A_OPER_MSI_L0__DS_REFS_20221124T163650_V20150622T000000_21000101T000000", "type"),
        ("S2A_OPER_GIP_VIEDIR_MPC__20150605T094736", "validity range"),
        ("S2A_OPER_GIP_VIEDIR_MPC__20150605T094736_V21000101T000000_20150622T000000_B01", "not after the stop"),
        ("S2A_OPER_GIP_VIEDIR_MPC__20150605T094736_V20150622T000000_21000101T000000_B13", "band"),
        ("S2A_OPER_GIP_VIEDIR_MPC__20150605T094736_B01_V20150622T000000_21000101T000000", "validity range"),
        ("S2A_OPER_GIP_VIEDIR_MPC__20159905T094736_V20150622T000000_21000101T000000_B01", "date"),
        (VIEDIR + "/../x", "PDI name"),
        (VIEDIR + "\n", "PDI name"),
        ("", "PDI name"),
    ],
)
def test_a_wrong_name_is_refused_and_said_why(name: str, named: str) -> None:
    with pytest.raises(BadInputError, match=named):
        AuxiliaryName.parse(name)


@given(st.text(max_size=90))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    with suppress(BadInputError):
        assert str(AuxiliaryName.parse(text)) == text


@pytest.mark.parametrize("extension", [".TGZ", ".tar.gz", ".zip", ".ZIP", ".tar", ""])
def test_the_name_of_an_archive_without_its_extension(extension: str) -> None:
    assert without_archive(VIEDIR + extension) == VIEDIR


def test_the_files_of_a_real_catalogue_are_read(real_data: Path) -> None:
    answer = json.loads((real_data / "auxiliary" / "catalogue_answer.json").read_text())
    names = [AuxiliaryName.parse(item["productName"]) for item in answer]
    assert len(names) == 33
    for name, item in zip(names, answer, strict=True):
        assert name.type == item["productType"]
        assert f"{name.start:%Y-%m-%dT%H:%M:%S.%fZ}" == item["validityStart"]
        assert f"{name.stop:%Y-%m-%dT%H:%M:%S.%fZ}" == item["validityStop"]
    assert {name.band for name in names} == set(BANDS)
