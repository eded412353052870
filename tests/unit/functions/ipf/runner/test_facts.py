from __future__ import annotations

from pathlib import Path

import pytest

from functions.ipf.runner.facts import find_facts
from shared.workflow.processor import Fact

TYPE = Fact(name="datatake_type", path="input/DS/*/*.xml", element="DATATAKE_TYPE", strip="INS-")
GRI = Fact(name="gri", path="output/{MODE}/gri_list_file.xml", count="GRI_GR", otherwise="0")


def put(base: Path, path: str, text: str) -> Path:
    file = base / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def facts(base: Path, *wanted: Fact) -> tuple[dict[str, str], int]:
    found = find_facts(base, base.parent, wanted, {"MODE": "L1A"})
    return found.found, len(found.problems)


def test_facts_are_read_from_the_files_of_the_run(tmp_path: Path) -> None:
    put(tmp_path / "b", "input/DS/S2B/x.xml", "<a><n:DATATAKE_TYPE xmlns:n='u'>INS-NOBS</n:DATATAKE_TYPE></a>")
    put(tmp_path / "b", "output/L1A/gri_list_file.xml", "<GRI_List><GRI_GR/><GRI_GR/><Other/></GRI_List>")
    assert facts(tmp_path / "b", TYPE, GRI) == ({"datatake_type": "NOBS", "gri": "2"}, 0)


def test_where_there_is_no_file_or_element_the_fact_is_what_it_is_otherwise(tmp_path: Path) -> None:
    put(tmp_path / "b", "input/DS/S2B/x.xml", "<a/>")
    assert facts(tmp_path / "b", TYPE, GRI) == ({"datatake_type": "", "gri": "0"}, 0)
    put(tmp_path / "b", "output/L1A/gri_list_file.xml", "<GRI_List/>")
    assert facts(tmp_path / "b", GRI) == ({"gri": "0"}, 0)


@pytest.mark.parametrize(
    "text",
    [
        "<broken",
        "<a><DATATAKE_TYPE>INS-\n/../x</DATATAKE_TYPE></a>",
        f"<a><DATATAKE_TYPE>{'N' * 200}</DATATAKE_TYPE></a>",
        '<!DOCTYPE a [<!ENTITY b "c">]><a><DATATAKE_TYPE>&b;</DATATAKE_TYPE></a>',
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    put(tmp_path / "b", "input/DS/S2B/x.xml", text)
    assert facts(tmp_path / "b", TYPE) == ({"datatake_type": ""}, 1)


def test_a_link_within_the_room_is_followed_and_no_other(tmp_path: Path) -> None:
    told = "<a><DATATAKE_TYPE>INS-VIC</DATATAKE_TYPE></a>"
    room = tmp_path / "room"
    put(room, "earlier/x.xml", told)
    put(tmp_path, "secret.xml", told)
    (room / "b/input/DS").mkdir(parents=True)
    link = room / "b/input/DS/S2B"
    link.symlink_to(room / "earlier")
    assert facts(room / "b", TYPE) == ({"datatake_type": "VIC"}, 0)
    link.unlink()
    link.symlink_to(tmp_path)
    assert facts(room / "b", TYPE) == ({"datatake_type": ""}, 1)
