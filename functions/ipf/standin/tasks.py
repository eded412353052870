"""What each program of the chain leaves: products where it formats some, small files on which later splits depend, and
else one file that says who was here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from functions.ipf.common.xml import node, render
from functions.ipf.standin import SOFTWARE, documents
from functions.ipf.standin.config import Datatake
from functions.ipf.standin.place import GRI, Place
from functions.ipf.standin.products import BANDS, Maker, names_in
from functions.ipf.standin.strip import Strip, metadata_name
from shared.errors import BadInputError
from shared.tasktable import History, Process, Tile
from shared.tasktable.history import latest
from shared.tasktable.scheme import Source

_TILE_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_ROW_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUV"
# As many tiles as the reference found for a datastrip of 16 scenes.
_TILES, _SCENES = 18, 16
_LEVEL: Final = {"L0": "L0_", "OLQC_L0DS": "L0_", "OLQC_L0GR": "L0_", "L1AFormatDS": "L1A", "L1AFormatGR": "L1A"}


@dataclass(frozen=True, slots=True)
class Setting:
    """What the programs of one mode work with. ``datatake``: what the configuration knows of it."""

    place: Place
    maker: Maker
    datatake: Datatake
    history: History
    tile: Tile | None = None

    @property
    def strip(self) -> Strip:
        return self.maker.strip

    @property
    def level(self) -> str:
        """Of the granules of this mode, as in names."""
        return _LEVEL.get(self.place.mode, "L1B")

    def product(self, granule: str) -> str:
        """The name of this mode's product of an input granule."""
        return self.strip.granule(self.level, self.maker.created, granule)

    def tile_product(self, kind: str = "TL") -> str:
        """The name of the tile product."""
        if self.tile is None:
            raise BadInputError("-t", "a tile")
        return self.strip.tile("L1C", self.maker.created, self.tile.name, kind)


def write_outputs(process: Process, setting: Setting) -> None:
    """Everything that the process's order asks for."""
    (task,) = process.order.tasks
    for output in task.outputs:
        if not output.name:
            continue
        path = Path(output.name)
        writer = _WRITERS.get((process.task, output.file_type)) or _WRITERS.get(("", output.file_type))
        if output.file_type == "REPORT":
            setting.maker.file(path, render(node("Report", node("Processor", SOFTWARE), node("Task", process.task))))
        elif output.file_name_type == "Directory":
            path.mkdir(parents=True, exist_ok=True)
            (writer or _mark)(process, setting, path)
        elif writer is not None:
            writer(process, setting, path)
        else:
            setting.maker.file(path, render(node(output.file_type, node("Processor", SOFTWARE))))


def tiles_of(strip: Strip, datatake: Datatake) -> tuple[str, ...]:
    """Names of the tiles of a datastrip: made up, other ones for each datastrip of an orbit."""
    count = datatake.tiles if datatake.tiles is not None else max(1, strip.scenes * _TILES // _SCENES)
    first = int(strip.start.timestamp()) // 60 * 37
    square = len(_TILE_LETTERS) * len(_ROW_LETTERS)
    names = []
    for index in range(count):
        zone, rest = 1 + (first + index) // square % 60, (first + index) % square
        column, row = divmod(rest, len(_ROW_LETTERS))
        names.append(f"{zone:02d}T{_TILE_LETTERS[column]}{_ROW_LETTERS[row]}")
    return tuple(names)


def granules_of(process: Process, strip: Strip) -> Iterator[str]:
    """The granules of the input that are this process's share: its detectors, its range of scenes."""
    parameters = process.order.parameters
    by_detector = _by_detector(strip.granules)
    for detector in parameters.get("PARALLEL_DETECTOR_IDENT", "").split("-"):
        of_detector = by_detector.get(detector, [])
        first, last = 1, len(of_detector)
        if parameters.get("PARALLEL_ATF") == "true" and "PARALLEL_ATF_BEGIN_GRANULE" in parameters:
            first, last = (int(parameters[f"PARALLEL_ATF_{end}_GRANULE"]) for end in ("BEGIN", "END"))
        elif parameters.get("PARALLEL_GRANULE") == "true":
            first, last = (int(parameters[f"PARALLEL_GRANULE_{end}"]) for end in ("BEGIN", "END"))
        yield from of_detector[first - 1 : last]


@cache
def _by_detector(granules: tuple[str, ...]) -> dict[str, list[str]]:
    """The granules of each detector, in the order in which they were sensed."""
    found: dict[str, list[str]] = {}
    for granule in sorted(granules, key=documents.sensing):
        found.setdefault(granule.rpartition("_D")[2][:2], []).append(granule)
    return found


def _mark(process: Process, setting: Setting, folder: Path) -> None:
    setting.maker.file(folder / f"{process.task}_{process.number}.txt")


def _datastrip(level: str) -> Writer:
    """A formatted datastrip; at Level 1C with the tiles of the list."""

    def write(_process: Process, setting: Setting, folder: Path) -> None:
        parts: tuple[str, ...]
        if level == "L1C":
            names = tiles_of(setting.strip, setting.datatake)
            parts = tuple(setting.strip.tile("L1C", setting.maker.created, name) for name in names)
        else:
            created = setting.maker.created
            parts = tuple(setting.strip.granule(level, created, granule) for granule in setting.strip.granules)
        setting.maker.datastrip(folder, level, parts)

    return write


def _working_datastrip(_process: Process, setting: Setting, folder: Path) -> None:
    """The datastrip on its way through the chain, under the name that it came with."""
    name = setting.strip.name
    path = folder / name / metadata_name(name)
    if not path.exists():
        root = documents.datastrip_metadata(setting.strip, name, setting.maker.created, setting.strip.granules)
        setting.maker.document(path, root)


def _granule_metadata(process: Process, setting: Setting, folder: Path) -> None:
    datastrip = _product_datastrip(setting)
    for granule in granules_of(process, setting.strip):
        product = setting.product(granule)
        setting.maker.granule(folder / "DB1", product, datastrip)
        if setting.level == "L0_" and not setting.maker.light:
            setting.maker.images(folder / "DB1" / product, product.rpartition("_N")[0], BANDS, "bin")


def _granule_images(process: Process, setting: Setting, folder: Path) -> None:
    # The raw data of this level, cleared where the datatake is not processed to it, must be there.
    fragments = latest(setting.history, Source(type="PDI_ATF_LIST"))
    if fragments is None or not any(Path(fragments.path).glob(f"*{setting.level}*.raw")):
        raise FileNotFoundError(f"{process.task}: no {setting.level} data in PDI_ATF_LIST")
    for granule in granules_of(process, setting.strip):
        product = setting.product(granule)
        (folder / "DB1" / product).mkdir(parents=True, exist_ok=True)
        if not setting.maker.light:
            setting.maker.images(folder / "DB1" / product, product.rpartition("_N")[0], BANDS, "jp2")


def _product_datastrip(setting: Setting) -> str:
    """The name of the datastrip product of this mode's level."""
    found = latest(setting.history, Source(type="PDI_DS", level=setting.level))
    names = names_in(Path(found.path)) if found is not None else ()
    return names[0] if names else setting.strip.datastrip(setting.level, setting.maker.created)


def _fragments(process: Process, setting: Setting, folder: Path) -> None:
    for level in ("L1A", "L1B"):
        setting.maker.file(folder / f"{process.task}_{process.number}_{level}.raw")


def _footprint(process: Process, setting: Setting, folder: Path) -> None:
    file = "GlobalFootprintAI.gml" if process.task == "UPDATE_LOC" else "GlobalFootprint.gml"
    outline = " ".join(f"{lon:.6f},{lat:.6f}" for lon, lat in documents.ring(1, setting.strip.scenes, (1, 12)))
    setting.maker.file(folder / file, render(node("Footprint", outline)))


def _frame_file(_process: Process, setting: Setting, path: Path) -> None:
    blocks = node("DATA_BLOCK_LIST", node("NUMBER", 1), node("GRANULES_NUMBER", _scenes(setting), data_block="1"))
    setting.maker.document(path, node("FRAME_FILE", node("COMPRESSION_MARGIN", 1), blocks))


def _scenes(setting: Setting) -> int:
    return len({documents.sensing(granule) for granule in setting.strip.granules})


def _gri_list(_process: Process, setting: Setting, path: Path) -> None:
    count = setting.datatake.gri
    if count is None:
        count = len(names_in(setting.place.gri, GRI))
    images = [node("GRI_GR", GRI_GR_Number=str(number)) for number in range(1, count + 1)]
    setting.maker.document(path, node("Reference_List", *images, Total_Number_of_GRI_GR=str(count)))


def _segmentation(_process: Process, setting: Setting, path: Path) -> None:
    setting.maker.document(path, node("Segmentation", node("Count", 1)))


def _tile_list(_process: Process, setting: Setting, path: Path) -> None:
    tiles = [
        node("List_Tile_Id", node("Tile_Id", name), node("List_Detectors_HR"), Tile_Number=str(number))
        for number, name in enumerate(tiles_of(setting.strip, setting.datatake), 1)
    ]
    setting.maker.document(path, node("Tile_List", node("Number_Of_Tiles", len(tiles)), *tiles))


def _tile_metadata(_process: Process, setting: Setting, folder: Path) -> None:
    product = setting.tile_product()
    datastrip = setting.strip.datastrip("L1C", setting.maker.created)
    root = documents.tile_metadata(setting.strip, product, datastrip, setting.maker.created)
    setting.maker.document(folder / product / metadata_name(product), root)


def _tile_images(process: Process, setting: Setting, folder: Path) -> None:
    product = setting.tile_product()
    (folder / product).mkdir(parents=True, exist_ok=True)
    bands = [BANDS[int(ident[1:])] for ident in process.order.parameters["PARALLEL_BAND_IDENT"].split("-")]
    if not setting.maker.light or "B02" in bands:
        setting.maker.images(folder / product, product.rpartition("_N")[0], bands, "jp2")


def _preview(_process: Process, setting: Setting, folder: Path) -> None:
    product = setting.tile_product()
    setting.maker.file(folder / product / "QI_DATA" / f"{product.rpartition('_N')[0]}_PVI.jp2")


def _true_colour(_process: Process, setting: Setting, folder: Path) -> None:
    setting.maker.file(folder / f"{setting.tile_product('TC')}.jp2")


def _passed_on(_process: Process, _setting: Setting, _folder: Path) -> None:
    """What was written already: ancillary data corrected in place, archives of the inventory."""


Writer = Callable[[Process, Setting, Path], None]
_WRITERS: Final[dict[tuple[str, str], Writer]] = {
    ("", "PDI_DS"): _working_datastrip,
    ("", "FRAME_FILE"): _frame_file,
    ("", "GRI_LIST_FILE"): _gri_list,
    ("", "SEGMENTATION_FILE"): _segmentation,
    ("", "TILE_LIST_FILE"): _tile_list,
    ("", "VECTOR_DS_FOOTPRINT"): _footprint,
    ("", "PDI_L0U"): _passed_on,
    ("", "OUTPUT_FOLDER"): _passed_on,
    ("RADIO_AB", "PDI_ATF_LIST"): _fragments,
    ("RADIO_FINALIZE", "VECTOR"): _fragments,
    ("FORMAT_METADATA_DS_L0C", "PDI_DS"): _datastrip("L0_"),
    ("FORMAT_METADATA_DS_L1A", "PDI_DS"): _datastrip("L1A"),
    ("FORMAT_METADATA_DS_L1B", "PDI_DS"): _datastrip("L1B"),
    ("FORMAT_METADATA_DS_L1B", "VECTOR"): _footprint,
    ("FORMAT_METADATA_DS_L1C", "PDI_DS"): _datastrip("L1C"),
    ("FORMAT_METADATA_GR_L0C", "PDI_DS_GR_LIST"): _granule_metadata,
    ("FORMAT_METADATA_GR_L1A", "PDI_DS_GR_LIST"): _granule_metadata,
    ("FORMAT_METADATA_GR_L1B", "PDI_DS_GR_LIST"): _granule_metadata,
    ("FORMAT_IMG_L1A", "PDI_GR_LIST"): _granule_images,
    ("FORMAT_IMG_L1B", "PDI_GR_LIST"): _granule_images,
    ("FORMAT_METADATA_TILE_L1C", "PDI_DS_TILE_LIST"): _tile_metadata,
    ("FORMAT_IMG_L1C", "PDI_DS_TILE_LIST"): _tile_images,
    ("FORMAT_IMG_PVI_TCI", "PDI_DS_PVI_LIST"): _preview,
    ("FORMAT_IMG_PVI_TCI", "PDI_DS_TCI_LIST"): _true_colour,
}
__all__ = ["Setting", "granules_of", "tiles_of", "write_outputs"]
