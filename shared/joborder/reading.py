"""Reading job orders: strict in structure and values, indifferent to counts and to stray namespaces."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from shared.errors import BadInputError
from shared.joborder.model import BreakFile, JobInput, JobOrder, JobOutput, JobTask, Template, TimeInterval
from shared.joborder.shape import check_job_order
from shared.xmltree import content, parse_tree

# The Orchestrator writes the parameters common to all tasks, then the task's own; INIT_LOC_L1 has TRACE among both.
COMMON_PARAMETERS: Final = ("TRACE", "VALIDATE_SCHEMA")


def parse_job_order(document: bytes, what: str = "job order") -> JobOrder:
    """Read a job order; BadInputError, with ``what`` and the element, where it breaks the structure."""
    root = parse_tree(document, what)
    check_job_order(root, what)
    return _order(root, what)


def read_job_order(path: str | Path) -> JobOrder:
    """Read the job order in the file ``path`` (see ``parse_job_order``)."""
    try:
        document = Path(path).read_bytes()
    except OSError as error:
        raise BadInputError(f"job order {path}", "a readable file", error.strerror) from None
    return parse_job_order(document, f"job order {path}")


def _order(root: ET.Element, what: str) -> JobOrder:
    conf = root[0]
    start, stop = conf.find("Sensing_Time/Start"), conf.find("Sensing_Time/Stop")
    return JobOrder(
        processor_name=_text(conf, "Processor_Name"),
        version=_text(conf, "Version"),
        acquisition_station=_text(conf, "Acquisition_Station"),
        processing_station=_text(conf, "Processing_Station"),
        parameters=_parameters(conf, what),
        tasks=tuple(_task(proc) for proc in root.findall("List_of_Ipf_Procs/Ipf_Proc")),
        stdout_log_level=_text(conf, "Stdout_Log_Level"),
        stderr_log_level=_text(conf, "Stderr_Log_Level"),
        sensing_time=None if start is None or stop is None else (content(start), content(stop)),
        test=_flag(conf, "Test"),
        breakpoint_enable=_flag(conf, "Breakpoint_Enable"),
        config_files=tuple(content(name) for name in conf.findall("Config_Files/Conf_File_Name")),
    )


def _text(parent: ET.Element, tag: str) -> str:
    return (parent.findtext(tag) or "").strip()


def _flag(parent: ET.Element, tag: str) -> bool | None:
    return None if parent.find(tag) is None else _text(parent, tag) in {"true", "1"}


def _parameters(conf: ET.Element, what: str) -> dict[str, str]:
    """By name. Given twice is an error, except for a common parameter with one value: kept once, in its first place."""
    parameters: dict[str, str] = {}
    for number, parameter in enumerate(conf.findall("Dynamic_Processing_Parameters/Processing_Parameter"), 1):
        name, value = _text(parameter, "Name"), _text(parameter, "Value")
        if name in parameters and (name not in COMMON_PARAMETERS or parameters[name] != value):
            where = "Ipf_Job_Order/Ipf_Conf/Dynamic_Processing_Parameters/Processing_Parameter"
            raise BadInputError(f"{what}, {where}[{number}]/Name", "each parameter once", f"{name} a second time")
        parameters.setdefault(name, value)
    return parameters


def _task(proc: ET.Element) -> JobTask:
    return JobTask(
        name=_text(proc, "Task_Name"),
        version=_text(proc, "Task_Version"),
        inputs=tuple(_input(i) for i in proc.findall("List_of_Inputs/Input")),
        outputs=tuple(
            JobOutput(
                _text(o, "File_Type"),
                _text(o, "File_Name"),
                o.get("mandatory", "").strip() in {"true", "1"},
                _text(o, "File_Name_Type"),
            )
            for o in proc.findall("List_of_Outputs/Output")
        ),
        breakpoint=_breakpoint(proc),
    )


def _input(element: ET.Element) -> JobInput:
    names = element.find("List_of_File_Names")
    template = None
    if names is not None and not len(names):
        template = Template(content(names), names.get("count", ""))
    return JobInput(
        _text(element, "File_Type"),
        tuple(content(n) for n in element.findall("List_of_File_Names/File_Name")),
        _text(element, "File_Name_Type"),
        tuple(
            TimeInterval(_text(t, "Start"), _text(t, "Stop"), _text(t, "File_Name"))
            for t in element.findall("List_of_Time_Intervals/Time_Interval")
        ),
        template,
    )


def _breakpoint(proc: ET.Element) -> tuple[BreakFile, ...] | None:
    if proc.find("Breakpoint") is None:
        return None
    return tuple(
        BreakFile(_text(b, "File_Type"), _text(b, "File_Name"), _text(b, "Enable") == "ON", _text(b, "File_Name_Type"))
        for b in proc.findall("Breakpoint/List_of_Brk_Files/Brk_File")
    )
