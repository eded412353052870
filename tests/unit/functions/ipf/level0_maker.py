"""L0 products of a small datatake, made straight from the simulator's packets: what L0C would hand to L1B."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.ipf.common.annotated import Annotation
from shared.msi.earth import sun_angles, utc_from_gps_ns
from shared.msi.instrument import BANDS, SCENE_NS
from shared.rehearsal.flight import Flight, fly
from shared.rehearsal.imaging import expose, image_packets, record
from shared.rehearsal.scene import Atmosphere

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from shared.rehearsal.plan import Datatake
    from shared.rehearsal.scene import Scene

CREATION = "20261122T120000"


def annotated(packets: list[bytes], flight: Flight) -> bytes:
    received = utc_from_gps_ns(flight.descriptor.first_line_ns)
    return b"".join(Annotation(received, len(p) - 7).encode() + p for p in packets)


def scene_sun_zenith(flight: Flight) -> float:
    """The one sun zenith under which a surface scene is lifted to the top of the atmosphere."""
    lon, lat = flight.datatake.position
    centre = flight.model.first_line_time + round(SCENE_NS * flight.datatake.scenes / 2)
    return float(sun_angles(lon, lat, centre)[0])


def make_level0(
    root: Path,
    datatake: Datatake,
    scene: Scene,
    *,
    air: Atmosphere | None = None,
    lose: Collection[tuple[str, int]] = (),
) -> Flight:
    """Write ``root/ds`` and ``root/gr``. ``lose`` names packets to leave out: (band, block) of every granule."""
    flight = fly(datatake, "S2A")
    zenith = scene_sun_zenith(flight)
    stamp = utc_from_gps_ns(flight.descriptor.first_line_ns).strftime("%Y%m%dT%H%M%S")
    datastrip = root / "ds" / f"S2A_TEST_MSI_L0__DS_S2PS_{CREATION}_S{stamp}_N00.01"
    (datastrip / "ANC_DATA").mkdir(parents=True)
    ancillary = [packet for _, packet in flight.ancillary_packets({})]
    (datastrip / "ANC_DATA" / "ancillary.bin").write_bytes(annotated(ancillary, flight))
    for number in range(1, datatake.scenes + 1):
        for detector in datatake.detectors:
            name = f"S2A_TEST_MSI_L0__GR_S2PS_{CREATION}_S{stamp[:-2]}{number:02d}_D{detector:02d}_N00.01"
            images = root / "gr" / name / "IMG_DATA"
            images.mkdir(parents=True)
            for band in BANDS:
                exposure = expose(flight, band, detector, number)
                packets: list[bytes] = []
                for counts in record(exposure, scene, air or Atmosphere(), sun_zenith_deg=zenith):
                    packets += image_packets(counts, exposure, flight, len(packets), len(packets))
                kept = [packet for block, packet in enumerate(packets) if (band.name, block) not in lose]
                (images / f"{name[:-7]}_{band.name}.bin").write_bytes(annotated(kept, flight))
    return flight
