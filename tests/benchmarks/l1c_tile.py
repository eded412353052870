"""What a full L1C tile costs: six detectors over all of a tile, through the whole step.

    .venv/bin/python -m tests.benchmarks.l1c_tile [processes] [tiles] [folder] [--flagged]

Prints CPU seconds of the step and its processes, wall time, CPU seconds that coding the same images as JPEG 2000 takes
by itself, the ratio of the two, and the most memory held together. Of several tiles, which are the same one, each is
measured, and whether its files are those of the first, octet by octet. With a folder, the products stay there.
``--flagged``: half of all samples are saturated, at random, and one packet in fifty is lost.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray

from functions.ipf.common.processor import run_processor
from functions.ipf.l1c.process import NAME, VERSION, process
from functions.ipf.safe.jp2 import Extent, write_jp2
from functions.ipf.safe.quality import Quality, saturation
from functions.ipf.safe.working import AttitudeRecord, BandImage, Datastrip, GpsRecord, WorkingFolder
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask, format_job_order
from shared.msi.earth import earth_sun_u, utc_from_gps_ns
from shared.msi.instrument import BANDS, SCENE_NS, Band
from shared.msi.tiling import tile
from shared.rehearsal.flight import Flight, fly
from shared.rehearsal.plan import Datatake
from tests.benchmarks.l2a_tile import family, memory_mb

TILE = tile("32TMQ")
DATATAKE = Datatake(scenes=6, detectors=(4, 5, 6, 7, 8, 9), position=(8.42, 44.66))


def texture(lines: int, columns: int, seed: int) -> NDArray[np.uint16]:
    """Counts of a landscape with detail down to the pixel and some noise."""
    chance = np.random.default_rng(seed)
    total = np.full((lines, columns), 1800, np.float32)
    for step, weight in ((512, 600.0), (128, 300.0), (32, 150.0), (8, 60.0), (2, 20.0)):
        coarse = chance.normal(0, weight, (lines // step + 2, columns // step + 2)).astype(np.float32)
        total += cv2.resize(coarse, (columns, lines), interpolation=cv2.INTER_CUBIC)
    total += chance.normal(0, 12, total.shape).astype(np.float32)
    return np.clip(total, 1001, 16_000).astype(np.uint16)


def quality_of(lines: int, columns: int, packets: int, *, flagged: bool) -> Quality:
    """No flag at all, or as many as memory could be short for."""
    none, chance = np.zeros(packets, np.bool_), np.random.default_rng(5)
    if not flagged:
        return Quality(none, none, *saturation(np.zeros((0, columns), np.bool_)))
    return Quality(chance.random(packets) < 0.02, none, *saturation(chance.random((lines, columns), np.float32) < 0.5))


def images_of(working: WorkingFolder, flight: Flight, band: Band, *, flagged: bool) -> list[BandImage]:
    """The same texture for every detector, by links to one file."""
    lines, columns = DATATAKE.scenes * band.lines_per_scene, flight.instrument.columns(band)
    packets = DATATAKE.scenes * band.packets_per_scene
    quality = quality_of(lines, columns, packets, flagged=flagged)
    made: list[BandImage] = []
    for detector in DATATAKE.detectors:
        image = BandImage(
            detector=detector,
            band=band.name,
            lines=lines,
            columns=columns,
            first_line_ns=flight.model.strip.first_line_ns[band.name, detector],
            packets_expected=packets,
            packets_received=packets,
        )
        if made:
            (working.root / f"image_{image.stem}.tif").hardlink_to(working.root / f"image_{made[0].stem}.tif")
        else:
            working.write_image(image, texture(lines, columns, band.index))
        working.write_quality(image, quality)
        made.append(image)
    return made


def write_working(root: Path, *, flagged: bool = False) -> None:
    """The L1B working folder of a strip that covers the tile."""
    root.mkdir(parents=True)
    working, flight = WorkingFolder(root), fly(DATATAKE, "S2A")
    described, centre = flight.descriptor, flight.model.platform.reference_ns
    working.write_model(flight.model.strip, flight.instrument)
    left, bottom, right, top = 7.0, 43.5, 10.0, 46.0
    working.write_datastrip(
        Datastrip(
            satellite=described.satellite,
            absolute_orbit=described.absolute_orbit,
            relative_orbit=described.relative_orbit,
            orbit_direction="DESCENDING",
            datatake_type=described.datatake_type,
            datatake_start=utc_from_gps_ns(described.datatake_start_ns),
            sensing_start=utc_from_gps_ns(described.first_line_ns),
            sensing_stop=utc_from_gps_ns(described.first_line_ns + round(SCENE_NS * DATATAKE.scenes)),
            first_line_ns=described.first_line_ns,
            centre_ns=centre,
            scenes=DATATAKE.scenes,
            level0_datastrip="made up",
            reception_station="XXX_",
            downlink_orbit=described.absolute_orbit,
            earth_sun_u=earth_sun_u(centre),
            ancillary_expected=len(flight.gps) + len(flight.attitude),
            ancillary_received=len(flight.gps) + len(flight.attitude),
            images=tuple(image for band in BANDS for image in images_of(working, flight, band, flagged=flagged)),
            gps_points=tuple(GpsRecord(gps_ns=p.gps_ns, position=p.position, velocity=p.velocity) for p in flight.gps),
            attitudes=tuple(AttitudeRecord(gps_ns=p.gps_ns, quaternion=p.quaternion) for p in flight.attitude),
            footprint=((left, bottom), (right, bottom), (right, top), (left, top)),
            simplifications=(),
        )
    )


def cpu() -> float:
    """CPU seconds of this process and of those that have ended below it."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def coding(safe: Path, scratch: Path) -> float:
    """CPU seconds to code the product's images again, reading not counted."""
    total = 0.0
    for path in sorted(safe.glob("GRANULE/*/IMG_DATA/*.jp2")):
        with rasterio.open(path) as image:
            pixels, resolution = image.read(), int(image.res[0])
        whole = Extent(0, 0, *pixels.shape[1:])
        begin = time.process_time()
        write_jp2(scratch / "again.jp2", pixels, TILE, resolution, whole, bits=15 if len(pixels) == 1 else None)
        total += time.process_time() - begin
    return total


def make(root: Path, scratch: Path, processes: int) -> Path:
    """Run the step; print what it took; its product."""
    inputs = (JobInput("L1B_WORKING", (str(scratch / "working"),)),)
    task = JobTask("task", VERSION, inputs, (JobOutput("MSI_L1C_TL", str(root)),))
    parameters = {
        "CREATION_DATE": "20261122T120000",
        "PROCESSING_CENTER": "S2PS",
        "PROCESSING_BASELINE": "00.01",
        "NUMBER_OF_THREADS": str(processes),
        "TILE": TILE.name,
    }
    order = scratch / "order.xml"
    order.write_bytes(format_job_order(JobOrder("IPF", VERSION, "S2PS", "S2PS", parameters, (task,))))
    peak, watched, done = [0.0], [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            peak[0] = max(peak[0], memory_mb(family(os.getpid())))
        watched[0] = time.thread_time()  # not the step's

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin, start = cpu(), time.monotonic()
    code = run_processor(NAME, VERSION, process, [str(order)])
    took = time.monotonic() - start
    done.set()
    watcher.join()
    spent = cpu() - begin - watched[0]
    print(
        f"exit {code}: {spent:.0f} CPU s, {took:.0f} s wall with {processes} processes "
        f"({spent / took:.2f} cores), at most {peak[0]:.0f} MB"
    )
    (safe,) = root.glob("*.SAFE")
    return safe


def digests(safe: Path) -> dict[str, str]:
    """Every file of a product by its path."""
    return {
        str(path.relative_to(safe)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(safe.rglob("*"))
        if path.is_file()
    }


def main() -> None:
    """Measure and print."""
    flagged = "--flagged" in sys.argv
    given = [text for text in sys.argv[1:] if text != "--flagged"]
    processes, tiles = (int(text) for text in (*given[:2], *("2", "1")[len(given[:2]) :]))
    with tempfile.TemporaryDirectory(prefix="s2ps-l1c-bench-") as folder:
        scratch = Path(folder)
        root = Path(given[2]) if len(given) > 2 else scratch
        write_working(scratch / "working", flagged=flagged)
        made = [make(root / f"l1c_{number}", scratch, processes) for number in range(1, tiles + 1)]
        first, *others = [digests(safe) for safe in made]
        for other in others:
            differing = [name for name in {*first, *other} if first.get(name) != other.get(name)]
            print(f"{len(other)} files, of which {len(differing)} differ from those of the first product")
        begin = cpu()
        coded = coding(made[0], scratch)
        size = sum(path.stat().st_size for path in made[0].glob("GRANULE/*/IMG_DATA/*.jp2")) / 1e6
        print(
            f"JPEG 2000 of the {size:.0f} MB of images by itself: {coded:.0f} CPU s; with reading, {cpu() - begin:.0f}"
        )


if __name__ == "__main__":
    main()
