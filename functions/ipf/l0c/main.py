"""The L0C processor: one datatake folder of L0U to Level-0 datastrip and granules."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from functions.ipf.common.annotated import ANNOTATION_OCTETS
from functions.ipf.common.identity import Production
from functions.ipf.common.processor import Exit, IpfLog, run_processor
from functions.ipf.common.strip import StripAccount
from functions.ipf.common.xml import write
from functions.ipf.l0c.geometry import granule_geometry, viewing_model
from functions.ipf.l0c.metadata import SIMPLIFICATIONS, datastrip_metadata, granule_metadata
from functions.ipf.l0c.unconsolidated import (
    Telemetry,
    find_granules,
    only_folder,
    read_band,
    read_downlink,
    read_telemetry,
)
from shared.ccsds.spacepackets import OVERHEAD_OCTETS
from shared.domain.names import PdiName, format_stamp
from shared.msi.instrument import BANDS
from shared.msi.packets import IMAGE_HEADER_OCTETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.joborder import JobOrder

NAME: Final = "S2PS-L0C"
VERSION: Final = "0.1.0"
_OVERHEAD: Final = ANNOTATION_OCTETS + OVERHEAD_OCTETS + IMAGE_HEADER_OCTETS

_Place = tuple[int, int, int]


def run(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_processor(NAME, VERSION, process, argv)


def process(order: JobOrder, journal: IpfLog) -> int:
    """Consolidate one datastrip: PDI_L0U in (a ``DTnn`` folder), PDI_DS and PDI_DS_GR_LIST out (folders of
    products).
    """
    production = Production.of(order)
    datatake = Path(order.input_files("PDI_L0U")[0])
    source = only_folder(datatake / "DS", "datastrip")
    telemetry, downlink = read_telemetry(source), read_downlink(source)
    model = viewing_model(telemetry)
    satellite = telemetry.descriptor.satellite
    blocks, octets = _write_bands(Path(order.output("PDI_DS_GR_LIST")), datatake, telemetry, production)
    account = StripAccount(telemetry.descriptor, blocks)
    sensing = ("S", format_stamp(account.start))
    name = production.pdi(satellite, "MSI_L0__DS", sensing)
    made = {}
    for granule in account.granules():
        if account.has_image(*granule):
            made[granule] = _granule_name(production, account, *granule)
            document = granule_metadata(
                account, granule, made[granule], name, production, granule_geometry(model, *granule)
            )
            file = _granule_name(production, account, *granule, file_type="MTD_L0__GR")
            write(Path(order.output("PDI_DS_GR_LIST")) / made[granule] / f"{file}.xml", document)
    home = Path(order.output("PDI_DS")) / name
    _write_ancillary(home / "ANC_DATA", telemetry, production)
    document = datastrip_metadata(account, name, made, telemetry, production, downlink, octets)
    write(home / f"{production.pdi(satellite, 'MTD_L0__DS', sensing, baseline=False)}.xml", document)
    report = _report(account, name, made)
    (home / "QI_DATA").mkdir()
    (home / "QI_DATA" / "account.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return _verdict(report, journal)


def _granule_name(
    production: Production, account: StripAccount, detector: int, scene: int, *, file_type: str = "", band: str = ""
) -> str:
    suffixes = [("S", format_stamp(account.scene_start(scene))), ("D", f"{detector:02d}")]
    if band:
        suffixes.append(("B", band[1:]))
    return production.pdi(
        account.descriptor.satellite, file_type or "MSI_L0__GR", *suffixes, baseline=not (file_type or band)
    )


def _write_bands(
    root: Path, datatake: Path, telemetry: Telemetry, production: Production
) -> tuple[dict[_Place, frozenset[int]], Counter[int]]:
    """Write each granule's bands, packets in the order of their blocks.

    Returns:
        The blocks written, by (detector, scene, band), and the octets of compressed samples by band.
    """
    names = StripAccount(telemetry.descriptor, {})
    blocks: dict[_Place, frozenset[int]] = {}
    octets: Counter[int] = Counter()
    for detector, folders in sorted(find_granules(datatake).items()):
        for folder in folders:
            for band in BANDS:
                packets = read_band(folder, detector, band)
                for scene in sorted({scene for scene, _ in packets}):
                    place = (detector, scene, band.index)
                    have = sorted(block for own, block in packets if own == scene)
                    name = _granule_name(production, names, detector, scene)
                    file = _granule_name(production, names, detector, scene, band=band.name)
                    target = root / name / "IMG_DATA" / f"{file}.bin"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(b"".join(packets[scene, block] for block in have))
                    blocks[place] = frozenset(have)
                    octets[band.index] += target.stat().st_size - len(have) * _OVERHEAD
    return blocks, octets


def _write_ancillary(folder: Path, telemetry: Telemetry, production: Production) -> None:
    """The packets' files, under names of this production."""
    folder.mkdir(parents=True)
    for name, content in telemetry.files.items():
        pdi = replace(PdiName.parse(name.removesuffix(".bin")), creation=production.creation, site=production.centre)
        (folder / f"{pdi}.bin").write_bytes(content)


def _report(account: StripAccount, name: str, made: dict[tuple[int, int], str]) -> dict[str, Any]:
    lost = {
        f"D{detector:02d} scene {scene} {band.name}": len(blocks)
        for detector, scene in made
        for band in BANDS
        if (blocks := account.missing_blocks(detector, scene, band.index))
    }
    return {
        "schema": "org.s2ps.l0c-account.v1",
        "datastrip": name,
        "granules_expected": len(account.granules()),
        "granules": [made[granule] for granule in sorted(made)],
        "granules_missing": [f"D{detector:02d} scene {scene}" for detector, scene in account.missing_granules()],
        "packets_missing": lost,
        "simplifications": list(SIMPLIFICATIONS),
    }


def _verdict(report: dict[str, Any], journal: IpfLog) -> int:
    for granule in report["granules_missing"]:
        journal.warning(f"{granule}: no image packet came")
    for band, count in report["packets_missing"].items():
        journal.warning(f"{band}: {count} packets missing")
    journal.info(f"{len(report['granules'])} of {report['granules_expected']} granules")
    return Exit.DEGRADED if report["granules_missing"] or report["packets_missing"] else Exit.OK
