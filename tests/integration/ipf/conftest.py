"""L0 products of a small datatake, made straight from the simulator's packets, and their way through the processors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from functions.ipf.common.annotated import Annotation
from functions.ipf.common.processor import run_processor
from functions.ipf.l1b.process import process as l1b
from functions.ipf.l1c.process import process as l1c
from functions.ipf.l2a.climatology import usual_aerosol
from functions.ipf.l2a.process import process as l2a
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask, format_job_order
from shared.msi import tiling
from shared.msi.earth import utc_from_gps_ns
from shared.msi.instrument import BANDS
from shared.rehearsal.flight import Flight, fly
from shared.rehearsal.imaging import expose, ground_of, image_packets, record
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.plan import Datatake
from shared.rehearsal.scene import Atmosphere

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from shared.geometry.instrument import Instrument
    from shared.rehearsal.scene import Scene

CREATION = "20261122T120000"


def annotated(packets: list[bytes], flight: Flight) -> bytes:
    received = utc_from_gps_ns(flight.descriptor.first_line_ns)
    return b"".join(Annotation(received, len(p) - 7).encode() + p for p in packets)


def make_level0(
    root: Path,
    datatake: Datatake,
    scene: Scene,
    *,
    air: Atmosphere | None = None,
    lose: Collection[tuple[str, int]] = (),
    instrument: Instrument | None = None,
    noise_dn: float = 0.0,
) -> Flight:
    """Write ``root/ds`` and ``root/gr``.

    ``lose`` names packets to leave out, (band, block) of every granule; ``noise_dn``: standard deviation, counts.
    """
    noise = np.random.default_rng(1) if noise_dn else None
    flight = fly(datatake, "S2A", instrument)
    zenith = flight.sun_zenith_deg
    stamp = utc_from_gps_ns(flight.descriptor.first_line_ns).strftime("%Y%m%dT%H%M%S")
    datastrip = root / "ds" / f"S2A_TEST_MSI_L0__DS_S2PS_{CREATION}_S{stamp}_N00.01"
    (datastrip / "ANC_DATA").mkdir(parents=True)
    ancillary = [packet for _, packet in flight.ancillary_packets({})]
    (datastrip / "ANC_DATA" / "ancillary.bin").write_bytes(annotated(ancillary, flight))
    for number in range(1, datatake.scenes + 1):
        ground = ground_of(flight, scene.relief, number)
        for detector in datatake.detectors:
            name = f"S2A_TEST_MSI_L0__GR_S2PS_{CREATION}_S{stamp[:-2]}{number:02d}_D{detector:02d}_N00.01"
            images = root / "gr" / name / "IMG_DATA"
            images.mkdir(parents=True)
            for band in BANDS:
                exposure = expose(flight, band, detector, number, ground)
                packets: list[bytes] = []
                for counts in record(
                    exposure, scene, air or Atmosphere(), sun_zenith_deg=zenith, noise=noise, noise_dn=noise_dn
                ):
                    packets += image_packets(counts, exposure, flight, len(packets), len(packets))
                kept = [packet for block, packet in enumerate(packets) if (band.name, block) not in lose]
                (images / f"{name[:-7]}_{band.name}.bin").write_bytes(annotated(kept, flight))
    return flight


@dataclass(frozen=True)
class Chain:
    """One granule taken through L1B, L1C and L2A: where everything stands and what went in."""

    root: Path
    flight: Flight
    scene: ProceduralLandscape
    sun_zenith: float
    codes: dict[str, int]
    air: Atmosphere = field(default_factory=Atmosphere)

    def safe(self, level: str) -> Path:
        found = sorted((self.root / level.lower()).glob(f"*_MSI{level}_*.SAFE"))
        assert len(found) == 1
        return found[0]

    def image(self, level: str, what: str) -> Path:
        found = sorted(self.safe(level).glob(f"GRANULE/*/IMG_DATA/**/*_{what}.jp2"))
        assert len(found) == 1
        return found[0]


def write_order(
    path: Path, inputs: dict[str, list[Path]], outputs: dict[str, Path], threads: int = 2, **parameters: str
) -> Path:
    """A job order as the service would write it."""
    common = {"CREATION_DATE": CREATION, "PROCESSING_CENTER": "S2PS", "PROCESSING_BASELINE": "00.01"}
    task = JobTask(
        "task",
        "0.1",
        tuple(JobInput(kind, tuple(map(str, names))) for kind, names in inputs.items()),
        tuple(JobOutput(kind, str(name)) for kind, name in outputs.items()),
    )
    parameters = {**common, "NUMBER_OF_THREADS": str(threads), **parameters}
    path.write_bytes(format_job_order(JobOrder("IPF", "0.1", "S2PS", "S2PS", parameters, (task,))))
    return path


def run_chain(root: Path, flight: Flight, scene: ProceduralLandscape, tile: str, **auxiliary: list[Path]) -> Chain:
    orders = {
        "l1b": write_order(
            root / "l1b.xml",
            {"PDI_DS": [root / "ds"], "PDI_DS_GR_LIST": [root / "gr"], **auxiliary},
            {"L1B_WORKING": root / "working", "TILE_LIST_FILE": root / "tile_list_file.xml"},
        ),
        "l1c": write_order(
            root / "l1c.xml", {"L1B_WORKING": [root / "working"]}, {"MSI_L1C_TL": root / "l1c"}, TILE=tile
        ),
    }
    codes = {
        "l1b": run_processor("S2PS-L1B", "test", l1b, [str(orders["l1b"])]),
        "l1c": run_processor("S2PS-L1C", "test", l1c, [str(orders["l1c"])]),
    }
    made = sorted((root / "l1c").glob("*.SAFE"))
    # The simulated scene is lifted pixel by pixel: no light comes from its surroundings.
    order = write_order(root / "l2a.xml", {"MSI_L1C_TL": made}, {"MSI_L2A_TL": root / "l2a"}, ADJACENCY_CORRECTION="NO")
    codes["l2a"] = run_processor("S2PS-L2A", "test", l2a, [str(order)])
    return Chain(root, flight, scene, flight.sun_zenith_deg, codes)


TILE = "32TMQ"
DATATAKE = Datatake(scenes=1, detectors=(6,))


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """One scene of one detector over the bundled landscape, under the aerosol that is usual there: no forecast tells
    L2A of another.
    """
    root = tmp_path_factory.mktemp("chain")
    scene, place = ProceduralLandscape(), tiling.tile(TILE)
    west, south, east, north = place.bounds
    lon, lat = tiling.to_degrees(place.epsg, (west + east) / 2, (south + north) / 2)
    air = Atmosphere(usual_aerosol(float(lon), float(lat), DATATAKE.start).aot550)
    return replace(run_chain(root, make_level0(root, DATATAKE, scene, air=air), scene, TILE), air=air)
