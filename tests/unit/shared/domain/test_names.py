from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.names import SATELLITES, CompactName, HktmName, PdiName, SessionFile, SessionId, beside, downlink_of
from shared.errors import BadInputError

stamps = st.datetimes(datetime(2015, 1, 1), datetime(2069, 12, 31)).map(lambda t: t.replace(microsecond=0, tzinfo=UTC))  # noqa: DTZ001  hypothesis wants naive bounds
satellites = st.sampled_from(SATELLITES)
sessions = st.one_of(
    st.builds(SessionId, stamps, st.integers(0, 999_999), satellites),
    st.builds(SessionId, stamps, st.integers(0, 999_999), st.none(), st.integers(0, 999)),
)
tiles = st.from_regex(r"(0[1-9]|[1-5][0-9]|60)[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]", fullmatch=True)


def digits(count: int) -> st.SearchStrategy[str]:
    return st.integers(0, 10**count - 1).map(lambda number: f"{number:0{count}d}")


stamp_text = stamps.map(lambda t: f"{t:%Y%m%dT%H%M%S}")
suffixes = st.lists(
    st.one_of(
        st.tuples(st.just("S"), stamp_text),
        st.tuples(st.just("V"), st.tuples(stamp_text, stamp_text).map("_".join)),
        st.tuples(st.just("O"), st.tuples(digits(6), digits(6)).map("_".join)),
        st.tuples(st.just("D"), digits(2)),
        st.tuples(st.just("A"), digits(6)),
        st.tuples(st.just("R"), digits(3)),
        st.tuples(st.just("T"), tiles),
        st.tuples(st.just("N"), st.tuples(digits(2), digits(2)).map(".".join)),
        st.tuples(st.just("B"), st.one_of(digits(2), st.just("8A"))),
        st.tuples(st.just("W"), st.sampled_from("FP")),
        st.tuples(st.just("L"), st.sampled_from("ND")),
    ),
    max_size=4,
).map(tuple)


@given(sessions)
def test_every_session_id_survives_being_written_and_read(session: SessionId) -> None:
    assert SessionId.parse(str(session)) == session


@given(
    st.builds(
        SessionFile,
        digits(2),
        sessions,
        st.sampled_from([1, 2]),
        st.integers(1, 99_999),
        st.sampled_from(["raw", "aisp", "RAW"]),
    )
)
def test_every_chunk_name_survives_being_written_and_read(file: SessionFile) -> None:
    assert SessionFile.parse(str(file)) == file
    assert file.kind == "DSDB"


@given(st.builds(SessionFile, digits(2), sessions, st.sampled_from([1, 2]), st.none(), st.sampled_from(["xml", "XML"])))
def test_every_dsib_name_survives_being_written_and_read(file: SessionFile) -> None:
    assert SessionFile.parse(str(file)) == file
    assert file.kind == "DSIB"


@given(
    st.builds(
        PdiName,
        st.sampled_from([*SATELLITES, "S2_"]),
        st.sampled_from(["OPER", "TEST"]),
        st.from_regex(r"[A-Z][A-Z0-9_]{8}[A-Z0-9]", fullmatch=True),
        st.from_regex(r"[A-Z0-9_]{4}", fullmatch=True),
        stamps,
        suffixes,
    ).filter(lambda name: len(str(name)) <= 128)  # longer ones are refused, as file systems would
)
def test_every_pdi_name_survives_being_written_and_read(name: PdiName) -> None:
    assert PdiName.parse(str(name)) == name


@given(
    st.builds(
        CompactName,
        satellites,
        st.sampled_from(["L1C", "L2A"]),
        stamps,
        digits(4),
        st.integers(0, 143),
        tiles,
        stamps,
        st.booleans(),
    )
)
def test_every_compact_name_survives_being_written_and_read(name: CompactName) -> None:
    assert CompactName.parse(str(name)) == name


@pytest.mark.parametrize("text", ["S2A_00010101000000000001", "L09990101000000123000001", "S2A_20260230000000000001"])
def test_a_date_that_could_not_be_written_back_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="session id"):
        SessionId.parse(text)


@given(sessions, st.integers(2, 9999))
def test_a_session_beside_another_names_its_downlink(session: SessionId, number: int) -> None:
    assert downlink_of(beside(str(session), number)) == downlink_of(str(session)) == str(session)


@pytest.mark.parametrize(
    "name", ["given-S2A_MSIL1C_20261122T093000_N0001_R022_T32TQM_20261122T100000-2", "S2A_2026-2", "x-2", "-2", ""]
)
def test_other_names_are_their_own(name: str) -> None:
    assert downlink_of(name) == name


@pytest.mark.parametrize("grammar", [SessionId, SessionFile, PdiName, CompactName, HktmName])
@given(text=st.one_of(st.text(), st.from_regex(r"(DCS_05_)?S2B_2022[0-9]{16,18}(_ch1_DSDB_0000[0-9](\.raw)?)?")))
def test_what_a_grammar_accepts_is_what_it_writes_and_can_stand_in_a_key(grammar: Any, text: str) -> None:
    try:
        parsed = grammar.parse(text)
    except BadInputError:
        return
    assert str(parsed) == text
    assert re.fullmatch(r"[A-Za-z0-9._-]+", text)


@pytest.mark.parametrize(
    "hostile",
    [
        "../../x",
        "DCS_05_S2B_20220413132241026648_ch1_DSDB_00001.raw/../../etc/passwd",
        "DCS_05_S2B_20220413132241026648_ch1_DSDB_00001.raw\n",
        "DCS_05_S2B_20220413132241026648_ch3_DSDB_00001.raw",
        "DCS_05_S2E_20220413132241026648_ch1_DSDB_00001.raw",
        "DCS_05_S2B_20221313132241026648_ch1_DSDB_00001.raw",
        "DCS_05_S2B_20220413132241026648_ch1_DSDB_00000.raw",
        "DCS_05_S2B_20220413132241026648_ch1_DSDB_٠٠٠٠١.raw",
        "",
    ],
)
def test_a_hostile_or_wrong_file_name_is_refused(hostile: str) -> None:
    with pytest.raises(BadInputError, match="expected"):
        SessionFile.parse(hostile)


@pytest.mark.parametrize(
    ("text", "satellite", "orbit"),
    [
        ("S2B_20220413132241026648", "S2B", 26648),
        ("S2C_20260101000000000007", "S2C", 7),
        ("L20191003131732787001008", None, 1008),
    ],
)
def test_session_ids_of_real_stations_are_read(text: str, satellite: str | None, orbit: int) -> None:
    parsed = SessionId.parse(text)
    assert (parsed.satellite, parsed.orbit) == (satellite, orbit)


@pytest.mark.parametrize(
    ("text", "letter", "value"),
    [
        ("S2B_OPER_MSI_L0U_DS_SGS__20211113T040210_S20211113T024013_N00.00", "S", "20211113T024013"),
        ("S2B_OPER_MSI_L0__GR_CAPG_20211113T040313_S20211113T024031_D11_N03.01", "D", "11"),
        ("S2A_OPER_MSI_L1C_TL_2APS_20240124T155206_A044866_T22QEK_N05.10", "T", "22QEK"),
        ("S2C_OPER_MSI_L1C_TL_2CPS_20250826T204551_A005087_T15TVG_N05.11", "T", "15TVG"),
        ("S2C_OPER_MSI_L2A_DS_2CPS_20260713T163414_S20260713T114348_N05.12", "S", "20260713T114348"),
        (
            "S2B_OPER_GIP_PROBAS_MPC__20210706T000301_V20210708T060000_21000101T000000_B00",
            "V",
            "20210708T060000_21000101T000000",
        ),
    ],
)
def test_real_pdi_names_are_read_to_the_last_suffix(text: str, letter: str, value: str) -> None:
    name = PdiName.parse(text)
    assert name[letter] == value
    assert str(name) == text


def test_every_file_of_a_real_session_is_read(real_data: Any) -> None:
    listing = json.loads((real_data / "sessions" / "session2.json").read_text())
    files = [SessionFile.parse(entry["productName"]) for entry in listing]
    assert [f.kind for f in files].count("DSIB") == 2
    assert [f.kind for f in files].count("DSDB") == 166
    assert {str(f.session) for f in files} == {"S2B_20220413132241026648"}
