"""L1C products from outside are read as hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.ipf.l2a.source import read_level1c
from shared.errors import BadInputError

NAME = "S2A_MSIL1C_20260621T101955_N0001_R065_T32TMQ_20261122T120000.SAFE"
BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'


def make(root: Path, product: str, tile: str = "<a/>") -> Path:
    safe = root / NAME
    granule = safe / "GRANULE" / "L1C_T32TMQ_A057405_20260621T102000"
    granule.mkdir(parents=True)
    (safe / "MTD_MSIL1C.xml").write_text(product)
    (granule / "MTD_TL.xml").write_text(tile)
    return safe


def test_entities_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"MTD_MSIL1C\.xml: expected well-formed XML without entities"):
        read_level1c(make(tmp_path, BOMB))


def test_what_is_no_xml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"MTD_TL\.xml"):
        read_level1c(make(tmp_path, "<a/>", "no xml"))


def test_a_missing_element_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="DATATAKE_SENSING_START"):
        read_level1c(make(tmp_path, "<a/>"))


def test_another_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="L1C"):
        read_level1c(tmp_path / NAME.replace("MSIL1C", "MSIL2A"))


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="product name"):
        read_level1c(tmp_path / "product")


def test_a_missing_document_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"MTD_MSIL1C\.xml"):
        read_level1c(tmp_path / NAME)
