"""Reading task tables, as the Orchestrator's schema defines them; announced counts are not trusted."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from shared.errors import BadInputError
from shared.tasktable.model import (
    DESTINATIONS,
    FILE_NAME_TYPES,
    MODES,
    ORIGINS,
    RETRIEVAL_MODES,
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
from shared.xmltree import (
    ANY,
    BOOLEAN,
    COUNT,
    OPTIONAL_NAME,
    WORD,
    Part,
    Shape,
    Text,
    check_shape,
    content,
    leaf,
    one_of,
    parse_tree,
)

_COUNTED: Final = {"count": ANY}
_YES_NO: Final = one_of("Yes", "No")
_TEST: Final = one_of("Yes", "No", "yes", "no", "True", "False", "true", "false")
# An empty element has the schema's default.
_SECONDS: Final = Text("a number of seconds, or nothing", re.compile(r"([0-9]{1,9}(\.[0-9]{1,6})?)?"))
_TIME: Final = Text("an integer number of seconds", re.compile(r"[0-9]{1,9}"))
_SIGNAL: Final = Text("a signal number from 1 to 30", re.compile(r"[1-9]|[12][0-9]|30"))
_FILE_NAME_TYPE: Final = leaf("File_Name_Type", one_of(*FILE_NAME_TYPES))


def _list(tag: str, shape: Shape, least: int = 0) -> Shape:
    return Shape(tag, (Part(shape, least, None),), attributes=_COUNTED)


_ALTERNATIVE: Final = Shape(
    "Alternative",
    (
        Part(leaf("Order")),
        Part(leaf("Origin", one_of(*ORIGINS))),
        Part(
            leaf(
                "Retrieval_Mode",
                Text(f"nothing, or {one_of(*RETRIEVAL_MODES).expected}", re.compile("|".join(("", *RETRIEVAL_MODES)))),
            )
        ),
        Part(leaf("T0", _SECONDS)),
        Part(leaf("T1", _SECONDS)),
        Part(leaf("File_Type", WORD)),
        Part(_FILE_NAME_TYPE),
    ),
)
_INPUT: Final = Shape(
    "Input",
    (
        Part(leaf("Mode", one_of(*MODES))),
        Part(leaf("Mandatory", _YES_NO)),
        Part(Shape("List_of_Alternatives", (Part(_ALTERNATIVE),), attributes=_COUNTED)),
    ),
    attributes={"id": WORD, "ref": WORD},
)
_OUTPUT: Final = Shape(
    "Output",
    (
        Part(leaf("Destination", one_of(*DESTINATIONS))),
        Part(leaf("Mandatory", _YES_NO)),
        Part(leaf("Type", WORD)),
        Part(_FILE_NAME_TYPE),
    ),
)
_BREAKPOINT: Final = Shape("Breakpoint", (Part(leaf("File_Name")), Part(_FILE_NAME_TYPE)))
_OPTION: Final = Shape(
    "Option",
    (
        Part(leaf("Name", WORD)),
        Part(leaf("Type"), 0),
        Part(leaf("Value")),
        Part(leaf("Default", OPTIONAL_NAME), 0),
    ),
)
_TASK: Final = Shape(
    "Task",
    (
        Part(leaf("Name", WORD)),
        Part(leaf("Version", WORD)),
        Part(leaf("Critical", BOOLEAN)),
        Part(leaf("Criticality_Level", COUNT)),
        Part(leaf("File_Name")),
        Part(_list("List_of_Inputs", _INPUT)),
        Part(_list("List_of_Outputs", _OUTPUT)),
        Part(_list("List_of_Breakpoints", _BREAKPOINT)),
        Part(leaf("NumberOfCPUs", COUNT), 0),
        Part(_list("List_of_Options", _OPTION)),
    ),
)
_POOL: Final = Shape(
    "Pool",
    (
        Part(leaf("Detached", BOOLEAN)),
        Part(leaf("Killing_Signal", _SIGNAL)),
        Part(_list("List_of_Tasks", _TASK, 1)),
    ),
)
TASK_TABLE: Final = Shape(
    "Ipf_Task_Table",
    (
        Part(leaf("Processor_Name")),
        Part(leaf("Version")),
        Part(leaf("Test", _TEST)),
        # A size or time in a unit that nobody has seen yet is refused, not misread.
        Part(Shape("Min_Disk_Space", text=COUNT, attributes={"units": one_of("MB")})),
        Part(Shape("Max_Time", text=_TIME, attributes={"units": one_of("sec")})),
        Part(leaf("Sensing_Time_Flag", BOOLEAN), 0),
        Part(
            _list(
                "List_of_Cfg_Files",
                Shape("Cfg_File", (Part(leaf("Version", OPTIONAL_NAME), 0), Part(leaf("File_Name")))),
            )
        ),
        Part(
            _list(
                "List_of_Dyn_ProcParam",
                Shape(
                    "Dyn_ProcParam",
                    (
                        Part(leaf("Param_Name", WORD)),
                        Part(leaf("Param_Type")),
                        Part(leaf("Param_Default", OPTIONAL_NAME), 0),
                    ),
                ),
            ),
            0,
        ),
        Part(_list("List_of_Pools", _POOL, 1)),
    ),
)


def parse_task_table(document: bytes, what: str = "task table") -> TaskTable:
    """Read a task table; BadInputError, with ``what`` and the element, where it breaks the schema."""
    root = parse_tree(document, what)
    check_shape(root, TASK_TABLE, what)
    return TaskTable(
        processor_name=_text(root, "Processor_Name"),
        version=_text(root, "Version"),
        pools=tuple(_pool(pool) for pool in root.findall("List_of_Pools/Pool")),
        test=_text(root, "Test").lower() in {"yes", "true"},
        min_disk_space_mb=int(_text(root, "Min_Disk_Space")),
        max_time_s=int(_text(root, "Max_Time")),
        sensing_time_flag=_flag(root, "Sensing_Time_Flag"),
        config_files=tuple(
            ConfigFile(_text(f, "File_Name"), _text(f, "Version")) for f in root.findall("List_of_Cfg_Files/Cfg_File")
        ),
        dynamic_parameters=tuple(
            DynamicParameter(_text(p, "Param_Name"), _text(p, "Param_Type"), _text(p, "Param_Default"))
            for p in root.findall("List_of_Dyn_ProcParam/Dyn_ProcParam")
        ),
    )


def read_task_table(path: str | Path) -> TaskTable:
    """Read the task table in the file ``path`` (see ``parse_task_table``)."""
    try:
        document = Path(path).read_bytes()
    except OSError as error:
        raise BadInputError(f"task table {path}", "a readable file", error.strerror) from None
    return parse_task_table(document, f"task table {path}")


def _text(parent: ET.Element, tag: str) -> str:
    return (parent.findtext(tag) or "").strip()


def _flag(parent: ET.Element, tag: str) -> bool:
    return _text(parent, tag) in {"true", "1"}


def _pool(pool: ET.Element) -> Pool:
    return Pool(
        tuple(_task(task) for task in pool.findall("List_of_Tasks/Task")),
        _flag(pool, "Detached"),
        int(_text(pool, "Killing_Signal")),
    )


def _task(task: ET.Element) -> Task:
    cpus = task.find("NumberOfCPUs")
    return Task(
        name=_text(task, "Name"),
        version=_text(task, "Version"),
        file_name=_text(task, "File_Name"),
        inputs=tuple(_input(i) for i in task.findall("List_of_Inputs/Input")),
        outputs=tuple(
            TableOutput(
                _text(o, "Type"), _text(o, "Destination"), _text(o, "Mandatory") == "Yes", _text(o, "File_Name_Type")
            )
            for o in task.findall("List_of_Outputs/Output")
        ),
        options=tuple(
            Option(_text(o, "Name"), _text(o, "Value"), _text(o, "Type"), _text(o, "Default"))
            for o in task.findall("List_of_Options/Option")
        ),
        critical=_flag(task, "Critical"),
        criticality_level=int(_text(task, "Criticality_Level")),
        breakpoints=tuple(
            TableBreakpoint(_text(b, "File_Name"), _text(b, "File_Name_Type"))
            for b in task.findall("List_of_Breakpoints/Breakpoint")
        ),
        cpus=None if cpus is None else int(content(cpus)),
    )


def _input(element: ET.Element) -> TableInput:
    alternative = element.find("List_of_Alternatives/Alternative")
    if alternative is None:  # the shape has one
        raise BadInputError("task table, List_of_Alternatives", "one Alternative")
    return TableInput(
        Alternative(
            file_type=_text(alternative, "File_Type"),
            origin=_text(alternative, "Origin"),
            file_name_type=_text(alternative, "File_Name_Type"),
            order=_text(alternative, "Order"),
            retrieval_mode=_text(alternative, "Retrieval_Mode"),
            t0=float(_text(alternative, "T0") or 0),
            t1=float(_text(alternative, "T1") or 0),
        ),
        _text(element, "Mode"),
        _text(element, "Mandatory") == "Yes",
        element.get("id", ""),
        element.get("ref", ""),
    )
