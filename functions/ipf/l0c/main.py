"""The L0C processor: one datatake folder of L0U to Level-0 datastrip and granules."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.ipf.common.auxiliary import instrument_of, orientation_of, parameter_names
from functions.ipf.common.ground import terrain_of
from functions.ipf.common.identity import Production
from functions.ipf.common.processor import Exit, IpfLog, run_processor
from functions.ipf.common.strip import StripAccount
from functions.ipf.common.xml import write
from functions.ipf.l0c.clouds import cloud_mask, percentage
from functions.ipf.l0c.facts import Datation, Facts, Indicators
from functions.ipf.l0c.geometry import strip_geometry
from functions.ipf.l0c.images import Images, ImageWriter
from functions.ipf.l0c.metadata import datastrip_metadata, granule_metadata, simplifications
from functions.ipf.l0c.product import Processor, finish_datastrip, finish_granule
from functions.ipf.l0c.quicklook import granule_part, mosaic, write_quicklook
from functions.ipf.l0c.unconsolidated import Telemetry, only_folder, read_downlink, read_telemetry
from shared.domain.names import PdiName
from shared.geometry.model import QUICKLOOK
from shared.msi.earth import earth_sun_u
from shared.msi.instrument import BANDS, band_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from functions.ipf.l0c.facts import Granule
    from functions.ipf.l0c.geometry import StripGeometry
    from functions.ipf.l0c.quicklook import Counts
    from shared.geometry.instrument import Instrument
    from shared.joborder import JobOrder

NAME: Final = "S2PS-L0C"
VERSION: Final = "0.3.0"
_SHOWN: Final = 5


def run(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_processor(NAME, VERSION, process, argv)


def process(order: JobOrder, journal: IpfLog) -> int:
    """Consolidate one datastrip. Inputs and outputs as the job order names them:

    PDI_L0U in (a ``DTnn`` folder), PDI_DS and PDI_DS_GR_LIST out (folders of products); GIP_VIEDIR, GIP_SPAMOD,
    AUX_UT1UTC and elevations (``common.ground``) in where they are given.
    """
    production = Production.of(order)
    datatake = Path(order.input_files("PDI_L0U")[0])
    source = only_folder(datatake / "DS", "datastrip")
    telemetry, downlink = read_telemetry(source), read_downlink(source)
    descriptor = telemetry.descriptor
    instrument, without = instrument_of(order, descriptor.satellite)
    orientation, bulletin = orientation_of(order, descriptor.first_line_ns)
    granules = Path(order.output("PDI_DS_GR_LIST"))
    images = ImageWriter(granules, descriptor, production).write(datatake)
    datation = Datation.of(images.starts_ns)
    ground, elevation = terrain_of(order)
    height = 0.0 if ground is None else ground
    geometry = strip_geometry(telemetry, instrument, orientation, datation.first_line_ns, height)
    pictures = mosaic(geometry, images.cells, _first_columns(instrument), int(order.parameters.get("THREADS", "1")))
    facts = Facts(
        production,
        StripAccount(descriptor, images.blocks),
        downlink,
        telemetry,
        geometry,
        datation,
        images.octets,
        images.damaged,
        _clouds(geometry, pictures, descriptor.detectors),
        orientation,
        bulletin,
        parameter_names(instrument),
        "" if ground is None else elevation,
    )
    troubles = [without] if without else []
    troubles += _write(facts, images, pictures, Path(order.output("PDI_DS")), granules)
    return _verdict(facts, images, troubles, journal)


def _first_columns(instrument: Instrument) -> dict[str, int]:
    return {band.name: instrument.useful(band).start for band in BANDS}


def _clouds(geometry: StripGeometry, pictures: Mapping[str, Counts], detectors: Sequence[int]) -> dict[Granule, float]:
    """Percent of each granule that could be judged."""
    display, model = geometry.quicklook, geometry.model
    lines = np.arange(display.lines, dtype=np.float64) + 0.5
    middle = model.direct(QUICKLOOK, 0, lines, np.full(lines.shape, geometry.columns / 2))
    sun, _ = model.sun_angles(middle.lon, middle.lat, model.sensor(QUICKLOOK, 0).seconds(lines))
    cloudy, judged = cloud_mask(pictures, sun, earth_sun_u(model.platform.reference_ns))
    found = {}
    for detector in detectors:
        for scene in range(1, geometry.scenes + 1):
            parts = [granule_part(image, geometry, detector, scene) for image in (cloudy, judged)]
            if parts[1].any():
                found[detector, scene] = percentage(*parts)
    return found


def _write(facts: Facts, images: Images, pictures: Mapping[str, Counts], datastrips: Path, granules: Path) -> list[str]:
    """Write all products; a sentence for each check that failed."""
    processor = Processor(NAME, VERSION)
    troubles = []
    for granule, name in facts.granules.items():
        file = facts.granule_name(granule, "MTD_L0__GR")
        write(granules / name / f"{file}.xml", granule_metadata(facts, granule))
        troubles += finish_granule(granules / name, facts, granule, processor)
    home = datastrips / facts.name
    _write_ancillary(home / "ANC_DATA", facts.telemetry, facts.production)
    for name, picture in pictures.items():
        stem = facts.file("QLK_L0__DS")
        write_quicklook(home / "QI_DATA" / f"{stem}_{band_named(name).name}.jp2", picture)
    indicators = Indicators.of(facts.telemetry)
    write(home / f"{facts.file('MTD_L0__DS')}.xml", datastrip_metadata(facts, indicators))
    report = json.dumps(_report(facts, images), indent=1) + "\n"
    (home / "QI_DATA" / f"{facts.file('REP_L0__DS')}.json").write_text(report, encoding="utf-8")
    return troubles + finish_datastrip(home, facts, indicators, processor)


def _write_ancillary(folder: Path, telemetry: Telemetry, production: Production) -> None:
    """The packets' files, under names of this production."""
    folder.mkdir(parents=True)
    for name, content in telemetry.files.items():
        pdi = replace(PdiName.parse(name.removesuffix(".bin")), creation=production.creation, site=production.centre)
        (folder / f"{pdi}.bin").write_bytes(content)


def _report(facts: Facts, images: Images) -> dict[str, Any]:
    account, made = facts.account, facts.granules
    lost = {
        f"D{detector:02d} scene {scene} {band.name}": len(blocks)
        for detector, scene in made
        for band in BANDS
        if (blocks := account.missing_blocks(detector, scene, band.index))
    }
    return {
        "schema": "org.s2ps.l0c-account.v1",
        "datastrip": facts.name,
        "granules_expected": len(account.granules()),
        "granules": [made[granule] for granule in sorted(made)],
        "granules_missing": [f"D{detector:02d} scene {scene}" for detector, scene in account.missing_granules()],
        "packets_missing": lost,
        "packets_damaged": {f"D{d:02d} scene {s}": count for (d, s), count in sorted(facts.damaged.items())},
        "packets_undecodable": len(images.refused),
        "ancillary_packets_missing": {str(apid): count for apid, count in facts.lost_ancillary.items()},
        "clouds_judged": sorted(f"D{d:02d} scene {s}" for d, s in facts.clouds),
        "simplifications": list(simplifications(facts)),
    }


def _verdict(facts: Facts, images: Images, troubles: Sequence[str], journal: IpfLog) -> int:
    report = _report(facts, images)
    for granule in report["granules_missing"]:
        journal.warning(f"{granule}: no image packet came")
    for band, count in report["packets_missing"].items():
        journal.warning(f"{band}: {count} packets missing")
    for sentence in images.refused[:_SHOWN]:
        journal.warning(f"quicklook, {sentence}")
    for trouble in troubles:
        journal.warning(trouble)
    journal.info(f"{len(report['granules'])} of {report['granules_expected']} granules")
    degraded = report["granules_missing"] or report["packets_missing"] or images.refused or troubles
    return Exit.DEGRADED if degraded else Exit.OK
