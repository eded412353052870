"""A datatake folder: ``DTnn/DS/<datastrip>`` and ``DTnn/GR/DB1/<granule>``, as Sentinel-2's L0U makes them."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from functions.ipf.common import l0_metadata as md
from functions.ipf.common.xml import node, write
from shared.ccsds.cuc import gps_ns_to_utc
from shared.ccsds.spacepackets import OVERHEAD_OCTETS
from shared.domain.names import format_stamp
from shared.msi.instrument import BANDS
from shared.msi.packets import IMAGE_HEADER_OCTETS

if TYPE_CHECKING:
    from functions.ipf.common.identity import Production
    from functions.ipf.l0u.datastrips import Datastrip
    from functions.ipf.l0u.sorting import AncillaryPacket, PacketSorter

PACKET_OVERHEAD: Final = OVERHEAD_OCTETS + IMAGE_HEADER_OCTETS + 20


@dataclass(frozen=True, slots=True)
class DatatakeWriter:
    """Writes datatake folders under ``root``, each image file moved there from the spool."""

    root: Path
    production: Production
    downlink: md.Downlink
    sorter: PacketSorter

    def write(self, number: int, strip: Datastrip) -> Path:
        """The folder of datastrip ``number``, counted from 1."""
        folder = self.root / f"DT{number:02d}"
        octets: Counter[int] = Counter()
        names = {}
        for detector, scene in strip.account.granules():
            if strip.account.has_image(detector, scene):
                names[detector, scene] = self._granule(folder, strip, detector, scene, octets)
        self._datastrip(folder, strip, names, octets)
        return folder

    def _granule(self, folder: Path, strip: Datastrip, detector: int, scene: int, octets: Counter[int]) -> str:
        account, make = strip.account, self.production.pdi
        satellite = account.descriptor.satellite
        place = (("S", format_stamp(account.scene_start(scene))), ("D", f"{detector:02d}"))
        name = make(satellite, "MSI_L0U_GR", *place)
        granule = folder / "GR" / "DB1" / name
        (granule / "IMG_DATA").mkdir(parents=True)
        for band in BANDS:
            parts = [self.sorter.path(key) for key in strip.parts.get((detector, scene, band.index), ())]
            if parts:
                file = make(satellite, "MSI_L0U_GR", *place, ("B", band.name[1:]), baseline=False)
                target = _gather(parts, granule / "IMG_DATA" / f"{file}.bin")
                packets = account.received(detector, scene, band.index)
                octets[band.index] += target.stat().st_size - packets * PACKET_OVERHEAD
        root = node(
            "DIMAP_Level-0-unconsolidated_Granule",
            node(
                "General_Info",
                node("GRANULE_ID", name, metadataLevel="Brief"),
                node("DETECTOR_ID", f"{detector:02d}", metadataLevel="Brief"),
                node("DOWNLINK_PRIORITY", "NOMINAL", metadataLevel="Standard"),
                node("SENSING_TIME", md.utc(account.scene_start(scene)), metadataLevel="Standard"),
            ),
            node(
                "Quality_Indicators_Info",
                node(
                    "Image_Content_QI",
                    node(
                        "Common_IMG_QI",
                        node(
                            "DEGRADED_MSI_DATA_PERCENTAGE",
                            f"{account.lost_share((detector,), range(scene, scene + 1)):.6f}",
                        ),
                    ),
                    md.source_packet_description(account, detector, scene),
                ),
            ),
        )
        write(granule / f"{make(satellite, 'MTD_L0U_GR', *place, baseline=False)}.xml", root)
        return name

    def _datastrip(
        self, folder: Path, strip: Datastrip, names: dict[tuple[int, int], str], octets: Counter[int]
    ) -> None:
        account, make = strip.account, self.production.pdi
        satellite, sensing = account.descriptor.satellite, ("S", format_stamp(account.start))
        name = make(satellite, "MSI_L0U_DS", sensing)
        home = folder / "DS" / name
        write_ancillary(
            home / "ANC_DATA", self.production, satellite, account.descriptor.absolute_orbit, strip.ancillary
        )
        root = node(
            "DIMAP_Level-0-unconsolidated_DataStrip",
            node(
                "General_Info",
                md.datatake_info(account.descriptor, self.production.baseline),
                md.datastrip_time_info(account),
                md.downlink_info(self.downlink),
            ),
            node("Image_Data_Info", md.granules_information(names), md.sensor_configuration(account, octets)),
            node("Satellite_Ancillary_Data_Info", node("ANC_DATA_REF", ".//ANC_DATA/")),
            datastripIdentifier=name,
        )
        write(home / f"{make(satellite, 'MTD_L0U_DS', sensing, baseline=False)}.xml", root)


def write_ancillary(
    folder: Path, production: Production, satellite: str, orbit: int, packets: tuple[AncillaryPacket, ...]
) -> None:
    """One file of annotated packets per APID, in the order of their times."""
    folder.mkdir(parents=True)
    by_apid: defaultdict[int, list[AncillaryPacket]] = defaultdict(list)
    for packet in packets:
        by_apid[packet.apid].append(packet)
    for apid, group in sorted(by_apid.items()):
        group.sort(key=lambda packet: packet.gps_ns)
        first, last = (format_stamp(gps_ns_to_utc(packet.gps_ns)) for packet in (group[0], group[-1]))
        suffixes = (("V", f"{first}_{last}"), ("A", f"{orbit:06d}"))
        # As the operational names do: the process identifier of the APID, then three digits of the structure.
        name = production.pdi(satellite, f"AUX_S{apid >> 4:02d}{apid:03d}", *suffixes, baseline=False)
        (folder / f"{name}.bin").write_bytes(b"".join(packet.annotated for packet in group))


def _gather(parts: list[Path], target: Path) -> Path:
    if len(parts) == 1:
        return parts[0].replace(target)
    with target.open("wb") as sink:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, sink)
    return target
