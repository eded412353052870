"""The step L2A: one L1C product to surface reflectance, scene classification, aerosol and water vapour."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from functions.ipf.common import xml
from functions.ipf.common.identity import Production
from functions.ipf.common.processor import Exit
from functions.ipf.l2a import metadata
from functions.ipf.l2a.classification import NOT_CLEAR, Classified, SceneClass, classify
from functions.ipf.l2a.images import (
    SATURATED,
    Bench,
    Correction,
    area_mean,
    correct_band,
    decode_band,
    write_colours,
    write_map,
)
from functions.ipf.l2a.retrieval import Aerosol, aerosol, water_vapour
from functions.ipf.l2a.source import Level1C, read_level1c
from functions.ipf.safe import elements
from functions.ipf.safe.footprint import extent_in_tile
from functions.ipf.safe.jp2 import Extent, around, read_window, write_jp2
from functions.ipf.safe.manifest import FILE, manifest
from functions.ipf.safe.names import ProductNames
from functions.ipf.safe.parallel import threads_of, workers
from functions.ipf.safe.working import loss_sentences
from shared.errors import BadInputError
from shared.msi import atmosphere
from shared.msi.instrument import BANDS, band_named

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.common.processor import IpfLog
    from shared.joborder import JobOrder

    Floats32: TypeAlias = NDArray[np.float32]

NAME: Final = "S2PS-L2A"
VERSION: Final = "0.1.0"
SIMPLIFICATIONS: Final = (
    *atmosphere.SIMPLIFICATIONS,
    "L2A: one aerosol thickness for the whole tile: from dark vegetation where its tests pass, else 0.10.",
    "L2A: water vapour from B09/B8A taken as equally bright ground, smoothed over 300 m.",
    "L2A: scene classification by a shortened set of spectral tests, without climatologies; no cirrus correction.",
    "L2A: masks MSK_CLDPRB and MSK_SNWPRB only.",
)
_CLASS_BANDS: Final = ("B02", "B03", "B04", "B8A", "B10", "B11")
_RETRIEVAL_BANDS: Final = ("B02", "B04", "B8A", "B09", "B12")
_MARGIN_60M: Final = 8
_NOTHING: Final = Extent(0, 0, 0, 0)
_CELL_60M: Final = 10
_WRITTEN: Final = sorted((band for band in BANDS if band.name != "B10"), key=lambda band: band.resolution)


def process(order: JobOrder, journal: IpfLog) -> int:
    """Run the step as a job order asks."""
    source = read_level1c(Path(order.input_files("MSI_L1C_TL")[0]))
    names = ProductNames(source.acquisition, "L2A", source.tile.name, Production.of(order))
    safe = Path(order.output("MSI_L2A_TL")) / names.safe
    for folder in ("IMG_DATA/R10m", "IMG_DATA/R20m", "IMG_DATA/R60m", "QI_DATA", "AUX_DATA"):
        (safe / names.granule_folder / folder).mkdir(parents=True, exist_ok=True)
    journal.info(f"{source.name} to {names.safe}")

    with tempfile.TemporaryDirectory(prefix="s2ps-l2a-") as scratch, workers(threads_of(order)) as pool:
        bench = Bench(names, safe, Path(scratch), _block(source))
        content = _make(bench, source, pool, journal)
    xml.write(safe / names.product_metadata, metadata.product(names, source, content))
    xml.write(safe / names.granule_folder / "MTD_TL.xml", metadata.tile_document(names, source, content))
    xml.write(safe / names.datastrip_folder / "MTD_DS.xml", metadata.datastrip_document(names, source))
    notes = (*source.simplifications, *SIMPLIFICATIONS)
    xml.write(safe / names.notes, elements.notes(NAME, VERSION, notes, source.name))
    xml.write(safe / FILE, manifest(safe, names, source.footprint))
    lost = loss_sentences(content.degraded, content.degraded_ancillary)
    for sentence in lost:
        journal.warning(sentence)
    return Exit.DEGRADED if lost else Exit.OK


def _block(source: Level1C) -> Extent:
    """The part of the tile that holds data: the footprint's and B01's, which may lack packets, with a margin."""
    counts = read_window(source.images["B01"])
    rows, columns = np.flatnonzero(counts.any(axis=1)), np.flatnonzero(counts.any(axis=0))
    seen = Extent(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1) if rows.size else _NOTHING
    block, size = around((seen, extent_in_tile(source.footprint, source.tile, 60))), source.tile.size(60)
    if block.empty:
        raise BadInputError(source.name, f"a footprint or pixels of B01 within tile {source.tile.name}")
    return Extent(
        max(block.row - _MARGIN_60M, 0),
        max(block.column - _MARGIN_60M, 0),
        min(block.row_stop + _MARGIN_60M, size),
        min(block.column_stop + _MARGIN_60M, size),
    )


def _make(bench: Bench, source: Level1C, pool: Executor, journal: IpfLog) -> metadata.Content:
    """Decode, retrieve, correct, write; what the metadata say of it."""
    decoded = {
        band.name: pool.submit(decode_band, bench, band.name, source.images[band.name])
        for band in sorted(BANDS, key=lambda band: band.resolution)
    }
    saturated = [name for name, future in decoded.items() if future.result()]
    zenith, azimuth = source.angles.sun.mean()
    classified = _classify(bench, source, saturated, zenith, azimuth)
    water, found = _retrieve(bench, source, classified, zenith)
    journal.info(f"aerosol {found.aot550:.3f} ({found.method}: {found.reason}); water {float(np.median(water)):.2f} cm")

    pending: list[Future[None]] = []
    colours: list[Future[None]] = []
    for band in _WRITTEN:
        future = pool.submit(correct_band, bench, band.name, _correction(bench, source, band.name, found, water))
        (colours if band.name in ("B02", "B03", "B04") else pending).append(future)
    for resolution in (10, 20, 60):
        constant = np.full(water.shape, found.aot550, np.float32)
        pending.append(pool.submit(write_map, bench, "AOT", resolution, constant))
        pending.append(pool.submit(write_map, bench, "WVP", resolution, water))
    for future in colours:
        future.result()
    pending.append(pool.submit(write_colours, bench))
    _write_classes(bench, source, classified)
    for future in pending:
        future.result()
    return _content(bench, source, classified, water, found)


def _toa(bench: Bench, source: Level1C, band: str, resolution: int) -> Floats32:
    """TOA reflectance of the block; from 60 m up to 20 m by repetition."""
    native = band_named(band).resolution
    counts = bench.load(f"{band}_{max(native, resolution)}")
    if native > resolution:
        step = native // resolution
        size = (counts.shape[1] * step, counts.shape[0] * step)
        counts = cv2.resize(np.ascontiguousarray(counts), size, interpolation=cv2.INTER_NEAREST)
    return (counts.astype(np.float32) + np.float32(source.offsets[band])) / np.float32(source.quantification)


def _classify(bench: Bench, source: Level1C, saturated: list[str], zenith: float, azimuth: float) -> Classified:
    toa = {name: _toa(bench, source, name, 20) for name in _CLASS_BANDS}
    empty = {name: np.float32(source.offsets[name] / source.quantification) for name in _CLASS_BANDS}
    valid = np.logical_and.reduce([values != empty[name] for name, values in toa.items()])
    full = np.zeros(valid.shape, dtype=bool)
    for name in saturated:
        if band_named(name).resolution <= 20:
            full |= bench.load(f"{name}_20") == SATURATED
    return classify(toa, valid, full, zenith, azimuth)


def _retrieve(bench: Bench, source: Level1C, classified: Classified, zenith: float) -> tuple[Floats32, Aerosol]:
    """Water vapour at 60 m, and the tile's aerosol."""
    toa = {name: _toa(bench, source, name, 60) for name in _RETRIEVAL_BANDS}
    clear20 = ~np.isin(classified.classes, [int(kind) for kind in NOT_CLEAR])
    clear = area_mean(clear20.astype(np.uint16), 3) > 0
    water = water_vapour(toa, clear, zenith)
    middle = float(np.median(water[clear])) if clear.any() else float(np.median(water))
    return water, aerosol(toa, clear, zenith, middle)


def _correction(bench: Bench, source: Level1C, band: str, found: Aerosol, water: Floats32) -> Correction:
    """The band's coefficients over the block: cells of 600 m, in B09 of 60 m, which water vapour rules."""
    cell = 1 if band == "B09" else _CELL_60M
    rows, columns = (max(-(-n // cell), 2) for n in water.shape)
    moisture = cv2.resize(water, (columns, rows), interpolation=cv2.INTER_AREA)
    at = atmosphere.coefficients(band, _sun(bench, source, rows, columns), found.aot550, moisture)
    offset, scale = source.offsets[band], source.quantification
    return Correction(
        np.asarray(1.0 / (scale * at.transmittance), np.float32),
        np.asarray((offset / scale - at.path) / at.transmittance, np.float32),
        np.asarray(at.albedo, np.float32),
    )


def _sun(bench: Bench, source: Level1C, rows: int, columns: int) -> Floats32:
    """Sun zenith at the centres of equal cells over the block, from the tile's 5 km grid."""
    y = bench.block.row + (np.arange(rows) + 0.5) * bench.block.shape[0] / rows
    x = bench.block.column + (np.arange(columns) + 0.5) * bench.block.shape[1] / columns
    across, down = np.meshgrid(x * 60 / 5000, y * 60 / 5000)
    grid = source.angles.sun.zenith.astype(np.float32)
    found = cv2.remap(grid, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(found, np.float32)


def _write_classes(bench: Bench, source: Level1C, classified: Classified) -> None:
    """SCL and the probabilities, at 20 m and, from the middle of three by three pixels, at 60 m."""
    bench.write("SCL", 20, classified.classes)
    bench.write("SCL", 60, classified.classes[1::3, 1::3])
    for kind, values in (("CLDPRB", classified.cloud), ("SNWPRB", classified.snow)):
        for resolution, pixels in ((20, values), (60, values[1::3, 1::3])):
            path = bench.safe / bench.names.mask(f"{kind}_{resolution}m")
            write_jp2(path, np.ascontiguousarray(pixels), source.tile, resolution, bench.extent(resolution))


def _content(
    bench: Bench, source: Level1C, classified: Classified, water: Floats32, found: Aerosol
) -> metadata.Content:
    size = source.tile.size(20)
    counted = np.bincount(classified.classes.ravel(), minlength=len(SceneClass))
    counts = {kind: int(counted[kind]) for kind in SceneClass}
    rows, columns = bench.extent(20).shape
    counts[SceneClass.NODATA] += size * size - rows * columns
    valid = bench.load("B02_60") > 0
    mean = float(water[valid].mean()) if valid.any() else float(water.mean())
    return metadata.Content(
        counts,
        size * size,
        found.aot550,
        found.method,
        mean,
        source.degraded_percent,
        source.degraded_ancillary_percent,
    )
