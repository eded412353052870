"""The step L1C: one tile of an L1B working folder to a compact SAFE."""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.common import olqc, xml
from functions.ipf.common.identity import Production
from functions.ipf.common.processor import Exit
from functions.ipf.l1c import metadata
from functions.ipf.l1c.angles import REFERENCE_BAND, sensing_ns, tile_angles
from functions.ipf.l1c.archive import Made, write_colours, write_datastrip, write_tile
from functions.ipf.l1c.bands import CLASS_BANDS, COLOUR_BANDS, BandResult, BandTask, ColourTask, make_band, make_colours
from functions.ipf.l1c.classes import classify
from functions.ipf.l1c.datastrip import datastrip_document, read_level0
from functions.ipf.l1c.inspections import TileFiles, tile_checks
from functions.ipf.l1c.strip_inspections import datastrip_checks
from functions.ipf.safe import elements, inspire
from functions.ipf.safe.footprint import clip_to_tile, outline
from functions.ipf.safe.jp2 import Extent, write_jp2
from functions.ipf.safe.manifest import FILE, manifest
from functions.ipf.safe.names import Acquisition, ProductNames
from functions.ipf.safe.parallel import threads_of, workers
from functions.ipf.safe.working import WorkingFolder, loss_sentences
from shared.errors import BadInputError
from shared.msi.earth import utc_from_gps_ns
from shared.msi.instrument import BANDS, band_named
from shared.msi.spectra import NOTE
from shared.msi.tiling import Tile, tile

if TYPE_CHECKING:
    from functions.ipf.common.processor import IpfLog
    from functions.ipf.safe.angles import TileAngles
    from functions.ipf.safe.working import Datastrip
    from shared.joborder import JobOrder

NAME: Final = "S2PS-L1C"
VERSION: Final = "0.3.0"
SIMPLIFICATIONS: Final = (
    "L1C: heights are those that L1B was given, bilinear between their nodes; what mountains hide is not masked.",
    "L1C: bicubic resampling, kernel a = -0.75.",
    "L1C: clouds, cirrus and snow by fixed thresholds of this service's own; Rayleigh path at sea level.",
    "L1C: MSK_QUALIT without degraded ancillary data, defective and partially corrected pixels, which no step knows.",
    "L1C: sun angles at the tile's sensing time; the footprint holds what was lost, too.",
    "Metadata: noise and calibration accuracies are those of rounding to whole counts.",
    NOTE,
    "Metadata: files that were not used (GIPP, elevation, GRI, IERS, ECMWF, CAMS) are not named.",
)
# The widest first, so that no process is left with a long one at the end.
_ORDER: Final = sorted(BANDS, key=lambda band: (band.resolution, band.name not in COLOUR_BANDS))


def process(order: JobOrder, journal: IpfLog) -> int:
    """Run the step as a job order asks; no product, and a warning, where no packet of the tile's ground came."""
    working = WorkingFolder(Path(order.input_files("L1B_WORKING")[0]))
    datastrip = working.datastrip()
    target = tile(order.parameter("TILE"))
    if not clip_to_tile(datastrip.footprint, target):
        raise BadInputError("job order, TILE", "a tile that the datastrip meets", target.name)
    sensing = sensing_ns(working, datastrip, target)
    names = ProductNames(_acquisition(datastrip, sensing), "L1C", target.name, Production.of(order))
    safe = Path(order.output("MSI_L1C_TL")) / names.safe
    journal.info(f"{names.safe}: detectors {datastrip.detectors}, {datastrip.scenes} scenes")
    for folder in ("IMG_DATA", "QI_DATA", "AUX_DATA"):
        (safe / names.granule_folder / folder).mkdir(parents=True, exist_ok=True)

    angles = tile_angles(working, datastrip, target, sensing)
    with tempfile.TemporaryDirectory(prefix="s2ps-l1c-") as scratch:
        results = _images(working.root, safe, names, Path(scratch), threads_of(order))
        if not any(result.valid for result in results.values()):
            shutil.rmtree(safe)
            journal.warning(f"tile {target.name}: no image packet of its ground came")
            return Exit.DEGRADED
        content = _content(datastrip, target, results, _classes(safe, names, target, angles, Path(scratch)))
        footprint = _footprint(Path(scratch), target) or clip_to_tile(datastrip.footprint, target)
    residual = max(result.residual for result in results.values())
    journal.info(f"images written; inverse location within {residual:.4f} px of the viewing model")

    made = Made(
        safe, names, target, datastrip, working.level0_metadata(), angles, content, footprint, _inspector(names)
    )
    for sentence in _documents(order, made, results):
        journal.warning(sentence)
    lost = loss_sentences(datastrip.degraded_percent, datastrip.degraded_ancillary_percent)
    for sentence in lost:
        journal.warning(sentence)
    return Exit.DEGRADED if lost else Exit.OK


def _inspector(names: ProductNames) -> olqc.Inspector:
    return olqc.Inspector(NAME, VERSION, names.production.creation)


def _documents(order: JobOrder, made: Made, results: dict[str, BandResult]) -> list[str]:
    """Metadata, quality reports, notes and manifest of the SAFE, and the archive's items that the order asks for.

    Returns:
        A sentence for each check that failed.
    """
    safe, names, datastrip = made.safe, made.names, made.datastrip
    granule, strip = safe / names.granule_folder, safe / names.datastrip_folder
    xml.write(granule / "MTD_TL.xml", metadata.tile_document(names, made.tile, made.angles, made.content))
    xml.write(strip / "MTD_DS.xml", datastrip_document(names, datastrip, read_level0(made.level0)))
    of_tile = tile_checks(_files(safe, names), made.tile, datastrip, results)
    of_strip = datastrip_checks(strip / "MTD_DS.xml", datastrip, results)
    for folder, reports, item in ((granule, of_tile, names.granule), (strip, of_strip, names.datastrip)):
        for name, checks in reports.items():
            olqc.write_report(folder / "QI_DATA" / f"{name}.xml", item, name, checks, made.inspector)
    passed = {
        name: all(check.passed for check in (*of_tile.get(name, ()), *of_strip.get(name, ())))
        for name in sorted({*of_tile, *of_strip})
    }
    document = metadata.product(names, datastrip, made.footprint, made.content, passed)
    xml.write(safe / names.product_metadata, document)
    notes = (*datastrip.simplifications, *SIMPLIFICATIONS)
    xml.write(safe / names.notes, elements.notes(NAME, VERSION, notes, datastrip.level0_datastrip))
    lineage = f"{NAME} {VERSION} from {datastrip.level0_datastrip}; {names.notes} says what is simplified."
    xml.write(safe / inspire.FILE, inspire.inspire(names, made.footprint, lineage))
    xml.write(safe / FILE, manifest(safe, names, made.footprint))

    asked = {out.file_type: Path(out.name) for task in order.tasks for out in task.outputs}
    if "PDI_L1C_TL" in asked:
        write_tile(asked["PDI_L1C_TL"], made, [band.name for band in BANDS], of_tile)
    if "PDI_L1C_TC" in asked:
        write_colours(asked["PDI_L1C_TC"], made)
    if "PDI_L1C_DS" in asked:
        write_datastrip(asked["PDI_L1C_DS"], made, of_strip)
    return [*olqc.failed(of_tile), *olqc.failed(of_strip)]


def _files(safe: Path, names: ProductNames) -> TileFiles:
    bands = [band.name for band in BANDS]
    kinds = [*(f"{kind}_{band}" for band in bands for kind in ("DETFOO", "QUALIT")), "CLASSI_B00"]
    return TileFiles(
        safe / names.granule_folder / "MTD_TL.xml",
        {band: safe / names.image(band) for band in (*bands, "TCI")},
        {kind: safe / names.mask(kind) for kind in kinds},
        safe / names.preview,
    )


def _acquisition(datastrip: Datastrip, sensing_ns: int) -> Acquisition:
    return Acquisition(
        satellite=datastrip.satellite,
        datatake_start=datastrip.datatake_start,
        datatake_type=datastrip.datatake_type,
        absolute_orbit=datastrip.absolute_orbit,
        relative_orbit=datastrip.relative_orbit,
        orbit_direction=datastrip.orbit_direction,
        sensing_start=datastrip.sensing_start,
        tile_sensing=utc_from_gps_ns(sensing_ns),
    )


def _images(root: Path, safe: Path, names: ProductNames, scratch: Path, threads: int) -> dict[str, BandResult]:
    """All bands, then the true colour image and the preview; by band name."""
    with workers(threads) as pool:
        pending: dict[str, Future[BandResult]] = {}
        for band in _ORDER:
            task = BandTask(
                root,
                band.name,
                names.tile,
                safe / names.image(band.name),
                safe / names.mask(f"DETFOO_{band.name}"),
                safe / names.mask(f"QUALIT_{band.name}"),
                scratch,
            )
            pending[band.name] = pool.submit(make_band, task)
        red, green, blue = (pending[name].result().at for name in COLOUR_BANDS)
        colours = pool.submit(
            make_colours,
            ColourTask(names.tile, scratch, (red, green, blue), safe / names.image("TCI"), safe / names.preview),
        )
        results = {name: future.result() for name, future in pending.items()}
        colours.result()
    return results


def _classes(
    safe: Path, names: ProductNames, target: Tile, angles: TileAngles, scratch: Path
) -> tuple[float, float, float]:
    """Write the classification mask; percent of opaque cloud, cirrus and snow among the pixels that have data."""
    blue, green, cirrus, swir = (np.load(scratch / f"{name}_60m.npy") for name in CLASS_BANDS)
    masks = classify(blue, green, cirrus, swir, angles.sun.mean()[0])
    size = target.size(60)
    write_jp2(safe / names.mask("CLASSI_B00"), masks, target, 60, Extent(0, 0, size, size), kind="mask")
    valid = max(int(np.count_nonzero((blue > 0) & (green > 0) & (cirrus > 0) & (swir > 0))), 1)
    opaque, thin, snow = (100.0 * int(mask.sum()) / valid for mask in masks)
    return opaque, thin, snow


def _content(
    datastrip: Datastrip, target: Tile, results: dict[str, BandResult], classes: tuple[float, float, float]
) -> metadata.Content:
    opaque, thin, snow = classes
    seen = sum(band.packets_per_scene for band in BANDS if results[band.name].seen)
    lost = sum(
        band.packets_per_scene * results[band.name].lost / results[band.name].seen
        for band in BANDS
        if results[band.name].seen
    )
    whole = target.size(band_named(REFERENCE_BAND).resolution) ** 2
    return metadata.Content(
        degraded=100.0 * lost / max(seen, 1),
        degraded_ancillary=datastrip.degraded_ancillary_percent,
        cloudy=opaque + thin,
        snow=snow,
        nodata=100.0 * (1 - results[REFERENCE_BAND].valid / whole),
    )


def _footprint(scratch: Path, target: Tile) -> list[tuple[float, float]]:
    """Around the ground that every band saw."""
    return outline(np.logical_and.reduce([np.load(scratch / f"{band.name}_seen.npy") for band in BANDS]), target)
