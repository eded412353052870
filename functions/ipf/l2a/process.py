"""The step L2A: one L1C product to surface reflectance, scene classification, aerosol and water vapour."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.common.ground import ELEVATION_PARAMETER, files_below
from functions.ipf.common.identity import Production
from functions.ipf.common.olqc import Inspector
from functions.ipf.common.processor import Exit
from functions.ipf.l2a import metadata
from functions.ipf.l2a.ancillary import Forecast, forecast_files, read_forecast
from functions.ipf.l2a.images import COLOUR_BANDS, Bench, Scaling, decode_band, write_colours, write_map
from functions.ipf.l2a.inference import Found, classify, retrieve
from functions.ipf.l2a.product import Made, write_documents
from functions.ipf.l2a.scene import Scene, prepare
from functions.ipf.l2a.source import Level1C, read_level1c
from functions.ipf.l2a.steps import correct_band
from functions.ipf.l2a.terrain import elevation_files
from functions.ipf.safe.footprint import extent_in_tile
from functions.ipf.safe.jp2 import Extent, around, read_window
from functions.ipf.safe.names import ProductNames
from functions.ipf.safe.parallel import threads_of, workers
from functions.ipf.safe.working import loss_sentences
from shared.errors import BadInputError
from shared.msi import atmosphere
from shared.msi.instrument import BANDS

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from functions.ipf.common.processor import IpfLog
    from functions.ipf.l2a.retrieval import Aerosol
    from shared.joborder import JobOrder

NAME: Final = "S2PS-L2A"
VERSION: Final = "0.3.0"
SIMPLIFICATIONS: Final = (
    *atmosphere.SIMPLIFICATIONS[:2],
    "Atmosphere: Lambertian ground; adjacency by the environment function of 6S, out to 12 km and within the tile.",
    "L2A: the view of a band is one plane over its odd and one over its even detectors; over all without their masks.",
    "L2A: water vapour from B09/B8A taken as equally bright ground, smoothed over 300 m.",
    "L2A: scene classification by spectral tests and the model of s2cloudless, without climatologies or land cover.",
    "L2A: cirrus is corrected up to B09 only, and as white.",
)
FORECAST_INPUTS: Final = ("AUX_CAMSFO", "AUX_ECMWFD", "AUX_ECMWFT")
TERRAIN_INPUTS: Final = ("AUX_DEM", "DEM_GLOBEF", "DEM_SRTMFO", "DEM")
"""Inputs that the job order may name: files, or folders that hold them."""

_MARGIN_60M: Final = 8
_DARKEST_SUN_DEG: Final = 88.0
"""Sun zenith from which nothing is made: the atmosphere's table ends at 81, L1C is not taken beyond 82 as a rule."""
_NOTHING: Final = Extent(0, 0, 0, 0)
_WRITTEN: Final = sorted((band for band in BANDS if band.name != "B10"), key=lambda band: band.resolution)


def process(order: JobOrder, journal: IpfLog) -> int:
    """Run the step as a job order asks."""
    source = read_level1c(Path(order.input_files("MSI_L1C_TL")[0]))
    names = ProductNames(source.acquisition, "L2A", source.tile.name, Production.of(order))
    safe = Path(order.output("MSI_L2A_TL")) / names.safe
    journal.info(f"{source.name} to {names.safe}")
    if dark := night(source):
        return _nothing(journal, dark)
    forecast, unused = _forecast(order, source, journal)
    elevations = elevation_files(_optional(order, TERRAIN_INPUTS) or files_below(order, ELEVATION_PARAMETER))

    with tempfile.TemporaryDirectory(prefix="s2ps-l2a-") as scratch, workers(threads_of(order)) as pool:
        bench = Bench(names, safe, Path(scratch), _block(source))
        scaling = Scaling(source.quantification, source.offsets)
        _decode(bench, source, pool)
        if not any(bench.load(f"{band.name}_60").any() for band in BANDS):
            return _nothing(journal, f"{source.name}: no band has a pixel with data")
        for folder in ("IMG_DATA/R10m", "IMG_DATA/R20m", "IMG_DATA/R60m", "QI_DATA", "AUX_DATA"):
            (safe / names.granule_folder / folder).mkdir(parents=True, exist_ok=True)
        scene = prepare(bench, source, scaling, forecast, elevations, adjacency=_adjacency(order))
        for sentence in scene.remarks:
            journal.info(sentence)
        unread = [*scene.unread, *classify(bench, source, scene, pool)]
        found = retrieve(bench, scene)
        journal.info(f"aerosol {found.aerosol.aot550:.3f} ({found.aerosol.method}: {found.aerosol.reason})")
        journal.info(f"water vapour {found.water_cm:.2f} cm, ozone {scene.ozone * 1000:.0f} DU ({scene.ozone_source})")
        negative = _write_images(bench, scene, found, pool)
        content = metadata.count(bench, source, scene, found, negative)
    simplifications = (*SIMPLIFICATIONS, *scene.simplifications, *told_usual(found.aerosol))
    inspector = Inspector(NAME, VERSION, names.production.creation)
    left_out, failed = write_documents(Made(safe, names, source, scene, content, simplifications, inspector))
    for sentence in (*unread, *unused, *left_out, *failed):
        journal.warning(sentence)
    lost = loss_sentences(content.degraded, content.degraded_ancillary)
    for sentence in lost:
        journal.warning(sentence)
    return Exit.DEGRADED if lost or unread or unused or left_out else Exit.OK


def told_usual(aerosol: Aerosol) -> tuple[str, ...]:
    """That the aerosol is the climatology's, which the metadata can only call the default."""
    if aerosol.method != "CLIMATOLOGY":
        return ()
    return (f"L2A: the aerosol, {aerosol.aot550:.3f} at 550 nm, is a climatology's: {aerosol.reason}.",)


def _nothing(journal: IpfLog, reason: str) -> int:
    """No product, which is an answer: exit code 1 and nothing made."""
    journal.warning(f"no product: {reason}")
    return Exit.DEGRADED


def night(source: Level1C) -> str:
    """Why the Sun's light over the tile is not enough to see a surface by; empty where it is."""
    zenith = float(source.angles.sun.zenith.max())
    if zenith < _DARKEST_SUN_DEG:
        return ""
    return f"{source.name}: the Sun's zenith is up to {zenith:.1f} degrees, and has to be below {_DARKEST_SUN_DEG:g}"


def _adjacency(order: JobOrder) -> bool:
    """The parameter ADJACENCY_CORRECTION, YES where it is not given."""
    text = order.parameters.get("ADJACENCY_CORRECTION", "YES")
    if text not in ("YES", "NO"):
        raise BadInputError("job order, ADJACENCY_CORRECTION", "YES or NO", text)
    return text == "YES"


def _optional(order: JobOrder, kinds: tuple[str, ...]) -> list[Path]:
    return [Path(name) for task in order.tasks for i in task.inputs if i.file_type in kinds for name in i.names]


def _forecast(order: JobOrder, source: Level1C, journal: IpfLog) -> tuple[Forecast, list[str]]:
    """What the job order names, at the tile's time, else what the product brings.

    A file that cannot be read is left out; a sentence for each of those that the order names.
    """
    when, refused = source.acquisition.tile_sensing, list[str]()
    named = forecast_files(_optional(order, FORECAST_INPUTS))
    if named:
        forecast = read_forecast(named, when, refused)
        return forecast, [f"forecast not used: {sentence}" for sentence in refused]
    forecast = read_forecast(forecast_files([source.granule_folder / "AUX_DATA"]), when, refused)
    for sentence in refused:
        journal.warning(f"not used: {sentence}")
    return forecast, []


def _block(source: Level1C) -> Extent:
    """The part of the tile that holds data: the footprint's and B01's, which may lack packets, with a margin."""
    size = source.tile.size(60)
    counts = read_window(source.images["B01"], size=size)
    rows, columns = np.flatnonzero(counts.any(axis=1)), np.flatnonzero(counts.any(axis=0))
    seen = Extent(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1) if rows.size else _NOTHING
    block = around((seen, extent_in_tile(source.footprint, source.tile, 60)))
    if block.empty:
        raise BadInputError(source.name, f"a footprint or pixels of B01 within tile {source.tile.name}")
    return Extent(
        max(block.row - _MARGIN_60M, 0),
        max(block.column - _MARGIN_60M, 0),
        min(block.row_stop + _MARGIN_60M, size),
        min(block.column_stop + _MARGIN_60M, size),
    )


def _decode(bench: Bench, source: Level1C, pool: Executor) -> None:
    ordered = sorted(BANDS, key=lambda band: band.resolution)
    for future in [pool.submit(decode_band, bench, band.name, source.images[band.name]) for band in ordered]:
        future.result()


def _write_images(bench: Bench, scene: Scene, found: Found, pool: Executor) -> dict[str, float]:
    """Every band, the maps, the colours; the heaviest first.

    Returns:
        By band the percentage of its pixels whose surface reflectance is below 0.
    """
    bands = {
        band.name: pool.submit(correct_band, bench, band.name, scene.recipe(cirrus=found.cirrus)) for band in _WRITTEN
    }
    maps = [pool.submit(write_map, bench, what, resolution) for resolution in (10, 20, 60) for what in ("AOT", "WVP")]
    for name in COLOUR_BANDS:
        bands[name].result()
    maps.append(pool.submit(write_colours, bench))
    for future in maps:
        future.result()
    return {band.name: bands[band.name].result() for band in BANDS if band.name in bands}
