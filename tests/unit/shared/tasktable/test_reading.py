from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lxml import etree

from shared.errors import BadInputError
from shared.tasktable import parse_task_table, read_task_table
from shared.tasktable.model import (
    Alternative,
    ConfigFile,
    DynamicParameter,
    Option,
    Pool,
    TableBreakpoint,
    TableInput,
    TableOutput,
    Task,
    TaskTable,
)

TABLE = b"""<?xml version="1.0"?>
<Ipf_Task_Table xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="t.xsd">
  <Processor_Name>S2IPF - L0c</Processor_Name>
  <Version>01.03</Version>
  <Test>No</Test>
  <Min_Disk_Space units="MB">512</Min_Disk_Space>
  <Max_Time units="sec">36000</Max_Time>
  <Sensing_Time_Flag>true</Sensing_Time_Flag>
  <List_of_Cfg_Files count="6">
    <Cfg_File><Version>OrchestratorDB</Version><File_Name>DB.json</File_Name></Cfg_File>
  </List_of_Cfg_Files>
  <List_of_Dyn_ProcParam count="2">
    <Dyn_ProcParam>
      <Param_Name>TRACE</Param_Name><Param_Type>String</Param_Type><Param_Default>true</Param_Default>
    </Dyn_ProcParam>
  </List_of_Dyn_ProcParam>
  <List_of_Pools count="1">
    <Pool>
      <Detached>false</Detached>
      <Killing_Signal>15</Killing_Signal>
      <List_of_Tasks count="3">
        <Task>
          <Name>TP_FILTER-REG</Name>
          <Version>01.00.00</Version>
          <Critical>false</Critical>
          <Criticality_Level>2</Criticality_Level>
          <File_Name>$TP_FILTER_EXE_DIR</File_Name>
          <List_of_Inputs count="2">
            <Input id="a" ref="b">
              <Mode>NRT</Mode>
              <Mandatory>No</Mandatory>
              <List_of_Alternatives count="1">
                <Alternative>
                  <Order>1</Order>
                  <Origin>DB</Origin>
                  <Retrieval_Mode>LatestValCoverNewestValidity</Retrieval_Mode>
                  <T0>0.5</T0>
                  <T1/>
                  <File_Type>GIP_G2PARA</File_Type>
                  <File_Name_Type>Physical</File_Name_Type>
                </Alternative>
              </List_of_Alternatives>
            </Input>
          </List_of_Inputs>
          <List_of_Outputs count="1">
            <Output>
              <Destination>DBPROC</Destination>
              <Mandatory>No</Mandatory>
              <Type>VIRTUAL_SENSOR</Type>
              <File_Name_Type>Directory</File_Name_Type>
            </Output>
          </List_of_Outputs>
          <List_of_Breakpoints count="1">
            <Breakpoint><File_Name>brk.xml</File_Name><File_Name_Type>Logical</File_Name_Type></Breakpoint>
          </List_of_Breakpoints>
          <NumberOfCPUs>4</NumberOfCPUs>
          <List_of_Options count="1">
            <Option><Name>GRI_BAND_ID</Name><Type>String</Type><Value>B03</Value><Default>B04</Default></Option>
          </List_of_Options>
        </Task>
      </List_of_Tasks>
    </Pool>
  </List_of_Pools>
</Ipf_Task_Table>
"""
READ = TaskTable(
    "S2IPF - L0c",
    "01.03",
    (
        Pool(
            (
                Task(
                    "TP_FILTER-REG",
                    "01.00.00",
                    "$TP_FILTER_EXE_DIR",
                    (
                        TableInput(
                            Alternative("GIP_G2PARA", "DB", "Physical", "1", "LatestValCoverNewestValidity", 0.5),
                            "NRT",
                            mandatory=False,
                            id="a",
                            ref="b",
                        ),
                    ),
                    (TableOutput("VIRTUAL_SENSOR", "DBPROC", mandatory=False),),
                    (Option("GRI_BAND_ID", "B03", "String", "B04"),),
                    critical=False,
                    criticality_level=2,
                    breakpoints=(TableBreakpoint("brk.xml", "Logical"),),
                    cpus=4,
                ),
            ),
            killing_signal=15,
        ),
    ),
    sensing_time_flag=True,
    config_files=(ConfigFile("DB.json", "OrchestratorDB"),),
    dynamic_parameters=(DynamicParameter("TRACE", "String", "true"),),
)


def test_all_that_a_table_says_is_kept() -> None:
    table = parse_task_table(TABLE)
    assert table == READ
    assert table.pools[0].tasks[0].base_name == "TP_FILTER"


def _real_tables(folder: Path) -> list[Path]:
    return sorted((folder / "task_tables").rglob("TaskTable_*.xml"))


def test_the_real_task_tables_load(real_data: Path) -> None:
    """Ten of each of two schemes and thirteen of the third."""
    paths = _real_tables(real_data)
    assert len(paths) >= 33
    for path in paths:
        table = read_task_table(path)
        assert table.min_disk_space_mb == 512
        assert table.max_time_s == 36_000
        assert table.sensing_time_flag
        assert not table.test
        assert [file.file_name for file in table.config_files][-1] == "DB.json"
        for pool in table.pools:
            assert pool.killing_signal == 15
            for task in pool.tasks:
                assert (task.critical, task.criticality_level, task.cpus) == (True, 1, None)
                for needed in task.inputs:
                    assert (needed.mode, needed.mandatory) == ("ALWAYS", True)
                    modes = {"", "ValIntersect"} if task.name.startswith("OLQC") else {"ValIntersect"}
                    assert needed.alternative.retrieval_mode in modes


def test_an_empty_retrieval_mode_is_kept_and_means_the_default(real_data: Path) -> None:
    table = read_task_table(real_data / "task_tables" / "6.1" / "TaskTable_OLQC_L0DS.xml")
    (safe,) = (i.alternative for i in table.pools[0].tasks[0].inputs if i.alternative.file_type == "PDI_SAFE")
    assert (safe.retrieval_mode, safe.effective_retrieval_mode) == ("", "LatestValidityClosest")


def _elements(root: etree._Element) -> Iterator[str]:
    tree = root.getroottree()
    for element in root.iter(etree.Element):
        if element is not root:
            yield tree.getpath(element)


PATHS = list(_elements(etree.fromstring(TABLE)))
OPTIONAL = {
    *("Sensing_Time_Flag", "NumberOfCPUs", "Cfg_File", "Dyn_ProcParam", "Input", "Output", "Breakpoint", "Option"),
    *("List_of_Dyn_ProcParam", "Param_Default", "Default", "Cfg_File/Version", "Option/Type"),
}
REPEATABLE = {"Cfg_File", "Dyn_ProcParam", "Input", "Output", "Breakpoint", "Option", "Pool", "Task"}
MAY_BE_EMPTY = {
    *("List_of_Cfg_Files", "List_of_Dyn_ProcParam", "List_of_Inputs", "List_of_Outputs", "List_of_Breakpoints"),
    *("List_of_Options", "Retrieval_Mode", "T0", "T1", "Param_Default", "Default", "Cfg_File/Version"),
}
ENUMERATED = {
    *("Test", "Sensing_Time_Flag", "Detached", "Killing_Signal", "Critical", "Criticality_Level", "Mode", "Mandatory"),
    *("Origin", "Retrieval_Mode", "T0", "T1", "File_Name_Type", "Destination", "NumberOfCPUs", "Max_Time"),
    "Min_Disk_Space",
}


def _tag(path: str) -> str:
    return path.rpartition("/")[2].partition("[")[0]


def _mutated(path: str, mutate: Callable[[etree._Element, etree._Element], None]) -> bytes:
    root = etree.fromstring(TABLE)
    child = root.getroottree().find(path.replace("/Ipf_Task_Table", ".", 1))
    assert child is not None
    parent = child.getparent()
    assert parent is not None
    mutate(parent, child)
    return etree.tostring(root)


def _drop(parent: etree._Element, child: etree._Element) -> None:
    parent.remove(child)


def _rename(_: etree._Element, child: etree._Element) -> None:
    child.tag = f"{child.tag}_"


def _double(parent: etree._Element, child: etree._Element) -> None:
    parent.insert(parent.index(child), copy.deepcopy(child))


def _empty(_: etree._Element, child: etree._Element) -> None:
    for grandchild in list(child):
        child.remove(grandchild)
    child.text = ""


def _wrong(_: etree._Element, child: etree._Element) -> None:
    child.text = "-31"


def _refused(document: bytes, tag: str) -> None:
    with pytest.raises(BadInputError) as refusal:
        parse_task_table(document, "TaskTable_X.xml")
    assert "TaskTable_X.xml, Ipf_Task_Table" in str(refusal.value)
    assert tag in str(refusal.value)


@pytest.mark.parametrize("path", PATHS, ids=_tag)
def test_a_broken_table_is_refused_with_file_and_element(path: str) -> None:
    tag = _tag(path)
    names = {tag, "/".join(_tag(part) for part in path.split("/")[-2:])}
    _refused(_mutated(path, _rename), tag)
    if names & OPTIONAL:
        assert parse_task_table(_mutated(path, _drop)) != READ
    else:
        _refused(_mutated(path, _drop), tag)
    if names & REPEATABLE:
        assert parse_task_table(_mutated(path, _double)) != READ
    else:
        _refused(_mutated(path, _double), tag)
    if names & MAY_BE_EMPTY:
        parse_task_table(_mutated(path, _empty))
    else:
        _refused(_mutated(path, _empty), tag)
    if names & ENUMERATED:
        _refused(_mutated(path, _wrong), tag)


@pytest.mark.parametrize("mutate", [_drop, _rename, _double, _empty, _wrong])
def test_the_reader_refuses_all_that_the_reference_schema_refuses(
    mutate: Callable[[etree._Element, etree._Element], None], real_data: Path
) -> None:
    schema = etree.XMLSchema(etree.parse(str(real_data / "xsd" / "TaskTable.xsd")))
    assert schema.validate(etree.fromstring(TABLE))
    refusals = 0
    for path in PATHS:
        document = _mutated(path, mutate)
        if not schema.validate(etree.fromstring(document)):
            refusals += 1
            with pytest.raises(BadInputError):
                parse_task_table(document)
    assert refusals


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (b"", "well-formed"),
        (b"<Ipf_Job_Order/>", "root element Ipf_Task_Table"),
        (b'<!DOCTYPE a [<!ENTITY x "x">]><Ipf_Task_Table>&x;</Ipf_Task_Table>', "without entities"),
        (b"<Ipf_Task_Table>" + b"<Pool>" * 100_000, "Pool.*within one another"),
        (TABLE.replace(b"$TP_FILTER_EXE_DIR", b"x" * 10_000_000), "File_Name.*4096 characters"),
        (TABLE.replace(b'units="MB"', b'units="TB"'), "Min_Disk_Space/@units.*MB.*TB"),
        (TABLE.replace(b'units="sec"', b'units="h"'), "Max_Time/@units"),
        (TABLE.replace(b"<T1/>", b"<T1>NaN</T1>"), "T1"),
        (TABLE.replace(b"<T1/>", b"<T1>\xd9\xa3</T1>"), "T1"),
    ],
)
def test_a_hostile_table_is_refused(document: bytes, named: str) -> None:
    with pytest.raises(BadInputError, match=named):
        parse_task_table(document)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"nowhere\.xml"):
        read_task_table(tmp_path / "nowhere.xml")
