"""The structure of a job order, for the reader and for the writer. ``joborder.xsd`` says the same to XML tools."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import datetime
from typing import Final

from shared.errors import BadInputError
from shared.joborder.model import FILE_NAME_TYPES, LOG_LEVELS
from shared.xmltree import ANY, BOOLEAN, OPTIONAL_NAME, WORD, Part, Shape, Text, check_shape, content, leaf, one_of

# What a template has where an order has a value: @name@, @@@NAME@@@, ***NAME***, __PH_name.
PLACEHOLDER: Final = re.compile(r"@{1,3}[A-Za-z0-9_]+@{1,3}|\*{3}[A-Za-z0-9_]+\*{3}|__PH_[A-Za-z0-9_]+")
_TIME: Final = re.compile(
    r"[0-9]{8}T[0-9]{6}|[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)


def _is_time(value: str) -> None:
    if PLACEHOLDER.fullmatch(value):
        return
    if "-" not in value:
        datetime.strptime(value, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - only whether such a time exists
        return
    # Python knows microseconds, the documents' tools up to nine digits.
    datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", value))


TIME: Final = Text(
    "a time yyyymmddThhmmss or ISO 8601", re.compile(f"{_TIME.pattern}|{PLACEHOLDER.pattern}"), check=_is_time
)
# Announced counts are wrong in every order that the Orchestrator makes: read, and not trusted.
_COUNT: Final = {"count": ANY}
_FILE_NAME_TYPE: Final = leaf("File_Name_Type", one_of(*FILE_NAME_TYPES))
_FILE_TYPE: Final = leaf("File_Type", WORD)
_FILE_NAME: Final = leaf("File_Name")


def _list(
    tag: str, shape: Shape, least: int = 1, *, instead: Text | None = None, empty_at: tuple[str | None, ...] = ()
) -> Shape:
    return Shape(tag, (Part(shape, least, None),), attributes=_COUNT, instead=instead, empty_at=("count", empty_at))


_CONF: Final = Shape(
    "Ipf_Conf",
    (
        Part(leaf("Processor_Name")),
        Part(leaf("Version")),
        Part(leaf("Stdout_Log_Level", one_of(*LOG_LEVELS))),
        Part(leaf("Stderr_Log_Level", one_of(*LOG_LEVELS))),
        Part(leaf("Test", BOOLEAN), 0),
        Part(leaf("Breakpoint_Enable", BOOLEAN), 0),
        Part(leaf("Acquisition_Station", WORD), 0),
        Part(leaf("Processing_Station", WORD), 0),
        Part(Shape("Config_Files", (Part(leaf("Conf_File_Name", OPTIONAL_NAME), 0, None),))),
        Part(Shape("Sensing_Time", (Part(leaf("Start", TIME)), Part(leaf("Stop", TIME)))), 0),
        Part(
            Shape(
                "Dynamic_Processing_Parameters",
                (
                    Part(
                        Shape("Processing_Parameter", (Part(leaf("Name", WORD)), Part(leaf("Value")))),
                        0,
                        None,
                    ),
                ),
            )
        ),
    ),
)
_BREAK_FILE: Final = Shape(
    "Brk_File",
    (Part(leaf("Enable", one_of("ON", "OFF"))), Part(_FILE_TYPE), Part(_FILE_NAME_TYPE), Part(_FILE_NAME)),
)
_INTERVAL: Final = Shape("Time_Interval", (Part(leaf("Start", TIME)), Part(leaf("Stop", TIME)), Part(_FILE_NAME)))
_INPUT: Final = Shape(
    "Input",
    (
        Part(_FILE_TYPE),
        Part(_FILE_NAME_TYPE),
        Part(_list("List_of_File_Names", _FILE_NAME, instead=Text("a placeholder", PLACEHOLDER))),
        Part(_list("List_of_Time_Intervals", _INTERVAL, 0), 0),
    ),
)
_OUTPUT: Final = Shape(
    "Output",
    # An output that nobody asked for has no name: see check_job_order.
    (Part(_FILE_TYPE), Part(_FILE_NAME_TYPE), Part(leaf("File_Name", OPTIONAL_NAME))),
    attributes={"mandatory": BOOLEAN},
    required=frozenset({"mandatory"}),
)
# A list without inputs or outputs is whole only where it announces none (the inventory of Level 1 has no output);
# announced to hold some, it has lost them. Outputs may also be none without a word.
_PROC: Final = Shape(
    "Ipf_Proc",
    (
        Part(leaf("Task_Name", WORD)),
        Part(leaf("Task_Version", WORD)),
        Part(Shape("Breakpoint", (Part(_list("List_of_Brk_Files", _BREAK_FILE, 0)),)), 0),
        Part(_list("List_of_Inputs", _INPUT, empty_at=("0",))),
        Part(_list("List_of_Outputs", _OUTPUT, empty_at=("0", None))),
    ),
)
JOB_ORDER: Final = Shape("Ipf_Job_Order", (Part(_CONF), Part(_list("List_of_Ipf_Procs", _PROC))))


def check_job_order(root: ET.Element, what: str) -> None:
    """Raise BadInputError, with ``what`` and the element, where the tree is no job order."""
    check_shape(root, JOB_ORDER, what)
    for number, proc in enumerate(root.findall("List_of_Ipf_Procs/Ipf_Proc"), 1):
        for index, output in enumerate(proc.findall("List_of_Outputs/Output"), 1):
            name = output.find("File_Name")
            if output.get("mandatory", "").strip() in {"true", "1"} and (name is None or not content(name)):
                where = f"Ipf_Job_Order/List_of_Ipf_Procs/Ipf_Proc[{number}]/List_of_Outputs/Output[{index}]/File_Name"
                raise BadInputError(f"{what}, {where}", "a name, since the output is mandatory", "")
