from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadInputError
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask, format_job_order, parse_job_order, read_job_order

words = st.from_regex(r"[A-Za-z0-9_./-]{1,20}", fullmatch=True)
orders = st.builds(
    JobOrder,
    words,
    words,
    words,
    words,
    st.dictionaries(words, words, max_size=4),
    st.lists(
        st.builds(
            JobTask,
            words,
            words,
            st.lists(st.builds(JobInput, words, st.lists(words, max_size=3).map(tuple), words), max_size=3).map(tuple),
            st.lists(st.builds(JobOutput, words, words, st.booleans(), words), max_size=3).map(tuple),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    sensing_time=st.one_of(st.none(), st.tuples(words, words)),
)


@given(orders)
def test_a_job_order_survives_being_written_and_read(order: JobOrder) -> None:
    assert parse_job_order(format_job_order(order)) == order


def _job_orders(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        if "<Ipf_Job_Order" in node:
            yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _job_orders(value)
    elif isinstance(node, list):
        for value in node:
            yield from _job_orders(value)


def test_all_operational_job_orders_are_read_and_rewritten_alike(real_data: Path) -> None:
    found = list(_job_orders(json.loads((real_data / "job_orders" / "operational_l0c_59.json").read_text())))
    assert len(found) == 59
    for document in found:
        order = parse_job_order(document.encode())
        assert order.tasks
        assert order.acquisition_station == "SGS_"
        assert parse_job_order(format_job_order(order)) == order


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (b"not XML at all", "well-formed XML"),
        (b'<!DOCTYPE a [<!ENTITY x "xxxx">]><Ipf_Job_Order>&x;</Ipf_Job_Order>', "without entities"),
        (b"<Other/>", "Ipf_Job_Order"),
        (b"<Ipf_Job_Order/>", "Ipf_Conf"),
        (b"<Ipf_Job_Order><Ipf_Conf><Version>1</Version></Ipf_Conf></Ipf_Job_Order>", "Processor_Name"),
    ],
)
def test_a_broken_job_order_is_refused_with_the_element_named(document: bytes, named: str) -> None:
    with pytest.raises(BadInputError, match=named):
        parse_job_order(document)


def test_a_missing_input_parameter_or_output_is_named() -> None:
    order = JobOrder("P", "1", "", "", {}, (JobTask("t", "1", (), ()),))
    for look_up, name in ((order.input_files, "PDI_DS"), (order.output, "PDI_DS"), (order.parameter, "TILE")):
        with pytest.raises(BadInputError, match=name):
            look_up(name)


def test_a_job_order_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"nowhere\.xml"):
        read_job_order(tmp_path / "nowhere.xml")
