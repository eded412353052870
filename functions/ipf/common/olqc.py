"""On-line quality control: what was inspected in a product and what was found, as reports of one check list each.

The form is that of ``OLQC_Report.xsd``; identifiers of inspections are those of operational reports where the
inspection is the same. A report says what a check found in this very product: none passes unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from functions.ipf.common.xml import node, write

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

FORMAT_CORRECTNESS: Final = "FORMAT_CORRECTNESS"
GENERAL_QUALITY: Final = "GENERAL_QUALITY"
SENSOR_QUALITY: Final = "SENSOR_QUALITY"
GEOMETRIC_QUALITY: Final = "GEOMETRIC_QUALITY"
RADIOMETRIC_QUALITY: Final = "RADIOMETRIC_QUALITY"

_NAMESPACE: Final = "http://gs2.esa.int/DATA_STRUCTURE/olqcReport"
_PRIORITY: Final = 5
_VERSION: Final = "1"
_END: Final = "UTC=2100-01-01T00:00:00"


@dataclass(frozen=True, slots=True)
class Check:
    """One inspection.

    Attributes:
        identity: short name, as ``Lost_Packets``.
        about: what is inspected, in words.
        passed: whether the product is as it should be.
        message: what was found.
        values: the figures behind the message.
        item: name of the file inspected; the product where empty.
    """

    identity: str
    about: str
    passed: bool
    message: str
    values: Mapping[str, object] = field(default_factory=dict)
    item: str = ""


@dataclass(frozen=True, slots=True)
class Inspector:
    """Who inspects: names and times that all reports of a run share. ``rules`` names the parameters of the checks."""

    name: str
    version: str
    created: datetime
    rules: str = "S2PS built in"


def failed(reports: Mapping[str, Sequence[Check]]) -> list[str]:
    """A sentence for each check that failed."""
    return [f"{name}, {c.identity}: {c.message}" for name, checks in reports.items() for c in checks if not c.passed]


def write_reports(product: Path, reports: Mapping[str, Sequence[Check]], inspector: Inspector) -> list[Path]:
    """Write one file for each check list, ``QI_DATA/<product without baseline>_<list>_report.xml``."""
    stem = product.name.rpartition("_N")[0] or product.name
    written = []
    for name, checks in reports.items():
        path = product / "QI_DATA" / f"{stem}_{name}_report.xml"
        write_report(path, product.name, name, checks, inspector)
        written.append(path)
    return written


def write_report(path: Path, product: str, name: str, checks: Sequence[Check], inspector: Inspector) -> None:
    """Write the check list ``name`` of the product of that name as ``path``."""
    write(path, _report(product, path.name, name, checks, inspector))


def _report(product: str, file: str, name: str, checks: Sequence[Check], inspector: Inspector) -> ET.Element:
    date = inspector.created.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    header = node(
        "Earth_Explorer_Header",
        node(
            "Fixed_Header",
            node("File_Name", file),
            node("File_Description", "Report of quality control"),
            node("Notes", "Times are those of the order: reports of one order are the same, whenever they are made."),
            node("Mission", product[:3]),
            node("File_Class", product[4:8]),
            node("File_Type", "REP_OLQCPA"),
            node(
                "Validity_Period",
                node("Validity_Start", inspector.created.strftime("UTC=%Y-%m-%dT%H:%M:%S")),
                node("Validity_Stop", _END),
            ),
            node("File_Version", _VERSION),
            node(
                "Source",
                node("System", "S2PS"),
                node("Creator", inspector.name),
                node("Creator_Version", inspector.version),
                node("Creation_Date", inspector.created.strftime("UTC=%Y-%m-%dT%H:%M:%S")),
            ),
        ),
    )
    level, _, kind = product[13:19].partition("_")
    item = node(
        "item",
        url=f"{product}/",
        className=f"PDI Level {level[1:]} {kind.strip('_')} Folder",
        name=product,
        class_="http://www.esa.int/s2#pdi",
    )
    report = node(
        "report",
        node(
            "checkList",
            node("parentID", inspector.rules),
            node("name", name),
            node("version", _VERSION),
            item,
            *(_check(product, check, date) for check in checks),
        ),
        gippVersion=_VERSION,
        globalStatus="PASSED" if all(check.passed for check in checks) else "FAILED",
        date=date,
    )
    return node("Earth_Explorer_File", header, node("Data_Block", report, type="xml"), xmlns=_NAMESPACE)


def _check(product: str, check: Check, date: str) -> ET.Element:
    inspection = node(
        "inspection",
        creation=date,
        duration="0",
        execution=date,
        id=check.identity,
        item=check.item or product,
        itemURL=f"{product}/{check.item}",
        name=check.about,
        priority=str(_PRIORITY),
        processingStatus="done",
        status="PASSED" if check.passed else "FAILED",
    )
    values = [node("value", str(value), name=name) for name, value in check.values.items()]
    return node(
        "check",
        inspection,
        node("message", check.message, contentType="text/plain"),
        *([node("extraValues", *values)] if values else []),
    )
