"""Mutated and hostile job orders: each is refused, and the element that was touched is named."""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadInputError
from shared.joborder import (
    BreakFile,
    JobInput,
    JobOrder,
    JobOutput,
    JobTask,
    TimeInterval,
    format_job_order,
    parse_job_order,
)
from shared.joborder.schema import check_by_schema

# One of everything that a job order may hold, and no two of anything.
FULL = JobOrder(
    processor_name="L0",
    version="01.03.00",
    acquisition_station="SGS_",
    processing_station="S2PS",
    parameters={"FAKE_MODE": "false"},
    tasks=(
        JobTask(
            "INIT_LOC_L0",
            "06.01.00",
            (
                JobInput(
                    "PDI_DS", ("/in/DS",), "Directory", (TimeInterval("20220413T132714", "20220413T133141", "a.raw"),)
                ),
            ),
            (JobOutput("PDI_DS", "/out/DS"),),
            breakpoint=(BreakFile("VECTOR", "/out/vector.gml"),),
        ),
    ),
    sensing_time=("20220413T132714", "20220413T133141"),
    config_files=("conf.json",),
)
OPTIONAL = {
    *("Test", "Breakpoint_Enable", "Acquisition_Station", "Processing_Station", "Sensing_Time", "Breakpoint"),
    *("List_of_Time_Intervals", "Conf_File_Name", "Processing_Parameter", "Brk_File", "Time_Interval"),
}
REPEATABLE = {"Conf_File_Name", "Brk_File", "Time_Interval", "Input", "Output", "Ipf_Proc"}
MAY_BE_EMPTY = {
    *("Conf_File_Name", "Config_Files", "Dynamic_Processing_Parameters", "List_of_Brk_Files"),
    "List_of_Time_Intervals",
}
ENUMERATED = {"Stdout_Log_Level", "Stderr_Log_Level", "Test", "Breakpoint_Enable", "File_Name_Type", "Enable"}
TIMES = {"Start", "Stop"}


def _paths(root: ET.Element, above: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    for index, child in enumerate(root):
        yield (*above, index)
        yield from _paths(child, (*above, index))


_ROOT = ET.fromstring(format_job_order(FULL))
PATHS = list(_paths(_ROOT))


def _tag(path: tuple[int, ...]) -> str:
    element = _ROOT
    for index in path:
        element = element[index]
    return element.tag


def _mutated(path: tuple[int, ...], mutate: Callable[[ET.Element, ET.Element], None]) -> bytes:
    root = copy.deepcopy(_ROOT)
    parent = root
    for index in path[:-1]:
        parent = parent[index]
    mutate(parent, parent[path[-1]])
    document: bytes = ET.tostring(root)
    return document


def _drop(parent: ET.Element, child: ET.Element) -> None:
    parent.remove(child)


def _rename(_: ET.Element, child: ET.Element) -> None:
    child.tag += "_"


def _double(parent: ET.Element, child: ET.Element) -> None:
    parent.insert(list(parent).index(child), copy.deepcopy(child))


def _empty(_: ET.Element, child: ET.Element) -> None:
    attributes = dict(child.attrib)
    child.clear()
    child.attrib.update(attributes)


def _stray_text(parent: ET.Element, child: ET.Element) -> None:
    if len(child):
        child[-1].tail = "stray"
    else:
        child.append(ET.Element("Stray"))


def _stray_attribute(_: ET.Element, child: ET.Element) -> None:
    child.set("stray", "1")


def _refused(document: bytes, tag: str) -> None:
    with pytest.raises(BadInputError) as refusal:
        parse_job_order(document)
    assert tag in str(refusal.value)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{_tag(path)}-{'.'.join(map(str, path))}")
def test_an_element_dropped_renamed_doubled_emptied_or_filled_with_strays_is_refused_by_name(
    path: tuple[int, ...],
) -> None:
    tag = _tag(path)
    if tag in OPTIONAL:
        assert parse_job_order(_mutated(path, _drop)) != FULL
    else:
        _refused(_mutated(path, _drop), tag)
    _refused(_mutated(path, _rename), tag)
    if tag in REPEATABLE or _tag(path[:-1]) == "List_of_File_Names":
        assert parse_job_order(_mutated(path, _double)) != FULL
    else:
        _refused(_mutated(path, _double), "FAKE_MODE" if tag == "Processing_Parameter" else tag)
    if tag in MAY_BE_EMPTY:
        assert parse_job_order(_mutated(path, _empty)) != FULL
    else:
        _refused(_mutated(path, _empty), tag)
    _refused(_mutated(path, _stray_text), tag)
    _refused(_mutated(path, _stray_attribute), tag)


@pytest.mark.parametrize("path", [p for p in PATHS if _tag(p) in ENUMERATED | TIMES], ids=_tag)
@pytest.mark.parametrize("wrong", ["NONE", "true false", "20220413T13271", "2022-02-30T00:00:00", "20221301T000000"])
def test_a_value_of_no_enumeration_and_no_calendar_is_refused_by_name(path: tuple[int, ...], wrong: str) -> None:
    def change(_: ET.Element, child: ET.Element) -> None:
        child.text = wrong

    _refused(_mutated(path, change), _tag(path))


def test_mandatory_is_a_boolean_that_must_be_there() -> None:
    document = format_job_order(FULL)
    _refused(document.replace(b'mandatory="true"', b'mandatory="maybe"'), "Output[1]/@mandatory")
    _refused(document.replace(b' mandatory="true"', b""), "Output[1]/@mandatory")
    assert (
        parse_job_order(document.replace(b'mandatory="true"', b'mandatory="0"')).tasks[0].outputs[0].mandatory is False
    )


@pytest.mark.parametrize("mutate", [_drop, _rename, _double, _empty, _stray_text, _stray_attribute])
def test_the_reader_refuses_all_that_the_schema_refuses(mutate: Callable[[ET.Element, ET.Element], None]) -> None:
    refusals = 0
    for path in PATHS:
        document = _mutated(path, mutate)
        try:
            check_by_schema(document)
        except BadInputError:
            refusals += 1
            with pytest.raises(BadInputError):
                parse_job_order(document)
    assert refusals > len(PATHS) // 2


@settings(max_examples=200)
@given(st.data())
def test_bytes_changed_anywhere_give_an_order_or_a_clear_refusal(data: st.DataObject) -> None:
    document = bytearray(format_job_order(FULL))
    for _ in range(data.draw(st.integers(1, 6))):
        begin = data.draw(st.integers(0, len(document)))
        end = data.draw(st.integers(begin, min(len(document), begin + 12)))
        document[begin:end] = data.draw(st.binary(max_size=12))
    try:
        order = parse_job_order(bytes(document))
    except BadInputError:
        return
    assert parse_job_order(format_job_order(order)) == order


def _in_place_of_name(text: bytes) -> bytes:
    return format_job_order(FULL).replace(b"/in/DS", text)


LAUGHS = b'<!DOCTYPE a [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;">' % (c + 1, *([c] * 10)) for c in range(ord("a"), ord("k"))
)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        pytest.param(LAUGHS + b"]><Ipf_Job_Order>&k;</Ipf_Job_Order>", "without entities", id="billion laughs"),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Ipf_Job_Order>&x;</Ipf_Job_Order>',
            "document type",
            id="external entity",
        ),
        pytest.param(b'<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><Ipf_Job_Order/>', "document type", id="DTD"),
        pytest.param(b"<Ipf_Job_Order>" + b"<Input>" * 200_000, "Input.*at most 32 elements", id="deep"),
        pytest.param(b"<Ipf_Job_Order>" + b"<Input/>" * 600_000, "Input.*at most 500000", id="wide"),
        pytest.param(_in_place_of_name(b"x" * 5000), "File_Name.*at most 4096 characters", id="long name"),
        pytest.param(_in_place_of_name(b"x" * 15_000_000), "File_Name.*at most 4096 characters", id="15 MB name"),
        pytest.param(_in_place_of_name(b"x" * 100_000_000), "at most 16777216 bytes", id="100 MB name"),
        pytest.param(
            b"<Ipf_Job_Order><" + b"x" * 2_000_000 + b"/></Ipf_Job_Order>", "Ipf_Job_Order/xxx", id="long element"
        ),
        pytest.param(
            format_job_order(FULL).replace(b'count="1"', b'count="' + b"1" * 9000 + b'"', 1),
            "List_of_Ipf_Procs.*at most 4096",
            id="long attribute",
        ),
    ],
)
def test_a_hostile_job_order_is_refused(document: bytes, named: str) -> None:
    with pytest.raises(BadInputError, match=named) as refusal:
        parse_job_order(document)
    assert len(str(refusal.value)) < 1000
