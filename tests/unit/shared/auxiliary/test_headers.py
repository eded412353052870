from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auxiliary.headers import EARLIEST, LATEST, MAX_HEADER, read_baseline, read_header
from shared.domain.auxiliary.names import AuxiliaryName
from shared.errors import BadInputError
from tests.support.auxiliary import header, named

NAME = named()


def test_a_header_says_validity_creation_and_version() -> None:
    found = read_header(header(NAME), "x.HDR")
    assert (found.file_name, found.file_type, found.file_class) == (NAME.text, NAME.type, "OPER")
    assert (found.start, found.stop, found.creation) == (NAME.start, NAME.stop, NAME.creation)
    assert (found.mission, found.version) == ("Sentinel-2", "0001")


def test_real_headers_with_and_without_a_namespace_say_what_their_names_say(real_data: Path) -> None:
    paths = sorted((real_data / "auxiliary").glob("*/*.HDR"))
    assert len(paths) == 4
    for path in paths:
        found, name = read_header(path.read_bytes(), path.name), AuxiliaryName.parse(path.stem)
        assert (found.file_name, found.file_type) == (name.text, name.type)
        assert (found.start, found.stop, found.creation) == (name.start, name.stop, name.creation)


def test_of_an_eof_the_beginning_is_enough() -> None:
    inner = header(NAME).split(b"?>", 1)[1]
    eof = b"<Earth_Explorer_File>" + inner + b"<Data_Block>" + b"<x/>" * MAX_HEADER
    assert read_header(eof, "x.EOF").start == NAME.start


def test_always_is_from_the_earliest_to_the_latest() -> None:
    found = read_header(
        header(NAME, Validity_Start="UTC=0000-00-00T00:00:00", Validity_Stop="UTC=9999-99-99T99:99:99"), "x.HDR"
    )
    assert (found.start, found.stop) == (EARLIEST, LATEST)


def test_a_time_may_have_a_fraction_and_a_creation_may_be_missing() -> None:
    found = read_header(header(NAME, Validity_Start="UTC=2022-04-13T01:02:03.250000", Creation_Date=""), "x.HDR")
    assert found.start == datetime(2022, 4, 13, 1, 2, 3, 250000, tzinfo=UTC)
    assert found.creation is None


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (header(NAME, Validity_Start="UTC=2022-13-45T00:00:00"), "x.HDR, Validity_Start"),
        (header(NAME, Validity_Start="yesterday"), "x.HDR, Validity_Start"),
        (header(NAME, Validity_Start=""), "x.HDR, Validity_Start"),
        (header(NAME, Validity_Start="UTC=2022-04-13T00:00:00+02:00"), "x.HDR, Validity_Start"),
        (header(NAME, Validity_Start="UTC=2099-01-01T00:00:00"), "x.HDR, Validity_Period"),
        (header(NAME, File_Type=""), "x.HDR, File_Type"),
        (b"<Earth_Explorer_Header><Variable_Header/></Earth_Explorer_Header>", "Fixed_Header"),
        (b"<a><b></a>", "well-formed XML"),
        (b"", "well-formed XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "without document type"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "well-formed XML"),
    ],
)
def test_a_wrong_header_is_refused_by_its_element(document: bytes, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        read_header(document, "x.HDR")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(junk: bytes) -> None:
    with pytest.raises(BadInputError):
        read_header(junk, "x.HDR")


def test_the_baseline_of_a_probas_is_read() -> None:
    block = b'<a:GS2 xmlns:a="x"><DATA><Baseline_Version> 04.00 </Baseline_Version></DATA></a:GS2>'
    assert read_baseline(io.BytesIO(block), "x.DBL") == "04.00"
    assert read_baseline(io.BytesIO(b"<DATA/>"), "x.DBL") == ""
    with pytest.raises(BadInputError, match="Baseline_Version"):
        read_baseline(io.BytesIO(b"<Baseline_Version>" + b"9" * 99 + b"</Baseline_Version>"), "x.DBL")
