"""In place of Sen2Cor behind its two launch scripts: a Level-2A datastrip, then each tile of it.

Arguments, checks, folders and the exit code 1 for whatever goes wrong are those of ``Launch_L2_DS.sh`` and
``Launch_L2_TL.sh`` of COPRS/processing-sentinel-2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from functions.ipf.common.processor import IpfLog
from functions.ipf.standin import documents
from functions.ipf.standin.config import Config
from functions.ipf.standin.failing import AT_ONCE, Here, Rules, perform
from functions.ipf.standin.products import BANDS, Maker, names_in
from functions.ipf.standin.strip import Strip, metadata_name, read_strip
from functions.ipf.standin.tasks import tiles_of
from shared.domain.names import PdiName, format_stamp
from shared.errors import BadInputError
from shared.joborder import format_job_order
from shared.tasktable import Run, call_order, load_scheme

_MANDATORY: Final = {
    "GIP_PROBA2": "*GIP_PROBA2*xml",
    "GIP_JP2KPA": "S2*GIP_JP2KPA*xml",
    "GIP_OLQCPA": "*GIP_OLQCPA*zip",
}
_OPTIONAL: Final = ("GIP_L2ACSC", "GIP_L2ACAC", "GIP_L2ACFG")
_STATIC: Final = ("S2IPF-DEML2", "S2IPF-ESACCI")
_REPORTS: Final = ("FORMAT_CORRECTNESS", "GENERAL_QUALITY")
_INSTALLED: Final = ("SEN2COR", "COMPRESS_TILE_IMAGE", "FORMAT_METADATA_DS", "FORMAT_METADATA_TL", "OLQC")
_USAGE: Final = {
    "l2ds": "Launch_L2_DS.sh PRODUCT_L1C_DS GIPP_DIR STATIC_AUXS WORK_DIR OUT_DIR "
    "ACQUISITION_STATION PROCESSING_CENTER",
    "l2tl": "Launch_L2_TL.sh PRODUCT_L1C_TL PRODUCT_L1C_DS PRODUCT_L2A_DS AUX_DIR STATIC_AUXS WORK_DIR OUT_DIR "
    "ACQUISITION_STATION PROCESSING_CENTER",
}


def level2(
    which: Literal["l2ds", "l2tl"],
    argv: Sequence[str],
    config: Config,
    home: Path | None,
    journal: IpfLog,
    now: datetime,
) -> int:
    """Do it; returns 0. BadInputError where the arguments, or what they name, are not as they should be."""
    count = len(_USAGE[which].split()) - 1
    if len(argv) < count:
        raise BadInputError("arguments", _USAGE[which], len(argv))
    *products, auxiliary, static, work, out, station, centre = argv[:count]
    folders = [_product(Path(path)) for path in products]
    datastrip = folders[0] if which == "l2ds" else folders[1]
    strip = replace(read_strip(datastrip, centre), station=station)
    tile = "" if which == "l2ds" else PdiName.parse(folders[0].name)["T"]
    rules = Rules.at(config, Here(which, tile=tile, datatake=(strip.datatake, strip.name)), home)
    rule = rules.take(AT_ONCE)
    if rule is not None:
        perform(rule)
    gipp = _gipp(Path(auxiliary) if which == "l2ds" else Path(auxiliary) / "S2IPF-GIPP")
    for name in _STATIC:
        if not (config.mounted(static) / name).is_dir():
            raise BadInputError(f"STATIC_AUXS, {config.mounted(static) / name}", "a folder")
    working = Path(work) / f"tmp_l2_{which[2:]}_{now:%Y%m%d%H%M%S}"
    _job_order(working, strip, gipp, folders, out, now)
    if which == "l2ds":
        maker = Maker(strip, now, rules, config.light)
        tiles = tiles_of(strip, config.datatake(format_stamp(strip.start)))
        made = _datastrip(maker, Path(out), tiles)
    else:
        created = PdiName.parse(folders[2].name).creation
        made = _tile(Maker(strip, created, rules, config.light), Path(out), tile, folders[2].name)
    journal.info(f"{made}: written in place of Sen2Cor's")
    return 0


def _product(folder: Path) -> Path:
    if not folder.is_dir() or not (folder / metadata_name(folder.name)).is_file():
        raise BadInputError(f"product {folder}", "a folder with the product's metadata")
    return folder


def _gipp(folder: Path) -> dict[str, tuple[str, ...]]:
    """The parameter files; BadInputError where a mandatory one is missing."""
    found: dict[str, tuple[str, ...]] = {}
    for kind, pattern in _MANDATORY.items():
        names = names_in(folder, pattern)
        if not names:
            raise BadInputError(f"GIPP_DIR, {folder}", f"a file {pattern}")
        found[kind] = (str(folder / names[0]),)
    for kind in _OPTIONAL:
        found[kind] = tuple(str(folder / name) for name in names_in(folder, f"*{kind}*xml")[:1])
    return found


def _job_order(
    working: Path, strip: Strip, gipp: dict[str, tuple[str, ...]], products: list[Path], out: str, now: datetime
) -> None:
    """The order that the scripts write for Sen2Cor."""
    run = Run("", str(working), strip.station, strip.site, f"{now:%Y-%m-%dT%H:%M:%SZ}", version="3.0.3")
    inputs = {
        **gipp,
        "MSI_L1C_DS": tuple(str(path) for path in products if "_L1C_DS_" in path.name),
        "MSI_L1C_TL": tuple(str(path) for path in products if "_L1C_TL_" in path.name),
        **{f"{name}_DIR_INSTALL": ("/usr/local",) for name in _INSTALLED},
        "WORKING": (str(working / "work"),),
    }
    outputs = {name: f"{out}/{name}" for name in ("MSI_L2A_DS", "MSI_L2A_TL", "KPI_L2A")}
    centres = {"ARCHIVING_CENTER": strip.site, "PROCESSING_CENTER": strip.site}
    order = call_order(load_scheme(), "Sen2Cor", run, centres, inputs, outputs)
    (working / "cfg").mkdir(parents=True, exist_ok=True)
    (working / "work").mkdir(exist_ok=True)
    (working / "cfg" / "JobOrderL2.xml").write_bytes(format_job_order(order))


def _datastrip(maker: Maker, out: Path, tiles: Sequence[str]) -> str:
    folder = out / "INV_L2A_DS"
    parts = [maker.strip.tile("L2A", maker.created, tile) for tile in tiles]
    name = maker.datastrip(folder, "L2A", parts)
    if (folder / name).is_dir():
        maker.reports(folder / name, _REPORTS)
        maker.inventory(folder / name)
    return name


def _tile(maker: Maker, out: Path, tile: str, datastrip: str) -> str:
    folder = out / "INV_L2A_TL"
    name = maker.strip.tile("L2A", maker.created, tile)
    product = folder / name
    root = documents.tile_metadata(maker.strip, name, datastrip, maker.created)
    maker.document(product / metadata_name(name), root)
    if product.is_dir():
        bands = [band for band in BANDS if band != "B10" and (band == "B02" or not maker.light)]
        maker.images(product, name.rpartition("_N")[0], [*bands, "SCL"], "jp2")
        maker.reports(product, _REPORTS)
        maker.inventory(product, datastrip)
    maker.file(folder / f"{maker.strip.tile('L2A', maker.created, tile, 'TC')}.jp2")
    return name
