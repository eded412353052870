"""Quality control and inventory: what stands at the end of a formatting mode, and its products in ``INV_*``.

Of each product the reports that the inventory asks for must be there. At Level 0 it packs each product; at Level 1 it
writes ``Inventory_Metadata.xml`` into it. The products are then copied to where the Launcher leaves them.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from functions.ipf.standin.products import copy_tree, names_in
from functions.ipf.standin.tasks import Setting
from shared.errors import BadInputError
from shared.tasktable import Process

_DATASTRIP: Final = ("FORMAT_CORRECTNESS", "GENERAL_QUALITY", "SENSOR_QUALITY", "GEOMETRIC_QUALITY")
_GRANULE: Final = ("FORMAT_CORRECTNESS", "GENERAL_QUALITY", "SENSOR_QUALITY")
# By call: where products go below -w, and which reports they must hold.
_CALLS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "INV_MTD_L0_DS": ("L0_DS", "INV_L0C_DS", _DATASTRIP),
    "INV_MTD_L0_GR": ("L0_GR", "INV_L0C_GR", _GRANULE),
    "INV_MTD_L1A_DS": ("DS", "INV_L1A_DS", _DATASTRIP),
    "INV_MTD_L1A_GR": ("GR", "INV_L1A_GR", _GRANULE),
    "INV_MTD_L1B_DS": ("DS", "INV_L1B_DS", _DATASTRIP),
    "INV_MTD_L1B_GR": ("GR", "INV_L1B_GR", _GRANULE),
    "INV_MTD_L1C_DS": ("DS", "INV_L1C_DS", (*_DATASTRIP, "RADIOMETRIC_QUALITY")),
    "INV_MTD_L1C_TL": ("TL", "INV_L1C_TL", _DATASTRIP),
}
_KPI: Final = {"INV_L0C_DS", "INV_L0C_GR", "INV_L1A_DS", "INV_L1B_DS", "INV_L1C_DS"}


def control(process: Process, setting: Setting) -> None:
    """Quality control of the products that a process looks at: their reports."""
    granules = process.task.startswith("OLQC_GR")
    lists: Sequence[str] = _GRANULE if granules else (*_DATASTRIP, "RADIOMETRIC_QUALITY")
    for path in process.order.input_files("PDI_SAFE"):
        if not (granules and setting.maker.light):
            setting.maker.reports(Path(path), lists)


def take_stock(process: Process, setting: Setting) -> None:
    """The inventory of the products that a process names. BadInputError where a report or metadata are missing."""
    file_type, _, reports = _CALLS[process.task]
    order, light = process.order, setting.maker.light
    parents = [name for kind in ("L0_DS", "DS") if kind != file_type for name in _named(process, kind)]
    for path in map(Path, order.input_files(file_type)):
        granule = "_GR_" in path.name
        for report in reports if not (granule and light) else ():
            if not names_in(path / "QI_DATA", f"*{report}_report.xml"):
                raise BadInputError(f"{path.name}, QI_DATA", f"a report {report}")
        parent = Path(parents[0]).name if parents else ""
        if not (granule and light):
            setting.maker.inventory(path, parent)
        if process.task.startswith("INV_MTD_L0_"):
            folder = Path(order.output("OUTPUT_FOLDER"))
            folder.mkdir(parents=True, exist_ok=True)
            if not light:
                with tarfile.open(folder / f"{path.name}.tar", "w") as archive:
                    archive.add(path, path.name)


def _named(process: Process, file_type: str) -> tuple[str, ...]:
    return tuple(name for i in process.order.tasks[0].inputs if i.file_type == file_type for name in i.names)


def lay_out(processes: Sequence[Process], setting: Setting) -> list[str]:
    """Copy the products of all inventories to where the Launcher leaves them; returns their names."""
    made = []
    for process in processes:
        if process.task not in _CALLS:
            continue
        file_type, folder, _ = _CALLS[process.task]
        target = setting.place.working / folder
        target.mkdir(parents=True, exist_ok=True)
        for path in map(Path, process.order.input_files(file_type)):
            if not _left_out(setting, path.name):
                copy_tree(path, target / path.name)
                made.append(path.name)
        if process.task.startswith("INV_MTD_L0_"):
            (setting.place.working / f"{folder}_TMP").mkdir(parents=True, exist_ok=True)
            copy_tree(Path(process.order.output("OUTPUT_FOLDER")), setting.place.working / f"{folder}_TMP")
        if folder in _KPI:
            kpi = setting.place.working / folder.replace("INV", "KPI")
            setting.maker.file(kpi / f"{setting.strip.name}_{setting.place.stamp}_idp_infos.xml")
        if process.task == "INV_MTD_L1C_TL":
            made += _true_colours(setting, target)
    return made


def _true_colours(setting: Setting, target: Path) -> list[str]:
    """The true-colour images, each a product of its own."""
    folder = setting.place.processing / "FORMAT_IMG_PVI_TCI" / "output" / "PDI_DS_TCI_LIST"
    names = [name for name in names_in(folder, "*.jp2") if not _left_out(setting, name)]
    for name in names:
        setting.maker.file(target / name, (folder / name).read_bytes())
    return names


def _left_out(setting: Setting, name: str) -> bool:
    rules = setting.maker.rules.rules
    return any(rule.fault == "missing-output" and fnmatchcase(name, rule.output) for rule in rules)
