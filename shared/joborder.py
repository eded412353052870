"""Job orders: the XML document by which every IPF is called.

The structure is that of the generic PDGS-IPF interface (GMES-GSEG-EOPG-TN-09-0016): configuration, then one or more
``Ipf_Proc``, each with its inputs and outputs. The reader trusts no ``count`` and looks inputs up by file type.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import defusedxml
import defusedxml.ElementTree as SafeET

from shared.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class JobInput:
    """Inputs of one file type; ``names`` are absolute paths of files or folders."""

    file_type: str
    names: tuple[str, ...]
    file_name_type: str = "Physical"


@dataclass(frozen=True, slots=True)
class JobOutput:
    """Where outputs of one file type go; ``name`` is an absolute path."""

    file_type: str
    name: str
    mandatory: bool = True
    file_name_type: str = "Directory"


@dataclass(frozen=True, slots=True)
class JobTask:
    """One ``Ipf_Proc``."""

    name: str
    version: str
    inputs: tuple[JobInput, ...]
    outputs: tuple[JobOutput, ...]


@dataclass(frozen=True, slots=True)
class JobOrder:
    """One call of an IPF.

    The look-ups (``input_files``, ``output``) search all tasks, the first match winning: the open processors and most
    operational orders have one task.
    """

    processor_name: str
    version: str
    acquisition_station: str
    processing_station: str
    parameters: Mapping[str, str]
    tasks: tuple[JobTask, ...]
    stdout_log_level: str = "INFO"
    stderr_log_level: str = "INFO"
    sensing_time: tuple[str, str] | None = None

    def input_files(self, file_type: str) -> tuple[str, ...]:
        """Paths of all inputs of ``file_type``; BadInputError where there are none."""
        found = tuple(name for task in self.tasks for i in task.inputs if i.file_type == file_type for name in i.names)
        if not found:
            raise BadInputError("job order, List_of_Inputs", f"an input of type {file_type}")
        return found

    def output(self, file_type: str) -> str:
        """Path of the output of ``file_type``; BadInputError where there is none."""
        for task in self.tasks:
            for out in task.outputs:
                if out.file_type == file_type:
                    return out.name
        raise BadInputError("job order, List_of_Outputs", f"an output of type {file_type}")

    def parameter(self, name: str) -> str:
        """The value of dynamic processing parameter ``name``; BadInputError where it is not given."""
        try:
            return self.parameters[name]
        except KeyError:
            raise BadInputError("job order, Dynamic_Processing_Parameters", f"parameter {name}") from None


def _text(parent: ET.Element, tag: str, default: str | None = None) -> str:
    found = parent.find(tag)
    if found is None or not (found.text or "").strip():
        if default is None:
            raise BadInputError(f"job order, {parent.tag}", f"a non-empty element {tag}")
        return default
    return (found.text or "").strip()


def _local(root: ET.Element) -> ET.Element:
    """Drop namespaces: orchestrator-made orders declare stray ones."""
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
    return root


def parse_job_order(document: bytes) -> JobOrder:
    """Read a job order; BadInputError naming the element where it breaks the structure."""
    try:
        root = _local(SafeET.fromstring(document))
    except (ET.ParseError, defusedxml.DefusedXmlException, ValueError) as error:
        raise BadInputError("job order", "well-formed XML without entities", str(error)) from None
    if root.tag != "Ipf_Job_Order":
        raise BadInputError("job order", "root element Ipf_Job_Order", root.tag)
    conf = root.find("Ipf_Conf")
    if conf is None:
        raise BadInputError("job order", "an element Ipf_Conf")
    sensing = conf.find("Sensing_Time")
    return JobOrder(
        processor_name=_text(conf, "Processor_Name"),
        version=_text(conf, "Version"),
        acquisition_station=_text(conf, "Acquisition_Station", ""),
        processing_station=_text(conf, "Processing_Station", ""),
        stdout_log_level=_text(conf, "Stdout_Log_Level", "INFO"),
        stderr_log_level=_text(conf, "Stderr_Log_Level", "INFO"),
        sensing_time=None if sensing is None else (_text(sensing, "Start"), _text(sensing, "Stop")),
        parameters={
            _text(p, "Name"): _text(p, "Value", "")
            for p in conf.findall("Dynamic_Processing_Parameters/Processing_Parameter")
        },
        tasks=tuple(_task(proc) for proc in root.findall("List_of_Ipf_Procs/Ipf_Proc")),
    )


def _task(proc: ET.Element) -> JobTask:
    return JobTask(
        name=_text(proc, "Task_Name"),
        version=_text(proc, "Task_Version"),
        inputs=tuple(
            JobInput(
                _text(i, "File_Type"),
                tuple((n.text or "").strip() for n in i.findall("List_of_File_Names/File_Name")),
                _text(i, "File_Name_Type", "Physical"),
            )
            for i in proc.findall("List_of_Inputs/Input")
        ),
        outputs=tuple(
            JobOutput(
                _text(o, "File_Type"),
                _text(o, "File_Name"),
                o.get("mandatory", "true") == "true",
                _text(o, "File_Name_Type", "Directory"),
            )
            for o in proc.findall("List_of_Outputs/Output")
        ),
    )


def read_job_order(path: str | Path) -> JobOrder:
    """Read the job order in the file ``path`` (see ``parse_job_order``)."""
    try:
        return parse_job_order(Path(path).read_bytes())
    except OSError as error:
        raise BadInputError(f"job order {path}", "a readable file", error.strerror) from None


def format_job_order(order: JobOrder) -> bytes:
    """The XML document of a job order, UTF-8, with true counts."""
    root = ET.Element("Ipf_Job_Order")
    conf = ET.SubElement(root, "Ipf_Conf")
    for tag, value in (
        ("Processor_Name", order.processor_name),
        ("Version", order.version),
        ("Stdout_Log_Level", order.stdout_log_level),
        ("Stderr_Log_Level", order.stderr_log_level),
        ("Test", "false"),
        ("Breakpoint_Enable", "false"),
        ("Acquisition_Station", order.acquisition_station),
        ("Processing_Station", order.processing_station),
    ):
        ET.SubElement(conf, tag).text = value
    ET.SubElement(conf, "Config_Files")
    if order.sensing_time is not None:
        sensing = ET.SubElement(conf, "Sensing_Time")
        ET.SubElement(sensing, "Start").text, ET.SubElement(sensing, "Stop").text = order.sensing_time
    parameters = ET.SubElement(conf, "Dynamic_Processing_Parameters")
    for name, value in order.parameters.items():
        parameter = ET.SubElement(parameters, "Processing_Parameter")
        ET.SubElement(parameter, "Name").text = name
        ET.SubElement(parameter, "Value").text = value
    procs = ET.SubElement(root, "List_of_Ipf_Procs", count=str(len(order.tasks)))
    for task in order.tasks:
        _format_task(procs, task)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return document


def _format_task(procs: ET.Element, task: JobTask) -> None:
    proc = ET.SubElement(procs, "Ipf_Proc")
    ET.SubElement(proc, "Task_Name").text = task.name
    ET.SubElement(proc, "Task_Version").text = task.version
    inputs = ET.SubElement(proc, "List_of_Inputs", count=str(len(task.inputs)))
    for i in task.inputs:
        element = ET.SubElement(inputs, "Input")
        ET.SubElement(element, "File_Type").text = i.file_type
        ET.SubElement(element, "File_Name_Type").text = i.file_name_type
        names = ET.SubElement(element, "List_of_File_Names", count=str(len(i.names)))
        for name in i.names:
            ET.SubElement(names, "File_Name").text = name
    outputs = ET.SubElement(proc, "List_of_Outputs", count=str(len(task.outputs)))
    for o in task.outputs:
        element = ET.SubElement(outputs, "Output", mandatory="true" if o.mandatory else "false")
        ET.SubElement(element, "File_Type").text = o.file_type
        ET.SubElement(element, "File_Name_Type").text = o.file_name_type
        ET.SubElement(element, "File_Name").text = o.name
