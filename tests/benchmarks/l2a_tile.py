"""What a full L2A tile costs: a made-up L1C product of ground, water and clouds, through the whole step.

    .venv/bin/python -m tests.benchmarks.l2a_tile [processes] [folder]

Prints CPU seconds of the step and its processes, wall time, and the most memory that they held together (the sum of
their proportional set sizes, read twice a second from /proc). With a folder, the L1C product stays there.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from functions.ipf.common.processor import run_processor
from functions.ipf.l2a.process import NAME, VERSION, process
from functions.ipf.safe.jp2 import Extent
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask, format_job_order
from shared.msi.atmosphere import toa_from_surface
from shared.msi.instrument import BANDS
from tests.support.level1c import Product, write_product

SUN = 40.0
WHOLE = Extent(0, 0, 1830, 1830)


def landscape(size: int, seed: int) -> NDArray[np.float32]:
    """Smooth fields with detail down to the pixel, 0 to 1."""
    chance = np.random.default_rng(seed)
    total = np.zeros((size, size), np.float32)
    for cells, weight in ((8, 1.0), (40, 0.5), (200, 0.25), (1000, 0.15)):
        coarse = chance.random((cells, cells), np.float32)
        total += weight * cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    total += np.float32(0.05) * chance.random((size, size), np.float32)
    return np.asarray((total - total.min()) / (total.max() - total.min()), np.float32)


def reflectance(band_name: str, resolution: int, cover: NDArray[np.float32]) -> NDArray[np.float32]:
    """TOA reflectance of a band over the cover."""
    size = 109_800 // resolution
    grid = cv2.resize(cover, (size, size), interpolation=cv2.INTER_AREA)
    levels = np.interp(
        np.linspace(0, 1, 256), [0, 0.25, 0.3, 0.6, 0.85, 0.9, 1], [0.02, 0.02, 0.1, 0.25, 0.3, 0.6, 0.7]
    )
    toa = toa_from_surface(levels, band_name, SUN, 0.15, 2.0)
    noise = np.random.default_rng(len(band_name) + resolution).normal(0, 0.001, (size, size)).astype(np.float32)
    return np.asarray(np.asarray(toa, np.float32)[(grid * 255).astype(np.uint8)] + noise, np.float32)


def memory_mb(pids: set[int]) -> float:
    """Proportional set sizes of these processes and their children."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def family(pid: int) -> set[int]:
    """A process and all below it."""
    found = {pid}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text("ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == pid:
            found |= family(int(path.parent.name))
    return found


def main() -> int:
    """Make the product where it is not there yet, and run the step on it."""
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with tempfile.TemporaryDirectory(prefix="s2ps-bench-") as scratch:
        root = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(scratch)
        product = Product(sun=(SUN, 150.0))
        safe = root / product.name
        if not safe.is_dir():
            cover = landscape(10_980, 1)
            bands = {band.name: reflectance(band.name, band.resolution, cover) for band in BANDS}
            safe = write_product(root, product, bands, WHOLE)
            del cover, bands
        task = JobTask(
            "task", "0.1", (JobInput("MSI_L1C_TL", (str(safe),)),), (JobOutput("MSI_L2A_TL", f"{scratch}/out"),)
        )
        parameters = {"CREATION_DATE": "20261122T120000", "NUMBER_OF_THREADS": str(processes)}
        order = Path(scratch) / "order.xml"
        order.write_bytes(format_job_order(JobOrder("IPF", "0.1", "S2PS", "S2PS", parameters, (task,))))
        measure(order)
    return 0


def measure(order: Path) -> None:
    """Run the step and print what it took."""
    stop, peak = threading.Event(), [0.0]

    def watch() -> None:
        while not stop.wait(0.5):
            peak[0] = max(peak[0], memory_mb(family(threading.main_thread().native_id or 0)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun, cpu = time.monotonic(), cpu_seconds()
    code = run_processor(NAME, VERSION, process, [str(order)])
    stop.set()
    watcher.join()
    spent = cpu_seconds() - cpu
    print(
        f"exit {code}: {sum(spent):.0f} CPU s ({spent[1]:.0f} of them the system's),"
        f" {time.monotonic() - begun:.0f} s, at most {peak[0]:.0f} MB"
    )


def cpu_seconds() -> NDArray[np.float64]:
    """The user's and the system's, of this process and its children that ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([sum(usage.ru_utime for usage in usages), sum(usage.ru_stime for usage in usages)])


if __name__ == "__main__":
    sys.exit(main())
