"""Parameters out of auxiliary files: what is found, and how what is not is told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.errors import BadInputError
from shared.workflow.derived import derive
from shared.workflow.processor import Derived

NAME = "S2B_OPER_GIP_DATATI_MPC__20170428T123038_V20170322T000000_21000101T000000_B00"


def found(spec: Derived, document: bytes) -> str:
    return derive({"p": spec}, {"GIP_DATATI": (NAME, document)})["p"]


def spec(**fields: object) -> Derived:
    return Derived.model_validate({"file_type": "GIP_DATATI", **fields})


@pytest.mark.parametrize(
    ("fields", "document", "value"),
    [
        ({"element": "A"}, b"<G><B>1</B><A unit='ms'> 1.5 </A><A>2</A></G>", "1.5"),
        ({"element": "A"}, b"<g:G xmlns:g='urn:g'><g:A>1</g:A></g:G>", "1"),
        ({"element": "A", "unsigned": True}, b"<G><A>-19</A></G>", "19"),
        ({"element": "A", "unsigned": True}, b"<G><A>19</A></G>", "19"),
        ({"element": "A", "negated": True}, b"<G><A>-19.50</A></G>", "19.50"),
        ({"element": "A", "negated": True}, b"<G><A>0</A></G>", "0"),
        ({"pattern": r"TAI-UTC\s*=\s*([0-9]+)", "negated": True}, b"\xb0 TAI-UTC = 37.000 000 s\nTAI-UTC = 38", "-37"),
    ],
)
def test_what_is_found(fields: dict[str, object], document: bytes, value: str) -> None:
    assert found(spec(**fields), document) == value


@pytest.mark.parametrize(
    ("fields", "document", "told"),
    [
        ({"element": "A"}, b"<G/>", "A: expected the value of parameter p"),
        ({"element": "A"}, b"<G><A/></G>", "A: expected a value of parameter p"),
        ({"element": "A"}, b"<G><A>rm -rf /; x</A></G>", "A: expected a value of parameter p"),
        ({"element": "A", "unsigned": True}, b"<G><A>--19</A></G>", "A: expected a number"),
        ({"element": "A", "negated": True}, b"<G><A>many</A></G>", "A: expected a number"),
        ({"element": "A"}, b"no xml", NAME),
        ({"element": "A"}, b'<!DOCTYPE d [<!ENTITY a "1">]><G><A>&a;</A></G>', NAME),
        ({"pattern": "x=(.)"}, b"y=1", "x=(.): expected the value of parameter p"),
    ],
)
def test_what_is_not_there_or_none_is_told_with_file_and_element(
    fields: dict[str, object], document: bytes, told: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        found(spec(**fields), document)
    assert NAME in str(caught.value)
    assert told in str(caught.value)


def test_a_type_that_was_not_chosen_is_named() -> None:
    with pytest.raises(BadInputError, match=r"parameter p: expected a file of type GIP_DATATI"):
        derive({"p": spec(element="A")}, {})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"element": "A", "pattern": "(a)"},
        {"pattern": "("},
        {"pattern": "a"},
        {"element": "A", "unsigned": True, "negated": True},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        spec(**fields)
