from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadInputError
from shared.joborder import (
    FILE_NAME_TYPES,
    LOG_LEVELS,
    BreakFile,
    JobInput,
    JobOrder,
    JobOutput,
    JobTask,
    Template,
    TimeInterval,
    format_job_order,
    parse_job_order,
    read_job_order,
)
from shared.joborder.schema import check_by_schema

words = st.from_regex(r"[A-Za-z0-9_./-]{1,12}", fullmatch=True)
names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)
times = st.sampled_from(["20220413T132714", "2022-04-13T13:27:14Z", "2022-04-13T13:27:14.123456789+02:00", "@start@"])
kinds = st.sampled_from(FILE_NAME_TYPES)


def tuples(strategy: st.SearchStrategy[Any], least: int = 0, most: int = 2) -> st.SearchStrategy[Any]:
    return st.lists(strategy, min_size=least, max_size=most).map(tuple)


inputs = st.one_of(
    st.builds(JobInput, words, tuples(names, 1), kinds, tuples(st.builds(TimeInterval, times, times, names))),
    st.builds(JobInput, words, st.just(()), kinds, template=st.just(Template("@list_03@", "@count_03@"))),
)
tasks = st.builds(
    JobTask,
    words,
    words,
    tuples(inputs),
    tuples(
        st.builds(JobOutput, words, names, st.booleans(), kinds)
        | st.builds(JobOutput, words, st.just(""), st.just(value=False), kinds)
    ),
    st.none() | tuples(st.builds(BreakFile, words, names, st.booleans(), kinds)),
)
orders = st.builds(
    JobOrder,
    names,
    words,
    words | st.just(""),
    words | st.just(""),
    st.dictionaries(words, names, max_size=3),
    tuples(tasks, 1),
    st.sampled_from(LOG_LEVELS),
    st.sampled_from(LOG_LEVELS),
    st.none() | st.tuples(times, times),
    st.none() | st.booleans(),
    st.none() | st.booleans(),
    tuples(names | st.just("")),
)


@settings(max_examples=60)
@given(orders)
def test_a_job_order_is_written_as_element_tree_writes_it(order: JobOrder) -> None:
    document = format_job_order(order)
    root = ET.fromstring(document)
    for element in root.iter():
        if len(element):
            element.text = None  # the blanks around children are made anew
    ET.indent(root)
    assert document == ET.tostring(root, encoding="UTF-8", xml_declaration=True)


def test_what_means_something_in_xml_is_escaped() -> None:
    task = JobTask("T", "1", (), (JobOutput("A", "a<b>&\"c'"),))
    assert b"<File_Name>a&lt;b&gt;&amp;\"c'</File_Name>" in format_job_order(JobOrder("P", "1", "", "", {}, (task,)))


@settings(max_examples=60)
@given(orders)
def test_a_job_order_survives_being_written_and_read(order: JobOrder) -> None:
    document = format_job_order(order)
    assert parse_job_order(document) == order
    assert format_job_order(parse_job_order(document)) == document
    check_by_schema(document)


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


def _real_job_orders(folder: Path) -> list[bytes]:
    operational = json.loads((folder / "job_orders" / "operational_l0c_59.json").read_text())
    templates = sorted((folder / "job_orders").glob("*.xml"))
    return [text.encode() for text in _job_orders(operational)] + [path.read_bytes() for path in templates]


def test_all_operational_job_orders_and_templates_are_read_and_rewritten_alike(real_data: Path) -> None:
    found = _real_job_orders(real_data)
    assert len(found) >= 59 + 5
    for document in found:
        check_by_schema(document)
        order = parse_job_order(document)
        again = format_job_order(order)
        check_by_schema(again)
        assert parse_job_order(again) == order
        assert format_job_order(parse_job_order(again)) == again


def test_what_the_operational_job_orders_say_is_kept(real_data: Path) -> None:
    orders = [parse_job_order(document) for document in _real_job_orders(real_data)[:59]]
    assert {order.acquisition_station for order in orders} == {"SGS_"}
    (init,) = (order for order in orders if order.tasks[0].name == "INIT_LOC_L0")
    assert list(init.parameters)[:2] == ["SAD_DATA_INGESTION", "IERS_DATA_INGESTION"]
    assert init.sensing_time == ("20220413T132714", "20220413T133141")
    assert len(init.input_files("GIP_VIEDIR")) == 13
    assert init.config_files == ("",)
    # twelve are templates that nobody filled: the granules of one detector
    unfilled = [i.template for order in orders for i in order.tasks[0].inputs if i.template is not None]
    assert len(unfilled) == 12
    assert Template("@l0_gr_list_03@", "@l0_gr_count_03@") in unfilled


def test_counts_are_not_trusted_and_stray_namespaces_fall_away() -> None:
    document = format_job_order(JobOrder("P", "1", "SGS_", "S2PS", {}, (_TASK,)))
    strayed = (
        document.replace(b'count="1"', b'count="6"')
        .replace(b"<Ipf_Conf>", b'<Ipf_Conf xmlns:ipf_base="http://gs2.esa.int/DICO/1.0/IPF/base/">')
        .replace(b"<Input>", b'<Input xmlns="http://gs2.esa.int/DICO/1.0/IPF/base/">')
    )
    assert strayed != document
    assert parse_job_order(strayed) == parse_job_order(document)
    check_by_schema(strayed)


_TASK = JobTask("T", "1", (JobInput("PDI_DS", ("/in",), "Directory"),), (JobOutput("PDI_DS", "/out"),))


def test_a_common_parameter_given_twice_is_kept_once_where_it_says_the_same() -> None:
    """INIT_LOC_L1 has TRACE among the common parameters and among its own."""
    document = format_job_order(JobOrder("P", "1", "", "", {"TRACE": "false", "FAKE_MODE": "false"}, (_TASK,)))
    trace = document[document.index(b"<Processing_Parameter>") : document.index(b"</Processing_Parameter>")]
    twice = document.replace(b"</Dynamic", trace + b"</Processing_Parameter></Dynamic")
    assert parse_job_order(twice) == parse_job_order(document)
    with pytest.raises(BadInputError, match=r"Processing_Parameter\[3\]/Name.*TRACE a second time"):
        parse_job_order(
            document.replace(b"</Dynamic", trace.replace(b"false", b"true") + b"</Processing_Parameter></Dynamic")
        )


def test_lists_may_announce_nothing_and_outputs_be_none() -> None:
    """As in orders made by hand; a list that announces what it does not hold has lost it."""
    document = format_job_order(JobOrder("P", "1", "", "", {}, (JobTask("T", "1", _TASK.inputs, ()),)))
    assert b'<List_of_Outputs count="0"' in document
    for counts in (b"", b' count="0"'):
        bare = document.replace(b' count="1"', b"").replace(b' count="0"', counts)
        assert parse_job_order(bare) == parse_job_order(document)
        check_by_schema(bare)
    with pytest.raises(BadInputError, match="List_of_Outputs/Output: expected the element Output"):
        parse_job_order(document.replace(b'<List_of_Outputs count="0"', b'<List_of_Outputs count="3"'))


def test_the_illegal_kind_file_is_kept_and_means_a_file() -> None:
    task = JobTask("T", "1", (JobInput("GIP_L2ACSC", ("/a.xml",), "File"),), (JobOutput("MSI_L2A_DS", "/out"),))
    read = parse_job_order(format_job_order(JobOrder("P", "1", "", "", {}, (task,)))).tasks[0].inputs[0]
    assert (read.file_name_type, read.is_folder) == ("File", False)


@pytest.mark.parametrize(
    ("order", "named"),
    [
        (JobOrder("P", "1", "", "", {}, ()), "List_of_Ipf_Procs/Ipf_Proc"),
        (JobOrder("P", "1", "", "", {"A": "with\x00zero"}, (_TASK,)), r"Processing_Parameter\[1\]/Value"),
        (JobOrder("P", "1", "", "", {"A": "lone \ud800"}, (_TASK,)), r"Processing_Parameter\[1\]/Value"),
        (JobOrder("P", "1", "", "", {}, (_TASK,), stdout_log_level="LOUD"), "Stdout_Log_Level"),
        (JobOrder("P", "1", "", "", {}, (_TASK,), sensing_time=("today", "20220413T132714")), "Sensing_Time/Start"),
        (JobOrder("P", "1", "", "", {}, (JobTask("T", "1", (JobInput("X", ()),), _TASK.outputs),)), "File_Name"),
        (
            JobOrder("P", "1", "", "", {}, (JobTask("T", "1", _TASK.inputs, (JobOutput("PDI_DS", ""),)),)),
            r"Output\[1\]/File_Name: expected a name",
        ),
    ],
)
def test_what_no_reader_would_take_is_not_written(order: JobOrder, named: str) -> None:
    with pytest.raises(BadInputError, match=named):
        format_job_order(order)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (b"not XML at all", "well-formed XML"),
        (b"", "well-formed XML"),
        (b'<?xml version="1.0" encoding="no-such"?><Ipf_Job_Order/>', "well-formed XML"),
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


def test_a_job_order_that_is_not_there_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"nowhere\.xml"):
        read_job_order(tmp_path / "nowhere.xml")
    (tmp_path / "broken.xml").write_text("<Ipf_Job_Order/>")
    with pytest.raises(BadInputError, match=r"broken\.xml, Ipf_Job_Order/Ipf_Conf"):
        read_job_order(tmp_path / "broken.xml")
