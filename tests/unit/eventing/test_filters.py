"""Trigger filters, dialect by dialect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eventing.filters import Filter, matches
from shared.domain.events import Event, object_created

EVENT = object_created("s2-ledger", "sessions/S/complete.json", "e", traceparent="t")


def accepts(document: dict[str, Any], event: Event = EVENT) -> bool:
    return matches([Filter.model_validate(document)], event)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"exact": {"source": "s2-ledger"}}, True),
        ({"exact": {"source": "s2-ledge"}}, False),
        ({"exact": {"source": "s2-ledger", "type": "other"}}, False),
        ({"exact": {"traceparent": "t"}}, True),
        ({"exact": {"specversion": "1.0"}}, True),
        ({"exact": {"absent": "x"}}, False),
        ({"prefix": {"type": "com.amazonaws.s3.ObjectCreated:"}}, True),
        ({"prefix": {"absent": "x"}}, False),
        ({"prefix": {"time": "2"}}, False),
        ({"suffix": {"subject": "/complete.json"}}, True),
        ({"suffix": {"subject": "/outcome.json"}}, False),
        ({"not": {"exact": {"absent": "x"}}}, True),
        ({"all": [{"prefix": {"subject": "sessions/"}}, {"exact": {"source": "x"}}]}, False),
        ({"any": [{"prefix": {"subject": "sessions/"}}, {"exact": {"source": "x"}}]}, True),
        ({"any": [{"exact": {"source": "x"}}, {"not": {"prefix": {"subject": "sessions/"}}}]}, False),
    ],
)
def test_dialects(document: dict[str, Any], expected: bool) -> None:
    assert accepts(document) is expected


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"exact": {}},
        {"exact": {"type": ""}},
        {"exact": {"": "x"}},
        {"exact": {"Type": "x"}},
        {"exact": {"type": "x"}, "prefix": {"type": "x"}},
        {"all": []},
        {"any": []},
        {"cesql": "type = 'x'"},
        {"sufix": {"type": "x"}},
        {"all": [{"exat": {"type": "x"}}]},
    ],
)
def test_what_is_no_filter_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Filter.model_validate(document)


LEAVES = st.sampled_from([{"exact": {"source": "a"}}, {"prefix": {"subject": "x"}}, {"suffix": {"type": "t"}}])
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(lambda f: {"not": f}, inner)
        | st.builds(lambda fs: {"all": fs}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda fs: {"any": fs}, st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=6,
)


@given(TREES, st.sampled_from("ab"), st.sampled_from(["", "x", "yx"]))
def test_laws_of_logic(document: dict[str, Any], source: str, subject: str) -> None:
    event = Event("1", source, "t", subject)
    plain = accepts(document, event)
    assert accepts({"not": document}, event) is not plain
    assert accepts({"all": [document, document]}, event) is plain
    assert accepts({"any": [document, {"not": document}]}, event)
    assert not accepts({"all": [document, {"not": document}]}, event)


def test_no_filter_accepts_all() -> None:
    assert matches([], EVENT)
